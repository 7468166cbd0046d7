//! Arguments, runtime, exit code.

use std::io::Write as _;
use std::process::ExitCode as Exit;

use clap::Parser as _;
use clap::error::ErrorKind;
use trunkline::cli::{Cli, execute};
use trunkline::error::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Exit {
    // or the process takes OpenSSL down on its way out, under threads of the Kafka client that still speak TLS
    openssl_sys::init();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok(); // a closed terminal changes nothing
            let help = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion].contains(&error.kind());
            return Exit::from(if help { ExitCode::Done as u8 } else { ExitCode::Usage as u8 });
        }
    };
    match execute(cli) {
        Ok(code) => Exit::from(code as u8),
        Err(error) => {
            writeln!(std::io::stderr(), "trunkline: {error}").ok(); // nobody may be reading
            Exit::from(error.code as u8)
        }
    }
}
