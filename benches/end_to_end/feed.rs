//! A platform that only sends, as fast as it is read or at a pace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::corpus::frames;

pub(crate) fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime")
}

/// Starts a feeder; it ends with the runtime.
pub(crate) fn start(count: usize, per_sec: u64) -> (String, Runtime) {
    let runtime = runtime(2);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    runtime.spawn(feed(listener, Arc::new(frames(count)), per_sec));
    (url, runtime)
}

/// Sends the frames to everybody who connects, and answers pings.
async fn feed(listener: TcpListener, frames: Arc<Vec<String>>, per_sec: u64) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        stream.set_nodelay(true).ok();
        let frames = Arc::clone(&frames);
        tokio::spawn(async move {
            let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
            let (mut out, mut into) = socket.split();
            let (pongs_in, mut pongs) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Some(Ok(message)) = into.next().await {
                    if message.is_text() {
                        pongs_in.send(()).ok();
                    }
                }
            });
            let began = Instant::now();
            for (index, text) in frames.iter().enumerate() {
                if per_sec > 0 && index.is_multiple_of(32) {
                    let due = Duration::from_secs_f64(index as f64 / per_sec as f64);
                    tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
                    out.flush().await.ok();
                }
                if pongs.try_recv().is_ok() {
                    let pong = r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#;
                    out.feed(Message::text(pong)).await.ok();
                }
                if out.feed(Message::text(text.as_str())).await.is_err() {
                    return;
                }
            }
            out.flush().await.ok();
            while pongs.recv().await.is_some() {
                let pong = r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#;
                out.send(Message::text(pong)).await.ok();
            }
        });
    }
}
