//! Faults as data: at t do this, to whom. A file is a list of them.

use serde::{Deserialize, Serialize};

/// One fault of a timeline, or one injected at run time.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, in milliseconds since the start; at once when injected later than that.
    #[serde(default)]
    pub at_ms: u64,
    /// What.
    pub what: What,
    /// To whom.
    #[serde(default)]
    pub whom: Whom,
    /// For how long, where that means something.
    #[serde(default)]
    pub for_ms: u64,
    /// What else it needs.
    #[serde(default)]
    pub args: Args,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The TCP connection is reset.
    Reset,
    /// Bytes stop in both directions; the connection stays.
    HalfOpen,
    /// A close frame with `args.code` (default 1000) and `args.reason`; 1006 ends without a frame.
    Close,
    /// Close 1001 "idle timeout".
    IdleClose,
    /// The announcement, events for the notice time, then a close; `args.notice=false` skips the
    /// announcement, `args.close=false` the close. Direct connections are announced only with
    /// `args.notice=true`.
    SocketClosing,
    /// For `for_ms`, or `args.count` times, a new socket is closed at once with `args.code`.
    AcceptClose,
    /// For `for_ms` no events are delivered, heartbeats and pongs are; `args.of=heartbeats` is the
    /// other way round.
    Silence,
    /// The next `args.count` (default 1) pings are not answered, or `args.delay_ms` too late.
    LostPong,
    /// For `for_ms`, or `args.count` times, REST answers with `args.status`; 0 cuts the connection.
    HttpStatus,
    /// For `for_ms` REST answers `args.delay_ms` later; `args.before` holds the request back
    /// instead, before it takes effect.
    Slow,
    /// All tokens of the client are revoked, the sockets named by `whom` closed; `args.disable`
    /// keeps the client from getting new ones, `args.secret` gives it another secret.
    Revoke,
    /// Channels are taken away as if a 21st had been created.
    Evict,
    /// Channels reach the end of their life now.
    Expire,
    /// For `for_ms` nothing answers and every socket is cut.
    Outage,
    /// The embedding process takes its broker away for `for_ms`.
    BrokerDown,
    /// The embedding process ends its connector without a word and starts another one.
    Kill,
}

impl What {
    /// Every kind, in the order they are shown.
    pub const ALL: [Self; 16] = [
        Self::Reset,
        Self::HalfOpen,
        Self::Close,
        Self::IdleClose,
        Self::SocketClosing,
        Self::AcceptClose,
        Self::Silence,
        Self::LostPong,
        Self::HttpStatus,
        Self::Slow,
        Self::Revoke,
        Self::Evict,
        Self::Expire,
        Self::Outage,
        Self::BrokerDown,
        Self::Kill,
    ];

    /// The word used in files and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::HalfOpen => "half_open",
            Self::Close => "close",
            Self::IdleClose => "idle_close",
            Self::SocketClosing => "socket_closing",
            Self::AcceptClose => "accept_close",
            Self::Silence => "silence",
            Self::LostPong => "lost_pong",
            Self::HttpStatus => "http_status",
            Self::Slow => "slow",
            Self::Revoke => "revoke",
            Self::Evict => "evict",
            Self::Expire => "expire",
            Self::Outage => "outage",
            Self::BrokerDown => "broker_down",
            Self::Kill => "kill",
        }
    }
}

/// Whom a fault concerns. In a file: `any`, `all`, `oldest`, `newest`, `channel:N`, `client:ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Whom {
    /// The socket that has been open for longest.
    #[default]
    Oldest,
    /// The socket that was opened last.
    Newest,
    /// Every socket.
    All,
    /// The channel with this number, as in the ledger.
    Channel(u64),
    /// Every socket of this OAuth client.
    Client(String),
}

impl<'de> Deserialize<'de> for Whom {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match (text.as_str(), text.split_once(':')) {
            ("any" | "oldest", _) => Ok(Self::Oldest),
            ("newest", _) => Ok(Self::Newest),
            ("all", _) => Ok(Self::All),
            (_, Some(("client", id))) => Ok(Self::Client(id.to_owned())),
            (_, Some(("channel", n))) if n.parse::<u64>().is_ok() => {
                Ok(Self::Channel(n.parse().unwrap_or_default()))
            }
            _ => Err(serde::de::Error::custom(format!(
                "whom is {text:?}; allowed: any, all, oldest, newest, channel:N, client:ID"
            ))),
        }
    }
}

impl Serialize for Whom {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Oldest => serializer.serialize_str("oldest"),
            Self::Newest => serializer.serialize_str("newest"),
            Self::All => serializer.serialize_str("all"),
            Self::Channel(number) => serializer.collect_str(&format_args!("channel:{number}")),
            Self::Client(id) => serializer.collect_str(&format_args!("client:{id}")),
        }
    }
}

