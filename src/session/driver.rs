//! Choose, then apply: the loop around one socket.

use std::ops::ControlFlow;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::sync::mpsc::{self, Permit};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use trunkline_protocol::domain::{EndReason, Frame, Mono, Now, Origin, TopicClass};
use trunkline_protocol::envelope::{self, Sniff};
use trunkline_protocol::session::{Action, Input, Liveness, Session};

use super::transport::Socket;
use super::{Heard, SessionParts, SocketCommand, SocketEvent, SocketOrder};
use crate::failpoint;
use crate::observe::metrics::LastFrame;

/// Opens a socket and reads it to its end. Never loses a message it has read: room in the queue
/// is reserved first, so a slow pipeline makes the reader wait and the network buffer fill.
pub async fn run_socket(
    order: SocketOrder,
    parts: SessionParts,
    commands: mpsc::Receiver<SocketCommand>,
    events: mpsc::Sender<(u64, SocketEvent)>,
) {
    let socket = match parts.transport.dial(&order.url).await {
        Ok(socket) => socket,
        Err(refusal) => {
            tell(&events, order.tag, SocketEvent::Refused(refusal)).await;
            return;
        }
    };
    let opened = Heard::Opened { epoch: order.epoch, leg: order.leg, joining: order.joining };
    if parts.heard.send(opened).await.is_err() {
        return; // the pipeline is gone: the process is stopping
    }
    tell(&events, order.tag, SocketEvent::Open).await;
    let now = parts.clock.mono();
    let session = Session::opened(order.liveness, now);
    let last_frame = parts.metrics.last_frame(order.leg);
    let mut reader = Reader {
        last_frame,
        order,
        parts,
        socket,
        session,
        events,
        ping_sent: None,
        connected: None,
        waited: false,
        end: None,
    };
    reader.run(commands).await;
    let (epoch, leg) = (reader.order.epoch, reader.order.leg);
    let reason = reader.end.unwrap_or(EndReason::Reset);
    // the pipeline hears of the end before the owner may dial again
    drop(reader.parts.heard.send(Heard::Ended { epoch, leg, reason }).await);
    tell(&reader.events, reader.order.tag, SocketEvent::Ended(reason)).await;
}

/// An owner that is gone needs no telling.
async fn tell(events: &mpsc::Sender<(u64, SocketEvent)>, tag: u64, event: SocketEvent) {
    drop(events.send((tag, event)).await);
}

struct Reader {
    order: SocketOrder,
    parts: SessionParts,
    socket: Socket,
    session: Session,
    events: mpsc::Sender<(u64, SocketEvent)>,
    last_frame: LastFrame,
    ping_sent: Option<Mono>,
    /// When was said last up to where a socket without barriers was connected.
    connected: Option<Mono>,
    /// The pipeline made us wait, so that what is due may be our own fault.
    waited: bool,
    end: Option<EndReason>,
}

/// How many messages that have arrived are read before commands and deadlines have their turn.
const BURST: usize = 64;

enum Wake {
    Command(SocketCommand),
    Due,
    Message(Option<Result<Message, WsError>>),
}

#[derive(PartialEq, Eq)]
enum Arrived {
    Read,
    Nothing,
    NoRoom,
}

impl Reader {
    async fn run(&mut self, mut commands: mpsc::Receiver<SocketCommand>) {
        let heard = self.parts.heard.clone();
        let mut open = true;
        loop {
            if self.apply().await.is_break() {
                return;
            }
            let room = match heard.try_reserve() {
                Ok(room) => room,
                Err(_) => {
                    self.waited = true;
                    match heard.reserve().await {
                        Ok(room) => room,
                        Err(_) => return,
                    }
                }
            };
            let due = self.session.poll_timeout();
            let passed = due.is_some_and(|due| due <= self.parts.clock.mono());
            // a socket that always has something to read must not starve its own deadlines, and
            // one that has something needs no timer
            let wake = if passed && !self.waited {
                Wake::Due
            } else {
                tokio::select! {
                    biased;
                    command = commands.recv(), if open => match command {
                        Some(command) => Wake::Command(command),
                        None => { open = false; Wake::Command(SocketCommand::Close(EndReason::Rotation)) }
                    },
                    message = self.socket.next() => Wake::Message(message),
                    () = self.parts.clock.sleep_until(due), if !self.waited => Wake::Due,
                }
            };
            match wake {
                Wake::Command(SocketCommand::Close(reason)) => {
                    self.session.handle(Input::Close(reason), self.parts.clock.mono());
                }
                Wake::Due => self.session.handle_timeout(self.parts.clock.mono()),
                Wake::Message(message) => {
                    let now = self.parts.clock.now(); // a burst is read within a millisecond
                    self.heard(message, now, room);
                    let mut rest = BURST;
                    while rest > 0 && self.next_arrived(&heard, now) == Arrived::Read {
                        rest -= 1;
                    }
                }
            }
            // after our own back-pressure a deadline counts only once everything that had arrived
            // is read: a pong may be among it
            while self.waited {
                match self.next_arrived(&heard, self.parts.clock.now()) {
                    Arrived::Read => {}
                    Arrived::Nothing => self.waited = false,
                    Arrived::NoRoom => break,
                }
            }
        }
    }

