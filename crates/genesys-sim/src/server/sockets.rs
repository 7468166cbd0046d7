//! Open sockets: one task each, fed through a queue whose bytes are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::Shared;
use crate::channels::SocketId;
use crate::cloud::Output;

/// The writing ends of all open sockets.
#[derive(Default)]
pub(crate) struct Sockets(Mutex<BTreeMap<SocketId, Line>>);

struct Line {
    orders: mpsc::UnboundedSender<Order>,
    unread: Arc<AtomicUsize>,
    /// Ends the socket at once, even while a write to it hangs.
    cut: Arc<Notify>,
    cap: usize,
}

enum Order {
    Text(Arc<str>),
    Close(u16, String),
    Reset,
    Freeze,
}

/// The reading end of one socket's orders.
pub(crate) struct Orders {
    orders: mpsc::UnboundedReceiver<Order>,
    unread: Arc<AtomicUsize>,
    cut: Arc<Notify>,
}

impl Sockets {
    pub(crate) fn register(&self, id: SocketId, cap: usize) -> Orders {
        let (sender, orders) = mpsc::unbounded_channel();
        let unread = Arc::new(AtomicUsize::new(0));
        let cut = Arc::new(Notify::new());
        let line = Line { orders: sender, unread: Arc::clone(&unread), cut: Arc::clone(&cut), cap };
        self.lines().insert(id, line);
        Orders { orders, unread, cut }
    }

    /// Hands an output to its socket; names a socket that is cut because its reader is too slow.
    pub(crate) fn carry_out(&self, output: Output) -> Option<SocketId> {
        let mut lines = self.lines();
        let (id, order) = match output {
            Output::Text(id, text) => (id, Order::Text(text)),
            Output::Close(id, code, reason) => (id, Order::Close(code, reason)),
            Output::Reset(id) => (id, Order::Reset),
            Output::Freeze(id) => (id, Order::Freeze),
            Output::BrokerDown { .. } | Output::Kill => return None,
        };
        let line = lines.get(&id)?;
        let mut too_slow = false;
        if let Order::Text(text) = &order {
            let unread = line.unread.fetch_add(text.len(), Ordering::Relaxed) + text.len();
            too_slow = unread > line.cap;
        }
        let backlog = line.unread.load(Ordering::Relaxed);
        let stuck = matches!(order, Order::Reset) && backlog > STUCK;
        let last = too_slow || matches!(order, Order::Close(..) | Order::Reset);
        if too_slow || stuck {
            // what is queued before it would never be read, so this does not wait its turn
            line.cut.notify_one();
        } else {
            drop(line.orders.send(order)); // its task may have ended already
        }
        if last {
            lines.remove(&id);
        }
        too_slow.then_some(id)
    }

    /// Sockets whose readers have left at least half of the cap unread.
    pub(crate) fn full(&self) -> BTreeSet<SocketId> {
        let lines = self.lines();
        let full = lines.iter().filter(|(_, l)| l.unread.load(Ordering::Relaxed) > l.cap / 2);
        full.map(|(id, _)| *id).collect()
    }

    pub(crate) fn forget(&self, id: SocketId) {
        self.lines().remove(&id);
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, BTreeMap<SocketId, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With so much unread, a reset no longer waits for the bytes before it.
const STUCK: usize = 1 << 20;
/// A frozen socket is kept this long for a client that never notices.
const FROZEN: Duration = Duration::from_secs(300);
/// How long the other side may take to answer a close frame.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Serves one socket until it ends. `reset` makes the next close of the connection a reset.
pub(crate) async fn serve<S>(
    id: SocketId,
    mut socket: WebSocketStream<S>,
    mut orders: Orders,
    shared: Arc<Shared>,
    reset: impl Fn(),
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let cut = Arc::clone(&orders.cut);
    tokio::select! {
        biased;
        () = cut.notified() => reset(),
        () = converse(id, &mut socket, &mut orders, &shared, &reset) => {}
    }
    shared.sockets.forget(id);
    shared.with(|cloud, now_ms| cloud.socket_gone(id, now_ms));
}

/// Writes what it is told and hears what the client sends, until either ends it.
async fn converse<S>(
    id: SocketId,
    socket: &mut WebSocketStream<S>,
    orders: &mut Orders,
    shared: &Shared,
    reset: &impl Fn(),
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let step = tokio::select! {
            biased;
            order = orders.orders.recv() => Step::Order(order),
            message = socket.next() => Step::Heard(message),
        };
        match step {
            Step::Order(Some(Order::Text(text))) => {
                if write(socket, text, orders, shared, id, reset).await.is_break() {
                    return;
                }
            }
            Step::Order(Some(order)) => return finish(socket, order, reset).await,
            Step::Order(None) => return,
            Step::Heard(Some(Ok(Message::Text(text)))) => {
                shared.with(|cloud, now_ms| cloud.client_text(id, text.as_str(), now_ms));
            }
            Step::Heard(Some(Ok(Message::Close(_)))) => {
                // nothing more is delivered; the library has the answer ready, a flush sends it
                shared.with(|cloud, now_ms| cloud.socket_gone(id, now_ms));
                drop(tokio::time::timeout(CLOSE_GRACE, socket.flush()).await);
                return;
            }
            Step::Heard(Some(Ok(_))) => {
                shared.with(|cloud, now_ms| cloud.client_frame(id, now_ms));
                // the pong of the protocol leaves with the next flush
                drop(socket.flush().await);
            }
            Step::Heard(Some(Err(_)) | None) => return,
        }
    }
}

enum Step {
    Order(Option<Order>),
    Heard(Option<Result<Message, tokio_tungstenite::tungstenite::Error>>),
}

/// Writes a text and everything queued behind it with one flush.
async fn write<S>(
    socket: &mut WebSocketStream<S>,
    first: Arc<str>,
    orders: &mut Orders,
    shared: &Shared,
    id: SocketId,
    reset: &impl Fn(),
) -> std::ops::ControlFlow<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    use std::ops::ControlFlow::{Break, Continue};
    let mut text = first;
    loop {
        let length = text.len();
        if socket.feed(Message::Text(Utf8Bytes::from(&*text))).await.is_err() {
            return Break(());
        }
        orders.unread.fetch_sub(length, Ordering::Relaxed);
        match orders.orders.try_recv() {
            Ok(Order::Text(next)) => text = next,
            Ok(order) => {
                drop(socket.flush().await);
                shared.sockets.forget(id);
                finish(socket, order, reset).await;
                return Break(());
            }
            Err(_) => break,
        }
    }
    if socket.flush().await.is_err() { Break(()) } else { Continue(()) }
}

async fn finish<S>(socket: &mut WebSocketStream<S>, order: Order, reset: &impl Fn())
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match order {
        Order::Close(code, reason) => {
            let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
            drop(socket.send(Message::Close(Some(frame))).await);
            // read on until the other side answers, or its unread data would make this a reset
            let drained = async { while socket.next().await.is_some_and(|m| m.is_ok()) {} };
            drop(tokio::time::timeout(CLOSE_GRACE, drained).await);
        }
        Order::Reset => reset(),
        Order::Freeze => tokio::time::sleep(FROZEN).await,
        Order::Text(_) => {}
    }
}
