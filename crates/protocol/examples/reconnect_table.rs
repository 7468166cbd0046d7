//! Ours beside the two classic handlers: the same trouble, the same simulator, simulated time.
//!
//! With `direct-minutes N` only this, for who holds real minutes against it: dials, 429s and dials with expired
//! tokens of trunkline in the first N minutes of a direct URL, as JSON.

#![allow(unreachable_pub, reason = "the modules are shared with a test")]

#[path = "../tests/platform/answers.rs"]
mod answers;
#[path = "../tests/reconnect/classic.rs"]
mod classic;
#[path = "../tests/reconnect/direct.rs"]
mod direct;
#[path = "../tests/reconnect/ours.rs"]
mod ours;
#[path = "../tests/platform/requests.rs"]
mod requests;
#[path = "../tests/reconnect/scenario.rs"]
mod scenario;
#[path = "../tests/reconnect/world.rs"]
mod world;

use std::io::Write as _;

use classic::Policy;
use scenario::{Outcome, Who, accept_then_close, outage, scarce_dials};

const WHO: [(&str, Who); 3] = [
    ("trunkline", Who::Ours),
    ("1 s + U(0, 30 s), 10 attempts", Who::Classic(Policy::Jitter)),
    ("1 s, for ever", Who::Classic(Policy::Plain)),
];

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [_, minutes] = words.as_slice() {
        let minutes: u64 = minutes.parse().map_err(std::io::Error::other)?;
        let seen = direct::lived(Who::Ours, minutes * 60_000, 1);
        return writeln!(
            out,
            r#"{{"dials":{},"rate_limited":{},"expired_dials":{}}}"#,
            seen.dials, seen.rate_limited, seen.expired_dials
        );
    }
    for (title, secs) in [("outage of 1 minute", 60), ("outage of 10 minutes", 600)] {
        table(&mut out, title, |who| outage(who, secs, 1))?;
    }
    table(&mut out, "1,000 x accept, then close", |who| accept_then_close(who, 1_000, 1))?;
    let title = "every socket cut once, 5 dials per client in any minute, refused ones count";
    table(&mut out, title, |who| scarce_dials(who, 5, 1))?;
    direct_table(&mut out)
}

fn direct_table(out: &mut impl std::io::Write) -> std::io::Result<()> {
    writeln!(
        out,
        "\n24 hours of one direct URL: closed after 55 to 65 s each time, 10 dials a minute and two connections at most, maintenance \
         of 1 minute twice, 10 minutes away once, tokens of 12 hours, an event a second\n"
    )?;
    writeln!(out, "| policy | dials | 429s | expired tokens | without a socket | events missed |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for (name, who) in WHO {
        let seen = direct::day(who, 24, 1);
        writeln!(
            out,
            "| {name} | {} | {} | {} | {:.0} s | {} |",
            seen.dials, seen.rate_limited, seen.expired_dials, seen.deaf_secs, seen.missed
        )?;
    }
    Ok(())
}

fn table(
    out: &mut impl std::io::Write,
    title: &str,
    run: impl Fn(Who) -> Outcome,
) -> std::io::Result<()> {
    writeln!(out, "\n{title}, 20 channels under two OAuth clients\n")?;
    writeln!(
        out,
        "| policy | all back after | gave up | 429s | requests meanwhile | peak per minute | lasted |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for (name, who) in WHO {
        let seen = run(who);
        let back = seen.all_back_secs.map_or("never".to_owned(), |secs| format!("{secs:.1} s"));
        writeln!(
            out,
            "| {name} | {back} | {} of 20 | {} | {} | {} | {:.0} s |",
            seen.gave_up,
            seen.rate_limited,
            seen.asked_meanwhile,
            seen.peak_per_minute,
            seen.trouble_secs
        )?;
    }
    Ok(())
}
