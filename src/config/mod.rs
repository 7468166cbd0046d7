//! What an operator sets. Units are in the names; every option has its default here, and
//! `config/example.yaml` shows them all.

mod change;
pub mod load;
mod privacy;
mod secret;
mod subscriptions;
mod validate;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use change::Change;
pub use load::{ConfigError, Mistake, load};
pub use privacy::{Privacy, PrivacyRule, QuarantineConfig, QuarantineRaw};
pub use secret::Secret;
pub use subscriptions::{FilterConfig, Ids, IdsWord, Media, Subscriptions};

/// The whole configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Names this installation in records, channels and groups.
    pub instance: String,
    /// Names this process among the replicas of the installation: another one that starts under the
    /// same name takes its place, so that a crash is known at once.
    pub replica: String,
    /// Names of all replicas that run side by side; empty: this one alone. Each needs an OAuth client
    /// and a spool of its own.
    pub replicas: Vec<String>,
    /// The platform.
    pub genesys: Genesys,
    /// Which topics.
    pub subscriptions: Subscriptions,
    /// The broker.
    pub kafka: Kafka,
    /// The schema registry.
    pub schema_registry: SchemaRegistry,
    /// What leaves the process.
    pub privacy: Privacy,
    /// What could not become a record.
    pub quarantine: QuarantineConfig,
    /// What was heard and is not acknowledged, on disk.
    pub spool: SpoolConfig,
    /// Closed hours held against the platform's history.
    pub reconcile: ReconcileConfig,
    /// The sink that carries topics to S3.
    pub staging: StagingConfig,
    /// Bounds inside the process.
    pub flow: FlowConfig,
    /// The admin server.
    pub admin: Admin,
    /// Logs.
    pub log: Log,
}

/// How conversations are heard.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Notification channels: create, subscribe, verify, connect, rotate.
    #[default]
    Channels,
    /// One configured URL.
    Direct,
    /// A queue that the EventBridge integration feeds.
    Eventbridge,
}

impl Mode {
    /// The word used in the configuration, the status page and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::Direct => "direct",
            Self::Eventbridge => "eventbridge",
        }
    }
}

/// The platform.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Genesys {
    /// Region by AWS name or domain.
    pub region: Option<String>,
    /// Base URL of the login host, instead of the region's.
    pub login_url: Option<String>,
    /// Base URL of the API, instead of the region's.
    pub api_url: Option<String>,
    /// Further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// An HTTP proxy for requests and sockets, instead of those of the environment.
    pub proxy: Proxy,
    /// `channels`, `direct` or `eventbridge`.
    pub mode: Mode,
    /// OAuth clients; shards are spread over them.
    pub clients: Vec<OAuthClient>,
    /// Hot channels per shard: 1 to 4.
    pub channels_per_shard: u8,
    /// Requests per minute the platform allows each client.
    pub requests_per_minute: u32,
    /// Processes that share each client.
    pub processes_per_client: u32,
    /// For mode `direct`.
    pub direct: Direct,
    /// For mode `eventbridge`.
    pub eventbridge: EventBridge,
}

/// A queue of Amazon SQS that the EventBridge integration feeds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventBridge {
    /// The queue's URL, as SQS shows it.
    pub queue_url: Option<String>,
    /// Its AWS region; unset: as the URL says.
    pub region: Option<String>,
    /// Id of the organisation whose events they are: part of every event's id.
    pub organization: Option<String>,
    /// Access key; unset: AWS's own environment variables count, those of a service account or a container among them.
    pub access_key_id: Option<String>,
    /// Its secret; better in a file or the environment.
    pub secret_access_key: Option<Secret>,
    /// File that holds the secret.
    pub secret_access_key_file: Option<PathBuf>,
    /// How long a message stays hidden from others; extended for as long as Kafka does not have it: 30 to 43200.
    pub visibility_secs: u64,
    /// Messages taken and not deleted, at most: 10 to 100000.
    pub in_flight_messages: usize,
    /// Requests for messages side by side: 1 to 16.
    pub receivers: usize,
}

/// The way out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proxy {
    /// `http://host:port`; unset: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count.
    pub url: Option<String>,
    /// User that it asks for.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Hosts, domains and networks that are reached without it.
    pub except: Vec<String>,
}

/// One OAuth client with the client-credentials grant.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OAuthClient {
    /// Its id.
    pub id: Option<String>,
    /// File that holds its id.
    pub id_file: Option<PathBuf>,
    /// Its secret; better in a file or the environment.
    pub secret: Option<Secret>,
    /// File that holds its secret.
    pub secret_file: Option<PathBuf>,
}

