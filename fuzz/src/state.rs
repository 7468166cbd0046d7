//! Records of the state topic, a line each: what is understood is written again as it was read, and
//! facts add up to the same whatever is said twice.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use trunkline::ledger::{Understood, understand};
use trunkline_protocol::domain::{Wall, WriterId};
use trunkline_protocol::ledger::{Fact, Keeper, ShardLedger, Stamped};
use trunkline_protocol::timings::Timings;

const NOW: Wall = Wall(1_767_225_600_123);
const ME: WriterId = WriterId([9; 16]);

pub fn run(bytes: &[u8]) {
    let mut facts = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        match understand(line) {
            Understood::Nothing => assert!(line.is_empty()),
            Understood::Unreadable => assert!(!is_one(line), "a fact was passed over"),
            Understood::Note(note) => {
                let again = serde_json::to_vec(&note).expect("a note is plain data");
                assert_eq!(understand(&again), Understood::Note(note));
            }
            Understood::Fact(stamped) => {
                again(&stamped);
                facts.push(stamped);
            }
        }
    }
    added(&facts);
    in_any_order(&facts);
    kept(&facts);
}

fn again(stamped: &Stamped) {
    let again = serde_json::to_vec(stamped).expect("a fact is plain data");
    assert_eq!(understand(&again), Understood::Fact(stamped.clone()));
    let key = stamped.key("i");
    assert!(
        key.starts_with(&format!("i/{}/{}/", stamped.shard, stamped.writer)) || key.contains('/')
    );
    assert_eq!(key, stamped.clone().key("i"));
}

/// Beyond doubt a fact: the simplest one.
fn is_one(line: &[u8]) -> bool {
    let Ok(Value::Object(map)) = serde_json::from_slice(line) else { return false };
    let id = |key: &str| {
        let text = map.get(key).and_then(Value::as_str).unwrap_or_default();
        text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let number = |key: &str, most: u64| {
        map.get(key).and_then(Value::as_u64).is_some_and(|number| number <= most)
    };
    map.len() == 5
        && map.get("kind").and_then(Value::as_str) == Some("replica")
        && map.get("name").is_some_and(Value::is_string)
        && map.get("since").is_some_and(Value::is_i64)
        && (number("v", 255) && number("shard", 65_535) && id("writer"))
        && line.iter().filter(|byte| **byte == b':').count() == 5
}

fn added(facts: &[Stamped]) {
    let mut ledger = ShardLedger::new();
    let add = |ledger: &mut ShardLedger| {
        for stamped in facts {
            let before = ledger.clone();
            if ledger.add(stamped.writer, &stamped.fact).is_err() {
                assert_eq!(*ledger, before, "a contradiction changed something");
            }
        }
    };
    add(&mut ledger);
    let once = ledger.clone();
    add(&mut ledger);
    assert_eq!(ledger, once, "facts said twice are other facts");
    for epoch in ledger.epochs().values() {
        let proven = epoch.proven();
        let claimed = epoch.claim.into_iter().collect();
        assert_eq!(proven.subtract(&claimed).intervals(), [], "proof beyond the claim");
        assert_eq!(proven.intersect(&epoch.doubts).intervals(), [], "proof in doubt");
    }
    let holes = ledger.holes(&[], NOW);
    for hole in &holes {
        assert!(!hole.interval.is_empty() && hole.interval.to <= NOW, "{hole:?}");
    }
}

/// Whoever reads them last knows what whoever reads them first does.
fn in_any_order(facts: &[Stamped]) {
    let agreed = agreed(facts);
    let (mut forwards, mut backwards) = (ShardLedger::new(), ShardLedger::new());
    for (one, other) in agreed.iter().zip(agreed.iter().rev()) {
        let said = [forwards.add(one.writer, &one.fact), backwards.add(other.writer, &other.fact)];
        assert_eq!(said, [Ok(()), Ok(())], "they do not contradict each other");
    }
    assert_eq!(forwards, backwards, "facts in another order are other facts");
}

/// Facts that say nothing else of a thing than the first one about it, where only one thing can be true.
fn agreed(facts: &[Stamped]) -> Vec<&Stamped> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut agrees = |stamped: &&Stamped| {
        let (thing, said) = match &stamped.fact {
            Fact::Set { set, topics } => {
                (format!("set {set}"), format!("{:?}", topics.iter().collect::<BTreeSet<_>>()))
            }
            Fact::Epoch { epoch, .. } => (format!("epoch {epoch}"), format!("{stamped:?}")),
            Fact::Claim { epoch, interval } => {
                (format!("claim {epoch}"), format!("{:?}", interval.from))
            }
            Fact::Wanted { as_of, topics } => (format!("wanted {as_of:?}"), format!("{topics:?}")),
            Fact::Gap(gap) => {
                let said = (&gap.class, &gap.topics, gap.cause);
                (format!("gap {}", gap.gap), format!("{said:?}"))
            }
            Fact::Audit(audit) => {
                (format!("audit {:?}", audit.span.from), format!("{:?}", audit.span.to))
            }
            Fact::Replica { .. }
            | Fact::End { .. }
            | Fact::Doubt { .. }
            | Fact::Late { .. }
            | Fact::Written { .. } => return true,
        };
        *known.entry(thing).or_insert_with(|| said.clone()) == said
    };
    facts.iter().filter(|stamped| agrees(stamped)).collect()
}

/// The machine that the service feeds with them.
fn kept(facts: &[Stamped]) {
    let mut keeper = Keeper::new(ME, Timings::default());
    facts.iter().for_each(|stamped| keeper.read(stamped, NOW));
    keeper.introduce("0", NOW);
    keeper.handle_timeout(NOW);
    let mut written = 0;
    while let Some(action) = keeper.poll() {
        if let trunkline_protocol::ledger::Action::Write(stamped) = action {
            again(&stamped);
            assert!(stamped.writer == ME, "words of somebody else");
            written += usize::from(matches!(stamped.fact, Fact::Replica { .. }));
        }
    }
    assert_eq!(written, 1, "it introduces itself once");
    for shard in keeper.shards().keys() {
        _ = (keeper.living(*shard, NOW), keeper.watermark(*shard));
    }
    _ = (keeper.plan(), keeper.living_replicas(NOW), keeper.twin(NOW), keeper.unfinished(NOW));
}
