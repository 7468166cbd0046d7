//! Takes messages of the platform's EventBridge integration from a queue: understands them, keeps each once,
//! writes them down, hands them over, and deletes them when Kafka has them. Until then the queue is what a
//! spool is elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use trunkline_protocol::dedupe::{Dedupe, Verdict};
use trunkline_protocol::domain::{
    Disposition, EpochId, Event, Frame, Leg, Mono, Origin, Quarantined, TopicClass,
};
use trunkline_protocol::eventbridge;
use trunkline_protocol::privacy::Policy;
use trunkline_protocol::queue::{Action, Entry, Limits, Queue, Received, Refusal};

use crate::clock::Clock;
use crate::decode::open::Opener;
use crate::encode::Encoder;
use crate::failpoint;
use crate::observe::flow::Flow;
use crate::observe::metrics::QueueMetrics;
use crate::observe::status::StatusBoard;
use crate::pipeline::{WayOut, governed};
use crate::publish::router::Router;
use crate::publish::{self, PublishError};
use crate::sequence::Kept;
use crate::sqs::{Failed, Message, Sqs, SqsError};

/// What the intake is made of.
pub struct IntakeParts {
    /// Time.
    pub clock: Clock,
    /// The queue.
    pub sqs: Sqs,
    /// Bounds of what is held.
    pub limits: Limits,
    /// Understands envelopes.
    pub opener: Opener,
    /// Keeps every event once.
    pub dedupe: Dedupe,
    /// What may be written down.
    pub policy: Policy,
    /// Writes Avro.
    pub encoder: Encoder,
    /// Chooses key and headers.
    pub router: Router,
    /// Larger records are quarantined in parts.
    pub max_record_bytes: usize,
    /// Hands records over and waits for their acknowledgement.
    pub publish: publish::Stage,
    /// How long acknowledgements may take after the stop.
    pub flush_deadline: Duration,
    /// Hands out tickets.
    pub flow: Flow,
    /// Counts.
    pub metrics: QueueMetrics,
    /// Where it is posted whether the queue answers.
    pub board: StatusBoard,
}

/// Takes messages from the queue.
pub struct Intake {
    parts: IntakeParts,
    rules: Queue,
    /// Kept, and waits for room among what is in flight.
    ready: VecDeque<Kept>,
    /// Whether the queue answered the last request for messages.
    well: bool,
}

/// Requests that delete or extend, side by side.
const CALLS: usize = 8;

/// An answer of the queue, to a request that was sent then.
enum Answer {
    Received(usize, Mono, Result<Vec<Message>, SqsError>),
    Deleted(Vec<Entry>, Result<Vec<Failed>, SqsError>),
    Extended(Vec<Entry>, Mono, Result<Vec<Failed>, SqsError>),
}

type Calls = FuturesUnordered<BoxFuture<'static, Answer>>;

impl Intake {
    /// Holds nothing yet.
    #[must_use]
    pub fn new(parts: IntakeParts) -> Self {
        let rules = Queue::new(parts.limits);
        Self { parts, rules, ready: VecDeque::new(), well: true }
    }

