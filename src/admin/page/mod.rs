//! The status page: what is known, as HTML. Pure; whoever serves it looks and asks the time.

mod channels;
mod flow;
mod gaps;
mod markup;
mod past;
mod trouble;
mod verdict;
mod words;

#[cfg(test)]
mod tests;

use trunkline_protocol::domain::Wall;
use trunkline_protocol::timings::Timings;

use self::markup::Markup;
use self::verdict::{Verdict, verdict};
use crate::observe::status::Status;

/// What does not change while the process runs.
#[derive(Clone, Debug)]
pub struct About {
    /// Name of the installation.
    pub instance: String,
    /// Name of this process among its replicas.
    pub replica: String,
    /// Durations of the protocol.
    pub timings: Timings,
    /// Requests that each OAuth client could send at once, at most.
    pub burst: Vec<f64>,
    /// Bytes the spool may take; nothing without one.
    pub spool_bytes: Option<u64>,
}

/// What moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Flowing {
    /// Events between socket and acknowledgement.
    pub(super) in_flight: u64,
    /// When the oldest of them was heard.
    pub(super) oldest_unacked: Option<Wall>,
    /// Events heard.
    pub(super) received: u64,
    /// Records acknowledged.
    pub(super) published: u64,
    /// Requests each OAuth client could send at once.
    pub(super) budgets: Vec<f64>,
}

/// Everything the page shows.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) about: &'a About,
    pub(super) status: &'a Status,
    pub(super) flowing: &'a Flowing,
    pub(super) now: Wall,
    /// Whether orders are taken.
    pub(super) actions: bool,
}

/// The version of the binary.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The whole page.
pub(super) fn page(seen: &Seen<'_>) -> String {
    let mut out = Markup::default();
    out.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    out.raw("<meta name=\"color-scheme\" content=\"light dark\">");
    out.raw("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript><title>");
    out.text(&verdict(seen).title).raw(" · trunkline</title>");
    out.raw("<link rel=\"icon\" href=\"/page/icon.svg\"><link rel=\"stylesheet\" href=\"/page/style.css\">");
    out.raw("<script src=\"/page/script.js\" defer></script></head><body>");
    out.raw("<a class=\"skip\" href=\"#now\">To the answer</a>");
    head(&mut out, seen);
    out.raw("<p id=\"stale\" role=\"alert\" hidden></p><main id=\"now\">");
    fill(&mut out, seen);
    out.raw("</main>");
    actions(&mut out, seen);
    out.raw("<footer>Times are UTC. <a href=\"/api/v1/status\">status</a> <a href=\"/api/v1/gaps\">gaps</a> ");
    out.raw("<a href=\"/api/v1/coverage\">coverage</a> <a href=\"/metrics\">metrics</a> ");
    out.raw("<a href=\"/readyz\">readiness</a></footer></body></html>");
    out.done()
}

/// What of it is fetched again and again.
pub(super) fn main(seen: &Seen<'_>) -> String {
    let mut out = Markup::default();
    fill(&mut out, seen);
    out.done()
}

fn head(out: &mut Markup, seen: &Seen<'_>) {
    out.raw("<header><strong>trunkline</strong><span>").text(VERSION);
    out.raw("</span><span>instance <b>").text(&seen.about.instance);
    out.raw("</b></span><span>replica <b>").text(&seen.about.replica);
    out.raw("</b></span><span>mode <b>").text(seen.status.mode).raw("</b></span></header>");
}

fn fill(out: &mut Markup, seen: &Seen<'_>) {
    answer(out, seen, &verdict(seen));
    past::show(out, seen);
    channels::show(out, seen);
    gaps::show(out, seen);
    flow::show(out, seen);
}

fn answer(out: &mut Markup, seen: &Seen<'_>, said: &Verdict) {
    out.raw("<section class=\"answer ").text(said.tone.class()).raw("\"><h1 id=\"title\">");
    out.text(&said.title).raw("</h1><p>").text(&said.text).raw("</p>");
    match said.problems.is_empty() {
        true => _ = out.raw("<p class=\"fine\">Nothing is wrong. Nothing to do.</p>"),
        false => {
            out.raw("<ul class=\"problems\">");
            for problem in &said.problems {
                out.raw("<li class=\"")
                    .text(problem.tone.class())
                    .raw("\"><b>")
                    .text(&problem.what);
                out.raw("</b><span>").text(&problem.next).raw("</span></li>");
            }
            out.raw("</ul>");
        }
    }
    out.raw("<p class=\"stamp\">as of <time>")
        .text(words::full(seen.now))
        .raw("</time></p></section>");
}

fn actions(out: &mut Markup, seen: &Seen<'_>) {
    out.raw("<section class=\"card\" id=\"actions\"><h2>Actions</h2>");
    if !seen.actions {
        out.raw("<p class=\"quiet\">Actions are off: <code>admin.token_file</code> is not configured.</p></section>");
        return;
    }
    out.raw("<p>Rotate a channel: its successor is live before it goes, so nothing is missed.</p>");
    out.raw("<form id=\"rotate\"><label>Channel<select name=\"channel\">");
    for line in &seen.status.channels {
        out.raw("<option>").text(line.shard).raw("/").text(line.leg).raw("</option>");
    }
    out.raw("</select></label><label>Its name once more, to confirm");
    out.raw("<input name=\"confirm\" required autocomplete=\"off\" placeholder=\"0/0\"></label>");
    out.raw("<label>Admin token<input name=\"token\" type=\"password\" required autocomplete=\"off\"></label>");
    out.raw("<button>Rotate</button><output id=\"said\" role=\"status\"></output></form>");
    out.raw("<noscript><p class=\"quiet\">Without scripts: <code>curl -H \"Authorization: Bearer $TOKEN\" ");
    out.raw("--json '{\"channel\":\"0/0\",\"confirm\":\"0/0\"}' …/api/v1/actions/rotate</code></p></noscript></section>");
}
