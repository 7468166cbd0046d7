//! The one task that touches the disk: one job at a time, on a thread that may wait.

use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender};
use trunkline_protocol::spool::{Batch, Disk, DiskError, Read, carry_out};

use crate::clock::Clock;

/// What the disk is asked for.
#[derive(Debug)]
pub(super) enum Job {
    /// Write and sync.
    Write(Batch),
    /// Read back.
    Read(Read),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Answer {
    /// Durable or refused, and how long it took.
    Written(Result<(), DiskError>, Duration),
    /// Bytes, fewer at the end of the file.
    Read(Read, Result<Vec<u8>, DiskError>),
}

/// Does what it is asked until nobody asks any more.
pub struct Writer {
    pub(super) disk: Box<dyn Disk + Send>,
    pub(super) clock: Clock,
    pub(super) jobs: Receiver<Job>,
    pub(super) answers: Sender<Answer>,
}

impl Writer {
    /// Runs until the spool is dropped.
    pub async fn run(mut self) {
        while let Some(job) = self.jobs.recv().await {
            let (mut disk, clock) = (self.disk, self.clock);
            let done = tokio::task::spawn_blocking(move || {
                let answer = answer(job, disk.as_mut(), clock);
                (disk, answer)
            });
            let Ok((disk, answer)) = done.await else { return }; // a panic was reported already
            self.disk = disk;
            if self.answers.send(answer).await.is_err() {
                return;
            }
        }
    }
}

fn answer(job: Job, disk: &mut dyn Disk, clock: Clock) -> Answer {
    match job {
        Job::Write(batch) => {
            let started = clock.mono();
            let result = carry_out(&batch, disk);
            Answer::Written(result, clock.mono().since(started))
        }
        Job::Read(read) => {
            let bytes = disk.read(&read.name, read.offset, read.bytes);
            Answer::Read(read, bytes)
        }
    }
}
