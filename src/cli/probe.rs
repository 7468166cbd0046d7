//! Asks the admin port: the health check of an image without a shell.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;

use super::{Output, say};
use crate::error::{ExitCode, ProcessError};

/// Whom to ask.
#[derive(Args, Clone, Debug)]
pub struct ProbeArgs {
    /// Address of the admin server.
    #[arg(long, default_value = "127.0.0.1:9464", value_name = "HOST:PORT")]
    pub address: SocketAddr,
    /// Which check: /readyz, /healthz or /startupz.
    #[arg(long, default_value = "/readyz")]
    pub path: String,
}

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn probe(args: &ProbeArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let unavailable = |error: std::io::Error| {
        ProcessError::text(
            ExitCode::Unavailable,
            format!("{} does not answer: {error}", args.address),
        )
    };
    let (status, body) = ask(args).map_err(unavailable)?;
    match output {
        Output::Json => say(body.trim()),
        Output::Text => say(&format!("{status}\n{}", body.trim())),
    }
    Ok(if status == 200 { ExitCode::Done } else { ExitCode::Unavailable })
}

pub(super) fn ask(args: &ProbeArgs) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&args.address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (path, host) = (&args.path, args.address);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}
