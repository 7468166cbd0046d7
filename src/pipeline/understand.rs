//! What the pipeline does with what it hears before anything is handed over, and the [`Ear`], which does
//! no more than that.

use std::collections::VecDeque;

use tokio::sync::mpsc::{self, Receiver, Sender};
use trunkline_protocol::domain::facts::Facts;
use trunkline_protocol::domain::{Event, Frame, Quarantined, RejectReason};
use trunkline_protocol::ledger::News;
use trunkline_protocol::privacy::Policy;
use trunkline_protocol::topic::class_of;

use super::BATCH;
use super::beside::{governed, number, unreadable};
use crate::clock::Clock;
use crate::decode::{body, open::Opener};
use crate::encode::Encoder;
use crate::observe::flow::InFlight;
use crate::publish::quarantine;
use crate::sequence::{self, Kept, Understood};
use crate::session::Heard;

/// 2 UNDERSTAND and 3 KEEP ONCE, in the order of arrival; messages that follow each other are opened
/// together. What is kept goes behind `kept`.
pub(super) fn understand(
    (opener, sequence): (&mut Opener, &mut sequence::Stage),
    heard: impl Iterator<Item = Heard>,
    kept: &mut VecDeque<Kept>,
) {
    let (mut frames, mut tickets) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    for heard in heard {
        let other = match heard {
            Heard::Frame(frame, ticket) => {
                frames.push(frame);
                tickets.push(ticket);
                continue;
            }
            Heard::Opened { epoch, leg, joining } => Understood::Opened { epoch, leg, joining },
            Heard::Pong { epoch, sent } => Understood::Pong { epoch, sent },
            Heard::Ended { epoch, leg, reason } => Understood::Ended { epoch, leg, reason },
            Heard::Binary { raw, received, epoch, ticket } => {
                Understood::Rejected(opener.binary(raw, received, epoch), ticket)
            }
        };
        open((opener, sequence), &mut frames, &mut tickets, kept);
        sequence.take(other, kept);
    }
    open((opener, sequence), &mut frames, &mut tickets, kept);
}

fn open(
    (opener, sequence): (&mut Opener, &mut sequence::Stage),
    frames: &mut Vec<Frame>,
    tickets: &mut Vec<InFlight>,
    kept: &mut VecDeque<Kept>,
) {
    let opened = opener.open_all(frames);
    for (opened, ticket) in opened.into_iter().zip(tickets.drain(..)) {
        let understood = match opened {
            Ok(event) => Understood::Event(event, ticket),
            Err(rejected) => Understood::Rejected(rejected, ticket),
        };
        sequence.take(understood, kept);
    }
}

/// Applies the privacy policy to what was kept behind the first `from`. Its identity is taken, so
/// duplicates cost nothing here; from here on only what the policy leaves is held or written.
pub(super) fn govern(policy: &Policy, org: &str, kept: &mut VecDeque<Kept>, from: usize) {
    if policy.is_none() || kept.len() == from {
        return;
    }
    let fresh = kept.split_off(from);
    kept.extend(fresh.into_iter().map(|kept| governed(policy, org, kept)));
}

/// 4 WRITE DOWN: the facts of an event of `org` and its record, of at most `max_bytes`.
///
/// # Errors
/// What is quarantined instead.
#[expect(clippy::result_large_err, reason = "the raw message moves on; a box would copy it")]
pub fn write_down<'e, 'w>(
    event: &'e Event,
    (org, policy): (&str, &Policy),
    encoder: &'w mut Encoder,
    max_bytes: usize,
) -> Result<(Facts<'e>, &'w [u8]), Quarantined> {
    let facts = body::read(event).map_err(|error| unreadable(policy, org, event, &error))?;
    let value = encoder.encode(event, &facts, class_of);
    if value.len() > max_bytes {
        let detail = format!("the record has {} bytes", value.len());
        return Err(quarantine::of_event(event, org, RejectReason::TooLarge, detail));
    }
    Ok((facts, value))
}

/// Understands what sockets hear, keeps it once and applies the privacy policy, for whoever takes it from
/// there. Reading from it slowly makes the sockets wait.
pub struct Ear {
    clock: Clock,
    opener: Opener,
    policy: Policy,
    sequence: sequence::Stage,
    input: Receiver<Heard>,
    heard: Vec<Heard>,
}

impl Ear {
    /// The ear and its mouth; `capacity` bounds what waits between them.
    #[must_use]
    pub fn new(
        clock: Clock,
        opener: Opener,
        policy: Policy,
        sequence: sequence::Stage,
        capacity: usize,
    ) -> (Sender<Heard>, Self) {
        let (heard_in, input) = mpsc::channel(capacity);
        let heard = Vec::with_capacity(BATCH);
        (heard_in, Self { clock, opener, policy, sequence, input, heard })
    }

    /// Waits until something was heard or is due; what is kept goes behind `kept`. False when the input
    /// has ended: nothing comes any more. Safe to drop and call again.
    pub async fn listen(&mut self, kept: &mut VecDeque<Kept>) -> bool {
        let due = self.sequence.poll_timeout();
        let from = kept.len();
        let goes_on = tokio::select! {
            biased;
            count = self.input.recv_many(&mut self.heard, BATCH) => {
                let stages = (&mut self.opener, &mut self.sequence);
                understand(stages, self.heard.drain(..), kept);
                if count == 0 {
                    self.sequence.finish(kept);
                }
                count > 0
            }
            () = self.clock.sleep_until(due) => {
                self.sequence.handle_timeout(kept);
                true
            }
        };
        govern(&self.policy, self.opener.org(), kept, from);
        goes_on
    }

    /// Whoever took it has it safe.
    pub fn durable<'k>(&mut self, kept: impl Iterator<Item = &'k Kept>) {
        self.sequence.durable(kept.map(number));
    }

    /// What became proven since the last call, in order.
    pub fn poll_news(&mut self) -> Option<News> {
        self.sequence.poll_news()
    }
}
