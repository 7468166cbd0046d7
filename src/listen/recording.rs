//! A file of envelopes, one a line, as the simulator plays them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use trunkline_protocol::domain::{Event, RejectReason};
use trunkline_protocol::identity::{Canonical, canonical_body};
use trunkline_protocol::topic::class_of;

use super::Kept;

/// A recording that grows. Whatever ends the process, the file holds whole lines up to the last
/// [`Self::flush`].
pub struct Recording {
    file: File,
    lines: Vec<u8>,
    bytes: u64,
    counts: Captured,
    topics: BTreeSet<String>,
}

/// What a recording holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Frames, by class of topics.
    pub frames: BTreeMap<String, u64>,
    /// Messages that cannot be played, since they are no envelope or were withheld, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// Lines that wait for [`Recording::flush`], in bytes; more are written at once.
const HELD: usize = 1 << 20;
/// Topics that are told apart; a detail topic has a name for every conversation.
const TOPICS: usize = 50_000;

impl Recording {
    /// Begins a file for the owner's eyes. One that is there already is left alone.
    ///
    /// # Errors
    /// When the file is there or cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(path)?;
        let (counts, topics) = (Captured::default(), BTreeSet::new());
        Ok(Self { file, lines: Vec::new(), bytes: 0, counts, topics })
    }

    /// Adds what was kept.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn take(&mut self, kept: &Kept) -> io::Result<()> {
        let left_out = match kept {
            Kept::Event(event, ..) if self.put(event) => None,
            Kept::Event(..) => Some(RejectReason::Malformed),
            Kept::Rejected(rejected, ..) => Some(rejected.reason),
        };
        if let Some(reason) = left_out {
            *self.counts.left_out.entry(reason.as_str()).or_default() += 1;
        }
        if self.lines.len() > HELD { self.flush() } else { Ok(()) }
    }

    /// Writes a line, if the body is JSON: one line that is none would spoil the whole file.
    fn put(&mut self, event: &Event) -> bool {
        let body = match event.body().contains(['\n', '\r']) {
            // nothing of its identity lies in white space
            true => canonical_body(Canonical::AsReceived, event.body()),
            false => event.body().into(),
        };
        if serde_json::from_str::<serde::de::IgnoredAny>(&body).is_err() {
            return false;
        }
        let at = event.frame.received.wall.0;
        let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
        let parts: [&str; 5] = [
            "{\"topicName\":\"",
            event.topic(),
            "\",\"receivedAt\":\"",
            &format!("{at:.3}"),
            "\",\"eventBody\":",
        ];
        parts.iter().for_each(|part| self.lines.extend_from_slice(part.as_bytes()));
        self.lines.extend_from_slice(body.as_bytes());
        self.lines.extend_from_slice(b"}\n");
        *self.counts.frames.entry(class_of(event.topic())).or_default() += 1;
        if self.topics.len() < TOPICS && !self.topics.contains(event.topic()) {
            self.topics.insert(event.topic().to_owned());
        }
        true
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// When the disk does not take it; the file ends with a whole line then.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.write_all(&self.lines) {
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += self.lines.len() as u64;
        self.lines.clear();
        Ok(())
    }

    /// Writes everything to the disk.
    ///
    /// # Errors
    /// When it does not take it.
    pub fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()
    }

    /// What it holds.
    #[must_use]
    pub fn counts(&self) -> &Captured {
        &self.counts
    }

    /// Topics that frames came from; it stops counting at 50,000.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Bytes in the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Captured {
    /// Frames of all classes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.frames.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use trunkline_protocol::domain::{EpochId, Frame, Leg, Now, Origin, TopicClass, Wall};

    use super::*;
    use crate::decode::open::Opener;
    use crate::observe::flow::Flow;

    fn kept(text: &str) -> Kept {
        let now = Now { wall: Wall(1_700_000_000_000), ..Now::default() };
        let leg = Leg { shard: 0, ordinal: 0 };
        let frame = Frame { text: text.to_owned(), received: now, epoch: EpochId([0; 16]), leg };
        let ticket = Flow::new().receive(TopicClass::Other, Origin::Live);
        match Opener::new("org".to_owned(), Canonical::AsReceived).open(frame) {
            Ok(event) => Kept::Event(event, ticket, 1),
            Err(rejected) => Kept::Rejected(rejected, ticket, 1),
        }
    }

    #[test]
    fn every_line_is_an_envelope_with_the_body_as_it_came_whatever_is_heard() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file.jsonl");
        let mut recording = Recording::create(&path).expect("a file");
        for text in [
            "{\"topicName\":\"v2.users.u.presence\",\"eventBody\":{ \"a\" : 1 }}",
            "{\"topicName\":\"v2.users.u.presence\",\n\"eventBody\":{\n \"b\": \"x\\ny\"\n}}",
            "{\"topicName\":\"v2.users.w.presence\",\"eventBody\":{\"a\":tru}}",
            "no envelope",
        ] {
            recording.take(&kept(text)).expect("room");
        }
        recording.finish().expect("room");
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(
            text,
            "{\"topicName\":\"v2.users.u.presence\",\"receivedAt\":\"2023-11-14T22:13:20.000Z\",\"eventBody\":{ \"a\" : 1 }}\n\
             {\"topicName\":\"v2.users.u.presence\",\"receivedAt\":\"2023-11-14T22:13:20.000Z\",\"eventBody\":{\"b\":\"x\\ny\"}}\n"
        );
        assert_eq!(genesys_sim::replay::read(&text).expect("a recording").len(), 2);
        let counts = recording.counts();
        assert_eq!((counts.total(), recording.topics()), (2, 1));
        assert_eq!(counts.left_out, BTreeMap::from([("malformed", 2)]));
        assert_eq!(recording.bytes(), text.len() as u64);
        assert!(Recording::create(&path).is_err(), "it is not written over");
    }
}