/// What a silence keeps back.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Events; heartbeats and pongs go on.
    Events,
    /// Heartbeats; events and pongs go on.
    Heartbeats,
}

/// What a fault may need besides.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Args {
    /// WebSocket close code.
    pub code: Option<u16>,
    /// WebSocket close reason.
    pub reason: Option<String>,
    /// HTTP status.
    pub status: Option<u16>,
    /// `Retry-After`, verbatim.
    pub retry_after: Option<String>,
    /// HTTP body, verbatim.
    pub body: Option<String>,
    /// Only paths that start so.
    pub path: Option<String>,
    /// How often.
    pub count: Option<u32>,
    /// How much later.
    pub delay_ms: Option<u64>,
    /// Whether a request is held back rather than its answer.
    pub before: Option<bool>,
    /// What a silence keeps back; events unless it says otherwise.
    pub of: Option<Of>,
    /// Whether a revoked client stays without tokens.
    pub disable: Option<bool>,
    /// The secret that a revoked client has from then on.
    pub secret: Option<String>,
    /// Whether it is announced.
    pub notice: Option<bool>,
    /// Whether the announced thing happens.
    pub close: Option<bool>,
}

/// A fault that was carried out.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    /// When.
    pub at_ms: u64,
    /// What.
    pub what: What,
    /// Numbers of the channels it hit; empty for faults of the whole platform.
    pub channels: Vec<u64>,
    /// How often it has taken effect so far: answers refused, pongs kept back, sockets cut.
    pub effects: u64,
}

/// Reads a timeline, sorted by time.
///
/// # Errors
/// Says which entry has which mistake.
pub fn read_timeline(text: &str) -> Result<Vec<Fault>, String> {
    let raw: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|error| format!("not a list of faults: {error}"))?;
    let mut faults = Vec::with_capacity(raw.len());
    for (index, value) in raw.into_iter().enumerate() {
        let fault: Fault =
            serde_json::from_value(value).map_err(|error| format!("fault {index}: {error}"))?;
        faults.push(fault);
    }
    faults.sort_by_key(|fault| fault.at_ms);
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_read_in_order_of_time() {
        let text = r#"[{"at_ms":9,"what":"reset","whom":"newest"},
                       {"at_ms":3,"what":"http_status","for_ms":5,"args":{"status":429}}]"#;
        let faults = read_timeline(text).unwrap();
        assert_eq!((faults[0].what, faults[1].whom.clone()), (What::HttpStatus, Whom::Newest));
    }

    #[test]
    fn the_schema_allows_exactly_what_is_read() {
        let text = include_str!("../timeline.schema.json");
        let schema: serde_json::Value = serde_json::from_str(text).unwrap();
        let words = |value: &serde_json::Value| -> Vec<String> {
            serde_json::from_value(value.clone()).unwrap()
        };
        let kinds: Vec<&str> = What::ALL.iter().map(|what| what.as_str()).collect();
        assert_eq!(words(&schema["$defs"]["what"]["enum"]), kinds);

        let fault = Fault {
            at_ms: 0,
            what: What::Reset,
            whom: Whom::Oldest,
            for_ms: 0,
            args: Args::default(),
        };
        let written = serde_json::to_value(&fault).unwrap();
        let keys = |value: &serde_json::Value| -> std::collections::BTreeSet<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        let defs = &schema["$defs"];
        assert_eq!(keys(&defs["fault"]["properties"]), keys(&written));
        assert_eq!(keys(&defs["args"]["properties"]), keys(&written["args"]));

        let mut names = words(&defs["whom"]["anyOf"][0]["enum"]);
        names.extend(["channel:7".to_owned(), "client:a:b".to_owned()]);
        for whom in names {
            let entry = serde_json::json!([{"what": "reset", "whom": whom}]);
            assert!(read_timeline(&entry.to_string()).is_ok(), "{whom}");
        }
        for of in words(&defs["args"]["properties"]["of"]["enum"]) {
            let entry = serde_json::json!([{"what": "silence", "args": {"of": of}}]);
            assert!(read_timeline(&entry.to_string()).is_ok(), "{of}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_entry_and_what_is_allowed() {
        let error = read_timeline(r#"[{"what":"reset"},{"what":"explode"}]"#).unwrap_err();
        assert!(error.starts_with("fault 1:") && error.contains("half_open"), "{error}");
        let error = read_timeline(r#"[{"what":"reset","whom":"me"}]"#).unwrap_err();
        assert!(error.contains("channel:N"), "{error}");
        assert!(read_timeline(r#"[{"what":"reset","fro_ms":1}]"#).unwrap_err().contains("fro_ms"));
    }
}
