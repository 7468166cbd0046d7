//! Flow conservation: received = published + deduplicated + quarantined + in flight, at every look.
//!
//! An event in flight carries an [`InFlight`] ticket. The tickets alive, and those of events that
//! wait on a disk, *are* the events in flight: nothing here is computed as a difference, so an event that vanished without a verdict
//! shows as a residual. A look excludes every change, therefore all counters belong together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};

use trunkline_protocol::domain::{Origin, RejectReason, TopicClass};

const CLASSES: usize = TopicClass::ALL.len();
const REASONS: usize = RejectReason::ALL.len();

/// Counts where every event went. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Flow(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Held shared by every change and exclusively by a look.
    gate: RwLock<()>,
    received: [AtomicU64; CLASSES],
    published: [AtomicU64; CLASSES],
    deduplicated: AtomicU64,
    quarantined: [AtomicU64; REASONS],
    in_flight: AtomicU64,
}

impl Shared {
    fn change(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The ticket of one event between its arrival and its verdict.
#[derive(Debug)]
pub struct InFlight {
    flow: Arc<Shared>,
    class: TopicClass,
    origin: Origin,
    /// No verdict yet.
    open: bool,
}

/// All counters at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowSnapshot {
    /// Events heard, by [`TopicClass::index`].
    pub received: [u64; CLASSES],
    /// Records acknowledged by Kafka, by [`TopicClass::index`].
    pub published: [u64; CLASSES],
    /// Copies of an event that was kept once already.
    pub deduplicated: u64,
    /// Raw bytes acknowledged on the quarantine topic, in the order of [`RejectReason::ALL`].
    pub quarantined: [u64; REASONS],
    /// Tickets alive or parked.
    pub in_flight: u64,
}

impl Flow {
    /// Starts with everything at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts an event heard and hands out its ticket.
    #[must_use]
    pub fn receive(&self, class: TopicClass, origin: Origin) -> InFlight {
        let _change = self.0.change();
        self.0.received[class.index()].fetch_add(1, Ordering::Relaxed);
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { flow: Arc::clone(&self.0), class, origin, open: true }
    }

    /// The ticket of an event that was parked.
    #[must_use]
    pub fn unpark(&self, class: TopicClass, origin: Origin) -> InFlight {
        InFlight { flow: Arc::clone(&self.0), class, origin, open: true }
    }

    /// Reads all counters while nothing changes.
    #[must_use]
    pub fn snapshot(&self) -> FlowSnapshot {
        let _look = self.0.gate.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FlowSnapshot {
            received: self.0.received.each_ref().map(read),
            published: self.0.published.each_ref().map(read),
            deduplicated: read(&self.0.deduplicated),
            quarantined: self.0.quarantined.each_ref().map(read),
            in_flight: read(&self.0.in_flight),
        }
    }
}

impl InFlight {
    /// Family of the event's topic.
    #[must_use]
    pub fn class(&self) -> TopicClass {
        self.class
    }

    /// Where the event came from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The events are records that Kafka acknowledged. All at once, since every change keeps a
    /// look waiting.
    pub fn published(tickets: &mut Vec<Self>) {
        let Some(flow) = tickets.first().map(|ticket| Arc::clone(&ticket.flow)) else {
            return;
        };
        let mut counts = [0; CLASSES];
        for ticket in tickets.iter_mut() {
            debug_assert!(Arc::ptr_eq(&flow, &ticket.flow), "one process, one book");
            counts[ticket.class.index()] += 1;
            ticket.open = false;
        }
        {
            let _change = flow.change();
            for (counter, count) in flow.published.iter().zip(counts) {
                counter.fetch_add(count, Ordering::Relaxed);
            }
            flow.in_flight.fetch_sub(counts.iter().sum(), Ordering::Relaxed);
        }
        tickets.clear();
    }

    /// The event is a copy of one that was kept.
    pub fn deduplicated(self) {
        self.close(|flow| &flow.deduplicated);
    }

    /// The event goes on without its ticket, on a disk; it stays in flight until
    /// [`Flow::unpark`] and a verdict.
    pub fn park(mut self) {
        self.open = false;
    }

    /// The event's raw bytes were acknowledged on the quarantine topic.
    pub fn quarantined(self, reason: RejectReason) {
        self.close(|flow| &flow.quarantined[reason as usize]);
    }

    fn close(mut self, counter: impl FnOnce(&Shared) -> &AtomicU64) {
        let _change = self.flow.gate.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        counter(&self.flow).fetch_add(1, Ordering::Relaxed);
        self.flow.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.open = false;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.open {
            self.flow.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl FlowSnapshot {
    /// Received minus everything that has a place; anything but 0 is an event that vanished.
    #[must_use]
    pub fn residual(&self) -> i128 {
        let sum = |counters: &[u64]| counters.iter().map(|&n| i128::from(n)).sum::<i128>();
        sum(&self.received)
            - sum(&self.published)
            - i128::from(self.deduplicated)
            - sum(&self.quarantined)
            - i128::from(self.in_flight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_keeps_the_books_balanced() {
        let flow = Flow::new();
        let a = flow.receive(TopicClass::Queue, Origin::Live);
        let b = flow.receive(TopicClass::User, Origin::Live);
        let c = flow.receive(TopicClass::Other, Origin::Live);
        let _still = flow.receive(TopicClass::Queue, Origin::Live);
        InFlight::published(&mut vec![a]);
        b.deduplicated();
        c.quarantined(RejectReason::Malformed);
        let seen = flow.snapshot();
        assert_eq!((seen.residual(), seen.in_flight), (0, 1));
    }

    #[test]
    fn an_event_that_waits_on_a_disk_is_in_flight_until_its_verdict() {
        let flow = Flow::new();
        flow.receive(TopicClass::Queue, Origin::Live).park();
        assert_eq!((flow.snapshot().residual(), flow.snapshot().in_flight), (0, 1));
        InFlight::published(&mut vec![flow.unpark(TopicClass::Queue, Origin::Live)]);
        assert_eq!((flow.snapshot().residual(), flow.snapshot().in_flight), (0, 0));
    }

    #[test]
    fn an_event_that_vanishes_without_a_verdict_shows_as_a_residual() {
        let flow = Flow::new();
        drop(flow.receive(TopicClass::Queue, Origin::Live));
        assert_eq!(flow.snapshot().residual(), 1);
    }
}
