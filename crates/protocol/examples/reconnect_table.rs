//! Ours beside the two classic handlers: the same trouble, the same simulator, simulated time.

#![allow(unreachable_pub, reason = "the modules are shared with a test")]

#[path = "../tests/platform/answers.rs"]
mod answers;
#[path = "../tests/reconnect/classic.rs"]
mod classic;
#[path = "../tests/reconnect/ours.rs"]
mod ours;
#[path = "../tests/platform/requests.rs"]
mod requests;
#[path = "../tests/reconnect/scenario.rs"]
mod scenario;
#[path = "../tests/reconnect/world.rs"]
mod world;

use classic::Policy;
use scenario::{Outcome, Who, accept_then_close, outage, scarce_dials};

const WHO: [(&str, Who); 3] = [
    ("trunkline", Who::Ours),
    ("1 s + U(0, 30 s), 10 attempts", Who::Classic(Policy::Jitter)),
    ("1 s, for ever", Who::Classic(Policy::Plain)),
];

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (title, secs) in [("outage of 1 minute", 60), ("outage of 10 minutes", 600)] {
        table(&mut out, title, |who| outage(who, secs, 1))?;
    }
    table(&mut out, "1,000 x accept, then close", |who| accept_then_close(who, 1_000, 1))?;
    let title = "every socket cut once, 5 dials per client in any minute, refused ones count";
    table(&mut out, title, |who| scarce_dials(who, 5, 1))
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