    /// Runs until `stop` turns true and what was taken is written and deleted, or the time for it is over: the
    /// queue gives the rest again.
    ///
    /// # Errors
    /// When records can no longer be handed over.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), PublishError> {
        let (mut asks, mut calls) = (Calls::new(), Calls::new());
        let mut deadline = None;
        loop {
            self.hand_over()?;
            self.settle();
            self.look();
            while calls.len() < CALLS
                && let Some(action) = self.rules.poll(self.parts.clock.mono())
            {
                let receives = matches!(action, Action::Receive(_));
                let call = self.call(action);
                if receives { asks.push(call) } else { calls.push(call) }
            }
            if deadline.is_some() && self.rules.held() == 0 {
                return Ok(());
            }
            let now = self.parts.clock.mono();
            let due = Some(()).filter(|()| calls.len() < CALLS);
            let due = due.and_then(|()| self.rules.poll_timeout(now));
            let due = [due, deadline].into_iter().flatten().min();
            let IntakeParts { clock, publish, .. } = &mut self.parts;
            tokio::select! {
                biased;
                attended = publish.attend() => attended?,
                Some(answer) = calls.next() => self.answered(answer),
                Some(answer) = asks.next() => self.answered(answer),
                () = stopped(&mut stop), if deadline.is_none() => {
                    deadline = Some(now + self.parts.flush_deadline);
                    self.rules.stop();
                    asks.clear();
                }
                () = clock.sleep_until(due) => {}
            }
            if deadline.is_some_and(|at| at <= self.parts.clock.mono()) {
                self.give_back().await;
                return Ok(());
            }
        }
    }

    fn call(&self, action: Action) -> BoxFuture<'static, Answer> {
        let (sqs, sent) = (self.parts.sqs.clone(), self.parts.clock.mono());
        let visibility = self.parts.limits.visibility;
        Box::pin(async move {
            match action {
                Action::Receive(count) => {
                    Answer::Received(count, sent, sqs.receive(count, visibility, true).await)
                }
                Action::Delete(entries) => {
                    let answer = sqs.delete(&entries).await;
                    Answer::Deleted(entries, answer)
                }
                Action::Extend(entries) => {
                    let answer = sqs.extend(&entries, visibility).await;
                    Answer::Extended(entries, sent, answer)
                }
            }
        })
    }

    fn answered(&mut self, answer: Answer) {
        let now = self.parts.clock.mono();
        match answer {
            Answer::Received(asked, sent, answer) => {
                self.rules.answered(asked, answer.is_ok(), now);
                self.show(answer.as_ref().err());
                answer.into_iter().flatten().for_each(|message| self.take(message, sent));
            }
            Answer::Deleted(entries, answer) => {
                let refused = self.refused("delete", &entries, answer);
                for Entry { number, .. } in entries {
                    match refused.iter().find(|failed| failed.number == number) {
                        None => {
                            self.rules.deleted(number);
                            self.parts.metrics.deleted();
                        }
                        Some(failed) => {
                            let refusal =
                                if failed.sender { Refusal::Stale } else { Refusal::Passing };
                            self.rules.not_deleted(number, refusal, now);
                            self.parts.metrics.not_deleted();
                        }
                    }
                }
            }
            Answer::Extended(entries, sent, answer) => {
                let refused = self.refused("extend", &entries, answer);
                for Entry { number, .. } in entries {
                    match refused.iter().any(|failed| failed.number == number) {
                        false => self.rules.extended(number, sent),
                        true => self.rules.not_extended(number, now),
                    }
                }
            }
        }
    }

    /// Those that were refused; all of them when there is no answer.
    fn refused(
        &self,
        what: &str,
        entries: &[Entry],
        answer: Result<Vec<Failed>, SqsError>,
    ) -> Vec<Failed> {
        let (refused, why) = match answer {
            Ok(refused) => {
                let why = refused.first().map(|failed| failed.code.clone());
                (refused, why)
            }
            Err(error) => {
                if error.disposition() == Disposition::Escalate {
                    tracing::error!(code = "queue_refused", error = %error, "the queue refuses; still tried again");
                }
                let code = String::new();
                let failed = |entry: &Entry| Failed {
                    number: entry.number,
                    code: code.clone(),
                    sender: false,
                };
                (entries.iter().map(failed).collect(), Some(error.to_string()))
            }
        };
        if let Some(why) = why {
            tracing::warn!(
                code = "queue_request_failed", what, messages = refused.len(), error = %why,
                "the queue did not do it; tried again, or the message comes again"
            );
        }
        refused
    }

    /// Says once when the queue stops answering, and once when it does again.
    fn show(&mut self, error: Option<&SqsError>) {
        if let Some(error) = error
            && self.well
        {
            match error.disposition() {
                Disposition::Escalate => {
                    tracing::error!(code = "queue_refused", error = %error, "the queue refuses; still tried again");
                }
                Disposition::Retry | Disposition::Renew | Disposition::Quarantine => {
                    tracing::warn!(code = "queue_unavailable", error = %error, "the queue does not answer");
                }
            }
        }
        if error.is_none() && !self.well {
            tracing::info!(code = "queue_back", "the queue answers again");
        }
        self.well = error.is_none();
        let detail = error.map(ToString::to_string).unwrap_or_default();
        self.parts.board.check("queue", self.well, detail);
    }

    /// UNDERSTAND and KEEP ONCE.
    fn take(&mut self, message: Message, sent: Mono) {
        failpoint::pass("eb.received");
        let IntakeParts { clock, opener, dedupe, policy, flow, metrics, .. } = &mut self.parts;
        let now = clock.now();
        metrics.received(message.receives > 1);
        let Message { id, handle, body, sent: put, .. } = message;
        let received = Received { message: id, handle, sent: put };
        let Some(number) = self.rules.received(received, sent) else {
            flow.receive(TopicClass::Other, Origin::EventBridge).deduplicated();
            return;
        };
        let (epoch, leg) = (EpochId([0; 16]), Leg { shard: 0, ordinal: 0 });
        let opened = match eventbridge::unwrap(&body, opener.org()) {
            Ok(detail) => opener.open(Frame { text: detail.to_owned(), received: now, epoch, leg }),
            Err(error) => {
                let quarantined = opener.quarantined(body.into_bytes(), error.reason, error.detail);
                Err(Quarantined { received: now, ..quarantined })
            }
        };
        let id = opened.as_ref().map_or_else(|rejected| rejected.id, |event| event.id);
        let class = opened.as_ref().map_or(TopicClass::Other, |event| event.class);
        let ticket = flow.receive(class, Origin::EventBridge);
        match dedupe.offer(id, number, self.rules.durable_below(), now.mono) {
            Verdict::Seen(kept) => {
                ticket.deduplicated();
                self.rules.copy(number, kept, now.mono);
            }
            Verdict::First => {
                let kept = match opened {
                    Ok(event) => {
                        let event = Event { origin: Origin::EventBridge, ..event };
                        Kept::Event(event, ticket, number)
                    }
                    Err(rejected) => Kept::Rejected(rejected, ticket, number),
                };
                self.ready.push_back(governed(policy, opener.org(), kept));
            }
        }
    }

    /// WRITE DOWN and HAND OVER, as far as there is room.
    fn hand_over(&mut self) -> Result<(), PublishError> {
        self.parts.publish.advance()?;
        while self.parts.publish.has_room()
            && let Some(kept) = self.ready.pop_front()
        {
            match kept {
                Kept::Event(event, ticket, number) => {
                    self.way_out().record(&event, ticket, number);
                }
                Kept::Rejected(rejected, ticket, number) => {
                    self.way_out().reject(&rejected, ticket, number);
                }
            }
        }
        Ok(())
    }

    fn way_out(&mut self) -> WayOut<'_> {
        let IntakeParts { opener, policy, encoder, router, publish, max_record_bytes, .. } =
            &mut self.parts;
        let max_record_bytes = *max_record_bytes;
        WayOut { org: opener.org(), policy, encoder, router, publish, max_record_bytes }
    }

    /// What Kafka acknowledged may be deleted.
    fn settle(&mut self) {
        let (rules, now) = (&mut self.rules, self.parts.clock.mono());
        for number in self.parts.publish.durable() {
            failpoint::pass("eb.acked");
            rules.durable(number, now);
        }
    }

    fn look(&self) {
        let kept = self.ready.front().map(|kept| match kept {
            Kept::Event(event, ..) => event.frame.received.wall,
            Kept::Rejected(rejected, ..) => rejected.received.wall,
        });
        self.parts.publish.show_oldest(kept);
        self.parts.metrics.look(self.rules.held(), self.rules.oldest());
    }

    /// Lets others have at once what nobody acknowledged.
    async fn give_back(self) {
        let (unwritten, held) = (self.rules.unwritten(), self.rules.held());
        let IntakeParts { sqs, .. } = self.parts;
        for batch in unwritten.chunks(trunkline_protocol::queue::BATCH) {
            let given = sqs.extend(batch, Duration::ZERO);
            tokio::time::timeout(Duration::from_secs(1), given).await.ok();
        }
        tracing::warn!(
            code = "queue_kept",
            unacked = unwritten.len(),
            held,
            "not everything was written and deleted in time; the queue gives it again"
        );
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // a sender that is gone stops nothing: whoever held it aborts this task
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
