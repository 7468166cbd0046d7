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

#[derive(Subcommand)]
enum Command {
    /// Serve it on loopback until interrupted.
    Serve(ServeArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command::Serve(args) = Cli::parse().command;
    let running = args.start().await?;
    let url = running.url();
    let mut out = std::io::stdout();
    writeln!(out, "{{\"url\":\"{url}\",\"direct_url\":\"{}\"}}", running.direct_url())?;
    out.flush()?;
    // either way the simulator is dropped, which removes its temporary file
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Ok(())
}
