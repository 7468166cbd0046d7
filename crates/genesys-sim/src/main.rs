//! `genesys-sim serve`: the simulator as a program.

use std::io::Write as _;

use clap::{Parser, Subcommand};
use genesys_sim::cli::ServeArgs;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(version, about = "A Genesys Cloud that fits in a process")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  genesys-sim serve                          then open http://127.0.0.1:8080/sim/ and pull a cable
  genesys-sim serve --rate 2000 --client a:secret --client b:secret
  genesys-sim serve --wait-for-channels 2 --faults timeline.json
  curl --json '{\"what\":\"outage\",\"for_ms\":30000}' http://127.0.0.1:8080/sim/faults";

#[derive(Subcommand)]
enum Command {
    /// Serve it until interrupted; http://127.0.0.1:8080/sim/ shows it and has a button for each fault.
    #[command(after_help = EXAMPLES)]
    Serve(ServeArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command::Serve(args) = Cli::parse().command;
    let running = args.start().await?;
    let url = running.url();
    let mut out = std::io::stdout();
    let direct = running.direct_url();
    writeln!(out, "{{\"url\":\"{url}\",\"direct_url\":\"{direct}\",\"page_url\":\"{url}/sim/\"}}")?;
    out.flush()?;
    // either way the simulator is dropped, which removes its temporary file
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Ok(())
}
