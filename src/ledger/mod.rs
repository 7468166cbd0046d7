//! 6 PROVE: the one task that owns coverage; others send it news.
//!
//! Facts go into the compacted state topic and come back from it, those of other writers too; gaps
//! are the complement. See `trunkline_protocol::ledger`.

mod around;
mod beside;
mod kept;
pub mod levels;
pub mod past;
pub(crate) mod startup;
pub(crate) mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::{oneshot, watch};
use trunkline_protocol::domain::{EventId, GapCause, GapId, Mono, Wall, WriterId};
use trunkline_protocol::ground::Ground;
use trunkline_protocol::ledger::{
    Action, Fact, Gap, Keeper, Known, News, Owner, Ownership, ShardLedger, Stamped, VERSION,
};
use trunkline_protocol::server_time::Reading;
use trunkline_protocol::standby::{Charge, Roster};
use trunkline_protocol::timings::Timings;

pub use beside::{Beside, Book};
pub use startup::{LedgerError, Note, Understood, understand};

use self::kept::Kept;
use self::startup::{Place, barrier_note, barrier_number, json, read_facts};
use self::writer::Writer;
use crate::clock::Clock;
use crate::encode::proof::ProofEncoder;
use crate::failpoint;
use crate::ground::Standing;
use crate::kafka::reader::{ReadBack, partitions_of};
use crate::kafka::settings::KafkaSettings;
use crate::kafka::tail::{self, From, Tail, Tailed};
use crate::observe::metrics::ProofMetrics;
use crate::observe::status::{Coverage, StatusBoard};
use crate::supervisor::Supervisor;

/// Where proof is kept, and whose it is.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// Brokers.
    pub kafka: KafkaSettings,
    /// Compacted topic of facts.
    pub state_topic: String,
    /// Topic of gap records.
    pub gaps_topic: String,
    /// Names the installation.
    pub instance: String,
    /// The replicas of the installation, and which of them this process is.
    pub roster: Roster,
    /// Organisation.
    pub org_id: String,
    /// This process.
    pub writer_id: WriterId,
    /// Durations.
    pub timings: Timings,
    /// Whether claims are proof; those of a direct URL say where it was connected.
    pub proves: bool,
    /// How long the state topic may take to be read at start.
    pub patience: Duration,
}

/// Owns coverage.
pub struct Ledger {
    settings: LedgerSettings,
    clock: Clock,
    keeper: Keeper,
    writer: Writer,
    tail: Tail<ReadBack>,
    encoder: ProofEncoder,
    metrics: ProofMetrics,
    board: StatusBoard,
    /// Partitions of the state topic: one for each shard.
    partitions: usize,
    /// For which shards this replica speaks.
    charge: Charge,
    /// Gaps as they were recorded last.
    told: BTreeMap<GapId, Gap>,
    /// Gaps whose record may be missing, though they are no news.
    untold: BTreeSet<GapId>,
    /// Gaps that are not done with.
    unfinished: watch::Sender<Arc<Vec<Known>>>,
    looks: (mpsc::Sender<Look>, Receiver<Look>),
    /// The local clock is far from the platform's.
    clock_wrong: bool,
    /// Another process that runs as this replica.
    twin: Option<WriterId>,
    /// What topics stand on, as the state topic says.
    ground: Ground,
    /// What the state topic holds.
    kept: Kept,
    ownership: Ownership,
    /// When somebody else called the state topic theirs.
    contested_at: Option<Mono>,
    /// Topics that were found anew, and how often that was answered.
    filled: BTreeMap<String, u64>,
}

/// All that is known of a shard, and whether this replica speaks for it.
pub struct Looked {
    /// Ordinal of the shard.
    pub shard: u16,
    /// What is known.
    pub ledger: ShardLedger,
    /// Whether this replica speaks for it.
    pub is_ours: bool,
}

/// Asks what is known of every shard.
pub type Look = oneshot::Sender<Vec<Looked>>;

/// How long final claims may take to be acknowledged, after everything else. A stop grants ten seconds beside
/// the time of `kafka.flush_timeout_secs`, and clients of the broker take some to end.
const FLUSH: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(1);
/// A process is not down for longer without anybody's asking for what it closed.
const OF_LATE: Duration = Duration::from_secs(7 * 86_400);
/// A clock that is further off misleads whoever compares its logs with records.
const CLOCK_WRONG_MS: i64 = 10_000;

