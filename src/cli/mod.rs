//! Commands and arguments.

mod ask;
mod backfill;
mod bar;
mod capture;
mod check;
mod coverage;
mod demo;
mod doctor;
mod dry_run;
mod explain;
mod gaps;
mod hear;
mod history;
mod leaving;
mod past;
mod probe;
mod proof;
mod quarantine;
mod reconcile;
mod reload;
mod replay;
mod run;
mod schema;
mod signals;
mod simulate;
mod staging;
mod state;
mod subscriptions;
mod support_bundle;
mod survey;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::config::load::{Purpose, load_for};
use crate::config::{Config, load};
use crate::error::{ExitCode, ProcessError};

/// Streams Genesys Cloud conversation events into a Kafka topic as Avro.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Where the configuration is.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// Configuration file, YAML. Environment variables TRUNKLINE__SECTION__KEY override it.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Kafka bootstrap servers, over file and environment.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub bootstrap_servers: Option<String>,
    /// Address of the admin server, over file and environment.
    #[arg(long, value_name = "HOST:PORT")]
    pub admin_listen: Option<String>,
    /// Log level, over file and environment.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the connector until it is told to stop.
    #[command(
        after_help = "Examples:\n  trunkline run --config trunkline.yaml\n  trunkline run --dry-run --seconds 60 --config trunkline.yaml"
    )]
    Run(run::RunArgs),
    /// Check a configuration without a network; name every mistake.
    #[command(after_help = "Example: trunkline check --config trunkline.yaml")]
    Check(ConfigArgs),
    /// Ask everything that run will need, once: logins, permissions, channels, registry, brokers, disk.
    #[command(after_help = "Example: trunkline doctor --config trunkline.yaml --output json")]
    Doctor(doctor::DoctorArgs),
    /// Run everything in one process, break it on purpose, account for every event.
    #[command(after_help = "Example: trunkline demo --events 24000 --output json")]
    Demo(demo::DemoArgs),
    /// Serve a simulated Genesys Cloud.
    #[command(
        after_help = "Example: trunkline simulate --port 8080 --rate 500, then open http://127.0.0.1:8080/sim/"
    )]
    Simulate(simulate::SimulateArgs),
    /// List what would be subscribed.
    #[command(after_help = "Example: trunkline subscriptions --config trunkline.yaml")]
    Subscriptions(ConfigArgs),
    /// The Avro schema of the events topic.
    #[command(
        subcommand,
        after_help = "Example: trunkline schema register --config trunkline.yaml"
    )]
    Schema(schema::SchemaCommand),
    /// Write what is heard into a file that `simulate --replay` plays, privacy policy applied.
    #[command(
        after_help = "Example: trunkline capture --minutes 5 --to morning.jsonl --config trunkline.yaml"
    )]
    Capture(capture::CaptureArgs),
    /// Settle on a live organisation what no document says, without harm; write a report, settings and a configuration.
    #[command(
        after_help = "Examples:\n  trunkline survey --dry-run\n  trunkline survey --minutes 30 --to survey --config trunkline.yaml"
    )]
    Survey(survey::SurveyArgs),
    /// Gaps: intervals that no socket proves, and what became of them.
    #[command(subcommand)]
    Gaps(gaps::GapsCommand),
    /// What may be said of a range of time; exit code 1 when it is not complete, or when not all of it is known.
    #[command(after_help = "Example: trunkline coverage --from 7d --config trunkline.yaml")]
    Coverage(coverage::CoverageArgs),
    /// Every record of a conversation: where it came from, which certificate covers it.
    #[command(after_help = "Example: trunkline explain CONVERSATION-ID --config trunkline.yaml")]
    Explain(explain::ExplainArgs),
    /// Conversations of history that a warehouse lacks; exit code 1 when there are any.
    #[command(
        after_help = "Example: trunkline reconcile --have ids.txt --from 7d --config trunkline.yaml"
    )]
    Reconcile(reconcile::ReconcileArgs),
    /// Publish what history says of a range that nobody heard.
    #[command(
        after_help = "Example: trunkline backfill --from 30d --to 2026-11-26T10:00:00Z --config trunkline.yaml"
    )]
    Backfill(backfill::BackfillArgs),
    /// What could not become a record.
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Whether what was written arrives in S3: Kafka Connect's connectors, their lag, retention; exit code 1 when somebody has to act.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  trunkline staging --config trunkline.yaml\n  trunkline staging apply --dir deploy/connect/s3 --dry-run --config trunkline.yaml"
    )]
    Staging(staging::StagingArgs),
    /// Print the configuration in force; secrets are masked.
    #[command(after_help = "Example: trunkline print-config --config trunkline.yaml")]
    PrintConfig(ConfigArgs),
    /// Everything that somebody who helps will ask for, in one archive without secrets.
    #[command(
        after_help = "Examples:\n  trunkline support-bundle --config trunkline.yaml --log trunkline.log\n  kubectl exec trunkline-0 -- trunkline support-bundle --to - --config /etc/trunkline/trunkline.yaml > bundle.tar.gz"
    )]
    SupportBundle(support_bundle::SupportBundleArgs),
    /// Ask a running connector whether it is ready.
    #[command(after_help = "Example: trunkline probe --address 127.0.0.1:9464")]
    Probe(probe::ProbeArgs),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example: trunkline completions bash > /etc/bash_completion.d/trunkline"
    )]
    Completions {
        /// Which shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Carries a command out.
///
/// # Errors
/// With the exit code of its cause.
pub fn execute(cli: Cli) -> Result<ExitCode, ProcessError> {
    let output = cli.output;
    match cli.command {
        Command::Run(args) => run::run(&args, output),
        Command::Check(args) => check::check(&args, output),
        Command::Doctor(args) => doctor::doctor(&args, output),
        Command::Demo(args) => demo::demo(&args, output),
        Command::Simulate(args) => simulate::simulate(args, output),
        Command::Subscriptions(args) => subscriptions::subscriptions(&args, output),
        Command::Capture(args) => capture::capture(&args, output),
        Command::Survey(args) => survey::survey(&args, output),
        Command::Schema(command) => schema::schema(command, output),
        Command::Gaps(command) => gaps::gaps(command, output),
        Command::Coverage(args) => coverage::coverage(&args, output),
        Command::Explain(args) => explain::explain(&args, output),
        Command::Reconcile(args) => reconcile::reconcile(&args, output),
        Command::Backfill(args) => backfill::backfill(&args, output),
        Command::Quarantine(command) => quarantine::quarantine(command, output),
        Command::Staging(args) => staging::staging(args, output),
        Command::PrintConfig(args) => check::print_config(&args, output),
        Command::SupportBundle(args) => support_bundle::support_bundle(&args, output),
        Command::Probe(args) => probe::probe(&args, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "trunkline", &mut script);
            say(&String::from_utf8_lossy(&script));
            Ok(ExitCode::Done)
        }
    }
}

