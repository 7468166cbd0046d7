//! The folder of the spool: that it can be written, how fast it syncs, and whether it has the room.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::Finding;
use crate::clock::Clock;
use crate::config::Config;
use crate::spool::{Folder, SpoolError};

const SPOOL: &str = "spool";
/// A group is written this often with a broker that does not answer.
const SLOW: Duration = Duration::from_millis(50);
/// Groups that are written to find out.
const GROUPS: usize = 20;
const GROUP: usize = 64 << 10;
const NAME: &str = "doctor";

/// Writes a few groups beside whatever lies there, and removes them.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let spool = &config.spool;
    if !spool.enabled {
        let text = "off: a kill or an outage of the broker is a gap";
        return vec![Finding::warn(
            SPOOL,
            text,
            "spool.enabled: true, with a folder that outlives a restart",
        )];
    }
    let shown = spool.dir.display();
    let lock = match Folder::lock(&spool.dir) {
        Ok(folder) => Some(folder),
        Err(SpoolError::Held { .. }) => None,
        Err(error) => {
            let remedy = "a folder that the user of this process may write to";
            return vec![Finding::fail(SPOOL, error.to_string(), remedy)];
        }
    };
    let mut findings = Vec::new();
    if lock.is_none() {
        findings.push(Finding::ok(SPOOL, format!("{shown} is in use by a running trunkline")));
    }
    findings.push(match slowest(&spool.dir) {
        Ok(took) if took <= SLOW => {
            Finding::ok(SPOOL, format!("{shown} syncs 64 KiB within {} ms", took.as_millis()))
        }
        Ok(took) => Finding::warn(
            SPOOL,
            format!("{shown} took {} ms to sync 64 KiB", took.as_millis()),
            "a faster disk: what is not synced when a process is killed lies in its gap",
        ),
        Err(error) => Finding::fail(
            SPOOL,
            format!("{shown} cannot be written: {error}"),
            "give spool.dir a disk that works and has room",
        ),
    });
    if let Ok(room) = rustix::fs::statvfs(&spool.dir) {
        let held: u64 = held(&spool.dir);
        let free = room.f_bavail.saturating_mul(room.f_frsize) + held;
        if free < spool.max_bytes {
            let text = format!(
                "{shown} has room for {} MiB, spool.max_bytes is {} MiB",
                free >> 20,
                spool.max_bytes >> 20
            );
            let remedy = "a larger disk, or a smaller spool.max_bytes: a full disk ends the spool until a restart";
            findings.push(Finding::warn(SPOOL, text, remedy));
        }
    }
    findings
}

/// Bytes that the spool itself holds.
fn held(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

fn slowest(folder: &Path) -> std::io::Result<Duration> {
    let path = folder.join(NAME);
    let clock = Clock::start();
    let mut file = fs::File::create(&path)?;
    let mut slowest = Duration::ZERO;
    let written = (0..GROUPS).try_for_each(|_| {
        let began = clock.mono();
        file.write_all(&[0; GROUP])?;
        file.sync_data()?;
        slowest = slowest.max(clock.mono().since(began));
        Ok(())
    });
    fs::remove_file(&path)?;
    written.map(|()| slowest)
}
