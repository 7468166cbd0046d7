//! Connections of the admin port: so many at once, none for ever. Whoever comes last gets in, so that neither a
//! crowd nor somebody slow keeps a probe out, or takes the files that sockets and spool need.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future as _;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// Connections at once; for one more the oldest goes.
const AT_ONCE: usize = 64;
/// A connection ends after so long, whatever it does: browsers and scrapers make another one.
const LIFE: Duration = Duration::from_secs(120);

/// A listener that keeps few connections.
pub(super) struct Bounded {
    listener: TcpListener,
    /// Dropping one ends its connection.
    held: VecDeque<oneshot::Sender<Infallible>>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, held: VecDeque::new() }
    }
}

impl Listener for Bounded {
    type Io = Held;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Held, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        self.held.retain(|one| !one.is_closed());
        while self.held.len() >= AT_ONCE {
            self.held.pop_front();
        }
        let (keep, kept) = oneshot::channel();
        self.held.push_back(keep);
        (Held { stream, kept, life: Box::pin(sleep(LIFE)) }, address)
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection while it may stay.
pub(super) struct Held {
    stream: TcpStream,
    kept: oneshot::Receiver<Infallible>,
    life: Pin<Box<Sleep>>,
}

impl Held {
    fn check(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if Pin::new(&mut self.kept).poll(cx).is_ready() {
            return Err(Error::new(ErrorKind::ConnectionAborted, "others came after it"));
        }
        match self.life.as_mut().poll(cx) {
            Poll::Ready(()) => Err(Error::new(ErrorKind::TimedOut, "it was there for too long")),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
