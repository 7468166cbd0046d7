//! Connectors from files: looked through by their plugins, shown where they differ, then put.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{process_error, settings};
use crate::cli::{ConfigArgs, Output, configuration, runtime, say};
use crate::error::{ExitCode, ProcessError};
use crate::staging::connect::Connect;
use crate::staging::difference::{KeyChange, difference, mistakes, undeclared};
use crate::staging::{Shipped, StagingError, read};

/// What to apply, and how.
#[derive(Args, Clone, Debug)]
pub(super) struct ApplyArgs {
    /// Folder of files `ROLE.json`, each the configuration of the connector `trunkline-ROLE`.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Show what differs, and change nothing; exit code 1 when something does.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A connector, and what becomes of it.
struct Plan {
    wanted: Shipped,
    exists: bool,
    changes: Vec<KeyChange>,
    undeclared: Vec<String>,
}

/// Workers that share out tasks refuse for a while.
const TRIES: u32 = 15;
const PAUSE: Duration = Duration::from_secs(2);

pub(super) fn apply(args: &ApplyArgs, output: Output) -> Result<ExitCode, ProcessError> {
    let config = configuration(&args.config)?;
    let settings = settings(&config)?;
    let wanted =
        read(&args.dir).map_err(|wrong| ProcessError::text(ExitCode::Config, wrong.join("\n")))?;
    let looked_at: BTreeSet<String> = settings.connectors.iter().cloned().collect();
    let connect = Connect::new(&settings).map_err(|error| process_error(&error))?;
    let runtime = runtime()?;
    let plans = runtime.block_on(plan(&connect, wanted))?;
    let due = plans.iter().filter(|plan| plan.is_due()).count();
    if output == Output::Text {
        plans.iter().for_each(|plan| show(plan, &looked_at));
    }
    let done = match (due, args.dry_run) {
        (0, _) | (_, true) => false,
        (due, false) => {
            agreed(args, due, output)?;
            runtime.block_on(put(&connect, &plans))?;
            true
        }
    };
    match output {
        Output::Json => say(&report(&plans, done).to_string()),
        Output::Text if done => {
            say(&format!("{due} applied; trunkline staging says whether records arrive"));
        }
        Output::Text if due == 0 => say("nothing differs"),
        Output::Text => say(&format!("{due} would be applied; nothing was changed")),
    }
    Ok(if due > 0 && !done { ExitCode::Failed } else { ExitCode::Done })
}

impl Plan {
    fn is_due(&self) -> bool {
        !self.exists || !self.changes.is_empty()
    }
}

/// Asks plugins about every file before anything is shown; every mistake at once.
async fn plan(connect: &Connect, wanted: Vec<Shipped>) -> Result<Vec<Plan>, ProcessError> {
    let failed = |error: StagingError| process_error(&error);
    let (mut plans, mut wrong) = (Vec::new(), Vec::new());
    for wanted in wanted {
        let name = &wanted.name;
        let said = match connect.validate(name, &wanted.config).await {
            Ok(said) => said,
            // of this file alone: the plugin is not there
            Err(StagingError::Refused { status: 400..500, message }) => {
                wrong.push(format!("{name}: connector.class: {message}"));
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        wrong.extend(mistakes(&said.errors).into_iter().map(|line| format!("{name}: {line}")));
        let running = connect.config(name).await.map_err(failed)?;
        let exists = running.is_some();
        let changes = difference(&running.unwrap_or_default(), &wanted.config, Some(&said));
        let undeclared = undeclared(&wanted.config, &said).into_iter().map(str::to_owned).collect();
        plans.push(Plan { exists, changes, undeclared, wanted });
    }
    match wrong.is_empty() {
        true => Ok(plans),
        false => Err(ProcessError::text(ExitCode::Config, wrong.join("\n"))),
    }
}

fn show(plan: &Plan, looked_at: &BTreeSet<String>) {
    let name = &plan.wanted.name;
    let count = plan.changes.len();
    match (plan.exists, count) {
        (false, _) => say(&format!("{name}: to be created, {count} keys")),
        (true, 0) => say(&format!("{name}: nothing differs")),
        (true, _) => say(&format!("{name}: {count} keys differ")),
    }
    for KeyChange { key, from, to } in &plan.changes {
        match (from, to) {
            (None, Some(to)) => say(&format!("  + {key}: {to}")),
            (Some(from), None) => say(&format!("  - {key}: {from}")),
            (Some(from), Some(to)) => say(&format!("  ~ {key}: {from} -> {to}")),
            (None, None) => {}
        }
    }
    for key in &plan.undeclared {
        say(&format!("  ! {key}: the plugin does not declare it, and may pass over it"));
    }
    if !looked_at.contains(name) {
        say(&format!("  ! nobody looks at it: add {name} to staging.connectors"));
    }
}

/// Whoever is there says yes.
fn agreed(args: &ApplyArgs, due: usize, output: Output) -> Result<(), ProcessError> {
    if args.yes {
        return Ok(());
    }
    if output == Output::Json || !std::io::stdin().is_terminal() {
        let text = format!(
            "{due} connectors differ and there is nobody to ask: --yes applies, --dry-run only shows"
        );
        return Err(ProcessError::text(ExitCode::Usage, text));
    }
    let mut out = std::io::stderr();
    write!(out, "apply to {due} connectors? [y/N] ").and_then(|()| out.flush()).ok();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok(); // no answer is no
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(ProcessError::text(ExitCode::Failed, "nothing was changed")),
    }
}

async fn put(connect: &Connect, plans: &[Plan]) -> Result<(), ProcessError> {
    for Plan { wanted: Shipped { name, config }, .. } in plans.iter().filter(|plan| plan.is_due()) {
        let mut tries = 1;
        while let Err(error) = connect.put(name, config).await {
            if !matches!(error, StagingError::Refused { status: 409, .. }) || tries == TRIES {
                let ProcessError { code, text } = process_error(&error);
                let text = format!("{name} is not applied, and none after it: {text}");
                return Err(ProcessError { code, text });
            }
            tries += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

fn report(plans: &[Plan], done: bool) -> serde_json::Value {
    let each = plans.iter().map(|plan| {
        json!({
            "name": plan.wanted.name,
            "exists": plan.exists,
            "changes": plan.changes,
            "undeclared": plan.undeclared,
            "applied": done && plan.is_due(),
        })
    });
    json!({"applied": done, "connectors": each.collect::<Vec<_>>()})
}
