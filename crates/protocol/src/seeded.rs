//! Mistakes that are made on purpose, so that the tests can show that they notice.
//!
//! Compiled in with the feature `seeded-bugs` only, which a release build refuses, and chosen by the
//! environment variable `TRUNKLINE_SEEDED_BUG` when the process starts. `make seeded-bugs` runs, for
//! each of them, the ordinary test that has to fail.

#[cfg(all(feature = "seeded-bugs", not(debug_assertions)))]
compile_error!("seeded-bugs plants mistakes: never in a release build");

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// A producer past help is kept.
    NoRebuild = 1,
    /// The pipeline ends without waiting for acknowledgements.
    NoFlush = 2,
    /// A barrier waits for nothing.
    ClaimBeforeAck = 3,
    /// The spool is not synced.
    NoSync = 4,
    /// The spool's folder is not synced.
    NoDirectorySync = 5,
    /// Coverage begins at once.
    NoMargin = 6,
    /// What was subscribed is not compared with what is read back.
    NoVerify = 7,
    /// A full queue swallows records.
    DropOnFull = 8,
    /// Messages time out.
    FiniteTimeout = 9,
    /// A duplicate is taken for durable.
    DuplicateIsDurable = 10,
    /// Nobody tries again after ten attempts.
    GiveUp = 11,
    /// One reading closes a gap.
    CloseEarly = 12,
    /// Ids are compared by 40 of their 128 bits.
    ApproximateDedupe = 13,
    /// Every coverage of a leg has the same id.
    ReusedEpoch = 14,
    /// A record of the spool is believed without its checksum.
    Unchecked = 15,
}

/// Whether the mistake is to be made.
#[must_use]
pub fn planted(bug: Bug) -> bool {
    chosen() == bug as u8
}

#[cfg(feature = "seeded-bugs")]
#[expect(clippy::disallowed_methods, reason = "chosen by a test run, no option of the product")]
fn chosen() -> u8 {
    static CHOSEN: std::sync::OnceLock<u8> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        std::env::var("TRUNKLINE_SEEDED_BUG").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    })
}

#[cfg(not(feature = "seeded-bugs"))]
const fn chosen() -> u8 {
    0
}
