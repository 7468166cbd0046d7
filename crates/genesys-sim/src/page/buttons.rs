//! One button for each kind of fault: what it says, what it takes, what is filled in.

use crate::faults::What;

/// A button of the page.
#[derive(Clone, Copy, Debug)]
pub struct Button {
    /// The kind of fault.
    pub what: What,
    /// What stands on it.
    pub label: &'static str,
    /// What happens when it is pressed.
    pub says: &'static str,
    /// What it takes besides.
    pub fields: &'static [Field],
}

/// A field beside a button. It has the name it has in a timeline.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What is filled in; empty leaves it out of the fault.
    pub filled: &'static str,
    /// What it means.
    pub says: &'static str,
    /// What may stand in it.
    pub allowed: Allowed,
}

/// What may stand in a field.
#[derive(Clone, Copy, Debug)]
pub enum Allowed {
    /// Sockets: all of them, the oldest, the newest, those of a channel or a client.
    Sockets,
    /// Everybody or one client.
    Clients,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// 0, or an HTTP status.
    Status,
    /// One of these words, or nothing.
    Words(&'static [&'static str]),
    /// Visible characters of ASCII, at most so many.
    Line(usize),
    /// The beginning of a path.
    Path,
    /// Any text of at most so many bytes.
    Text(usize),
}

/// The longest a fault lasts: a day.
const DAY_MS: u64 = 86_400_000;
const SWITCH: Allowed = Allowed::Words(&["true", "false"]);

const WHOM: Field = field("whom", "oldest", "the socket or sockets", Allowed::Sockets);
const ASKER: Field = field("whom", "all", "whose requests", Allowed::Clients);
const COUNT: Field =
    field("count", "", "so often, instead of for_ms", Allowed::Number(1, 1_000_000));
const PATH: Field = field(
    "path",
    "",
    "paths that begin so; all of REST without one, /channels/ is upgrades",
    Allowed::Path,
);

const fn field(
    name: &'static str,
    filled: &'static str,
    says: &'static str,
    allowed: Allowed,
) -> Field {
    Field { name, filled, says, allowed }
}

const fn lasting(filled: &'static str) -> Field {
    field("for_ms", filled, "milliseconds it lasts", Allowed::Number(0, DAY_MS))
}

const fn code(filled: &'static str) -> Field {
    field("code", filled, "close code", Allowed::Number(1000, 4999))
}

const fn delay(filled: &'static str) -> Field {
    field("delay_ms", filled, "milliseconds later", Allowed::Number(0, DAY_MS))
}

const fn button(
    what: What,
    label: &'static str,
    says: &'static str,
    fields: &'static [Field],
) -> Button {
    Button { what, label, says, fields }
}

/// All buttons, in the order of [`What::ALL`].
pub const BUTTONS: [Button; 16] = [
    button(What::Reset, "Reset", "The TCP connection is reset.", &[WHOM]),
    button(
        What::HalfOpen,
        "Pull the cable",
        "Half-open: bytes stop both ways, the connection stays.",
        &[WHOM],
    ),
    button(
        What::Close,
        "Close",
        "A close frame; 1006 ends without one.",
        &[WHOM, code("1000"), field("reason", "", "close reason", Allowed::Text(123))],
    ),
    button(What::IdleClose, "Close as idle", "1001 “idle timeout”.", &[WHOM]),
    button(
        What::SocketClosing,
        "Maintenance",
        "v2.system.socket_closing, events for a while, then a close.",
        &[
            WHOM,
            lasting("15000"),
            code("1001"),
            field("notice", "", "false skips the announcement", SWITCH),
            field("close", "", "false skips the close", SWITCH),
        ],
    ),
    button(
        What::AcceptClose,
        "Accept, close",
        "A new socket is closed at once.",
        &[
            field("whom", "all", "whose sockets", Allowed::Sockets),
            lasting("15000"),
            code("1001"),
            COUNT,
        ],
    ),
    button(
        What::Silence,
        "Silence",
        "No events, or no heartbeats; the rest goes on.",
        &[
            field("whom", "all", "the socket or sockets", Allowed::Sockets),
            lasting("30000"),
            field("of", "events", "what is missing", Allowed::Words(&["events", "heartbeats"])),
        ],
    ),
    button(
        What::LostPong,
        "Lose pongs",
        "The next pings are not answered, or late.",
        &[
            WHOM,
            field("count", "3", "pings", Allowed::Number(1, 1_000_000)),
            field("delay_ms", "", "milliseconds late instead of lost", Allowed::Number(0, DAY_MS)),
        ],
    ),
    button(
        What::HttpStatus,
        "Refuse requests",
        "REST answers with a status: as filled in, a storm of 429.",
        &[
            field("status", "429", "HTTP status; 0 cuts the connection", Allowed::Status),
            lasting("15000"),
            field("retry_after", "2", "Retry-After, verbatim", Allowed::Line(200)),
            ASKER,
            PATH,
            COUNT,
            field("body", "", "body, verbatim", Allowed::Text(10_000)),
        ],
    ),
    button(
        What::Slow,
        "Slow answers",
        "Requests are answered late; before: they take effect late.",
        &[
            delay("3000"),
            lasting("15000"),
            ASKER,
            field("before", "", "true holds the request back, not its answer", SWITCH),
            PATH,
            COUNT,
        ],
    ),
    button(
        What::Revoke,
        "Revoke tokens",
        "All tokens of the client; its sockets named here are told and closed.",
        &[
            WHOM,
            field("disable", "", "true: no new tokens either", SWITCH),
            field("secret", "", "the client has this secret from then on", Allowed::Line(200)),
        ],
    ),
    button(What::Evict, "Evict", "The channel is taken away as by a 21st.", &[WHOM]),
    button(What::Expire, "Expire", "The channel reaches the end of its life.", &[WHOM]),
    button(What::Outage, "Outage", "Nothing answers, every socket is cut.", &[lasting("30000")]),
    button(
        What::BrokerDown,
        "Broker down",
        "Told to the program that embeds the simulator (trunkline demo); alone, it does nothing.",
        &[lasting("10000")],
    ),
    button(
        What::Kill,
        "Kill",
        "Told to the program that embeds the simulator (trunkline demo); alone, it does nothing.",
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::faults::Args;

    #[test]
    fn every_fault_has_a_button_and_every_button_a_fault() {
        assert_eq!(BUTTONS.map(|button| button.what), What::ALL);
        let labels: BTreeSet<&str> = BUTTONS.iter().map(|button| button.label).collect();
        assert_eq!(labels.len(), What::ALL.len(), "no two read alike");
    }

    #[test]
    fn every_argument_of_a_timeline_is_a_field_of_some_button_and_no_other_is() {
        let args = serde_json::to_value(Args::default()).unwrap();
        let known = args.as_object().unwrap().keys().map(String::as_str);
        let known: BTreeSet<&str> = known.chain(["whom", "for_ms"]).collect();
        let fields = BUTTONS.iter().flat_map(|button| button.fields).map(|field| field.name);
        assert_eq!(fields.collect::<BTreeSet<&str>>(), known);
    }
}
