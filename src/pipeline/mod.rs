//! The journey on one screen: sockets feed one bounded channel; behind it one task understands,
//! keeps once, writes down, hands over and learns what became of it.
//!
//! With several replicas, only one writes a shard's events at once; the others hold theirs on the disk
//! until they see them in the output topic, or their time is over.
//!
//! Beside the send, whatever is kept goes into the spool; when Kafka does not take it, memory holds
//! the newest messages and the spool gives the older ones back in order.
//!
//! Stages do not know each other; this file alone knows their order. One task: handing an event to
//! another one costs as much as keeping it once. Dropping the sender that [`join`] returns ends
//! the input; the task ends when everything is acknowledged.

mod beside;
mod standby;
mod understand;
mod way_out;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use trunkline_protocol::domain::{
    Event, Frame, Mono, Now, Origin, Quarantined, RejectReason, TopicClass,
};
use trunkline_protocol::ledger::News;
use trunkline_protocol::privacy::{Policy, read_withheld};
use trunkline_protocol::seeded::{Bug, planted};
use trunkline_protocol::sequence::Logged;
use trunkline_protocol::spool::Kind;

use crate::clock::Clock;
use crate::decode::open::Opener;
use crate::encode::Encoder;
use crate::failpoint;
use crate::kafka::tail::Tailed;
use crate::observe::flow::{Flow, InFlight};
use crate::publish::{self, PublishError, router::Router};
use crate::sequence::{self, Kept};
use crate::session::Heard;
use crate::spool::{ReadBack, Spool, SpoolError};
use crate::supervisor::Supervisor;
pub use beside::governed;
use beside::{class_heard, heard_at, number, size, spooled};
pub use standby::{Passed, Plan, Standby};
pub use understand::{Ear, write_down};
use understand::{govern, understand};
pub use way_out::WayOut;

/// The stages, ready to run.
pub struct Stages {
    /// Time.
    pub clock: Clock,
    /// Understands envelopes.
    pub opener: Opener,
    /// What may be kept and written down.
    pub policy: Policy,
    /// Keeps every event once.
    pub sequence: sequence::Stage,
    /// Writes Avro.
    pub encoder: Encoder,
    /// Chooses key and headers.
    pub router: Router,
    /// Larger records are quarantined in parts.
    pub max_record_bytes: usize,
    /// Hands records over and waits for their acknowledgement.
    pub publish: publish::Stage,
    /// How long acknowledgements may take after the input ended.
    pub flush_deadline: Duration,
    /// Where news about coverage go.
    pub news: Sender<News>,
    /// What is heard, on disk; without it a killed process loses what it held.
    pub spool: Option<Spool>,
    /// Hands out the tickets of what is read back.
    pub flow: Flow,
    /// With other replicas, and a spool.
    pub standby: Option<Standby>,
}

/// Why the pipeline ends before its input does.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// Of the last stage.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Of the disk.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// How many parcels are taken from the input at once.
const BATCH: usize = 64;
/// Events that wait in memory while Kafka does not take them, and their bytes; older ones are read
/// back from the spool.
const HELD: usize = 1_024;
const HELD_BYTES: usize = 8 << 20;

/// Starts the pipeline and returns its mouth. `capacity` bounds what waits before it.
pub fn join(stages: Stages, capacity: usize, supervisor: &mut Supervisor) -> Sender<Heard> {
    let (heard_in, heard) = mpsc::channel(capacity);
    supervisor.spawn("pipeline", Pipeline::new(stages).run(heard));
    heard_in
}

struct Pipeline {
    stages: Stages,
    /// Kept, and waits for room among what is in flight.
    kept: VecDeque<Kept>,
    /// The bytes of those that are in the spool too.
    kept_bytes: usize,
}

enum Wake {
    Attended,
    Passed,
    Heard(usize),
    Due,
}

impl Pipeline {
    fn new(stages: Stages) -> Self {
        Self { stages, kept: VecDeque::new(), kept_bytes: 0 }
    }

