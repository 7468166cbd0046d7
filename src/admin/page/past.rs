//! The bars of hours and minutes.

use trunkline_protocol::certificate::Level;
use trunkline_protocol::strip::Cell;

use super::markup::Markup;
use super::{Seen, words};

/// Shards whose minutes are shown as well: more of them and nobody looks at minutes of each.
const WITH_MINUTES: usize = 4;

pub(super) fn show(out: &mut Markup, seen: &Seen<'_>) {
    out.raw("<section class=\"card\"><h2>Coverage</h2>");
    let Some(past) = &seen.status.past else {
        out.raw("<p class=\"quiet\">The past is being looked at.</p></section>");
        return;
    };
    if past.hours.is_empty() {
        out.raw("<p class=\"quiet\">No shard is known yet.</p>");
    }
    let minutes = past.hours.len() <= WITH_MINUTES;
    for (shard, hours) in &past.hours {
        out.raw("<div class=\"bars\"><h3>Shard ").text(shard).raw("</h3>");
        bar(out, "the last 24 hours", "hours", hours);
        for cells in past.minutes.get(shard).into_iter().filter(|_| minutes) {
            bar(out, "the last 60 minutes", "minutes", cells);
        }
        out.raw("</div>");
    }
    out.raw("<ul class=\"legend\">");
    for level in Level::ALL {
        out.raw("<li><i class=\"").raw(class(Some(level))).raw("\">").raw(sign(Some(level)));
        out.raw("</i>").raw(meaning(level)).raw("</li>");
    }
    out.raw("</ul></section>");
}

fn bar(out: &mut Markup, what: &'static str, form: &'static str, cells: &[Cell]) {
    let (first, last) = (cells.first().map(|c| c.from), cells.last().map(|c| c.from));
    out.raw("<figure><figcaption><span>").raw(what).raw("</span><span>");
    for (from, dash) in first.into_iter().zip([" – "]) {
        out.text(words::short(from)).raw(dash).raw("now");
    }
    out.raw("</span></figcaption><ol class=\"strip ").raw(form).raw("\">");
    for cell in cells {
        let gaps = if cell.gaps > 0 {
            format!(", {}", words::count(cell.gaps, "gap"))
        } else {
            String::new()
        };
        let level = cell.level.map_or("nothing known", Level::as_str);
        out.raw("<li class=\"").raw(class(cell.level)).raw("\" title=\"");
        out.text(words::short(cell.from)).raw(" ").text(level).text(gaps).raw("\">");
        out.raw("<span>").raw(sign(cell.level)).raw("</span></li>");
    }
    out.raw("</ol>");
    let worst = cells.iter().filter_map(|cell| cell.level).max();
    for (worst, _) in worst.into_iter().zip(last) {
        out.raw("<p class=\"unseen\">worst of ")
            .raw(what)
            .raw(": ")
            .text(worst.as_str())
            .raw("</p>");
    }
    out.raw("</figure>");
}

/// The class that colours a level.
fn class(level: Option<Level>) -> &'static str {
    match level {
        None => "none",
        Some(Level::LiveDual) => "dual",
        Some(Level::LiveSingle) => "single",
        Some(Level::Reconciled) => "reconciled",
        Some(Level::RepairedProvisional) => "provisional",
        Some(Level::Partial) => "partial",
        Some(Level::LostDeclared) => "lost",
        Some(Level::Open) => "open",
    }
}

/// What tells levels apart without colour.
fn sign(level: Option<Level>) -> &'static str {
    match level {
        None | Some(Level::LiveDual) => "",
        Some(Level::LiveSingle) => "1",
        Some(Level::Reconciled) => "✓",
        Some(Level::RepairedProvisional) => "~",
        Some(Level::Partial) => "½",
        Some(Level::LostDeclared) => "×",
        Some(Level::Open) => "!",
    }
}

fn meaning(level: Level) -> &'static str {
    match level {
        Level::LiveDual => "LIVE_DUAL: two sockets at once heard all of it",
        Level::LiveSingle => "LIVE_SINGLE: one socket heard all of it",
        Level::Reconciled => "RECONCILED: the rest came from complete history",
        Level::RepairedProvisional => "REPAIRED_PROVISIONAL: filled, history may still change",
        Level::Partial => "PARTIAL: history is known to be incomplete",
        Level::LostDeclared => "LOST_DECLARED: there is no history to read",
        Level::Open => "OPEN: not proven, not filled yet",
    }
}