    /// Reads one message if it has arrived and there is room for it.
    fn next_arrived(&mut self, heard: &mpsc::Sender<Heard>, now: Now) -> Arrived {
        if self.session.is_ended() {
            return Arrived::Nothing;
        }
        let Ok(room) = heard.try_reserve() else { return Arrived::NoRoom };
        match self.socket.next().now_or_never() {
            Some(message) => {
                self.heard(message, now, room);
                Arrived::Read
            }
            None => Arrived::Nothing,
        }
    }

    fn heard(
        &mut self,
        message: Option<Result<Message, WsError>>,
        now: Now,
        room: Permit<'_, Heard>,
    ) {
        let arrived = matches!(message, Some(Ok(_)));
        self.take(message, now, room);
        if arrived && matches!(self.order.liveness, Liveness::Silence { .. }) {
            self.connected(now);
        }
    }

    /// Where no ping is a barrier, whatever arrives says that the socket was connected up to now: less
    /// than a proof, and enough to know where it was not. Once a second, if there is room.
    fn connected(&mut self, now: Now) {
        let said = self.connected.is_some_and(|at| now.mono.since(at) < CONNECTED_EVERY);
        if said && !self.session.is_ended() {
            return;
        }
        let (Ok(room), Some(reading)) =
            (self.parts.heard.try_reserve(), self.parts.clock.server_at(now.mono))
        else {
            return;
        };
        self.connected = Some(now.mono);
        room.send(Heard::Pong { epoch: self.order.epoch, sent: reading.earliest });
    }

    fn take(
        &mut self,
        message: Option<Result<Message, WsError>>,
        now: Now,
        room: Permit<'_, Heard>,
    ) {
        match message {
            Some(Ok(Message::Text(text))) => match envelope::sniff(&text) {
                Sniff::Event(class) => self.event(text.as_str(), class, now, room),
                Sniff::Unreadable => self.event(text.as_str(), TopicClass::Other, now, room),
                Sniff::Pong => {
                    failpoint::pass("ch.pong.received");
                    if let Some(sent) = self.ping_sent.take() {
                        self.parts.metrics.pong(self.order.leg, now.mono.since(sent), now.wall);
                        // without an answer of the platform nothing can be said in its time
                        if let Some(reading) = self.parts.clock.server_at(sent) {
                            let epoch = self.order.epoch;
                            room.send(Heard::Pong { epoch, sent: reading.earliest });
                        }
                    }
                    self.session.handle(Input::Pong, now.mono);
                }
                Sniff::System(notice) => self.session.handle(Input::Notice(notice), now.mono),
                Sniff::Heartbeat | Sniff::SocketReply => {
                    self.session.handle(Input::Heard, now.mono);
                }
            },
            Some(Ok(Message::Binary(raw))) => {
                let ticket = self.parts.flow.receive(TopicClass::Other, Origin::Live);
                let (raw, epoch) = (raw.to_vec(), self.order.epoch);
                room.send(Heard::Binary { raw, received: now, epoch, ticket });
            }
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map(|frame| u16::from(frame.code));
                self.session.handle(Input::Closed(code), now.mono);
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                self.session.handle(Input::Heard, now.mono);
            }
            Some(Err(_)) | None => self.session.handle(Input::Broken, now.mono),
        }
    }

    fn event(&mut self, text: &str, class: TopicClass, now: Now, room: Permit<'_, Heard>) {
        failpoint::pass("rx.read");
        let ticket = self.parts.flow.receive(class, Origin::Live);
        let (epoch, leg) = (self.order.epoch, self.order.leg);
        // copied: a small message would keep its whole read buffer alive in the queue
        let frame = Frame { text: text.to_owned(), received: now, epoch, leg };
        self.last_frame.heard(now.wall);
        room.send(Heard::Frame(frame, ticket));
        self.session.handle(Input::Heard, now.mono);
    }

    async fn apply(&mut self) -> ControlFlow<()> {
        while let Some(action) = self.session.poll() {
            match action {
                Action::SendPing => {
                    self.ping_sent = Some(self.parts.clock.mono());
                    self.send(Message::text("{\"message\":\"ping\"}")).await;
                    failpoint::pass("ch.ping.sent");
                }
                Action::SendProtocolPing => self.send(Message::Ping(Vec::new().into())).await,
                Action::Live => tell(&self.events, self.order.tag, SocketEvent::Live).await,
                Action::Notice(notice) => {
                    tell(&self.events, self.order.tag, SocketEvent::Notice(notice)).await
                }
                Action::SendClose => self.send(Message::Close(None)).await,
                Action::End(reason) => {
                    self.end = Some(reason);
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    async fn send(&mut self, message: Message) {
        // a write that cannot go out must not hide the deadline that will notice it
        let sent = tokio::time::timeout(WRITE_PATIENCE, self.socket.send(message)).await;
        if let Ok(Err(WsError::Io(_) | WsError::ConnectionClosed | WsError::AlreadyClosed)) = sent {
            self.session.handle(Input::Broken, self.parts.clock.mono());
        }
    }
}

/// Between two words about how far a socket without barriers was connected.
const CONNECTED_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

const WRITE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
