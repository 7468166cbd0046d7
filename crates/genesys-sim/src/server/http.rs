//! Connections: the head is looked at, then it goes to hyper or becomes a socket.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Shared, control, sockets};
use crate::http::{Answer, Request};

/// Accepts until the simulator stops.
pub(crate) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else { continue };
        drop(stream.set_nodelay(true)); // only latency depends on it
        let Ok(handle) = duplicate(&stream) else {
            continue;
        };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            let reset = move || drop(handle.set_linger(Some(Duration::ZERO)));
            match tls {
                None => connection(stream, shared, reset).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, shared, reset).await;
                    }
                }
            }
        });
    }
}

/// A second handle on the connection, so that it can be reset while something else owns it.
fn duplicate(stream: &TcpStream) -> io::Result<socket2::Socket> {
    socket2::SockRef::from(stream).try_clone()
}

const MAX_HEAD: usize = 64 << 10;

async fn connection<S>(mut stream: S, shared: Arc<Shared>, reset: impl Fn() + Send)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(head) = read_head(&mut stream).await else {
        return;
    };
    match Upgrade::read(&head) {
        Some(upgrade) => socket(stream, upgrade, shared, reset).await,
        None => {
            let stream = Rewound { head, at: 0, stream };
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // a client that goes away is no concern of ours; an answer that is none is a reset
            if connection.await.is_err() {
                reset();
            }
        }
    }
}

async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(2_048);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// A request to become a WebSocket.
struct Upgrade {
    path: String,
    query: BTreeMap<String, String>,
    key: String,
}

impl Upgrade {
    fn read(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n");
        let target = lines.next()?.strip_prefix("GET ")?.split(' ').next()?;
        let header = |line: &str, name: &str| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        let key = lines.find_map(|line| header(line, "sec-websocket-key"))?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Self { path: path.to_owned(), query: read_query(query), key })
    }
}

fn read_query(query: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

async fn socket<S>(mut stream: S, upgrade: Upgrade, shared: Arc<Shared>, reset: impl Fn() + Send)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asked =
        Request { path: upgrade.path.clone(), query: upgrade.query.clone(), ..Request::default() };
    let held_back = shared.with(|cloud, now_ms| cloud.held_back(&asked, true, now_ms));
    tokio::time::sleep(Duration::from_millis(held_back)).await;
    let (opened, cap) = shared.with(|cloud, now_ms| {
        let opened = match upgrade.path.strip_prefix("/channels/") {
            Some(channel) => cloud.upgrade(channel, now_ms),
            None if upgrade.path == cloud.settings.direct_path => {
                let token = upgrade.query.get("access_token").map(String::as_str);
                cloud.upgrade_direct(token, now_ms)
            }
            None => Err(Answer::not_found()),
        };
        // registered under the same lock, or a frame could be sent before there is a line for it
        let cap = cloud.settings.unread_cap_bytes;
        let opened = opened.map(|id| (id, shared.sockets.register(id, cap)));
        (opened, cap)
    });
    debug_assert!(cap > 0, "a cap of nothing would cut every socket");
    match opened {
        Ok((id, orders)) => {
            let accept = derive_accept_key(upgrade.key.as_bytes());
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            if stream.write_all(head.as_bytes()).await.is_err() {
                shared.sockets.forget(id);
                shared.with(|cloud, now_ms| cloud.socket_gone(id, now_ms));
                return;
            }
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            sockets::serve(id, socket, orders, shared, reset).await;
        }
        Err(refusal) if refusal.status == 0 => reset(),
        Err(refusal) => drop(stream.write_all(raw(&refusal).as_bytes()).await),
    }
}

fn raw(answer: &Answer) -> String {
    let headers: String = answer.headers.iter().map(|(k, v)| format!("{k}: {v}\r\n")).collect();
    format!(
        "HTTP/1.1 {} Refused\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{}",
        answer.status,
        answer.body.len(),
        answer.body
    )
}

type Response = hyper::Response<Full<Bytes>>;

async fn answer(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (authorization, content_type) = (header("authorization"), header("content-type"));
    let accept = header("accept");
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let request = Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: read_query(parts.uri.query().unwrap_or_default()),
        authorization,
        content_type,
        accept,
        body,
    };
    if request.path == "/sim" {
        let headers = vec![("location", "/sim/".to_owned())];
        return respond(&Answer { status: 308, headers, ..Answer::default() });
    }
    if request.path.starts_with("/sim/") {
        return respond(&control::handle(&request, &shared));
    }
    let held_back = shared.with(|cloud, now_ms| cloud.held_back(&request, false, now_ms));
    tokio::time::sleep(Duration::from_millis(held_back)).await;
    let answer = shared.with(|cloud, now_ms| cloud.handle(&request, now_ms));
    if answer.status == 0 {
        return Err(io::Error::other("the platform is out"));
    }
    tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    respond(&answer)
}

fn respond(answer: &Answer) -> io::Result<Response> {
    let typed = answer.headers.iter().any(|(name, _)| *name == "content-type");
    let mut response = hyper::Response::builder().status(answer.status);
    if !typed {
        response = response.header("content-type", "application/json");
    }
    response = response
        .header("cache-control", "no-cache, no-store, must-revalidate")
        .header("pragma", "no-cache")
        .header("expires", "0");
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    response.body(Full::new(Bytes::from(answer.body.clone()))).map_err(io::Error::other)
}

/// A stream whose first bytes were read already.
struct Rewound<S> {
    head: Vec<u8>,
    at: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.head.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