/// Direct mode.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Direct {
    /// `wss://…`
    pub url: Option<String>,
    /// Query parameter that carries the token.
    pub token_parameter: String,
    /// How long a connection is expected to last, until some have told.
    pub expected_lifetime_secs: u64,
    /// Dials per minute.
    pub dials_per_minute: u32,
    /// Connections side by side, their successors aside: 1 or 2.
    pub connections: u8,
    /// Silence after which a connection counts as half-open.
    pub silence_secs: u64,
}

/// The broker.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Topic of conversation events.
    pub events_topic: String,
    /// Topic of what could not become a record.
    pub quarantine_topic: String,
    /// Topic of gap records.
    pub gaps_topic: String,
    /// Topic of coverage certificates.
    pub certificates_topic: String,
    /// Compacted topic of facts; each installation has its own.
    pub state_topic: String,
    /// Partitions of the state topic when it is created: one for each shard, spare ones included.
    pub state_partitions: i32,
    /// Create missing topics.
    pub create_topics: bool,
    /// Partitions of topics that are created.
    pub partitions: i32,
    /// `required` or `degraded_allowed`: whether a topic weaker than promised is refused.
    pub durability: DurabilityWord,
    /// Properties of the connection: `security.protocol`, `sasl.mechanism`, `ssl.ca.location`, …
    #[serde(serialize_with = "secret::masked")]
    pub security: BTreeMap<String, String>,
    /// SASL password; with OAUTHBEARER the secret of the OIDC client.
    pub sasl_password: Option<Secret>,
    /// File that holds it.
    pub sasl_password_file: Option<PathBuf>,
    /// `lz4`, `zstd`, `snappy`, `gzip` or `none`.
    pub compression: String,
    /// Milliseconds a record waits for company.
    pub linger_ms: u64,
    /// Records without an acknowledgement.
    pub in_flight_records: usize,
    /// Their bytes.
    pub in_flight_bytes: usize,
    /// Largest record; larger ones are quarantined in parts.
    pub max_record_bytes: usize,
    /// Time brokers have to answer at start.
    pub start_timeout_secs: u64,
    /// Time acknowledgements have after a stop.
    pub flush_timeout_secs: u64,
    /// Further properties of librdkafka's producer.
    #[serde(serialize_with = "secret::masked")]
    pub overrides: BTreeMap<String, String>,
}

/// See [`Kafka::durability`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DurabilityWord {
    /// Refuse to start.
    Required,
    /// Start, labelled.
    DegradedAllowed,
}

/// The schema registry.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchemaRegistry {
    /// Base URLs, tried in order, separated by commas.
    pub url: String,
    /// `register` or `require`.
    pub mode: RegistryMode,
    /// User for basic authentication.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Token for bearer authentication, instead of a user; better in a file.
    pub token: Option<Secret>,
    /// File that holds the token; it is read again for every attempt.
    pub token_file: Option<PathBuf>,
    /// A further certificate authority, PEM.
    pub ca_file: Option<PathBuf>,
    /// Time for one request.
    pub timeout_secs: u64,
    /// How long to go on trying at start, where no earlier process was told the ids.
    pub start_timeout_secs: u64,
}

/// See [`SchemaRegistry::mode`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryMode {
    /// Register the schema when it is missing.
    Register,
    /// It must be there.
    Require,
}

/// What was heard and is not acknowledged, on disk.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolConfig {
    /// `false`: what is in memory when the process is killed is gone, and its interval a gap.
    pub enabled: bool,
    /// A folder of this process alone, made if missing.
    pub dir: PathBuf,
    /// At so many bytes nothing more is read from the sockets until Kafka acknowledges.
    pub max_bytes: u64,
    /// Files of this size; one goes when all in it is acknowledged.
    pub segment_bytes: u64,
}

/// Kafka Connect, whose sink carries topics to S3; without `connect_url` nobody looks at it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StagingConfig {
    /// Base URL of Kafka Connect's REST interface.
    pub connect_url: Option<String>,
    /// User for basic authentication.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// Names of the connectors.
    pub connectors: Vec<String>,
    /// Consumer groups of connectors, by name, where it is neither Connect's own (`connect-NAME`) nor what the connector says.
    pub groups: BTreeMap<String, String>,
    /// The longest outage of the sink that topics have to bear: shorter retention is refused by `doctor`.
    pub longest_outage_secs: u64,
    /// Between two looks while the service runs: 10 to 3600.
    pub poll_secs: u64,
    /// Time for one request: 1 to 60.
    pub timeout_secs: u64,
}

