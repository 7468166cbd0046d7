//! Seeded generator of plausible conversations: invented people, real shapes.

mod body;
mod conversation;
mod org;
mod story;

use std::collections::VecDeque;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use body::{Odd, Shape};
use conversation::{Conversation, Route};

pub(crate) use org::uuid;
pub use org::{Org, Queue, User};
pub use story::{Rewrite, Story, cut};

/// What the traffic is like.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Notifications per second on queue and user topics, up to 20,000.
    pub rate: f64,
    /// Queues of the organisation.
    pub queues: usize,
    /// People of the organisation.
    pub users: usize,
    /// Divisions that both are spread over.
    pub divisions: usize,
    /// Share of bodies with unknown keys, empty objects and values outside the lists.
    pub awkward: f64,
    /// Share of bodies with whitespace between tokens.
    pub spaced: f64,
    /// Share of conversations with snapshots of 64 KiB and more.
    pub large: f64,
    /// Every so many changes, 1,000 happen within one millisecond; 0 is never.
    pub burst_every: u64,
    /// Conversations alive at once.
    pub alive: usize,
    /// Milliseconds between an occurrence and its delivery, from and to.
    pub delay_ms: (u64, u64),
    /// Milliseconds since 1970 at time 0 of the simulation.
    pub epoch_ms: u64,
    /// Whether history hears of it; measurements do without.
    pub history: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            rate: 500.0,
            queues: 12,
            users: 40,
            divisions: 1,
            awkward: 0.05,
            spaced: 0.01,
            large: 0.001,
            burst_every: 0,
            alive: 400,
            delay_ms: (200, 2_000),
            epoch_ms: 1_790_000_000_000,
            history: true,
        }
    }
}

/// One notification of a change.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The topic it appears on.
    pub topic: String,
    /// Its body; `None` when nobody wants the topic.
    pub body: Option<Arc<str>>,
}

/// Something happened to a conversation.
#[derive(Clone, Debug)]
pub struct Change {
    /// The conversation.
    pub conversation_id: String,
    /// When it is delivered, in milliseconds of the simulation.
    pub deliver_ms: u64,
    /// Every topic it appears on.
    pub notifications: Vec<Notification>,
    /// What history has to know of it.
    pub story: Option<Story>,
}

/// Makes changes, one after the other. Equal seeds make equal traffic.
#[derive(Debug)]
pub struct Traffic {
    profile: Profile,
    org: Org,
    rng: StdRng,
    alive: VecDeque<Conversation>,
    next_us: u64,
    serial: u64,
    burst_left: u32,
}

impl Traffic {
    /// Invents an organisation and starts its traffic at time 0.
    #[must_use]
    pub fn new(seed: u64, profile: Profile) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let org = Org::new(profile.queues, profile.users, profile.divisions, &mut rng);
        Self { profile, org, rng, alive: VecDeque::new(), next_us: 0, serial: 0, burst_left: 0 }
    }

    /// The organisation.
    #[must_use]
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// The same, to add and remove queues and people while running.
    pub fn org_mut(&mut self) -> &mut Org {
        &mut self.org
    }

    /// When the next change is delivered, in milliseconds of the simulation.
    #[must_use]
    pub fn next_at(&self) -> u64 {
        self.next_us / 1000
    }

    /// Moves the traffic's own clock forward, for a start later than time 0.
    pub fn start_at(&mut self, now_ms: u64) {
        self.next_us = self.next_us.max(now_ms * 1000);
    }

    /// The next change. Bodies are written only for topics that `wanted` says yes to.
    pub fn next(&mut self, wanted: &dyn Fn(&str) -> bool) -> Change {
        let deliver_ms = self.next_at();
        let (shortest, longest) = self.profile.delay_ms;
        let delay = self.rng.random_range(shortest..longest.max(shortest + 1));
        let event_ms = (self.profile.epoch_ms + deliver_ms).saturating_sub(delay);
        let mut conversation = self.pick(event_ms);
        let event_ms = conversation.happened_ms.take().unwrap_or(event_ms);
        self.serial += 1;
        let odd = Odd {
            awkward: self.rng.random_bool(self.profile.awkward),
            spaced: self.rng.random_bool(self.profile.spaced),
        };
        let org = &self.org;
        let mut paced = 0_u32;
        let mut notifications = Vec::with_capacity(8);
        for (topic, shape) in topics(&conversation, org) {
            let generic = shape == Shape::Generic;
            paced += u32::from(generic);
            let body = wanted(&topic).then(|| {
                Arc::from(body::write(shape, &conversation, org, odd, event_ms, self.serial))
            });
            notifications.push(Notification { topic, body });
        }
        self.pace(paced.max(1));
        let conversation_id = conversation.id.clone();
        let story = self.profile.history;
        let story = story.then(|| Story::new(conversation.clone(), event_ms, deliver_ms));
        if !conversation.is_over() {
            self.alive.push_back(conversation);
        }
        Change { conversation_id, deliver_ms, notifications, story }
    }

    fn pick(&mut self, event_ms: u64) -> Conversation {
        if self.alive.len() < self.profile.alive && self.rng.random_bool(0.5) {
            let (awkward, large) = (self.profile.awkward, self.profile.large);
            return Conversation::begin(&self.org, awkward, large, event_ms, &mut self.rng);
        }
        let at = match self.alive.len() {
            0 => None,
            some => Some(self.rng.random_range(0..some)),
        };
        match at.and_then(|at| self.alive.swap_remove_back(at)) {
            Some(mut conversation) => {
                conversation.advance(&self.org, event_ms, &mut self.rng);
                conversation
            }
            None => Conversation::begin(&self.org, 0.0, 0.0, event_ms, &mut self.rng),
        }
    }

    fn pace(&mut self, notifications: u32) {
        if self.profile.burst_every > 0 && self.serial.is_multiple_of(self.profile.burst_every) {
            self.burst_left = 1_000;
        }
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return;
        }
        let gap_us = 1_000_000.0 * f64::from(notifications) / self.profile.rate.max(0.001);
        self.next_us += (gap_us as u64).max(1);
    }
}

/// Every topic a change of this conversation appears on, with the shape it has there.
fn topics(conversation: &Conversation, org: &Org) -> Vec<(String, Shape)> {
    let mut topics = Vec::with_capacity(8);
    let list = conversation.media.list();
    let queued =
        conversation.participants.iter().any(|participant| participant.purpose != "customer");
    if let Route::Queue(queue) = conversation.route
        && queued
        && let Some(queue) = org.queues.get(queue)
        && !queue.deleted
    {
        let topic = format!("v2.routing.queues.{}.conversations", queue.id);
        topics.push((format!("{topic}.{list}"), Shape::Specific));
        topics.push((topic, Shape::Generic));
    }
    let mut users: Vec<usize> = conversation.participants.iter().filter_map(|p| p.user).collect();
    users.sort_unstable();
    users.dedup();
    let users = users.into_iter().filter_map(|user| org.users.get(user));
    for user in users.filter(|user| !user.deleted) {
        let topic = format!("v2.users.{}.conversations", user.id);
        topics.push((format!("{topic}.{list}"), Shape::Specific));
        topics.push((topic, Shape::Generic));
    }
    let id = &conversation.id;
    topics.push((
        format!("v2.detail.events.conversation.{id}.{}", conversation.detail),
        Shape::Detail,
    ));
    if conversation.is_over() {
        topics.push((format!("v2.analytics.conversation.{id}.metrics"), Shape::Metric));
    }
    topics
}

#[cfg(test)]
mod tests;
