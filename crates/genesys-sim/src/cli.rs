//! Flags of `genesys-sim serve`; a program that embeds the simulator takes the same.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::faults;
use crate::replay;
use crate::server::{self, Running, ServeSettings};
use crate::settings::Settings;
use crate::traffic::Profile;

/// Serve a simulated Genesys Cloud, and a page on /sim/ with a button for each fault.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Port; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// IP address to listen on; whoever reaches it can do everything, no token is asked for.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub listen: IpAddr,
    /// Seed of traffic and ids; equal seeds make equal traffic.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Notifications per second on queue and user topics, up to 20000.
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    /// Stop generating after so many wanted events; 0 goes on for ever.
    #[arg(long, default_value_t = 0)]
    pub events: u64,
    /// Queues of the organisation.
    #[arg(long, default_value_t = 12)]
    pub queues: usize,
    /// People of the organisation.
    #[arg(long, default_value_t = 40)]
    pub users: usize,
    /// Divisions that queues and people are spread over.
    #[arg(long, default_value_t = 1)]
    pub divisions: usize,
    /// Milliseconds between an occurrence and its delivery, at least.
    #[arg(long, default_value_t = 200)]
    pub delay_min_ms: u64,
    /// Milliseconds between an occurrence and its delivery, less than.
    #[arg(long, default_value_t = 2_000)]
    pub delay_max_ms: u64,
    /// OAuth client as ID:SECRET; repeatable.
    #[arg(long = "client", value_name = "ID:SECRET")]
    pub clients: Vec<String>,
    /// Timeline of faults: a JSON list, see timeline.schema.json.
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Play envelopes from a file, one JSON per line, instead of inventing traffic.
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// Play the file again and again, this many envelopes per second.
    #[arg(long, value_name = "RATE", requires = "replay")]
    pub replay_loop: Option<f64>,
    /// Give the queue and user ids in replayed topic names to objects that exist here.
    #[arg(long, requires = "replay")]
    pub rewrite_ids: bool,
    /// Serve TLS; the generated certificate authority is written to this file.
    #[arg(long, value_name = "FILE")]
    pub tls_ca_out: Option<PathBuf>,
    /// Lives of channels and tokens run this many times as fast.
    #[arg(long, default_value_t = 1)]
    pub time_scale: u32,
    /// Wait with the traffic until so many channels are connected.
    #[arg(long, default_value_t = 0)]
    pub wait_for_channels: usize,
    /// Where ledger entries go that no longer fit into memory; default is a temporary file.
    #[arg(long, value_name = "FILE")]
    pub ledger_file: Option<PathBuf>,
    /// Keep no ledger, only counts: for measurements at the highest rates.
    #[arg(long, conflicts_with = "ledger_file")]
    pub no_ledger: bool,
    /// Behaviour of the platform as a JSON object; GET /sim/settings shows what there is.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
}

impl ServeArgs {
    /// Reads the files and starts serving.
    ///
    /// # Errors
    /// Names the flag or file that is wrong.
    pub async fn start(self) -> anyhow::Result<Running> {
        server::start(self.serve_settings()?).await
    }

    fn serve_settings(self) -> anyhow::Result<ServeSettings> {
        anyhow::ensure!(
            self.rate > 0.0 && self.rate <= 20_000.0,
            "--rate is {}; allowed: above 0, up to 20000",
            self.rate
        );
        let mut settings = Settings::default();
        if let Some(path) = &self.settings {
            let wrong = |error: String| anyhow::anyhow!("{}: {error}", path.display());
            let changes = serde_json::from_str(&read(path)?).map_err(|e| wrong(e.to_string()))?;
            settings = settings.patched(&changes).map_err(wrong)?;
        }
        settings = settings.scaled(self.time_scale);
        if !self.clients.is_empty() {
            settings.clients =
                self.clients.iter().map(|text| client(text)).collect::<Result<_, _>>()?;
        }
        let faults = match &self.faults {
            None => Vec::new(),
            Some(path) => faults::read_timeline(&read(path)?)
                .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?,
        };
        let mut replay = match &self.replay {
            None => Vec::new(),
            Some(path) => replay::read(&read(path)?)
                .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?,
        };
        let profile = Profile {
            rate: self.rate,
            queues: self.queues,
            users: self.users,
            divisions: self.divisions,
            delay_ms: (self.delay_min_ms, self.delay_max_ms),
            ..Profile::default()
        };
        if self.rewrite_ids {
            let traffic = crate::traffic::Traffic::new(self.seed, profile.clone());
            let queues: Vec<String> = traffic.org().queues.iter().map(|q| q.id.clone()).collect();
            let users: Vec<String> = traffic.org().users.iter().map(|u| u.id.clone()).collect();
            replay::rewrite_ids(&mut replay, &queues, &users);
        }
        Ok(ServeSettings {
            settings,
            profile,
            seed: self.seed,
            port: self.port,
            listen: Some(self.listen),
            events: self.events,
            wait_for_channels: self.wait_for_channels,
            faults,
            replay,
            replay_loop_rate: self.replay_loop.unwrap_or(0.0),
            tls_ca_out: self.tls_ca_out,
            ledger_file: self.ledger_file,
            no_ledger: self.no_ledger,
        })
    }
}

fn client(text: &str) -> anyhow::Result<(String, String)> {
    let (id, secret) = text
        .split_once(':')
        .with_context(|| format!("--client is {text:?}; expected ID:SECRET"))?;
    Ok((id.to_owned(), secret.to_owned()))
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