impl Ledger {
    /// Reads every fact back. Nothing may be heard before this has succeeded.
    ///
    /// # Errors
    /// [`LedgerError`]; a start-up error.
    pub async fn start(
        settings: LedgerSettings,
        clock: Clock,
        encoder: ProofEncoder,
        metrics: ProofMetrics,
        board: StatusBoard,
        tasks: &mut Supervisor,
    ) -> Result<Self, LedgerError> {
        let partitions =
            tokio::task::block_in_place(|| partitions_of(&settings.kafka, &settings.state_topic));
        let partitions = partitions.map_err(LedgerError::Kafka)?.max(1);
        let mut keeper = Keeper::new(settings.writer_id, settings.timings.clone());
        let mut writer = Writer::new(&settings.kafka, clock).map_err(LedgerError::Kafka)?;
        let topic = settings.state_topic.clone();
        let kafka = settings.kafka.clone();
        let (mut tail, follow) = tail::follow(kafka, topic, From::Beginning, |r| Some(r.whole()));
        tasks.spawn("state tail", follow);
        let place = Place { topic: &settings.state_topic, partitions, patience: settings.patience };
        let nonce = settings.writer_id;
        let mut kept = Kept::default();
        let owner = Owner { org: settings.org_id.clone(), instance: settings.instance.clone() };
        let mut ownership = Ownership::new(owner);
        let known = (&mut keeper, &mut kept, &mut ownership);
        let ground = read_facts(&place, nonce, &mut writer, &mut tail, known, clock).await?;
        keeper.introduce(settings.roster.me(), clock.now().wall);
        // an earlier process may have died between a fact and its record: what is open or was closed
        // of late is told again
        let closed = keeper.shards().values().flat_map(|ledger| ledger.gaps());
        let closed = closed.filter(|(_, gap)| gap.repair.outcome.is_some());
        let told: BTreeMap<_, _> = closed.map(|(id, gap)| (*id, gap.clone())).collect();
        let now = clock.now().wall;
        let of_late = |gap: &Gap| gap.repair.closed_at.is_some_and(|at| now.since(at) < OF_LATE);
        let untold = told.iter().filter(|(_, gap)| of_late(gap)).map(|(id, _)| *id).collect();
        let charge = Charge::after_reading(turns(&keeper, &settings.roster, now));
        let ledger = Self {
            settings,
            clock,
            keeper,
            writer,
            tail,
            encoder,
            metrics,
            board,
            partitions,
            charge,
            told,
            untold,
            unfinished: watch::Sender::default(),
            looks: mpsc::channel(1),
            clock_wrong: false,
            twin: None,
            ground,
            kept,
            ownership,
            contested_at: None,
            filled: BTreeMap::new(),
        };
        ledger.show_gaps();
        Ok(ledger)
    }

    /// Topics that were wanted when the facts were written, by shard.
    #[must_use]
    pub fn plan(&self) -> Vec<BTreeSet<String>> {
        self.keeper.plan()
    }

    /// Gaps that are not done with, as they are at every moment.
    #[must_use]
    pub fn gaps(&self) -> watch::Receiver<Arc<Vec<Known>>> {
        self.unfinished.subscribe()
    }

    /// What topics stood on when the facts were written.
    #[must_use]
    pub fn ground(&self) -> Ground {
        self.ground.clone()
    }

    /// Asks what is known, whenever that is wanted.
    #[must_use]
    pub fn looks(&self) -> mpsc::Sender<Look> {
        self.looks.0.clone()
    }

    fn looked(&self) -> Vec<Looked> {
        let shards = self.keeper.shards().iter();
        let known = shards.map(|(shard, ledger)| Looked {
            shard: *shard,
            ledger: ledger.clone(),
            is_ours: self.charge.holds(*shard),
        });
        known.collect()
    }

    /// Records that history gave for gaps that are not done with.
    #[must_use]
    pub fn written(&self) -> BTreeMap<GapId, BTreeSet<EventId>> {
        let of = |known: &Known| {
            let ids = self.keeper.shards().get(&known.shard)?.written(known.gap.gap)?;
            Some((known.gap.gap, ids.clone()))
        };
        self.keeper.unfinished(self.clock.now().wall).iter().filter_map(of).collect()
    }

    fn show_gaps(&self) {
        let mut unfinished = self.keeper.unfinished(self.clock.now().wall);
        // one replica reads history for a shard; should two do it, the records are the same
        unfinished.retain(|known| self.charge.holds(known.shard));
        self.unfinished.send_if_modified(|known| {
            let changed = **known != unfinished;
            if changed {
                *known = Arc::new(unfinished);
            }
            changed
        });
    }