/// Bounds inside the process.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowConfig {
    /// Parcels between two tasks.
    pub queue_events: usize,
    /// An event's id is remembered this long.
    pub dedupe_window_secs: u64,
    /// At most so many ids are remembered.
    pub dedupe_max_events: usize,
    /// Whether bodies are compared with their keys sorted.
    pub sorted_bodies: bool,
}

/// The admin server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port.
    pub listen: SocketAddr,
    /// Whoever has it may give orders, see `POST /api/v1/actions`; nobody may without. 16 characters or more; better in a file.
    pub token: Option<Secret>,
    /// File that holds the token.
    pub token_file: Option<PathBuf>,
}

/// Logs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `json` or `text`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `trunkline=debug`.
    pub level: String,
}

/// Closed hours held against the platform's history.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileConfig {
    /// `daily`: every hour, about a day after it; `never`.
    pub schedule: Schedule,
}

/// See [`ReconcileConfig::schedule`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Every hour, about a day after it, when history is complete.
    Daily,
    /// Not at all: what a socket was deaf to while it answered every ping is never found.
    Never,
}

/// See [`Log::format`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            instance: "trunkline".to_owned(),
            replica: "0".to_owned(),
            replicas: Vec::new(),
            genesys: Genesys::default(),
            subscriptions: Subscriptions::default(),
            kafka: Kafka::default(),
            schema_registry: SchemaRegistry::default(),
            privacy: Privacy::default(),
            quarantine: QuarantineConfig::default(),
            spool: SpoolConfig::default(),
            reconcile: ReconcileConfig::default(),
            staging: StagingConfig::default(),
            flow: FlowConfig::default(),
            admin: Admin::default(),
            log: Log::default(),
        }
    }
}

impl Default for Genesys {
    fn default() -> Self {
        Self {
            region: None,
            login_url: None,
            api_url: None,
            ca_file: None,
            proxy: Proxy::default(),
            mode: Mode::Channels,
            clients: Vec::new(),
            channels_per_shard: 2,
            requests_per_minute: 300,
            processes_per_client: 1,
            direct: Direct::default(),
            eventbridge: EventBridge::default(),
        }
    }
}

impl Default for Direct {
    fn default() -> Self {
        Self {
            url: None,
            token_parameter: "access_token".to_owned(),
            expected_lifetime_secs: 60,
            dials_per_minute: 10,
            connections: 1,
            silence_secs: 40,
        }
    }
}

impl Default for EventBridge {
    fn default() -> Self {
        Self {
            queue_url: None,
            region: None,
            organization: None,
            access_key_id: None,
            secret_access_key: None,
            secret_access_key_file: None,
            visibility_secs: 120,
            in_flight_messages: 1_000,
            receivers: 2,
        }
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: String::new(),
            events_topic: "genesys.conversation.events".to_owned(),
            quarantine_topic: "genesys.conversation.quarantine".to_owned(),
            gaps_topic: "genesys.conversation.gaps".to_owned(),
            certificates_topic: "genesys.conversation.certificates".to_owned(),
            state_topic: "trunkline.state".to_owned(),
            state_partitions: 16,
            create_topics: false,
            partitions: 12,
            durability: DurabilityWord::Required,
            security: BTreeMap::new(),
            sasl_password: None,
            sasl_password_file: None,
            compression: "lz4".to_owned(),
            linger_ms: 5,
            in_flight_records: 20_000,
            in_flight_bytes: 64 << 20,
            max_record_bytes: 1_000_000,
            start_timeout_secs: 30,
            flush_timeout_secs: 25,
            overrides: BTreeMap::new(),
        }
    }
}

impl Default for SchemaRegistry {
    fn default() -> Self {
        Self {
            url: String::new(),
            mode: RegistryMode::Register,
            username: None,
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            ca_file: None,
            timeout_secs: 10,
            start_timeout_secs: 60,
        }
    }
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            dir: PathBuf::from("data/spool"),
            max_bytes: 10 << 30,
            segment_bytes: 64 << 20,
        }
    }
}

impl Default for ReconcileConfig {
    fn default() -> Self {
        Self { schedule: Schedule::Daily }
    }
}

impl Default for StagingConfig {
    fn default() -> Self {
        let shipped = ["trunkline-events", "trunkline-certificates", "trunkline-gaps"];
        Self {
            connect_url: None,
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            connectors: shipped.map(str::to_owned).into(),
            groups: BTreeMap::new(),
            longest_outage_secs: 3 * 86_400,
            poll_secs: 60,
            timeout_secs: 10,
        }
    }
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            queue_events: 1_024,
            dedupe_window_secs: 900,
            dedupe_max_events: 4_000_000,
            sorted_bodies: false,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9464)), token: None, token_file: None }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".to_owned() }
    }
}
