//! Channels: 20 per client, eviction, 24 h of life, one socket each, subscriptions that survive it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::settings::Settings;

/// Names a socket; drawn by the core, never reused.
pub type SocketId = u64;

/// One notification channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Order of creation, from 1: how ledgers and faults name it.
    pub number: u64,
    /// The OAuth client it belongs to.
    pub client: String,
    /// The token it was created with.
    pub token: String,
    /// End of its life.
    pub expires_ms: u64,
    /// Last connect, disconnect or subscribe.
    pub used_ms: u64,
    /// Topic strings as set, combined ones unexpanded.
    pub topics: BTreeSet<String>,
    /// The open socket.
    pub socket: Option<SocketId>,
    /// Single topics whose events it gets now; follows `topics`, perhaps later.
    heard: BTreeSet<String>,
}

/// All channels, and who listens to what.
#[derive(Debug, Default)]
pub struct Channels {
    by_id: BTreeMap<String, Channel>,
    /// Single topic to the ids of the channels subscribed to it.
    listeners: BTreeMap<String, BTreeSet<String>>,
    /// Channels whose new topics take effect at a time, in order.
    unsettled: VecDeque<(u64, String)>,
    created: u64,
}

/// The single topics of a topic string.
#[must_use]
pub fn expand(topic: &str) -> Vec<String> {
    match topic.split_once('?') {
        None => vec![topic.to_owned()],
        Some((prefix, lasts)) => lasts.split('&').map(|last| format!("{prefix}.{last}")).collect(),
    }
}

impl Channels {
    /// Creates a channel; returns its id and the channels that had to go for it: the unconnected
    /// first, then the one unused for longest.
    pub fn create(
        &mut self,
        client: &str,
        token: &str,
        random: (u64, u64),
        settings: &Settings,
        now_ms: u64,
    ) -> (String, Vec<(String, Channel)>) {
        let mut evicted = Vec::new();
        while self.of_client(client).count() >= settings.channels_per_client {
            let oldest = self
                .of_client(client)
                .min_by_key(|(_, channel)| {
                    (channel.socket.is_some(), channel.used_ms, channel.number)
                })
                .map(|(id, _)| id.clone());
            let Some(id) = oldest else { break };
            if let Some(channel) = self.remove(&id) {
                evicted.push((id, channel));
            }
        }
        self.created += 1;
        let id = channel_id(self.created, random);
        let channel = Channel {
            number: self.created,
            client: client.to_owned(),
            token: token.to_owned(),
            expires_ms: now_ms + settings.channel_life_ms,
            used_ms: now_ms,
            topics: BTreeSet::new(),
            socket: None,
            heard: BTreeSet::new(),
        };
        self.by_id.insert(id.clone(), channel);
        (id, evicted)
    }

    /// The channel with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Channel> {
        self.by_id.get(id)
    }

    /// The same, to change it. Topics are changed through [`Self::set_topics`] only.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Channel> {
        self.by_id.get_mut(id)
    }

    /// Takes a channel away.
    pub fn remove(&mut self, id: &str) -> Option<Channel> {
        let channel = self.by_id.remove(id)?;
        for topic in &channel.heard {
            self.forget(topic, id);
        }
        Some(channel)
    }

    /// Replaces the topics of a channel, with effect from now on.
    pub fn set_topics(&mut self, id: &str, topics: BTreeSet<String>) {
        if let Some(channel) = self.by_id.get_mut(id) {
            channel.topics = topics;
            self.settle_one(id);
        }
    }

    /// Replaces the topics of a channel; events follow at `due_ms`.
    pub fn set_topics_at(&mut self, id: &str, topics: BTreeSet<String>, due_ms: u64) {
        if let Some(channel) = self.by_id.get_mut(id) {
            channel.topics = topics;
            self.unsettled.push_back((due_ms, id.to_owned()));
        }
    }

    /// Lets new topics take effect whose time has come.
    pub fn settle(&mut self, now_ms: u64) {
        while self.unsettled.front().is_some_and(|(due_ms, _)| *due_ms <= now_ms) {
            if let Some((_, id)) = self.unsettled.pop_front() {
                self.settle_one(&id);
            }
        }
    }

    fn settle_one(&mut self, id: &str) {
        let Some(channel) = self.by_id.get_mut(id) else { return };
        let wanted = channel.topics.iter().flat_map(|topic| expand(topic)).collect();
        let old = std::mem::replace(&mut channel.heard, wanted);
        let new = channel.heard.clone();
        for topic in old.difference(&new) {
            self.forget(topic, id);
        }
        for topic in new.difference(&old) {
            self.listeners.entry(topic.clone()).or_default().insert(id.to_owned());
        }
    }

    /// Ids of the channels subscribed to a single topic.
    pub fn listeners(&self, topic: &str) -> impl Iterator<Item = &String> {
        self.listeners.get(topic).into_iter().flatten()
    }

    /// Every single topic somebody is subscribed to.
    pub fn wanted(&self) -> impl Iterator<Item = &String> {
        self.listeners.keys()
    }

    /// Channels of a client, in the order of their ids.
    pub fn of_client<'a>(
        &'a self,
        client: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Channel)> {
        self.by_id.iter().filter(move |(_, channel)| channel.client == client)
    }

    /// All channels.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Channel)> {
        self.by_id.iter()
    }

    fn forget(&mut self, topic: &str, id: &str) {
        if let Some(ids) = self.listeners.get_mut(topic) {
            ids.remove(id);
            if ids.is_empty() {
                self.listeners.remove(topic);
            }
        }
    }
}

/// `streaming-<digit>-<26 of [0-9a-z]>`, as published.
fn channel_id(number: u64, random: (u64, u64)) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut bits = (u128::from(random.0) << 64) | u128::from(random.1);
    let mut tail = String::with_capacity(26);
    for _ in 0..26 {
        let digit = usize::try_from(bits % 36).unwrap_or(0);
        tail.push(char::from(DIGITS[digit]));
        bits = (bits / 36) ^ (bits << 17);
    }
    format!("streaming-{}-{tail}", number % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_21st_channel_evicts_an_unconnected_one_first_and_then_the_oldest() {
        let (mut channels, settings) = (Channels::default(), Settings::default());
        let mut ids = Vec::new();
        for n in 0..20 {
            let (id, evicted) = channels.create("c", "t", (n, n), &settings, n);
            assert!(evicted.is_empty());
            channels.get_mut(&id).unwrap().socket = (n != 7).then_some(n);
            ids.push(id);
        }
        let (id, evicted) = channels.create("c", "t", (99, 9), &settings, 100);
        assert_eq!(evicted[0].0, ids[7]);
        channels.get_mut(&id).unwrap().socket = Some(99);
        let (_, evicted) = channels.create("c", "t", (98, 9), &settings, 101);
        assert_eq!(evicted[0].0, ids[0]);
        assert_eq!(channels.create("other", "t", (1, 1), &settings, 102).1.len(), 0);
    }

    #[test]
    fn a_combined_topic_is_heard_under_its_single_names() {
        let (mut channels, settings) = (Channels::default(), Settings::default());
        let (id, _) = channels.create("c", "t", (1, 2), &settings, 0);
        channels.set_topics(&id, BTreeSet::from(["v2.users.u?presence&station".to_owned()]));
        assert_eq!(channels.listeners("v2.users.u.station").collect::<Vec<_>>(), [&id]);
        channels.set_topics(&id, BTreeSet::new());
        assert_eq!(channels.wanted().count(), 0);
    }
}