    /// Runs until nobody has news any more and the last claims are acknowledged.
    pub async fn run(
        mut self,
        mut news: Receiver<News>,
        mut standing: watch::Receiver<Arc<Standing>>,
    ) {
        let mut deadline: Option<Mono> = None;
        let mut look_at = self.clock.mono();
        loop {
            self.apply();
            if deadline.is_some_and(|at| self.writer.open() == 0 || at <= self.clock.mono()) {
                return;
            }
            let due = self.keeper.poll_timeout().map(|at| {
                let now = self.clock.now();
                now.mono + at.since(now.wall)
            });
            let due = due.into_iter().chain(deadline).chain([look_at]).min();
            tokio::select! {
                biased;
                told = news.recv(), if deadline.is_none() => match told {
                    Some(told) => self.keeper.handle(told, self.clock.now().wall),
                    None => {
                        failpoint::pass("term.final_claim");
                        deadline = Some(self.clock.mono() + FLUSH);
                    }
                },
                Some(Tailed::Record(record)) = self.tail.recv() => self.read(record),
                Some(look) = self.looks.1.recv() => {
                    look.send(self.looked()).ok(); // whoever asked may have ended
                }
                Ok(()) = standing.changed() => {
                    let standing = Arc::clone(&standing.borrow_and_update());
                    self.stands_on(&standing);
                }
                () = self.writer.attend() => {}
                () = self.clock.sleep_until(due) => {
                    let now = self.clock.now();
                    self.keeper.handle_timeout(now.wall);
                    if look_at <= now.mono {
                        look_at = now.mono + LOOK;
                        self.show();
                    }
                }
            }
        }
    }

    /// A record of the state topic. What cannot be read was reported at the start.
    fn read(&mut self, record: ReadBack) {
        match understand(&record.value) {
            Understood::Fact(stamped) => {
                if stamped.v > VERSION || stamped.writer == self.settings.writer_id {
                    return;
                }
                self.keeper.read(&stamped, self.clock.now().wall);
                if let Some(key) = record.key.and_then(|key| String::from_utf8(key).ok()) {
                    self.kept.keep(key, stamped.shard, stamped.writer, record.value);
                }
            }
            Understood::Note(Note::Owner { owner, .. }) => self.owned_by(&owner),
            Understood::Note(Note::Barrier { nonce, .. }) => {
                let number = barrier_number(self.settings.writer_id, nonce);
                if number.is_some_and(|number| self.charge.read(number)) {
                    self.tell_gaps();
                    self.show_gaps();
                }
            }
            Understood::Note(Note::Ground { .. } | Note::Counted { .. })
            | Understood::Nothing
            | Understood::Unreadable => {}
        }
    }

    /// Takes over what nobody before this replica speaks for any more, and gives up what somebody does.
    fn take_charge(&mut self) {
        let now = self.clock.now();
        let turns = turns(&self.keeper, &self.settings.roster, now.wall);
        for (shard, number) in self.charge.turns(&turns, now.mono) {
            let partition = self.partition(shard).unwrap_or_default();
            let (instance, writer) = (&self.settings.instance, self.settings.writer_id);
            let (key, note) = barrier_note(instance, partition, writer, number);
            self.writer.write(&self.settings.state_topic, Some(partition), &key, note);
        }
    }

    fn partition(&self, shard: u16) -> Option<i32> {
        i32::try_from(usize::from(shard) % self.partitions).ok()
    }

    fn apply(&mut self) {
        let mut gaps_changed = false;
        while let Some(action) = self.keeper.poll() {
            if let Action::Write(stamped) = &action {
                gaps_changed |= matches!(stamped.fact, Fact::Gap(_));
            }
            match action {
                Action::Write(stamped) => self.write(&stamped),
                Action::Contradiction(epoch) => {
                    self.metrics.violated("I3");
                    tracing::error!(code = "invariant_violated", invariant = "I3", epoch = %epoch, "an epoch id was used twice");
                }
            }
        }
        if gaps_changed {
            self.tell_gaps();
            self.show_gaps();
        }
    }

    fn write(&mut self, stamped: &Stamped) {
        failpoint::pass(before(&stamped.fact));
        let (key, value) = (stamped.key(&self.settings.instance), json(stamped));
        self.writer.write(
            &self.settings.state_topic,
            self.partition(stamped.shard),
            &key,
            value.clone(),
        );
        self.kept.keep(key, stamped.shard, stamped.writer, value);
        if matches!(stamped.fact, Fact::Claim { .. }) {
            failpoint::pass("state.claim.sent");
        }
    }