    async fn run(mut self, mut input: Receiver<Heard>) -> Result<(), PipelineError> {
        let (mut heard, mut passed) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let mut deadline = None;
        loop {
            self.hand_over()?;
            self.settle();
            self.stand_in();
            self.keep_beside()?;
            self.look();
            self.tell_news();
            if deadline.is_some() && planted(Bug::NoFlush) {
                return Ok(());
            }
            if deadline.is_some() && (self.is_done() || self.is_over(deadline)?) {
                return self.close().await;
            }
            let open = deadline.is_none() && self.has_room();
            let Stages { clock, publish, sequence, spool, standby, .. } = &mut self.stages;
            if !open {
                sequence.pause();
            }
            let question = standby.as_ref().and_then(|standby| standby.deferral.poll_timeout());
            let disk_due = spool.as_ref().and_then(Spool::poll_timeout);
            let due = [deadline, sequence.poll_timeout(), disk_due, question];
            let due: Option<Mono> = due.into_iter().flatten().min();
            let wake = tokio::select! {
                biased;
                attended = publish.attend() => { attended?; Wake::Attended }
                attended = disk(spool) => { attended?; Wake::Attended }
                () = passing(standby, &mut passed) => Wake::Passed,
                count = input.recv_many(&mut heard, BATCH), if open => Wake::Heard(count),
                () = clock.sleep_until(due) => Wake::Due,
            };
            let before = self.kept.len();
            match wake {
                Wake::Attended => {}
                Wake::Passed => self.pass(passed.drain(..)),
                Wake::Heard(0) => {
                    failpoint::pass("term.reading_stopped");
                    deadline = Some(self.stages.clock.mono() + self.stages.flush_deadline);
                    self.stages.sequence.finish(&mut self.kept);
                }
                Wake::Heard(_) => {
                    let stages = (&mut self.stages.opener, &mut self.stages.sequence);
                    understand(stages, heard.drain(..), &mut self.kept);
                }
                Wake::Due => self.stages.sequence.handle_timeout(&mut self.kept),
            }
            govern(&self.stages.policy, self.stages.opener.org(), &mut self.kept, before);
            self.append(before);
        }
    }

    /// Shows what waits, wherever it does.
    fn look(&self) {
        let Stages { publish, sequence, spool, .. } = &self.stages;
        sequence.look();
        let on_disk = spool.as_ref().and_then(Spool::oldest_open);
        // without a spool, or after it failed, what waits for room lies here alone
        let kept = self.kept.front().map(heard_at);
        publish.show_oldest([on_disk, kept].into_iter().flatten().min());
    }

    /// Tells what became proven; what the ledger has no room for waits here.
    fn tell_news(&mut self) {
        let Stages { sequence, news, .. } = &mut self.stages;
        loop {
            let room = match news.try_reserve() {
                Ok(room) => Some(room),
                Err(TrySendError::Full(())) => return,
                Err(TrySendError::Closed(())) => None, // nobody asks for proof
            };
            let Some(told) = sequence.poll_news() else { return };
            room.into_iter().for_each(|room| room.send(told.clone()));
        }
    }

    /// Whether more can be taken from the sockets.
    fn has_room(&self) -> bool {
        match self.stages.spool.as_ref().filter(|spool| !spool.is_failed()) {
            Some(spool) => spool.has_room(),
            None => self.kept.is_empty() && !self.is_behind() && self.stages.publish.has_room(),
        }
    }

    fn is_behind(&self) -> bool {
        self.stages.spool.as_ref().is_some_and(Spool::is_behind)
    }

    fn is_done(&self) -> bool {
        let Stages { publish, spool, standby, .. } = &self.stages;
        let held = standby.as_ref().zip(spool.as_ref()).filter(|(_, spool)| !spool.is_failed());
        let none_held = held.is_none_or(|(standby, spool)| standby.is_done(spool));
        publish.unacked() == 0 && self.kept.is_empty() && !self.is_behind() && none_held
    }

    /// Whether the time for acknowledgements is over. What is in the spool is not lost with it.
    fn is_over(&self, deadline: Option<Mono>) -> Result<bool, PublishError> {
        if deadline.is_none_or(|at| at > self.stages.clock.mono()) {
            return Ok(false);
        }
        let unacked = self.stages.publish.unacked() + self.kept.len();
        if self.stages.spool.as_ref().is_some_and(|spool| !spool.is_failed()) {
            tracing::warn!(
                code = "spool_kept",
                unacked,
                "Kafka did not take everything; the next start sends it from the spool"
            );
            return Ok(true);
        }
        Err(PublishError::Unacked { unacked, seconds: self.stages.flush_deadline.as_secs() })
    }

    async fn close(mut self) -> Result<(), PipelineError> {
        failpoint::pass("term.flushed");
        match self.stages.spool.take() {
            Some(spool) => Ok(spool.close().await?),
            None => Ok(()),
        }
    }

