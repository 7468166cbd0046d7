//! The plainest client there is, so that a test sees the bytes and not a library's idea of them.
#![expect(clippy::unwrap_used, reason = "a client of tests may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use genesys_sim::server::{Running, ServeSettings, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Simulator {
    pub(crate) running: Running,
    pub(crate) token: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Simulator {
    pub(crate) async fn start(serve: ServeSettings) -> Self {
        let running = start(serve).await.unwrap();
        let mut sim = Self { running, token: String::new() };
        let head = "Authorization: Basic c2ltLWNsaWVudDpzaW0tc2VjcmV0\r\n";
        let body = "grant_type=client_credentials";
        let answer = sim.http("POST", "/oauth/token", head, body).await.unwrap();
        answer.json()["access_token"].as_str().unwrap().clone_into(&mut sim.token);
        sim
    }

    /// Numbers of the channels with an open socket, as the simulator sees it.
    pub(crate) async fn connected(&self) -> Value {
        self.get("/sim/counters").await.json()["connected"].clone()
    }

    fn address(&self) -> String {
        self.running.url().trim_start_matches("http://").to_owned()
    }

    pub(crate) async fn http(
        &self,
        method: &str,
        path: &str,
        head: &str,
        body: &str,
    ) -> Option<Answer> {
        let mut stream = TcpStream::connect(self.address()).await.ok()?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n{head}Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let pair = |line: &str| line.split_once(": ").map(|(k, v)| (k.to_owned(), v.to_owned()));
        Some(Answer { status, headers: lines.filter_map(pair).collect(), body: body.to_owned() })
    }

    /// `None` when the connection is cut instead of an answer.
    pub(crate) async fn try_send(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let token = &self.token;
        let head = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.http(method, path, &head, &body).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_send(method, path, body).await.expect("the connection was cut")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null).await
    }

    /// The generic topics of all queues.
    pub(crate) async fn topics(&self) -> Vec<String> {
        let listing = self.get("/api/v2/routing/queues?pageSize=100").await.json();
        let topic = |queue: &Value| {
            format!("v2.routing.queues.{}.conversations", queue["id"].as_str().unwrap())
        };
        listing["entities"].as_array().unwrap().iter().map(topic).collect()
    }

    /// The address of a new channel's socket.
    pub(crate) async fn channel(&self) -> String {
        let made = self.send("POST", "/api/v2/notifications/channels", &Value::Null).await.json();
        made["connectUri"].as_str().unwrap().to_owned()
    }

    /// An open socket whose channel listens to all queues.
    pub(crate) async fn listening(&self) -> Socket {
        let uri = self.channel().await;
        let topics = self.topics().await;
        let body: Value = topics.iter().map(|topic| json!({"id": topic})).collect();
        let answer = self.send("PUT", &subscriptions_of(&uri), &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.until_open(&uri).await
    }

    pub(crate) async fn until_open(&self, uri: &str) -> Socket {
        self.dial(uri).await.unwrap()
    }

    /// Asks for a socket with this header and returns the head of the answer.
    pub(crate) async fn handshake(&self, uri: &str, header: &str) -> String {
        let path = uri.splitn(4, '/').nth(3).unwrap();
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: sim\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{header}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// Opens a socket, or says how that was refused; status 0 for a connection that was cut.
    pub(crate) async fn dial(&self, uri: &str) -> Result<Socket, Answer> {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        match client_async(uri, stream).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(Error::Http(response)) => {
                let pairs = response.headers().iter();
                let pair = |(k, v): (&_, &_)| header(k, v);
                let headers = pairs.map(pair).collect();
                Err(Answer { status: response.status().as_u16(), headers, body: String::new() })
            }
            Err(_) => Err(Answer { status: 0, headers: Vec::new(), body: String::new() }),
        }
    }
}

fn header(
    key: &tokio_tungstenite::tungstenite::http::HeaderName,
    value: &tokio_tungstenite::tungstenite::http::HeaderValue,
) -> (String, String) {
    (key.to_string(), value.to_str().unwrap_or_default().to_owned())
}

/// Asks for `tokens/me` without a token over TLS, trusting only this authority.
pub(crate) async fn over_tls(address: &str, ca: Option<&Path>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.map(|ca| CertificateDer::pem_file_iter(ca).unwrap()).into_iter().flatten()
    {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let request = "GET /api/v2/tokens/me HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

/// Path of the subscriptions of the channel with this socket address.
pub(crate) fn subscriptions_of(uri: &str) -> String {
    let id = uri.rsplit('/').next().unwrap();
    format!("/api/v2/notifications/channels/{id}/subscriptions")
}

#[derive(Debug)]
pub(crate) struct Socket(WebSocketStream<TcpStream>);

#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Frame(Value),
    Pong(Vec<u8>),
    End(End),
}

/// How a connection ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Close(u16, String),
    Reset,
    Gone(String),
}

impl Socket {
    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn ping(&mut self, payload: &'static [u8]) {
        self.0.send(Message::Ping(payload.into())).await.unwrap();
    }

    pub(crate) async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.0.send(Message::Close(Some(frame))).await.unwrap();
    }

    pub(crate) async fn within(&mut self, patience: Duration) -> Option<Heard> {
        let message = tokio::time::timeout(patience, self.0.next()).await.ok()?;
        Some(match message {
            Some(Ok(Message::Text(text))) => {
                Heard::Frame(serde_json::from_str(text.as_str()).unwrap())
            }
            Some(Ok(Message::Pong(payload))) => Heard::Pong(payload.to_vec()),
            Some(Ok(Message::Close(Some(frame)))) => {
                Heard::End(End::Close(frame.code.into(), frame.reason.to_string()))
            }
            Some(Ok(other)) => panic!("{other:?}"),
            Some(Err(Error::Io(error))) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                Heard::End(End::Reset)
            }
            Some(Err(error)) => Heard::End(End::Gone(error.to_string())),
            None => Heard::End(End::Gone("no more messages".to_owned())),
        })
    }

    pub(crate) async fn next(&mut self) -> Heard {
        self.within(PATIENCE).await.expect("nothing was heard for too long")
    }

    /// Reads on until the end.
    pub(crate) async fn end(&mut self) -> End {
        loop {
            if let Heard::End(end) = self.next().await {
                return end;
            }
        }
    }
}
