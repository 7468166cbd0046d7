//! Gauges: what waits where, how old proof is, what requests are left; and what else stands on the board.

use super::markup::Markup;
use super::{Seen, words};

pub(super) fn show(out: &mut Markup, seen: &Seen<'_>) {
    let (status, flowing, now) = (seen.status, seen.flowing, seen.now);
    out.raw("<section class=\"card\"><h2>On the way</h2><dl class=\"gauges\">");
    let proven = status.coverage.values().filter_map(|coverage| coverage.proven_to_ms).min();
    let age = proven.map_or_else(|| "–".to_owned(), |at| words::since(at, now));
    gauge(
        out,
        "Age of proof",
        &age,
        "everything is proven up to so long ago",
        proven.map(|at| (now.0 - at.0) as f64 / 60_000.0),
    );
    let waits = flowing.oldest_unacked.map_or_else(|| "0 s".to_owned(), |at| words::since(at, now));
    let lag = flowing.oldest_unacked.map_or(0.0, |at| (now.0 - at.0) as f64 / 30_000.0);
    gauge(
        out,
        "Kafka lag",
        &waits,
        &format!(
            "{} without an acknowledgement",
            words::count(usize::try_from(flowing.in_flight).unwrap_or(usize::MAX), "event")
        ),
        Some(lag),
    );
    match (&status.spool, seen.about.spool_bytes) {
        (Some(spool), Some(most)) => {
            let note = format!(
                "of {}; {} wait for Kafka; {}",
                words::bytes(most),
                words::count(spool.waiting, "event"),
                spool.state
            );
            gauge(
                out,
                "Spool",
                &words::bytes(spool.bytes),
                &note,
                Some(spool.bytes as f64 / most.max(1) as f64),
            );
        }
        (Some(_), None) | (None, _) => {
            gauge(out, "Spool", "none", "what is in memory is lost with the process", None)
        }
    }
    for (nth, (left, most)) in flowing.budgets.iter().zip(&seen.about.burst).enumerate() {
        let note =
            format!("of {most:.0} requests to the platform could be sent at once by client {nth}");
        gauge(out, "API budget", &format!("{left:.0}"), &note, Some(left / most.max(1.0)));
    }
    let rest = flowing.received.saturating_sub(flowing.published + flowing.in_flight);
    let note =
        format!("{} records acknowledged, {rest} copies and others left out", flowing.published);
    gauge(out, "Heard", &flowing.received.to_string(), &note, None);
    let refused = format!("{} refused", status.topics_refused.len());
    gauge(out, "Topics", &status.topics_wanted.to_string(), &refused, None);
    out.raw("</dl>");
    checks(out, seen);
    out.raw("</section>");
}

/// A number, what it means, and how much of its room is taken.
fn gauge(out: &mut Markup, name: &'static str, value: &str, note: &str, part: Option<f64>) {
    out.raw("<div><dt>").raw(name).raw("</dt><dd><b>").text(value).raw("</b>");
    if let Some(part) = part {
        let width = (part.clamp(0.0, 1.0) * 100.0).round();
        out.raw("<svg class=\"meter\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
        out.raw("<rect class=\"room\" width=\"100\" height=\"4\"/><rect class=\"part\" height=\"4\" width=\"");
        out.text(width).raw("\"/></svg>");
    }
    out.raw("<small>").text(note).raw("</small></dd></div>");
}

fn checks(out: &mut Markup, seen: &Seen<'_>) {
    out.raw("<p class=\"checks\">Ready:");
    for (name, check) in &seen.status.checks {
        out.raw(" <span class=\"chip ").raw(if check.ok { "good" } else { "bad" }).raw("\">");
        out.text(name).raw(if check.ok { " ✓" } else { " ✗" }).raw("</span>");
    }
    if let Some(cluster) = &seen.status.kafka.cluster {
        out.raw(" Kafka cluster <code>").text(cluster).raw("</code>");
    }
    out.raw("</p>");
}
