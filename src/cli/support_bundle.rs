//! Everything that somebody who helps will ask for, in one archive without secrets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use memchr::memmem;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::probe::{self, ProbeArgs};
use super::{ConfigArgs, Output, configuration, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{ExitCode, ProcessError};

/// What to collect, and where to.
#[derive(Args, Clone, Debug)]
pub struct SupportBundleArgs {
    /// The archive to write; `-` for standard output. It must not exist yet.
    #[arg(long, value_name = "FILE", default_value = "trunkline-support.tar.gz")]
    to: PathBuf,
    /// Admin address of the running connector; that of the configuration without it.
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<SocketAddr>,
    /// A file with the connector's log; its last 8 MiB are taken. May be given several times.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// How far back gaps and coverage go.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    from: String,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A part that takes longer is given up, and said so.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(50);
/// Most of a log that is taken, from its end.
const LOG_BYTES: u64 = 8 << 20;
/// Most of anything else.
const MOST: usize = 16 << 20;
/// Shorter secrets would blot out words.
const SHORTEST: usize = 6;

pub(super) fn support_bundle(
    args: &SupportBundleArgs,
    output: Output,
) -> Result<ExitCode, ProcessError> {
    let config = configuration(&args.config)?;
    let mut archive = Archive::create(&args.to)?;
    let secrets = secrets(&config);
    let to_stdout = args.to == Path::new("-");
    let mut said = Vec::new();
    let mut add = |name: &str, found: Result<Vec<u8>, String>| -> Result<(), ProcessError> {
        let (bytes, fault) = match found {
            Ok(bytes) => (bytes, None),
            Err(why) => (format!("not collected: {why}\n").into_bytes(), Some(why)),
        };
        let (bytes, blotted) = blot(bytes, &secrets);
        archive.add(name, &bytes)?;
        if output == Output::Text && !to_stdout {
            let size = bytes.len();
            let why = fault.as_ref().map(|why| format!("; not collected: {why}"));
            say(&format!("{name:<18} {size:>9} bytes{}", why.unwrap_or_default()));
        }
        said.push(
            json!({"file": name, "bytes": bytes.len(), "secrets_blotted": blotted, "fault": fault}),
        );
        Ok(())
    };
    let told = |words: &[&str]| own(words, &args.config);
    let from = args.from.as_str();
    add("config.yaml", told(&["print-config"]))?;
    add("doctor.json", told(&["doctor", "--no-channel", "--output", "json"]))?;
    add("gaps.jsonl", told(&["gaps", "list", "--from", from, "--output", "json"]))?;
    add("coverage.jsonl", told(&["coverage", "--from", from, "--output", "json"]))?;
    let address = args.address.unwrap_or(config.admin.listen);
    for (name, path) in
        [("status.json", "/api/v1/status"), ("ready.json", "/readyz"), ("metrics.txt", "/metrics")]
    {
        add(name, asked(address, path))?;
    }
    for (at, log) in args.log.iter().enumerate() {
        let ends = tail_of(log).map_err(|error| format!("{}: {error}", log.display()));
        add(&format!("log-{at}.jsonl"), ends)?;
    }
    let about = json!({
        "trunkline": env!("CARGO_PKG_VERSION"), "at_ms": Clock::start().now().wall.0,
        "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "files": said,
    });
    archive.add("about.json", format!("{about:#}\n").as_bytes())?;
    archive.finish()?;
    if to_stdout {
        return Ok(ExitCode::Done);
    }
    match output {
        Output::Json => say(&json!({"to": args.to, "about": about}).to_string()),
        Output::Text => say(&format!(
            "{} is written; configured secrets are not in it, but look before you send it: names of topics, queues and hosts are",
            args.to.display()
        )),
    }
    Ok(ExitCode::Done)
}

/// What this program says to these words.
fn own(words: &[&str], config: &ConfigArgs) -> Result<Vec<u8>, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut command = Command::new(std::env::current_exe().map_err(text)?);
    command.args(words);
    if let Some(path) = &config.config {
        command.arg("--config").arg(path);
    }
    for (flag, value) in [
        ("--bootstrap-servers", &config.bootstrap_servers),
        ("--admin-listen", &config.admin_listen),
        ("--log-level", &config.log_level),
    ] {
        if let Some(value) = value {
            command.arg(flag).arg(value);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(text)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let out = scope.spawn(|| all_of(out));
        let err = scope.spawn(|| all_of(err));
        let clock = Clock::start();
        let since = clock.mono();
        let ended = loop {
            if let Some(status) = child.try_wait().map_err(text)? {
                break Some(status);
            }
            if clock.mono().since(since) > PATIENCE {
                child.kill().map_err(text)?;
                child.wait().map_err(text)?;
                break None;
            }
            std::thread::sleep(TICK);
        };
        let join = |bytes: std::thread::Result<Vec<u8>>| bytes.unwrap_or_default();
        let (out, err) = (join(out.join()), join(err.join()));
        match ended {
            None => Err(format!("no end after {} s", PATIENCE.as_secs())),
            // a command may find fault with the world and say so on its output
            Some(_) if !out.is_empty() => Ok(out),
            Some(status) if status.success() => Ok(out),
            Some(_) => Err(String::from_utf8_lossy(&err).trim().to_owned()),
        }
    })
}

fn all_of(pipe: Option<impl std::io::Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // what was read before a fault is worth having
    pipe.map(|pipe| pipe.take(MOST as u64).read_to_end(&mut bytes));
    bytes
}

fn asked(address: SocketAddr, path: &str) -> Result<Vec<u8>, String> {
    let args = ProbeArgs { address, path: path.to_owned() };
    let answer = probe::ask(&args).map_err(|error| format!("{address} does not answer: {error}"));
    answer.map(|(_, body)| body.into_bytes())
}

fn tail_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Every secret that is configured, by its field.
fn secrets(config: &Config) -> BTreeMap<String, SecretString> {
    let all = config.secrets().into_iter();
    let known = all.filter_map(|(field, secret)| Some((field, secret?.secret())));
    let properties = config.secret_properties().into_iter();
    let properties = properties.map(|(field, secret)| (field, secret.secret()));
    known.chain(properties).filter(|(_, secret)| secret.expose_secret().len() >= SHORTEST).collect()
}

/// Nothing of ours prints a secret; a library's error might. Returns how many were blotted out.
fn blot(mut bytes: Vec<u8>, secrets: &BTreeMap<String, SecretString>) -> (Vec<u8>, usize) {
    let mut blotted = 0;
    for (field, secret) in secrets {
        let wanted = secret.expose_secret().as_bytes();
        let instead = format!("***{field}***");
        let mut kept = Vec::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        while let Some(at) = memmem::find(rest, wanted) {
            let (before, behind) = rest.split_at(at);
            kept.extend_from_slice(before);
            kept.extend_from_slice(instead.as_bytes());
            rest = behind.get(wanted.len()..).unwrap_or_default();
            blotted += 1;
        }
        kept.extend_from_slice(rest);
        bytes = kept;
    }
    (bytes, blotted)
}

/// The archive, for the owner's eyes.
struct Archive {
    tar: tar::Builder<GzEncoder<Box<dyn std::io::Write>>>,
    path: PathBuf,
}

impl Archive {
    fn create(path: &Path) -> Result<Self, ProcessError> {
        let out: Box<dyn std::io::Write> = if path == Path::new("-") {
            Box::new(std::io::stdout())
        } else {
            let file = File::options().create_new(true).write(true).mode(0o600).open(path);
            Box::new(file.map_err(|error| failed(path, &error))?)
        };
        let tar = tar::Builder::new(GzEncoder::new(out, Compression::default()));
        Ok(Self { tar, path: path.to_owned() })
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), ProcessError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(Clock::start().now().wall.0 / 1_000).unwrap_or_default());
        let within = format!("trunkline-support/{name}");
        let added = self.tar.append_data(&mut header, within, bytes);
        added.map_err(|error| failed(&self.path, &error))
    }

    fn finish(self) -> Result<(), ProcessError> {
        let ended = self.tar.into_inner().and_then(GzEncoder::finish);
        ended.and_then(|mut out| out.flush()).map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> ProcessError {
    let text = format!("--to {} cannot be written: {error}", path.display());
    ProcessError::text(ExitCode::Usage, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_blotted_out_wherever_it_stands() {
        let secrets =
            BTreeMap::from([("admin.token".to_owned(), SecretString::from("hunter2-hunter2"))]);
        let text = b"hunter2-hunter2 and \xffhunter2-hunter2, not hunter2".to_vec();
        let (bytes, blotted) = blot(text, &secrets);
        assert_eq!(bytes, b"***admin.token*** and \xff***admin.token***, not hunter2");
        assert_eq!(blotted, 2);
    }
}
