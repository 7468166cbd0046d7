//! Follows a topic from an offset on: one thread polls, a bounded channel carries what is wanted of
//! each record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, TryRecvError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as RdError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::{Receiver, Sender};

use super::KafkaError;
use super::quiet::Quiet;
use super::reader::{ReadBack, partition_ids};
use super::settings::KafkaSettings;

/// Where to begin.
#[derive(Clone, Debug)]
pub enum From {
    /// At the first record there is.
    Beginning,
    /// Milliseconds since 1970, by the records' own timestamps; but no later than these offsets by
    /// partition, and at the first record of a partition that has none; without offsets, the time alone.
    Time(i64, BTreeMap<i32, i64>),
}

/// A record on its way past.
pub struct Passing<'a>(&'a BorrowedMessage<'a>);

impl Passing<'_> {
    /// Its partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// Its key, where it is text.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        std::str::from_utf8(self.0.key()?).ok()
    }

    /// Its value; empty for a tombstone.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.0.payload().unwrap_or_default()
    }

    /// The text of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.0.headers()?;
        let found = headers.iter().find(|header| header.key == name)?;
        std::str::from_utf8(found.value?).ok()
    }

    /// All of it.
    #[must_use]
    pub fn whole(&self) -> ReadBack {
        ReadBack::of(self.0)
    }
}

/// What comes out.
#[derive(Clone, Debug)]
pub enum Tailed<T> {
    /// What was wanted of a record.
    Record(T),
    /// Every record that was in the topic when this was asked has come out.
    CaughtUp(u64),
}

