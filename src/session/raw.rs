//! A socket as it is, for whoever studies the platform: every message, the close code, pings of both kinds.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::transport::Socket;
use super::{Refusal, Transport};

/// An open socket.
pub struct RawSocket(Socket);

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// A text message.
    Text(String),
    /// The answer to [`RawSocket::ping`].
    Pong,
    /// A close frame, with its code if it has one. The next one is [`Raw::Lost`].
    Closed(Option<u16>),
    /// It is over: cut, or closed before.
    Lost,
}

impl RawSocket {
    /// Opens one. The URL is a secret and appears in no error.
    ///
    /// # Errors
    /// What the platform answered to the upgrade, if it did.
    pub async fn dial(transport: &Transport, url: &str) -> Result<Self, Refusal> {
        transport.dial(url).await.map(Self)
    }

    /// Waits for what comes next. Safe to drop and call again.
    pub async fn next(&mut self) -> Raw {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Raw::Text(text.as_str().to_owned()),
                Some(Ok(Message::Pong(_))) => return Raw::Pong,
                Some(Ok(Message::Close(frame))) => {
                    return Raw::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Frame(_))) => {}
                Some(Err(_)) | None => return Raw::Lost,
            }
        }
    }

    /// Sends a text; whether it fails is seen at [`Self::next`].
    pub async fn say(&mut self, text: &str) {
        self.0.send(Message::Text(text.into())).await.ok();
    }

    /// Sends a ping of RFC 6455.
    pub async fn ping(&mut self) {
        self.0.send(Message::Ping(Bytes::from_static(b"survey"))).await.ok();
    }

    /// Closes it politely.
    pub async fn close(mut self) {
        self.0.close(None).await.ok();
    }
}
