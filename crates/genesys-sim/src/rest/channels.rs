//! Channels over REST: creating and listing them.

use serde_json::{Value, json};

use super::CHANNELS;
use crate::cloud::Cloud;
use crate::http::{Answer, Request};
use crate::json::iso;

impl Cloud {
    pub(super) fn lives(&self, id: &str, now_ms: u64) -> bool {
        self.channels.get(id).is_some_and(|channel| channel.expires_ms > now_ms)
    }

    pub(super) fn create_channel(&mut self, client: &str, token: &str, now_ms: u64) -> Answer {
        let random = self.random_pair();
        let (id, evicted) = self.channels.create(client, token, random, &self.settings, now_ms);
        let code = self.settings.end_code;
        self.counters_mut().channels_created += 1;
        for (_, channel) in evicted {
            if let Some(socket) = channel.socket {
                self.counters_mut().connected_evicted += 1;
                self.close(socket, code, "");
            }
        }
        Answer::json(200, &self.channel_json(&id))
    }

    fn channel_json(&self, id: &str) -> Value {
        let expires_ms = self.channels.get(id).map_or(0, |channel| channel.expires_ms);
        let uri = format!("{}/channels/{id}", self.base_uri);
        json!({"connectUri": uri, "id": id, "expires": self.date(expires_ms)})
    }

    /// The platform's date for a time of the simulation.
    #[must_use]
    pub fn date(&self, ms: u64) -> String {
        iso(self.wall_origin_ms + ms)
    }

    pub(super) fn list_channels(&self, request: &Request, client: &str, token: &str) -> Answer {
        let whole_client = request.query.get("includechannels").is_some_and(|v| v == "oauthclient");
        let entities: Vec<Value> = self
            .channels
            .of_client(client)
            .filter(|(_, channel)| whole_client || channel.token == token)
            .map(|(id, channel)| match channel.token == token {
                true => self.channel_json(id),
                false => json!({"expires": self.date(channel.expires_ms)}),
            })
            .collect();
        Answer::json(200, &json!({"entities": entities}))
    }
}

pub(super) fn permitted(channel: &str, topic: &str) -> Value {
    json!({"id": topic, "state": "Permitted", "selfUri": format!("{CHANNELS}/{channel}/subscriptions")})
}