    /// What Kafka acknowledged is proven further up and no longer needed on the disk.
    fn settle(&mut self) {
        let Stages { publish, sequence, spool, .. } = &mut self.stages;
        sequence.durable(publish.durable().inspect(|&number| {
            failpoint::pass("rx.acked_before_ledger");
            spool.iter_mut().for_each(|spool| spool.acked(number));
        }));
    }

    /// BESIDE: what is newly kept goes to the disk; what memory has no room for stays there only.
    fn keep_beside(&mut self) -> Result<(), SpoolError> {
        let Some(spool) = &mut self.stages.spool else { return Ok(()) };
        while !spool.is_failed()
            && (self.kept.len() > HELD || self.kept_bytes > HELD_BYTES)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.kept_bytes = self.kept_bytes.saturating_sub(size(&oldest));
            let (ticket, number) = match oldest {
                Kept::Event(_, ticket, number) | Kept::Rejected(_, ticket, number) => {
                    (ticket, number)
                }
            };
            spool.fall_behind(number);
            ticket.park();
        }
        spool.progress()
    }

    /// Appends what was kept since the last time; what another replica writes at once stays there.
    fn append(&mut self, from: usize) {
        let Stages { spool, standby, clock, .. } = &mut self.stages;
        let Some(spool) = spool.as_mut().filter(|spool| !spool.is_failed()) else {
            return;
        };
        for kept in self.kept.range(from..) {
            spool.append(&spooled(kept));
            failpoint::pass("rx.spooled");
        }
        let Some(standby) = standby else {
            self.kept_bytes += self.kept.range(from..).map(size).sum::<usize>();
            return;
        };
        let now = clock.mono();
        for kept in self.kept.split_off(from) {
            let defers = standby.defers(&kept);
            standby.deferral.kept(number(&kept), defers, now);
            match kept {
                Kept::Event(_, ticket, _) | Kept::Rejected(_, ticket, _) if defers => {
                    failpoint::pass("sb.held");
                    ticket.park();
                }
                kept @ (Kept::Event(..) | Kept::Rejected(..)) => {
                    self.kept_bytes += size(&kept);
                    self.kept.push_back(kept);
                }
            }
        }
    }

    /// What passed in the output topic is durable, whoever wrote it.
    fn pass(&mut self, passed: impl Iterator<Item = Tailed<Passed>>) {
        let Stages { clock, sequence, spool, standby, flow, .. } = &mut self.stages;
        let Some(standby) = standby else { return };
        let now = clock.mono();
        for tailed in passed {
            match tailed {
                Tailed::CaughtUp(question) => standby.deferral.answered(question, now),
                Tailed::Record(Passed { id, topic, received }) => match sequence.logged(id) {
                    // our own records pass as well; their acknowledgement is what counts
                    Logged::Kept(number) if standby.deferral.is_held(number) => {
                        failpoint::pass("sb.seen_before_clear");
                        standby.deferral.seen(number, now);
                        sequence.durable(std::iter::once(number));
                        spool.iter_mut().for_each(|spool| spool.acked(number));
                        flow.unpark(TopicClass::Other, Origin::Live).deduplicated();
                        standby.metrics.seen();
                    }
                    Logged::Unheard => {
                        if let Some(shard) = standby.shard_of(&topic) {
                            sequence.elsewhere(shard, id, received);
                        }
                    }
                    Logged::Kept(_) | Logged::Known => {}
                },
            }
        }
        standby.metrics.held(standby.deferral.count());
    }

    /// Writes what other replicas should have written and did not.
    fn stand_in(&mut self) {
        loop {
            let Stages { clock, publish, spool, standby, .. } = &mut self.stages;
            let (Some(standby), Some(spool)) = (standby, spool) else { return };
            let now = clock.mono();
            if let Some(question) = standby.deferral.question(now) {
                standby.tail.ask(question);
            }
            if !publish.has_room() {
                return;
            }
            let Some(back) = standby.next(spool, now) else { return };
            failpoint::pass("sb.defer_expired");
            standby.metrics.stood_in();
            if let Some(kept) = self.reopen(back, Origin::Standby) {
                self.hand(kept);
            }
        }
    }

    /// 4 WRITE DOWN and 5 HAND OVER, as far as there is room.
    fn hand_over(&mut self) -> Result<(), PublishError> {
        self.stages.publish.advance()?;
        while self.stages.publish.has_room()
            && let Some(kept) = self.next_kept()
        {
            self.hand(kept);
        }
        Ok(())
    }

    fn hand(&mut self, kept: Kept) {
        match kept {
            Kept::Event(event, ticket, number) => self.record(&event, ticket, number),
            Kept::Rejected(rejected, ticket, number) => self.reject(&rejected, ticket, number),
        }
    }

    /// The oldest one that was not handed over, from the disk or from memory.
    fn next_kept(&mut self) -> Option<Kept> {
        while self.is_behind() {
            match self.stages.spool.as_mut().and_then(Spool::next_back) {
                Some(back) => {
                    failpoint::pass("spool.replay.mid");
                    if let Some(kept) = self.reopen(back, Origin::Live) {
                        return Some(kept);
                    }
                }
                None if self.is_behind() => return None,
                None => {}
            }
        }
        let kept = self.kept.pop_front()?;
        self.kept_bytes = self.kept_bytes.saturating_sub(size(&kept));
        Some(kept)
    }

    /// Understands again what was read back, under the policy in force now; its number and its identity are those it had. Nothing,
    /// when an earlier process kept it and it turned out to be durable.
    fn reopen(&mut self, back: ReadBack, origin: Origin) -> Option<Kept> {
        let Stages { clock, opener, policy, flow, sequence, spool, .. } = &mut self.stages;
        let now = clock.now();
        let age = Duration::from_millis(u64::try_from(now.wall.0 - back.received.0).unwrap_or(0));
        let mono = Mono(now.mono.0.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(0)));
        let received = Now { mono, wall: back.received };
        let ReadBack { number, kind, epoch, leg, id, raw, earlier, received: _ } = back;
        let ticket = |class| match earlier {
            true => flow.receive(class, Origin::Live),
            false => flow.unpark(class, Origin::Live),
        };
        if earlier && !sequence.must_replay(id, number) {
            ticket(TopicClass::Other).deduplicated();
            sequence.durable(std::iter::once(number));
            spool.iter_mut().for_each(|spool| spool.acked(number));
            return None;
        }
        let origin = if earlier && origin == Origin::Live { Origin::Replay } else { origin };
        let opened = match (kind, String::from_utf8(raw)) {
            (Kind::Text, Ok(text)) => opener.open(Frame { text, received, epoch, leg }),
            (Kind::Altered(digest), Ok(text)) => opener
                .open(Frame { text, received, epoch, leg })
                .map(|event| Event { digest, altered: true, ..event }),
            (Kind::Withheld, Ok(text)) => {
                let (reason, detail) = read_withheld(text.as_bytes())
                    .unwrap_or((RejectReason::Malformed, String::new()));
                let note = opener.quarantined(text.into_bytes(), reason, detail);
                Err(Quarantined { withheld: true, received, epoch, ..note })
            }
            (Kind::Binary, Ok(text)) => Err(opener.binary(text.into_bytes(), received, epoch)),
            (Kind::Text | Kind::Binary | Kind::Altered(_) | Kind::Withheld, Err(raw)) => {
                Err(opener.binary(raw.into_bytes(), received, epoch))
            }
        };
        let kept = match opened {
            Ok(event) => {
                let ticket = ticket(event.class);
                // the primary may write newer ones at this moment
                let takeover = origin == Origin::Standby;
                Kept::Event(Event { id, origin, takeover, ..event }, ticket, number)
            }
            Err(raw) => {
                let class = std::str::from_utf8(&raw.raw).map_or(TopicClass::Other, class_heard);
                Kept::Rejected(Quarantined { id, ..raw }, ticket(class), number)
            }
        };
        // an earlier process may have kept it under another policy
        Some(governed(policy, opener.org(), kept))
    }

    fn record(&mut self, event: &Event, ticket: InFlight, number: u64) {
        if self.way_out().record(event, ticket, number) {
            failpoint::pass("rx.enqueued");
        }
    }

    fn reject(&mut self, rejected: &Quarantined, ticket: InFlight, number: u64) {
        self.way_out().reject(rejected, ticket, number);
    }

    fn way_out(&mut self) -> WayOut<'_> {
        let Stages { opener, policy, encoder, router, publish, max_record_bytes, .. } =
            &mut self.stages;
        let max_record_bytes = *max_record_bytes;
        WayOut { org: opener.org(), policy, encoder, router, publish, max_record_bytes }
    }
}

/// What the disk says, if there is one.
async fn disk(spool: &mut Option<Spool>) -> Result<(), SpoolError> {
    match spool {
        Some(spool) => spool.attend().await,
        None => std::future::pending().await,
    }
}

/// What passes in the output topic, if it is followed.
async fn passing(standby: &mut Option<Standby>, passed: &mut Vec<Tailed<Passed>>) {
    match standby {
        Some(standby) => standby.tail.recv_many(passed, BATCH).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
