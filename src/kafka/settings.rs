//! Every librdkafka property we set, with its reason; what users may override.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use trunkline_protocol::seeded::{Bug, planted};

/// How brokers are reached, and how much may wait for them.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Properties of the connection: `security.protocol`, `sasl.*`, `ssl.*`.
    pub security: BTreeMap<String, String>,
    /// `lz4`, `zstd`, `snappy`, `gzip` or `none`.
    pub compression: String,
    /// Milliseconds a record waits for company.
    pub linger_ms: u64,
    /// Records without an acknowledgement.
    pub in_flight_records: usize,
    /// Their bytes.
    pub in_flight_bytes: usize,
    /// Largest record.
    pub max_record_bytes: usize,
    /// Anything else, except what would weaken the guarantee.
    pub overrides: BTreeMap<String, String>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            bootstrap_servers: String::new(),
            security: BTreeMap::new(),
            compression: "lz4".to_owned(),
            linger_ms: 5,
            in_flight_records: 20_000,
            in_flight_bytes: 128 << 20,
            max_record_bytes: 16 << 20,
            overrides: BTreeMap::new(),
        }
    }
}

/// Properties the guarantee rests on: value and reason. Nobody overrides them.
pub const FIXED: [(&str, &str, &str); 8] = [
    ("enable.idempotence", "true", "no duplicates and no reordering by retries"),
    ("acks", "all", "an acknowledgement means all in-sync replicas have it"),
    ("message.timeout.ms", "0", "the default drops the queue in a longer outage"),
    ("enable.gapless.guarantee", "false", "experimental, and does not cover time-outs"),
    ("partitioner", "murmur2_random", "the same key goes where Java producers send it"),
    ("reconnect.backoff.max.ms", "2000", "the default adds ten seconds to every recovery"),
    ("socket.keepalive.enable", "true", "a dead connection is noticed"),
    ("topic.metadata.refresh.interval.ms", "30000", "a topic that appears or moves is found soon"),
];

impl KafkaSettings {
    /// Why an override is refused, for each one that is.
    #[must_use]
    pub fn refused_overrides(&self) -> Vec<(String, &'static str)> {
        let reason = |key: &str| FIXED.iter().find(|(fixed, _, _)| *fixed == key).map(|f| f.2);
        self.overrides.keys().filter_map(|key| Some((key.clone(), reason(key)?))).collect()
    }

    /// What every client needs to reach the brokers.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config.set("client.id", "trunkline");
        // one line per broker and second would fill the log of an outage
        config.set("log.connection.close", "false");
        if self.looks_for_authorities(cfg!(target_env = "musl")) {
            config.set("ssl.ca.location", "probe");
        }
        for (key, value) in &self.security {
            config.set(key, value);
        }
        config
    }

    /// Whether the client has to look for the machine's authorities: an OpenSSL inside a static binary
    /// knows only the folder it was built in.
    fn looks_for_authorities(&self, is_static: bool) -> bool {
        let protocol = self.security.get("security.protocol").map(|said| said.to_uppercase());
        is_static && protocol.is_some_and(|said| said.ends_with("SSL"))
    }

    /// What the producer runs with.
    #[must_use]
    pub fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        for (key, value) in &self.overrides {
            config.set(key, value);
        }
        for (key, value, _) in FIXED {
            config.set(key, value);
        }
        if planted(Bug::FiniteTimeout) {
            config.set("message.timeout.ms", "3000");
        }
        config.set("compression.type", &self.compression);
        config.set("linger.ms", self.linger_ms.to_string());
        // a full queue is back-pressure; it is never smaller than what we let in
        config.set("queue.buffering.max.messages", self.in_flight_records.to_string());
        config
            .set("queue.buffering.max.kbytes", (self.in_flight_bytes / 1024).max(1024).to_string());
        config.set("message.max.bytes", self.max_record_bytes.to_string());
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_configuration_holds_every_promise() {
        let mut settings = KafkaSettings::default();
        settings.overrides.insert("acks".to_owned(), "1".to_owned());
        settings.overrides.insert("batch.size".to_owned(), "65536".to_owned());
        let config = settings.producer();
        for (key, value, _) in FIXED {
            assert_eq!(config.get(key), Some(value), "{key}");
        }
        assert_eq!(config.get("batch.size"), Some("65536"));
        assert_eq!(config.get("linger.ms"), Some("5"));
        assert_eq!(config.get("compression.type"), Some("lz4"));
        assert_eq!(settings.refused_overrides()[0].0, "acks");
    }

    #[test]
    fn a_static_binary_looks_for_authorities_where_brokers_are_encrypted() {
        let with = |protocol: &str| {
            let mut settings = KafkaSettings::default();
            settings.security.insert("security.protocol".to_owned(), protocol.to_owned());
            settings
        };
        for (protocol, wanted) in
            [("SSL", true), ("sasl_ssl", true), ("PLAINTEXT", false), ("SASL_PLAINTEXT", false)]
        {
            assert_eq!(with(protocol).looks_for_authorities(true), wanted, "{protocol}");
            assert!(!with(protocol).looks_for_authorities(false), "{protocol}");
        }
        assert!(!KafkaSettings::default().looks_for_authorities(true));
    }
}
