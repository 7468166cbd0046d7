//! The core behind HTTP and WebSocket, with a control endpoint under `/sim/`.

mod control;
mod desk;
mod http;
mod sockets;
mod spill;
mod tls;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cloud::{Cloud, Counters, Output};
use crate::faults::{Applied, Fault};
use crate::ledger::Entry;
use crate::settings::Settings;
use crate::traffic::{Profile, Traffic};
use sockets::Sockets;
use spill::Spill;

/// What to serve.
#[derive(Clone, Debug, Default)]
pub struct ServeSettings {
    /// Behaviour of the platform.
    pub settings: Settings,
    /// Traffic.
    pub profile: Profile,
    /// Seed of traffic and ids.
    pub seed: u64,
    /// Port; 0 takes a free one.
    pub port: u16,
    /// Address to listen on; 127.0.0.1 unless set.
    pub listen: Option<IpAddr>,
    /// Stop generating after so many wanted events; 0 goes on for ever.
    pub events: u64,
    /// Wait with the traffic until so many channels are connected.
    pub wait_for_channels: usize,
    /// Faults, whose times count from the start of the traffic.
    pub faults: Vec<Fault>,
    /// Envelopes played instead of generated traffic: topic and frame.
    pub replay: Vec<crate::replay::Recorded>,
    /// Play them again and again, at this rate per second; 0 plays them once, 1,000 a second.
    pub replay_loop_rate: f64,
    /// Serve TLS with a generated authority, written to this file.
    pub tls_ca_out: Option<PathBuf>,
    /// Where ledger entries go that no longer fit into memory.
    pub ledger_file: Option<PathBuf>,
    /// Count events and keep no ledger of them.
    pub no_ledger: bool,
}

/// A running simulator; dropping it stops it.
pub struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls: bool,
    _tasks: JoinSet<()>,
    embedded: mpsc::UnboundedReceiver<Embedded>,
}

pub(crate) struct Shared {
    cloud: Mutex<Cloud>,
    sockets: Sockets,
    spill: Mutex<Spill>,
    started: Instant,
    traffic: watch::Sender<TrafficState>,
    embedded: mpsc::UnboundedSender<Embedded>,
}

/// A fault that the embedding process has to carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedded {
    /// Take the broker away for so long.
    BrokerDown(Duration),
    /// End the connector without a word and start another one.
    Kill,
}

/// How far the traffic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficState {
    /// Nobody is connected yet.
    Waiting,
    /// Events are generated.
    Flowing {
        /// When it began, on the simulator's clock.
        since_ms: u64,
    },
    /// Everything asked for was generated.
    Done,
}

/// Ledger entries that stay in memory, in bytes.
const LEDGER_IN_MEMORY: usize = 64 << 20;

/// Starts a simulator.
///
/// # Errors
/// When the port is taken, or the certificate cannot be made or written.
pub async fn start(serve: ServeSettings) -> anyhow::Result<Running> {
    let asked = serve.listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let listener = TcpListener::bind((asked, serve.port))
        .await
        .with_context(|| format!("cannot listen on {}", SocketAddr::new(asked, serve.port)))?;
    let address = dialled(listener.local_addr()?);
    let acceptor = serve.tls_ca_out.as_deref().map(|to| tls::acceptor(to, address.ip()));
    let acceptor = acceptor.transpose()?;
    let scheme = if acceptor.is_some() { "wss" } else { "ws" };
    let origin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let origin_ms = u64::try_from(origin.as_millis()).unwrap_or(0);
    let profile = Profile { epoch_ms: origin_ms, ..serve.profile.clone() };
    let traffic = Traffic::new(serve.seed, profile);
    let base = format!("{scheme}://{address}");
    let mut cloud = Cloud::new(serve.settings.clone(), traffic, serve.seed, &base, origin_ms);
    if serve.no_ledger {
        cloud.ledger_mut().count_only();
    }
    let (traffic, _) = watch::channel(TrafficState::Waiting);
    let (embedded, told) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        cloud: Mutex::new(cloud),
        sockets: Sockets::default(),
        spill: Mutex::new(Spill::new(serve.ledger_file.clone())?),
        started: Instant::now(),
        traffic,
        embedded,
    });
    let mut tasks = JoinSet::new();
    let tls = acceptor.is_some();
    tasks.spawn(http::accept(listener, acceptor, Arc::clone(&shared)));
    tasks.spawn(drive(Arc::clone(&shared), serve));
    Ok(Running { shared, address, tls, _tasks: tasks, embedded: told })
}

/// The address to dial from here: every address is no address.
fn dialled(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        _ if !address.ip().is_unspecified() => address.ip(),
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}

impl Running {
    /// Where login, REST and `/sim/` are served.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// Where direct connections are opened.
    #[must_use]
    pub fn direct_url(&self) -> String {
        let path = self.shared.cloud().settings.direct_path.clone();
        format!("{}://{}{path}", if self.tls { "wss" } else { "ws" }, self.address)
    }

    /// Injects a fault; a time in the past means now, and then it is in force on return.
    pub fn inject(&self, fault: Fault) {
        self.shared.with(|cloud, now_ms| {
            cloud.inject(fault);
            cloud.tick(now_ms);
        });
    }

