//! Channels and their epochs on a line of time.

use trunkline_protocol::domain::Wall;

use super::markup::Markup;
use super::{Seen, words};
use crate::observe::status::ChannelStatus;

/// The line reaches back at least and at most so far.
const LEAST_MS: i64 = 10 * 60_000;
const MOST_MS: i64 = 24 * 3_600_000;
/// Changes that are listed.
const LISTED: usize = 12;

pub(super) fn show(out: &mut Markup, seen: &Seen<'_>) {
    let (status, now) = (seen.status, seen.now);
    out.raw("<section class=\"card\"><h2>Channels</h2>");
    if status.channels.is_empty() {
        out.raw("<p class=\"quiet\">No channel yet.</p></section>");
        return;
    }
    let begun = status.channels.iter().filter_map(|line| line.turns.turns().next());
    let begun = begun.map(|turn| turn.at_ms).min().unwrap_or(now.0);
    let from = begun.min(now.0 - LEAST_MS).max(now.0 - MOST_MS);
    out.raw("<div class=\"axis\"><span>")
        .text(words::clock(Wall(from), now))
        .raw("</span><span>now</span></div>");
    out.raw("<ul class=\"lines\">");
    status.channels.iter().for_each(|line| channel(out, line, from, now));
    out.raw("</ul>");
    ends(out, seen);
    out.raw("</section>");
}

fn channel(out: &mut Markup, line: &ChannelStatus, from: i64, now: Wall) {
    let live = matches!(line.state, "live" | "spare");
    out.raw("<li><b>").text(line.shard).raw("/").text(line.leg).raw("</b><span class=\"state ");
    out.raw(if live { "up" } else { "down" })
        .raw("\">")
        .text(line.state)
        .raw("</span><svg viewBox=\"0 0 1000 16\" ");
    out.raw("preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Channel ");
    out.text(line.shard).raw("/").text(line.leg).raw(" over time\">");
    let turns: Vec<_> = line.turns.turns().collect();
    let ends = turns.iter().skip(1).map(|turn| turn.at_ms).chain([now.0]);
    let place = |at: i64| (at.max(from) - from) * 1000 / (now.0 - from).max(1);
    for (turn, end) in turns.iter().zip(ends).filter(|(_, end)| *end > from) {
        let (left, right) = (place(turn.at_ms), place(end));
        out.raw("<rect y=\"0\" height=\"16\" x=\"").text(left).raw("\" width=\"");
        out.text((right - left).max(3)).raw("\" class=\"").raw(if turn.live {
            "up"
        } else {
            "down"
        });
        out.raw("\"><title>").raw(if turn.live { "live" } else { "not live" }).raw(" from ");
        out.text(words::clock(Wall(turn.at_ms), now))
            .raw(" for ")
            .text(words::span(end - turn.at_ms));
        turn.epoch
            .filter(|_| turn.live)
            .iter()
            .for_each(|epoch| _ = out.raw(", epoch ").text(epoch));
        turn.reason.iter().for_each(|reason| _ = out.raw(", after ").text(reason.as_str()));
        out.raw("</title></rect>");
        if turn.live && turn.at_ms > from {
            out.raw("<rect y=\"0\" height=\"16\" width=\"2\" class=\"cut\" x=\"")
                .text(left)
                .raw("\"/>");
        }
    }
    out.raw("</svg><span class=\"quiet\">");
    out.text(words::since(Wall(line.since_ms), now)).raw("</span></li>");
}

fn ends(out: &mut Markup, seen: &Seen<'_>) {
    let total: u64 = seen.status.reconnects.values().sum();
    if total == 0 {
        out.raw("<p class=\"quiet\">No socket has ended since the start.</p>");
        return;
    }
    out.raw("<details id=\"ends\"><summary>")
        .text(words::count(usize::try_from(total).unwrap_or(usize::MAX), "socket"));
    out.raw(" ended since the start:");
    for (reason, count) in seen.status.reconnects.iter().filter(|(_, count)| **count > 0) {
        out.raw(" <span class=\"chip\">").text(reason).raw(" ").text(count).raw("</span>");
    }
    out.raw("</summary><table><thead><tr><th>When<th>Channel<th>Why</thead><tbody>");
    for end in seen.status.timeline.iter().rev().take(LISTED) {
        out.raw("<tr><td>").text(words::clock(Wall(end.at_ms), seen.now)).raw("<td>");
        out.text(end.shard).raw("/").text(end.leg).raw("<td>").text(end.reason.as_str());
    }
    out.raw("</tbody></table></details>");
}