    /// Records what changed of gaps, and those whose record may be missing. One replica does it for a
    /// shard, or an older view of another one could come behind a newer.
    fn tell_gaps(&mut self) {
        self.take_charge();
        let ours = self.keeper.shards().iter().filter(|(shard, _)| self.charge.holds(**shard));
        let gaps = ours.flat_map(|(shard, ledger)| ledger.gaps().values().map(|gap| (*shard, gap)));
        let is_due =
            |gap: &Gap| self.told.get(&gap.gap) != Some(gap) || self.untold.contains(&gap.gap);
        let due = gaps.filter(|(_, gap)| is_due(gap));
        let due: Vec<(u16, Gap)> = due.map(|(shard, gap)| (shard, gap.clone())).collect();
        due.iter().for_each(|(shard, gap)| self.tell_gap(*shard, gap));
    }

    fn tell_gap(&mut self, shard: u16, gap: &Gap) {
        if gap.repair.outcome.is_some() {
            failpoint::pass("gap.closed.before");
        }
        let (key, value) = self.encoder.gap(shard, gap, &self.settings.timings);
        self.writer.write(&self.settings.gaps_topic, None, &key, value);
        failpoint::pass("gap.sent");
        self.untold.remove(&gap.gap);
        let before = self.told.insert(gap.gap, gap.clone());
        if before.is_some_and(|before| before.repair.outcome == gap.repair.outcome) {
            return; // it moved, which is no news for people
        }
        self.metrics.gap(gap.cause, gap.repair.outcome);
        let outcome = gap.repair.outcome.map_or("", |outcome| outcome.as_str());
        tracing::warn!(
            code = "gap",
            shard,
            gap = %gap.gap,
            class = %gap.class,
            cause = gap.cause.as_str(),
            from_ms = gap.from.0,
            to_ms = gap.to.map(|to| to.0),
            outcome,
            "an interval is not proven live"
        );
    }

    fn show(&mut self) {
        self.tell_gaps();
        self.show_gaps();
        let now = self.clock.now();
        let mut oldest = None;
        for (shard, ledger) in self.keeper.shards() {
            let proven_to_ms = self.keeper.watermark(*shard);
            proven_to_ms.into_iter().for_each(|at| self.metrics.watermark(*shard, at));
            // what somebody asked about before anything was covered troubles nobody while it is read
            let troubles = |gap: &&Gap| {
                gap.repair.outcome.is_none() && gap.cause != GapCause::BeforeActivation
            };
            let open = ledger.gaps().values().filter(troubles);
            let gaps: Vec<Gap> = open.cloned().collect();
            self.metrics.open_gaps(*shard, gaps.len());
            oldest = gaps.iter().map(|gap| gap.from).chain(oldest).min();
            let (proven_to_ms, connected_to_ms) = match self.settings.proves {
                true => (proven_to_ms, None),
                false => (None, proven_to_ms),
            };
            self.board.coverage(*shard, Coverage { proven_to_ms, connected_to_ms, gaps });
        }
        self.metrics.oldest_gap(oldest);
        let error = self.clock.server_at(now.mono).map(Reading::error);
        let ahead_ms = self.clock.local_ahead_ms();
        self.metrics.clock(error, ahead_ms);
        let wrong = ahead_ms.abs() > CLOCK_WRONG_MS;
        if wrong && !self.clock_wrong {
            tracing::warn!(
                code = "clock_wrong",
                ahead_ms,
                "the clock of this host is not the platform's; records and proof go by the platform's"
            );
        }
        self.clock_wrong = wrong;
        self.show_twin(now.wall);
        self.show_contest(now.mono);
    }
}

/// Shards that nobody who comes before this replica seems to speak for.
fn turns(keeper: &Keeper, roster: &Roster, now: Wall) -> BTreeSet<u16> {
    let living = keeper.living_replicas(now);
    let shards = keeper.shards().keys().copied();
    shards.filter(|shard| roster.is_in_charge(*shard, &living)).collect()
}

/// The place before a fact is written.
fn before(fact: &Fact) -> &'static str {
    match fact {
        Fact::Replica { .. } => "state.replica.before",
        Fact::Set { .. } => "state.set.before",
        Fact::Epoch { .. } => "state.epoch.before",
        Fact::Claim { .. } => "state.claim.before",
        Fact::End { .. } => "state.end.before",
        Fact::Doubt { .. } => "state.doubt.before",
        Fact::Late { .. } => "state.late.before",
        Fact::Wanted { .. } => "state.wanted.before",
        Fact::Gap(gap) if gap.repair.outcome.is_some() => "gap.close.before",
        Fact::Gap(gap) if !gap.repair.reads.is_empty() => "bf.reading.before",
        Fact::Gap(_) => "gap.open.before",
        Fact::Written { .. } => "bf.cursor.before",
        Fact::Audit(_) => "audit.fact.before",
    }
}