    /// Faults carried out so far.
    #[must_use]
    pub fn applied(&self) -> Vec<Applied> {
        self.shared.cloud().applied().to_vec()
    }

    /// Faults that still wait for their time.
    #[must_use]
    pub fn waiting_faults(&self) -> usize {
        self.shared.cloud().waiting()
    }

    /// What was seen so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.cloud().counters()
    }

    /// Entries in the ledger, and how many of them were wanted by anybody.
    #[must_use]
    pub fn generated(&self) -> (u64, u64) {
        let cloud = self.shared.cloud();
        (cloud.ledger().len(), cloud.ledger().covered())
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.shared.now_ms()
    }

    /// The date of time 0, milliseconds since 1970.
    #[must_use]
    pub fn origin_ms(&self) -> u64 {
        self.shared.cloud().wall_origin_ms
    }

    /// How far the traffic is; changes can be awaited.
    #[must_use]
    pub fn traffic(&self) -> watch::Receiver<TrafficState> {
        self.shared.traffic.subscribe()
    }

    /// The organisation's id.
    #[must_use]
    pub fn org_id(&self) -> String {
        self.shared.cloud().traffic().org().id.clone()
    }

    /// The whole ledger, as JSON lines.
    ///
    /// # Errors
    /// When entries that were written to a file cannot be read back.
    pub fn ledger_lines(&self) -> anyhow::Result<Vec<String>> {
        self.shared.ledger_page(0, usize::MAX)
    }

    /// Waits until a fault concerns the embedding process.
    pub async fn embedded(&mut self) -> Embedded {
        match self.embedded.recv().await {
            Some(fault) => fault,
            None => std::future::pending().await,
        }
    }
}

pub(crate) fn line(entry: &Entry) -> String {
    entry.line()
}

impl Shared {
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines of the ledger after the first `after`, at most `limit`.
    pub(crate) fn ledger_page(&self, after: u64, limit: usize) -> anyhow::Result<Vec<String>> {
        spill::page(
            after,
            limit,
            |skip, limit| self.spill().lines(skip, limit),
            |last, limit| self.cloud().ledger().after(last, limit).cloned().collect(),
        )
    }

    fn spill(&self) -> MutexGuard<'_, Spill> {
        self.spill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the core and carries out what follows from it.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Cloud, u64) -> T) -> T {
        let mut cloud = self.cloud();
        let result = work(&mut cloud, self.now_ms());
        while let Some(output) = cloud.poll() {
            match output {
                Output::BrokerDown { for_ms } => {
                    // nobody may be listening; then the fault is only on record
                    let duration = Duration::from_millis(for_ms);
                    self.embedded.send(Embedded::BrokerDown(duration)).ok();
                }
                Output::Kill => _ = self.embedded.send(Embedded::Kill),
                Output::Text(..) | Output::Close(..) | Output::Reset(_) | Output::Freeze(_) => {
                    if let Some(id) = self.sockets.carry_out(output) {
                        cloud.socket_unread(id, self.now_ms());
                    }
                }
            }
        }
        let overflow = cloud.ledger_mut().overflow(LEDGER_IN_MEMORY);
        if !overflow.is_empty() {
            self.spill().append(&overflow);
        }
        result
    }
}

/// Between two looks at the clock; the finest pace of the traffic.
const TICK: Duration = Duration::from_millis(2);

/// Drives time and traffic.
async fn drive(shared: Arc<Shared>, serve: ServeSettings) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut player = crate::replay::Player::new(serve.replay, serve.replay_loop_rate);
    loop {
        ticks.tick().await;
        let state = *shared.traffic.borrow();
        shared.with(|cloud, now_ms| {
            cloud.tick(now_ms);
            if cloud.settings().slow_reader_drops {
                cloud.mark_full(shared.sockets.full());
            }
            match state {
                TrafficState::Waiting => {
                    if cloud.connected().len() >= serve.wait_for_channels || cloud.has_direct() {
                        cloud.traffic().start_at(now_ms);
                        for fault in &serve.faults {
                            let at_ms = fault.at_ms + now_ms;
                            cloud.inject(Fault { at_ms, ..fault.clone() });
                        }
                        shared.traffic.send_replace(TrafficState::Flowing { since_ms: now_ms });
                    }
                }
                TrafficState::Flowing { since_ms } => {
                    let done = if player.is_empty() {
                        flow(cloud, serve.events, now_ms)
                    } else {
                        player.play(cloud, now_ms - since_ms, now_ms)
                    };
                    if done {
                        shared.traffic.send_replace(TrafficState::Done);
                    }
                }
                TrafficState::Done => {}
            }
        });
    }
}

/// Publishes what is due; says whether the end is reached.
fn flow(cloud: &mut Cloud, events: u64, now_ms: u64) -> bool {
    // a slow machine catches up in slices, so that sockets and faults get their turn
    for _ in 0..2_000 {
        if events > 0 && cloud.ledger().covered() >= events {
            return true;
        }
        if cloud.traffic().next_at() > now_ms {
            return false;
        }
        cloud.publish_next(now_ms);
    }
    false
}