/// What is wanted of a record.
type Wanted<T> = Box<dyn Fn(&Passing<'_>) -> Option<T> + Send>;

/// The near end of a topic that is followed.
pub struct Tail<T> {
    tailed: Receiver<Tailed<T>>,
    asks: mpsc::Sender<u64>,
}

impl<T> Tail<T> {
    /// The next thing that comes out; `None` when following has ended.
    pub async fn recv(&mut self) -> Option<Tailed<T>> {
        self.tailed.recv().await
    }

    /// The next things that come out, `limit` at most, behind what is in `into`; waits for ever once
    /// following has ended.
    pub async fn recv_many(&mut self, into: &mut Vec<Tailed<T>>, limit: usize) {
        if self.tailed.recv_many(into, limit).await == 0 {
            std::future::pending().await
        }
    }

    /// Asks to be told [`Tailed::CaughtUp`] with this number.
    pub fn ask(&self, number: u64) {
        self.asks.send(number).ok(); // a follower that has ended is noticed by its supervisor
    }
}

/// Records that wait at the near end.
const WAITING: usize = 1_024;
const POLL: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(30);
/// After so many messages, or quiet polls (a minute), is looked for further partitions.
const LOOK_AFTER: (u32, u32) = (500_000, 300);

/// Follows every partition until the near end is gone: the second part is the work to spawn.
/// Partitions that are added later are followed from their beginning. What passes is retried for
/// ever: a consumer recovers by itself.
pub fn follow<T: Send + 'static>(
    settings: KafkaSettings,
    topic: String,
    from: From,
    wanted: impl Fn(&Passing<'_>) -> Option<T> + Send + 'static,
) -> (Tail<T>, impl Future<Output = Result<(), KafkaError>> + Send + 'static) {
    follow_until(settings, topic, from, None, wanted)
}

/// As [`follow`], but records later than `until`, by their own timestamps, do not come out, and what
/// lies behind the first such record of a partition is not read.
pub fn follow_until<T: Send + 'static>(
    settings: KafkaSettings,
    topic: String,
    from: From,
    until: Option<i64>,
    wanted: impl Fn(&Passing<'_>) -> Option<T> + Send + 'static,
) -> (Tail<T>, impl Future<Output = Result<(), KafkaError>> + Send + 'static) {
    let (sink, tailed) = tokio::sync::mpsc::channel(WAITING);
    let (asks, asked) = mpsc::channel();
    let order = Order { topic, from, until, wanted: Box::new(wanted), sink, asked };
    let work = async move {
        let work = move || Follower::start(&settings, order)?.run();
        tokio::task::spawn_blocking(work).await.unwrap_or(Ok(()))
    };
    (Tail { tailed, asks }, work)
}

struct Order<T> {
    topic: String,
    from: From,
    until: Option<i64>,
    wanted: Wanted<T>,
    sink: Sender<Tailed<T>>,
    asked: mpsc::Receiver<u64>,
}

struct Follower<T> {
    consumer: BaseConsumer<Quiet>,
    /// Asks where topics end: on the consumer's own connection every such question would wait for
    /// the long poll before it, once for each partition.
    asker: BaseConsumer<Quiet>,
    order: Order<T>,
    /// The next offset of every partition.
    next: BTreeMap<i32, i64>,
    /// What was asked, and up to where everything has to be read before it is answered.
    owed: Option<(u64, BTreeMap<i32, i64>)>,
    /// Asked while no broker could say where the topic ends.
    unanswered: Option<u64>,
    /// Partitions of a broker that cannot answer by time: passed over up to the first record of
    /// this time or later, or this offset.
    skipped: BTreeMap<i32, (i64, i64)>,
    /// Partitions that have come to what is too late.
    passed: BTreeSet<i32>,
}

impl<T> Follower<T> {
    fn start(settings: &KafkaSettings, order: Order<T>) -> Result<Self, KafkaError> {
        let mut config = settings.client();
        config.set("group.id", "trunkline-tail").set("enable.auto.commit", "false");
        config.set("auto.offset.reset", "earliest");
        // a topic that is created again is found soon
        config.set("topic.metadata.refresh.interval.ms", "10000");
        // what has not been asked for yet waits at the broker, not in our memory
        config.set("queued.max.messages.kbytes", "8192").set("queued.min.messages", "1000");
        let consumer = config.create_with_context(Quiet).map_err(KafkaError::Settings)?;
        let asker = config.create_with_context(Quiet).map_err(KafkaError::Settings)?;
        let mut follower = Self {
            consumer,
            asker,
            order,
            next: BTreeMap::new(),
            owed: None,
            unanswered: None,
            skipped: BTreeMap::new(),
            passed: BTreeSet::new(),
        };
        let begun = follower.begin();
        begun.map_err(|source| KafkaError::Read { topic: follower.order.topic.clone(), source })?;
        Ok(follower)
    }

    fn begin(&mut self) -> Result<(), RdError> {
        let ends = self.ends()?;
        let (time, no_later) = match &self.order.from {
            From::Beginning => (None, BTreeMap::new()),
            From::Time(time, no_later) => (Some(*time), no_later.clone()),
        };
        let at = time.map_or(Ok(BTreeMap::new()), |time| self.offsets_at(&ends, time))?;
        for (partition, (low, high)) in ends {
            let latest = no_later.get(&partition).copied();
            let latest = latest.unwrap_or(if no_later.is_empty() { i64::MAX } else { low });
            let found = at.get(&partition).copied();
            if let (Some(time), None) = (time, found) {
                self.skipped.insert(partition, (time, latest));
            }
            let at = found.map_or(low, |found| found.min(latest));
            self.next.insert(partition, at.clamp(low, high));
        }
        self.assign()
    }

    fn assign(&self) -> Result<(), RdError> {
        let mut list = TopicPartitionList::new();
        for (partition, next) in &self.next {
            list.add_partition_offset(&self.order.topic, *partition, Offset::Offset(*next))?;
        }
        self.consumer.assign(&list)
    }

    /// First offset of every partition, and the one behind its last.
    fn ends(&self) -> Result<BTreeMap<i32, (i64, i64)>, RdError> {
        let topic = &self.order.topic;
        let partitions = partition_ids(&self.asker, topic)?.into_iter();
        let ends = |id| Ok((id, self.asker.fetch_watermarks(topic, id, PATIENCE)?));
        partitions.map(ends).collect()
    }

    /// The first offset of a time on; the end where everything is older. Brokers that cannot answer
    /// by time (the mock) do not find the beginning of time either: there it is not told.
    fn offsets_at(
        &self,
        ends: &BTreeMap<i32, (i64, i64)>,
        at: i64,
    ) -> Result<BTreeMap<i32, i64>, RdError> {
        let Some(found) = self.offsets_by_time(ends, at)? else { return Ok(BTreeMap::new()) };
        let oldest = match found.len() == ends.len() {
            true => BTreeMap::new(),
            false => self.offsets_by_time(ends, 0)?.unwrap_or_default(),
        };
        let end =
            |(id, (_, high)): (&i32, &(i64, i64))| oldest.contains_key(id).then_some((*id, *high));
        Ok(ends.iter().filter_map(end).chain(found).collect())
    }

    /// By partition, where there is a record of that time or a later one; `None` when a broker did
    /// not answer.
    fn offsets_by_time(
        &self,
        ends: &BTreeMap<i32, (i64, i64)>,
        at: i64,
    ) -> Result<Option<BTreeMap<i32, i64>>, RdError> {
        let mut times = TopicPartitionList::new();
        for partition in ends.keys() {
            times.add_partition_offset(&self.order.topic, *partition, Offset::Offset(at))?;
        }
        let Ok(found) = self.asker.offsets_for_times(times, PATIENCE) else { return Ok(None) };
        if found.elements().iter().any(|e| e.error().is_err()) {
            return Ok(None);
        }
        let offset = |e: &TopicPartitionListElem<'_>| match e.offset() {
            Offset::Offset(offset) if offset >= 0 => Some((e.partition(), offset)),
            Offset::Beginning
            | Offset::End
            | Offset::Stored
            | Offset::Invalid
            | Offset::Offset(_)
            | Offset::OffsetTail(_) => None,
        };
        Ok(Some(found.elements().iter().filter_map(offset).collect()))
    }

    fn run(mut self) -> Result<(), KafkaError> {
        let (mut messages, mut quiet) = (0, 0);
        loop {
            if messages >= LOOK_AFTER.0 || quiet >= LOOK_AFTER.1 {
                (messages, quiet) = (0, 0);
                self.follow_new_partitions();
            }
            if self.owed.is_none() {
                match self.unanswered.take().map_or_else(|| self.order.asked.try_recv(), Ok) {
                    Ok(number) => self.owe(number),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
            let passed = match self.consumer.poll(POLL) {
                None => {
                    quiet += 1;
                    None
                }
                Some(Ok(message)) => {
                    messages += 1;
                    self.next.insert(message.partition(), message.offset() + 1);
                    let late = self.order.until.is_some_and(|until| {
                        message.timestamp().to_millis().is_some_and(|at| at > until)
                    });
                    if late && self.passed.insert(message.partition()) {
                        self.pause(message.partition());
                    }
                    match late || is_skipped(&mut self.skipped, &message) {
                        true => None,
                        false => (self.order.wanted)(&Passing(&message)).map(Tailed::Record),
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(code = "tail_error", topic = %self.order.topic, error = %error, "reading a topic failed; it goes on");
                    std::thread::sleep(POLL);
                    None
                }
            };
            let told = passed.into_iter().chain(self.pay());
            for tailed in told {
                if self.order.sink.blocking_send(tailed).is_err() {
                    return Ok(());
                }
            }
            if self.order.sink.is_closed() {
                return Ok(());
            }
        }
    }

    /// Notes up to where there are records now.
    fn owe(&mut self, number: u64) {
        match self.ends() {
            // without partitions there is no topic at the moment: nobody knows where it ends
            Ok(ends) if ends.is_empty() => self.unanswered = Some(number),
            Ok(ends) => {
                // whoever asks waits for what lies in new partitions as well
                if ends.keys().any(|id| !self.next.contains_key(id)) {
                    self.follow_new_partitions();
                }
                let unread = ends.into_iter().filter(|(_, (low, high))| high > low);
                self.owed = Some((number, unread.map(|(id, (_, high))| (id, high)).collect()));
            }
            Err(error) => {
                tracing::warn!(code = "tail_error", topic = %self.order.topic, error = %error, "reading a topic failed; it goes on");
                self.unanswered = Some(number);
            }
        }
    }

    fn pay<U>(&mut self) -> Option<Tailed<U>> {
        let (number, ends) = self.owed.as_ref()?;
        let read = |(id, end): (&i32, &i64)| {
            self.passed.contains(id) || self.next.get(id).is_some_and(|next| next >= end)
        };
        let number = ends.iter().all(read).then_some(*number)?;
        self.owed = None;
        Some(Tailed::CaughtUp(number))
    }

    fn pause(&self, partition: i32) {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.order.topic, partition);
        if let Err(error) = self.consumer.pause(&list) {
            // then it is read in vain
            tracing::warn!(code = "tail_error", topic = %self.order.topic, error = %error, "reading a topic failed; it goes on");
        }
    }

    fn follow_new_partitions(&mut self) {
        let Ok(ends) = self.ends() else { return };
        let mut added = 0;
        for (partition, (low, _)) in ends {
            self.next.entry(partition).or_insert_with(|| {
                added += 1;
                low
            });
        }
        if added > 0 && self.assign().is_ok() {
            tracing::warn!(code = "partitions_added", topic = %self.order.topic, count = added, "the topic has got more partitions");
        }
    }
}

/// Whether a record lies before the time from which its partition is wanted.
fn is_skipped(skipped: &mut BTreeMap<i32, (i64, i64)>, message: &BorrowedMessage<'_>) -> bool {
    let Some((from, latest)) = skipped.get(&message.partition()) else { return false };
    let early = message.timestamp().to_millis().is_some_and(|at| at < *from);
    if early && message.offset() < *latest {
        return true;
    }
    skipped.remove(&message.partition());
    false
}
