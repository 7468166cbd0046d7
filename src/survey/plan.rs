//! What a survey asks, and what each question costs: shown before anything is asked.

/// One thing that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub what: &'static str,
    /// Requests at most; those of listings come on top.
    pub requests: u32,
    /// Sockets that are opened.
    pub dials: u32,
    /// The questions it is for.
    pub questions: &'static str,
}

const fn step(what: &'static str, requests: u32, dials: u32, questions: &'static str) -> Step {
    Step { what, requests, dials, questions }
}

/// Sockets that end by themselves are opened again so often at most.
pub(super) const REDIALS: u32 = 20;
/// Samples of the window at most.
pub(super) const WINDOW_SAMPLES: u32 = 20;
/// Looks for new conversations in history at most.
pub(super) const LAG_POLLS: u32 = 20;
/// Sizes of pages that are tried, ascending until one is refused.
pub(super) const PAGE_SIZES: [u64; 6] = [100, 101, 200, 201, 500, 1_000];

/// All of it, in order.
pub const STEPS: [Step; 13] = [
    step("log in, organisation, channels in use", 3, 0, ""),
    step("list the topics there are, with transports and permissions", 1, 0, "3"),
    step("read limits of four namespaces", 4, 0, "4"),
    step(
        "two channels, subscribed to one shard of what is configured",
        5,
        2,
        "1 5b 8 11 12c 13 14b 16",
    ),
    step("a third channel: subscribe under an open socket, close and open it again", 2, 2, "9"),
    step("read when it expires, set its topics again, add one", 5, 0, "2"),
    step("a second socket on it", 0, 1, "12b"),
    step("an upgrade for a channel that was made up", 0, 1, "12a"),
    step("empty pages of the details query, larger and larger", PAGE_SIZES.len() as u32, 0, "6a"),
    step("look for conversations that began just now in the details query", LAG_POLLS, 0, "6c"),
    step("1,001 topics on the third channel, where there are as many", 1, 0, "14a"),
    step("read conversations that ended just now, and one each of four earlier days", 10, 0, "7"),
    step("count requests over some minutes", WINDOW_SAMPLES, 0, "10a"),
];

/// Requests to take the subscriptions of the three channels away.
pub(super) const RELEASE: u32 = 3;

/// Requests and dials at most, listings and sockets that end by themselves left out.
#[must_use]
pub fn most() -> (u32, u32) {
    let requests: u32 = STEPS.iter().map(|step| step.requests).sum();
    (requests + RELEASE, STEPS.iter().map(|step| step.dials).sum())
}
