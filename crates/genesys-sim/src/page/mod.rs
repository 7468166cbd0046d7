//! The page on `/sim/`: what is going on, and a button for each fault. Pure; whoever serves it looks
//! and carries out.

pub mod buttons;
mod cables;
pub mod form;
mod markup;
mod platform;
#[cfg(test)]
mod tests;
mod traffic;

use self::markup::{Markup, count, span};
use crate::faults::{Applied, What};
use crate::look::{Look, Running};

/// Styles.
pub const STYLE: &str = include_str!("style.css");
/// Fetches what moves again, and presses buttons without leaving the page.
pub const SCRIPT: &str = include_str!("script.js");
/// Its icon.
pub const ICON: &str = include_str!("icon.svg");

/// What a browser may do: our own files, our own forms, no frame around it.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Everything the page shows.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What is going on.
    pub look: &'a Look,
    /// How far the traffic is.
    pub traffic: &'static str,
    /// What came of the button that was pressed.
    pub said: Option<Said>,
}

/// What came of a pressed button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The fault was carried out.
    Done(String),
    /// The form had a mistake.
    Wrong(String),
}

/// The whole page.
#[must_use]
pub fn whole(seen: &Seen<'_>) -> String {
    let mut out = Markup::default();
    out.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    out.raw("<meta name=\"color-scheme\" content=\"light dark\"><title>");
    out.text(title(seen).1).raw(" · genesys-sim</title>");
    out.raw("<link rel=\"icon\" href=\"/sim/page/icon.svg\"><link rel=\"stylesheet\" href=\"/sim/page/style.css\">");
    out.raw("<script src=\"/sim/page/script.js\" defer></script></head><body>");
    out.raw("<a class=\"skip\" href=\"#now\">To what is going on</a>");
    out.raw("<a class=\"skip\" href=\"#faults\">To the faults</a>");
    out.raw("<header><strong>genesys-sim</strong><span>").raw(env!("CARGO_PKG_VERSION"));
    out.raw("</span><span>a Genesys Cloud that fits in a process</span>");
    out.raw("<noscript><a href=\"/sim/\">look again</a></noscript></header>");
    out.raw("<p id=\"stale\" role=\"alert\" hidden></p>");
    let (class, text) = match &seen.said {
        None => ("", ""),
        Some(Said::Done(text)) => ("good", text.as_str()),
        Some(Said::Wrong(text)) => ("bad", text.as_str()),
    };
    out.raw("<p id=\"said\" role=\"status\" class=\"").raw(class).raw("\">").text(text);
    out.raw("</p><div class=\"halves\"><main id=\"now\">");
    fill(&mut out, seen);
    out.raw("</main>");
    cables::show(&mut out, seen.look);
    out.raw("</div><footer>The same for programs: <a href=\"/sim/state\">state</a> ");
    out.raw("<a href=\"/sim/faults\">faults</a> <a href=\"/sim/counters\">counters</a> ");
    out.raw("<a href=\"/sim/dials\">dials</a> <a href=\"/sim/settings\">settings</a> ");
    out.raw("<a href=\"/sim/org\">organisation</a> <a href=\"/sim/ledger?limit=100\">ledger</a></footer></body></html>");
    out.done()
}

/// What of it is fetched again and again.
#[must_use]
pub fn part(seen: &Seen<'_>) -> String {
    let mut out = Markup::default();
    fill(&mut out, seen);
    out.done()
}

/// What a fault did, in a sentence.
#[must_use]
pub fn done(applied: &Applied) -> String {
    let what = applied.what.as_str();
    let channels: Vec<String> = applied.channels.iter().map(u64::to_string).collect();
    match applied.what {
        What::AcceptClose | What::HttpStatus | What::Slow => format!("{what}: in force."),
        What::BrokerDown | What::Kill => {
            format!("{what}: told to the program that embeds the simulator, if one does.")
        }
        What::Revoke => {
            format!(
                "{what}: {} revoked.",
                count(usize::try_from(applied.effects).unwrap_or(0), "token")
            )
        }
        What::Outage => format!("{what}: in force, {} cut.", count(channels.len(), "socket")),
        What::Reset
        | What::HalfOpen
        | What::Close
        | What::IdleClose
        | What::SocketClosing
        | What::Silence
        | What::LostPong
        | What::Evict
        | What::Expire => match channels.is_empty() {
            true => format!("{what}: hit nobody, no such socket is open."),
            false => format!("{what}: hit {}.", listed(&channels)),
        },
    }
}

/// `channel 1`, `channels 1, 2 and 7 more`.
fn listed(channels: &[String]) -> String {
    let (one, many) = (channels.len() == 1, channels.len().saturating_sub(8));
    let named: Vec<&str> = channels.iter().take(8).map(String::as_str).collect();
    let more = if many > 0 { format!(" and {many} more") } else { String::new() };
    format!("channel{} {}{more}", if one { "" } else { "s" }, named.join(", "))
}

fn fill(out: &mut Markup, seen: &Seen<'_>) {
    let look = seen.look;
    let (tone, title) = title(seen);
    out.raw("<section class=\"answer ").raw(tone).raw("\"><h1 id=\"title\">").text(title);
    out.raw("</h1><p>");
    let open = look.channels.iter().filter(|line| line.open_ms.is_some()).count();
    out.text(count(open, "open socket")).raw(", ").text(count(look.topics, "topic"));
    out.raw(" subscribed to. Traffic: ").text(seen.traffic).raw(".</p>");
    if !look.running.is_empty() {
        out.raw("<ul class=\"running\">");
        for fault in look.running.iter().take(12) {
            out.raw("<li><b>").raw(fault.what.as_str()).raw("</b><span>");
            match fault.channel {
                Some(number) => _ = out.raw("channel ").text(number),
                None => _ = out.raw("the platform"),
            }
            out.raw("</span><span>").text(ends(fault)).raw("</span></li>");
        }
        out.raw("</ul>");
    }
    if look.waiting > 0 {
        out.raw("<p class=\"quiet\">").text(count(look.waiting, "fault"));
        out.raw(" of a timeline to come.</p>");
    }
    out.raw("<p class=\"stamp\"><time>")
        .text(span(look.now_ms))
        .raw("</time> since the start</p></section>");
    traffic::counts(out, look);
    platform::channels(out, look);
    platform::clients(out, look);
    traffic::ends(out, look);
    traffic::applied(out, look);
    traffic::events(out, look);
    cables::names(out, look);
}

/// How well it is, and why.
fn title(seen: &Seen<'_>) -> (&'static str, String) {
    let running = &seen.look.running;
    let open = seen.look.channels.iter().any(|line| line.open_ms.is_some());
    match running.iter().find(|fault| fault.what == What::Outage) {
        Some(outage) => ("bad", format!("Outage: nothing answers, {}", ends(outage))),
        None if !running.is_empty() => {
            ("watch", format!("{} in force", count(running.len(), "fault")))
        }
        None if open => ("good", "Everything works".to_owned()),
        None => ("watch", "Nobody is connected".to_owned()),
    }
}

/// When a fault is over.
fn ends(fault: &Running) -> String {
    match (fault.left_ms, fault.left) {
        (Some(ms), _) => format!("{} more", span(ms)),
        (None, Some(times)) => format!("{} more", count(times as usize, "time")),
        (None, None) => "until it ends".to_owned(),
    }
}
