//! What went over the wires: counts, ends of sockets, faults, events.

use super::markup::{Markup, count, span, thousands};
use crate::faults::Applied;
use crate::look::{Event, Look};

/// Lines of ends that are listed.
const ENDS: usize = 8;

pub(super) fn counts(out: &mut Markup, look: &Look) {
    let (ledger, counters) = (&look.ledger, &look.counters);
    out.raw("<section class=\"card\"><h2>Counts</h2><dl class=\"gauges\">");
    out.gauge("Events", ledger.generated, "generated");
    out.gauge("Covered", ledger.covered, "of them somebody was subscribed to");
    out.gauge("Delivered", ledger.delivered, "put on a socket; two channels count twice");
    let dropped: Vec<String> =
        ledger.dropped.iter().map(|(why, n)| format!("{why} {}", thousands(*n))).collect();
    let why = if dropped.is_empty() {
        "subscribed and not put there".to_owned()
    } else {
        dropped.join(", ")
    };
    out.gauge("Not delivered", ledger.dropped.values().sum(), why);
    out.gauge(
        "Requests",
        counters.requests,
        format!("{} answered 429", thousands(counters.rate_limited)),
    );
    out.gauge(
        "Sockets opened",
        counters.opened,
        format!(
            "in {}, {} made",
            count(usize::try_from(counters.dials).unwrap_or(usize::MAX), "dial"),
            count(usize::try_from(counters.channels_created).unwrap_or(usize::MAX), "channel")
        ),
    );
    out.raw("</dl></section>");
}

pub(super) fn ends(out: &mut Markup, look: &Look) {
    out.raw("<section class=\"card\"><h2>Ends of sockets</h2>");
    if look.ends.last.is_empty() {
        out.raw("<p class=\"quiet\">None has ended.</p></section>");
        return;
    }
    out.raw("<p>");
    for (how, number) in look.ends.counts.iter().take(12) {
        out.raw("<span class=\"chip\">").text(how).raw(" <b>").text(thousands(*number));
        out.raw("</b></span> ");
    }
    out.raw("</p><div class=\"wide\"><table><thead><tr><th>When<th>Channel<th>How<th>Reason<th>Had been open</thead><tbody>");
    for end in look.ends.last.iter().rev().take(ENDS) {
        out.raw("<tr>").cell(ago(look, end.at_ms)).cell(end.channel).cell(end.how);
        out.cell(&end.reason).cell(span(end.lasted_ms));
    }
    out.raw("</tbody></table></div></section>");
}

pub(super) fn applied(out: &mut Markup, look: &Look) {
    out.raw("<section class=\"card\"><h2>Faults so far</h2>");
    if look.applied.is_empty() {
        out.raw("<p class=\"quiet\">None.</p></section>");
        return;
    }
    out.raw("<div class=\"wide\"><table><thead><tr><th>When<th>What<th>Channels<th class=\"n\">Took effect</thead><tbody>");
    for fault in &look.applied {
        out.raw("<tr>").cell(ago(look, fault.at_ms)).raw("<td><b>").raw(fault.what.as_str());
        out.raw("</b>").cell(numbers(fault)).raw("<td class=\"n\">").text(thousands(fault.effects));
    }
    out.raw("</tbody></table></div></section>");
}

fn numbers(fault: &Applied) -> String {
    let named: Vec<String> = fault.channels.iter().take(8).map(u64::to_string).collect();
    let more = if fault.channels.len() > 8 { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

pub(super) fn events(out: &mut Markup, look: &Look) {
    out.raw("<section class=\"card\"><h2>Last events somebody was subscribed to</h2>");
    match (look.events.is_empty(), look.ledger.kept) {
        (true, false) => {
            _ = out
                .raw("<p class=\"quiet\">Only counted: started with <code>--no-ledger</code>.</p>")
        }
        (true, true) => _ = out.raw("<p class=\"quiet\">None.</p>"),
        (false, _) => {
            out.raw("<div class=\"wide\"><table><thead><tr><th class=\"n\">No.<th>When<th class=\"n\">Bytes<th>Channels<th>Topic</thead><tbody>");
            look.events.iter().for_each(|each| event(out, each, look));
            out.raw("</tbody></table></div>");
        }
    }
    out.raw("</section>");
}

fn event(out: &mut Markup, event: &Event, look: &Look) {
    out.raw("<tr><td class=\"n\">").text(thousands(event.seq)).cell(ago(look, event.at_ms));
    out.raw("<td class=\"n\">").text(thousands(event.bytes as u64)).raw("<td>");
    for number in event.delivered.iter().take(8) {
        out.raw("<span class=\"up\">").text(number).raw("</span> ");
    }
    for (number, why) in event.dropped.iter().take(8) {
        out.raw("<span class=\"down\">").text(number).raw(" ").text(why).raw("</span> ");
    }
    out.raw("<td><code>").text(&event.topic).raw("</code>");
}

fn ago(look: &Look, at_ms: u64) -> String {
    format!("{} ago", span(look.now_ms.saturating_sub(at_ms)))
}
