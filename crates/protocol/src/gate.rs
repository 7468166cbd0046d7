//! Every request of one OAuth client, by priority, within its budget, behind its breakers.
//!
//! The caller asks with a ticket, sends when the ticket is polled, and reports how it went. Who
//! retries asks again: nothing here retries by itself, so there are no per-channel retry loops.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::backoff::Hint;
use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::domain::{Dice, Mono};

/// Identifies one wish to send a request.
pub type Ticket = u64;

/// What fails together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// The login host.
    Token,
    /// Counting and creating channels.
    Channels,
    /// Setting and reading subscriptions.
    Subscriptions,
    /// Opening a WebSocket.
    Dial,
    /// Queues, users, limits: what is nice to know.
    Listing,
    /// Analytics: what was missed.
    History,
}

impl Endpoint {
    /// Every class, in the order they are shown.
    pub const ALL: [Self; 6] = [
        Self::Token,
        Self::Channels,
        Self::Subscriptions,
        Self::Dial,
        Self::Listing,
        Self::History,
    ];

    /// The word used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Channels => "channels",
            Self::Subscriptions => "subscriptions",
            Self::Dial => "dial",
            Self::Listing => "listing",
            Self::History => "history",
        }
    }
}

/// Who goes first when not all may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Without a token nothing else works.
    Token,
    /// A reconnect that has begun: finishing it frees what it holds.
    FinishReconnect,
    /// A reconnect that has not begun.
    StartReconnect,
    /// Verifying and listing.
    Verify,
    /// Reading history.
    Backfill,
    /// Comparing with history.
    Audit,
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer below 500 other than 429: the endpoint lives.
    Answered,
    /// 429.
    RateLimited(Hint),
    /// Connect error, time-out, 5xx.
    Failed,
}

/// The waiting room of one OAuth client.
#[derive(Debug)]
pub struct Gate {
    budget: Budget,
    breakers: BTreeMap<Endpoint, Breaker>,
    waiting: BTreeSet<(Priority, Ticket)>,
    endpoints: BTreeMap<Ticket, Endpoint>,
    under_way: BTreeMap<Endpoint, u32>,
    retry_after_jitter: Duration,
    dice: Dice,
    next_ticket: Ticket,
    /// Requests that history leaves to living channels.
    reserve: f64,
}

/// Requests of one class that may be under way at once: when the platform goes away, so few fail.
const UNDER_WAY: u32 = 4;

impl Gate {
    /// An empty waiting room.
    #[must_use]
    pub fn new(
        budget: Budget,
        probe_cap: Duration,
        retry_after_jitter: Duration,
        dice: Dice,
    ) -> Self {
        let breakers = Endpoint::ALL.map(|endpoint| (endpoint, Breaker::new(probe_cap)));
        Self {
            budget,
            breakers: breakers.into(),
            waiting: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            under_way: BTreeMap::new(),
            retry_after_jitter,
            dice,
            next_ticket: 0,
            reserve: 0.0,
        }
    }

    /// From here on another limit, or another number of processes, holds.
    pub fn renew(&mut self, limit: u32, processes: u32, now: Mono) {
        self.budget.renew(limit, processes, now);
    }

    /// Reading history leaves so many requests in the bucket, and at most two thirds of what it
    /// holds: reconnects must not wait for what can wait.
    pub fn reserve(&mut self, requests: u32) {
        self.reserve = f64::from(requests).min(self.budget.burst() * 2.0 / 3.0);
    }

    /// Requests that must be left in the bucket when one of this priority goes.
    fn left_by(&self, priority: Priority) -> f64 {
        match priority {
            Priority::Token
            | Priority::FinishReconnect
            | Priority::StartReconnect
            | Priority::Verify => 0.0,
            Priority::Backfill | Priority::Audit => self.reserve,
        }
    }

    /// Asks for a request. It goes when [`Self::poll`] returns its ticket.
    pub fn ask(&mut self, endpoint: Endpoint, priority: Priority) -> Ticket {
        self.next_ticket += 1;
        self.waiting.insert((priority, self.next_ticket));
        self.endpoints.insert(self.next_ticket, endpoint);
        self.next_ticket
    }

    /// Takes a wish back, whether it waits or is under way.
    pub fn forget(&mut self, ticket: Ticket, now: Mono) {
        let before = self.waiting.len();
        self.waiting.retain(|(_, waiting)| *waiting != ticket);
        if self.waiting.len() < before {
            self.endpoints.remove(&ticket);
        } else {
            self.report(ticket, Outcome::Failed, now);
        }
    }

    /// The next request that may be sent now.
    pub fn poll(&mut self, now: Mono) -> Option<Ticket> {
        let mut chosen = None;
        for &(priority, ticket) in &self.waiting {
            let endpoint = self.endpoints.get(&ticket).copied()?;
            let free = self.under_way.get(&endpoint).copied().unwrap_or(0) < UNDER_WAY;
            let closed = self.breakers.get(&endpoint).is_some_and(Breaker::is_closed);
            let probe_due = self
                .breakers
                .get(&endpoint)
                .and_then(Breaker::poll_timeout)
                .is_some_and(|due| due <= now);
            if free && (closed || probe_due) {
                chosen = Some((priority, ticket, endpoint));
                break;
            }
        }
        let (priority, ticket, endpoint) = chosen?;
        if !self.budget.take(self.left_by(priority), now) {
            return None;
        }
        let admitted = self.breakers.get_mut(&endpoint).is_some_and(|breaker| breaker.admit(now));
        debug_assert!(admitted, "asked before taking");
        self.waiting.remove(&(priority, ticket));
        *self.under_way.entry(endpoint).or_default() += 1;
        Some(ticket)
    }

