//! Gaps that are not closed, and how far their repair is.

use trunkline_protocol::gaps;
use trunkline_protocol::ledger::Gap;

use super::markup::Markup;
use super::{Seen, words};

/// Gaps that are listed; the interface gives all.
const LISTED: usize = 50;

pub(super) fn show(out: &mut Markup, seen: &Seen<'_>) {
    let all = seen.status.coverage.iter();
    let mut open: Vec<(u16, &Gap)> =
        all.flat_map(|(shard, known)| known.gaps.iter().map(|gap| (*shard, gap))).collect();
    open.sort_by_key(|(shard, gap)| (gap.from, *shard));
    out.raw("<section class=\"card\"><h2>Open gaps</h2>");
    if let Some(backfill) = &seen.status.backfill {
        out.raw("<p>History is being read (").text(backfill.source).raw("): part ");
        out.text(backfill.parts_read).raw(" of ").text(backfill.parts).raw(", ");
        out.text(backfill.rows)
            .raw(" conversations, ")
            .text(backfill.requests)
            .raw(" requests so far. ");
        out.raw("<progress max=\"").text(backfill.parts.max(1)).raw("\" value=\"");
        out.text(backfill.parts_read).raw("\"></progress></p>");
    }
    if open.is_empty() {
        out.raw("<p class=\"quiet\">None.</p></section>");
        return;
    }
    out.raw("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Open gaps\"><table><thead><tr><th>From<th>Length");
    out.raw("<th>Cause<th>Repair<th>Expected to close<th>Topics<th>Shard<th>Gap</thead><tbody>");
    open.iter().take(LISTED).for_each(|(shard, gap)| row(out, *shard, gap, seen));
    out.raw("</tbody></table></div>");
    if open.len() > LISTED {
        out.raw("<p class=\"quiet\">").text(open.len() - LISTED).raw(" more in /api/v1/gaps.</p>");
    }
    out.raw("</section>");
}

fn row(out: &mut Markup, shard: u16, gap: &Gap, seen: &Seen<'_>) {
    let now = seen.now;
    let length = match gap.to {
        Some(to) => words::span(to.0 - gap.from.0),
        None => format!("{}, growing", words::since(gap.from, now)),
    };
    let close = match gaps::expected_close(gap, &seen.about.timings) {
        Some(at) if at > now => {
            format!("{} (in {})", words::clock(at, now), words::span(at.0 - now.0))
        }
        Some(at) => format!("{}, overdue by {}", words::clock(at, now), words::since(at, now)),
        None => "once it has an end".to_owned(),
    };
    let id = gap.gap.to_string();
    out.raw("<tr><td>").text(words::clock(gap.from, now)).raw("<td>").text(length);
    out.raw("<td>").text(gap.cause.as_str()).raw("<td>").raw("<span class=\"steps\">");
    let (done, said) = repair(gap);
    for step in 1..=STEPS {
        out.raw(if step <= done { "<i class=\"done\"></i>" } else { "<i></i>" });
    }
    out.raw("</span> ").text(said).raw("<td>").text(close).raw("<td>").text(topics(gap));
    out.raw("<td>").text(shard).raw("<td><code>").text(id.get(..8).unwrap_or(&id)).raw("</code>");
}

/// Recorded, over, read, read alike.
const STEPS: usize = 4;

fn repair(gap: &Gap) -> (usize, String) {
    let (reads, rows) =
        (gap.repair.reads.len(), gap.repair.reads.iter().map(|read| read.written).sum::<u64>());
    match (gap.to, reads, gaps::is_provisional(gap)) {
        (None, ..) => (1, "grows".to_owned()),
        (Some(_), 0, _) => (2, "waits for history".to_owned()),
        (Some(_), reads, false) => {
            (3, format!("{}, {rows} restored", words::count(reads, "reading")))
        }
        (Some(_), reads, true) => (
            4,
            format!("{} alike, {rows} restored; may still change", words::count(reads, "reading")),
        ),
    }
}

fn topics(gap: &Gap) -> String {
    match gap.topics.len() {
        0 => gap.class.clone(),
        some => format!("{some} of {}", gap.class),
    }
}
