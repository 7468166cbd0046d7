//! Who is connected, and what is left of budgets.

use super::ends;
use super::markup::{Markup, count, span, thousands};
use crate::look::{Client, Line, Look, Window};

pub(super) fn channels(out: &mut Markup, look: &Look) {
    out.raw("<section class=\"card\"><h2>Channels</h2>");
    if look.channels.is_empty() {
        out.raw("<p class=\"quiet\">None yet.</p></section>");
        return;
    }
    out.raw("<div class=\"wide\"><table><thead><tr><th>Channel<th>Client<th>Socket<th class=\"n\">Frames");
    out.raw("<th class=\"n\">Topics<th>Lives for<th>Faults</thead><tbody>");
    look.channels.iter().for_each(|line| channel(out, line, look));
    out.raw("</tbody></table></div>");
    if look.channels_not_shown > 0 {
        out.raw("<p class=\"quiet\">").text(count(look.channels_not_shown, "channel"));
        out.raw(" more.</p>");
    }
    out.raw("</section>");
}

fn channel(out: &mut Markup, line: &Line, look: &Look) {
    out.raw("<tr><td><b>").text(line.number).raw("</b> <code>");
    match &line.id {
        Some(id) => _ = out.text(id).raw("…"),
        None => _ = out.raw("direct"),
    }
    out.raw("</code>").cell(&line.client);
    match line.open_ms {
        Some(since) => {
            let open = span(look.now_ms.saturating_sub(since));
            out.raw("<td class=\"up\">open ").text(open);
        }
        None => _ = out.raw("<td class=\"down\">none"),
    }
    out.raw("<td class=\"n\">").text(thousands(line.frames));
    out.raw("<td class=\"n\">").text(thousands(line.topics as u64));
    match line.left_ms {
        Some(ms) => _ = out.cell(span(ms)),
        None => _ = out.raw("<td>about a minute"),
    }
    out.raw("<td>");
    for fault in look.running.iter().filter(|fault| fault.channel == Some(line.number)) {
        out.raw("<span class=\"chip\" title=\"").text(ends(fault)).raw("\">");
        out.raw(fault.what.as_str()).raw("</span> ");
    }
}

pub(super) fn clients(out: &mut Markup, look: &Look) {
    out.raw(
        "<section class=\"card\"><h2>Clients and their budgets</h2><dl class=\"gauges clients\">",
    );
    look.clients.iter().take(40).for_each(|each| client(out, each));
    out.raw("</dl></section>");
}

fn client(out: &mut Markup, client: &Client) {
    out.raw("<div><dt>").text(&client.id).raw("</dt><dd><b>").text(client.channels);
    out.raw(" of ").text(client.channels_allowed).raw("</b> channels<small>");
    out.text(count(client.sockets, "socket")).raw(", ").text(count(client.topics, "subscription"));
    out.raw(", ").text(count(client.tokens, "good token")).raw("</small>");
    client.windows.iter().for_each(|each| window(out, each));
    out.raw("</dd></div>");
}

fn window(out: &mut Markup, window: &Window) {
    // a budget without a limit has no end to fill
    let share = u64::from(window.used) * 1000 / u64::from(window.allowed).max(1);
    out.raw("<svg class=\"meter\" viewBox=\"0 0 1000 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    out.raw("<rect class=\"room\" width=\"1000\" height=\"8\"/><rect class=\"part\" height=\"8\" width=\"");
    out.text(if window.allowed == 0 { 0 } else { share.min(1000) }).raw("\"/></svg><small>token ");
    out.text(window.token).raw(": ").text(window.used).raw(" of ");
    match window.allowed {
        0 => _ = out.raw("unlimited"),
        allowed => _ = out.text(allowed),
    }
    out.raw(" requests, window ends in ").text(window.reset_secs).raw(" s</small>");
}