    /// How a request that was sent went.
    pub fn report(&mut self, ticket: Ticket, outcome: Outcome, now: Mono) {
        let Some(endpoint) = self.endpoints.remove(&ticket) else {
            return;
        };
        if let Some(count) = self.under_way.get_mut(&endpoint) {
            *count = count.saturating_sub(1);
        }
        let Some(breaker) = self.breakers.get_mut(&endpoint) else {
            return;
        };
        match outcome {
            Outcome::Answered => breaker.answered(),
            Outcome::Failed => breaker.failed(now, &mut self.dice),
            Outcome::RateLimited(hint) => {
                breaker.answered();
                self.budget.hold(now + hint.hold(self.retry_after_jitter, &mut self.dice));
            }
        }
    }

    /// Nothing is sent before `until`: an earlier process was told so.
    pub fn hold(&mut self, until: Mono) {
        self.budget.hold(until);
    }

    /// Until when nothing is sent.
    #[must_use]
    pub fn held_until(&self) -> Mono {
        self.budget.held_until()
    }

    /// Feeds the server's own count of its window.
    pub fn observe(&mut self, count: u32, allowed: u32, now: Mono) {
        self.budget.observe(count, allowed, now);
    }

    /// When [`Self::poll`] may have something, if nothing else happens first.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let endpoint_ready = |endpoint: Endpoint| {
            let breaker = self.breakers.get(&endpoint)?;
            let free = self.under_way.get(&endpoint).copied().unwrap_or(0) < UNDER_WAY;
            match (free, breaker.is_closed()) {
                (false, _) => None,
                (true, true) => Some(Mono(0)),
                (true, false) => breaker.poll_timeout(),
            }
        };
        let ready = |(priority, ticket): &(Priority, Ticket)| {
            let ready = endpoint_ready(*self.endpoints.get(ticket)?)?;
            Some(ready.max(self.budget.next_at(self.left_by(*priority))))
        };
        self.waiting.iter().filter_map(ready).min()
    }

    /// Requests that could go at once.
    #[must_use]
    pub fn remaining(&self) -> f64 {
        self.budget.remaining()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    fn gate() -> Gate {
        Gate::new(Budget::new(300, 1, Mono(0)), 14 * SEC, SEC, Dice::new(5))
    }

    #[test]
    fn the_most_urgent_request_goes_first() {
        let mut gate = gate();
        let audit = gate.ask(Endpoint::Listing, Priority::Audit);
        let finish = gate.ask(Endpoint::Subscriptions, Priority::FinishReconnect);
        let token = gate.ask(Endpoint::Token, Priority::Token);
        let order: Vec<_> = std::iter::from_fn(|| gate.poll(Mono(0))).collect();
        assert_eq!(order, [token, finish, audit]);
    }

    #[test]
    fn a_429_holds_everything_of_the_client_until_its_hint_has_passed() {
        let mut gate = gate();
        let first = gate.ask(Endpoint::Channels, Priority::StartReconnect);
        assert_eq!(gate.poll(Mono(0)), Some(first));
        gate.report(first, Outcome::RateLimited(Hint::Wait(3 * SEC)), Mono(0));
        let other = gate.ask(Endpoint::Token, Priority::Token);
        assert_eq!(gate.poll(Mono(0) + 3 * SEC - Duration::from_millis(1)), None);
        let due = gate.poll_timeout().expect("a time");
        assert!(due >= Mono(0) + 3 * SEC && due <= Mono(0) + 4 * SEC);
        assert_eq!(gate.poll(due), Some(other));
    }

    #[test]
    fn a_dead_endpoint_gets_one_probe_and_others_go_on() {
        let mut gate = gate();
        let first = gate.ask(Endpoint::Dial, Priority::FinishReconnect);
        gate.poll(Mono(0));
        gate.report(first, Outcome::Failed, Mono(0));
        let _a = gate.ask(Endpoint::Dial, Priority::FinishReconnect);
        let _b = gate.ask(Endpoint::Dial, Priority::FinishReconnect);
        let listing = gate.ask(Endpoint::Listing, Priority::Verify);
        assert_eq!(gate.poll(Mono(0)), Some(listing));
        let due = gate.poll_timeout().expect("a time");
        assert!(gate.poll(due).is_some() && gate.poll(due).is_none());
    }

    #[test]
    fn history_leaves_requests_for_reconnects() {
        let mut gate = gate();
        gate.reserve(60);
        let mut sent = 0;
        loop {
            let ticket = gate.ask(Endpoint::History, Priority::Backfill);
            let Some(called) = gate.poll(Mono(0)) else { break };
            assert_eq!(called, ticket);
            gate.report(ticket, Outcome::Answered, Mono(0));
            sent += 1;
        }
        assert_eq!(sent, 30, "ninety at once, sixty of them kept");
        let due = gate.poll_timeout().expect("a time");
        assert!(due > Mono(0));
        let urgent = gate.ask(Endpoint::Dial, Priority::StartReconnect);
        assert_eq!(gate.poll(Mono(0)), Some(urgent));
        assert!(gate.poll(Mono(0) + 2 * SEC).is_some());
    }

    #[test]
    fn when_the_platform_goes_away_few_requests_fail_at_once() {
        let mut gate = gate();
        for _ in 0..20 {
            gate.ask(Endpoint::Subscriptions, Priority::FinishReconnect);
        }
        assert_eq!(std::iter::from_fn(|| gate.poll(Mono(0))).count(), 4);
    }
}