/// File, environment, then flags.
fn configuration(args: &ConfigArgs) -> Result<Config, ProcessError> {
    configuration_for(Purpose::Run, args)
}

fn configuration_for(purpose: Purpose, args: &ConfigArgs) -> Result<Config, ProcessError> {
    load_for(purpose, args.config.as_deref(), &environment(args))
        .map_err(|mistakes| ProcessError::text(ExitCode::Config, mistakes.to_string()))
}

/// The environment, with flags in the place of the variables they override.
fn environment(args: &ConfigArgs) -> BTreeMap<String, String> {
    let mut environment = load::environment();
    let flags = [
        ("KAFKA__BOOTSTRAP_SERVERS", &args.bootstrap_servers),
        ("ADMIN__LISTEN", &args.admin_listen),
        ("LOG__LEVEL", &args.log_level),
    ];
    for (key, value) in flags {
        if let Some(value) = value {
            environment.insert(format!("TRUNKLINE__{key}"), value.clone());
        }
    }
    environment
}

/// A runtime for commands that wait.
fn runtime() -> Result<tokio::runtime::Runtime, ProcessError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| ProcessError::new(ExitCode::Internal, &error))
}

/// The service's runtime: one thread of ours beside those of the Kafka client. Sockets and stages
/// on two of them hand every event's bytes from core to core, which costs a tenth more CPU; one
/// carries 60,000 events/s.
///
/// # Errors
/// When the system grants no thread.
pub fn service_runtime() -> Result<tokio::runtime::Runtime, ProcessError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| ProcessError::new(ExitCode::Internal, &error))
}

/// Prints a result. A closed pipe is nobody's mistake.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .ok();
}
