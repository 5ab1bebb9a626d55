//! A net behind HTTP, with its page.
//!
//! - `guard`, `token`: who may ask: the names of this host, the origins of pages, the token.
//! - `body`, `pictures`: from a request to pictures, within `limits`; `query`: what is wished of them.
//! - `queue`: how much may be under way at a time.
//! - `routes`: what is answered; `predict`, `answer`: the net's answers; `feedback`: corrections to train on.
//! - `problem`: errors, as RFC 9457 has them.
//! - `metrics`: what Prometheus reads.
//! - `connections`: accepts, watches the clock, and ends in order.

mod answer;
mod body;
mod connections;
mod feedback;
mod guard;
mod limits;
mod metrics;
mod pictures;
mod predict;
mod problem;
mod query;
mod queue;
mod routes;
mod token;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use tokio::{net::TcpListener, sync::watch};

use self::{
    feedback::Feedback,
    guard::Guard,
    limits::{Limits, MAX_IMAGES},
    metrics::Metrics,
    queue::Queue,
};
pub use self::{limits::Times, routes::ROUTES};
use crate::{Error, Result, inference::Trained, page::Demo};

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen at.
    pub host: IpAddr,
    /// The port; 0 for any free one.
    pub port: u16,
    /// The largest body, in bytes.
    pub max_body: usize,
    /// Further names of this host, as in the header `Host`.
    pub allowed_hosts: Vec<String>,
    /// Origins of other pages that may ask.
    pub allowed_origins: Vec<String>,
    /// What every request but those for health must show.
    pub token: Option<String>,
    /// Where corrections from the page are saved, in a folder for each class.
    pub feedback: Option<PathBuf>,
    /// The work that may be under way or wait at a time, in images of 28x28, of which a picture counts as 40; a request
    /// beyond it is refused as busy.
    pub max_work: usize,
    /// How long to wait.
    pub times: Times,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8080,
            max_body: 10 << 20,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            token: None,
            feedback: None,
            max_work: 4 * MAX_IMAGES,
            times: Times::default(),
        }
    }
}

/// What is served.
#[derive(Debug)]
pub struct Served {
    /// The net.
    pub trained: Trained,
    /// Its page.
    pub page: Demo,
}

/// What all requests share.
struct App {
    trained: Trained,
    page: Demo,
    limits: Limits,
    times: Times,
    guard: Guard,
    queue: Queue,
    metrics: Metrics,
    feedback: Option<Arc<Feedback>>,
    /// Set when no more work is taken.
    ending: AtomicBool,
}

/// A bound port, not yet served.
#[derive(Debug)]
pub struct Service {
    listener: std::net::TcpListener,
    app: Arc<App>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl Service {
    /// Takes the port.
    ///
    /// # Errors
    /// It is taken, the address is not one of this machine, or corrections cannot be saved.
    pub fn bind(served: Served, options: Options) -> Result<Self> {
        let address = SocketAddr::new(options.host, options.port);
        let listener = std::net::TcpListener::bind(address).map_err(|e| unbound(address, &e))?;
        let Served { trained, page } = served;
        let feedback = options.feedback.map(|folder| Feedback::new(folder, trained.classes())).transpose()?;
        let app = App {
            trained,
            page,
            limits: Limits::new(options.max_body),
            times: options.times,
            guard: Guard::new(&options.allowed_hosts, &options.allowed_origins, options.token.as_deref()),
            queue: Queue::new(options.max_work, cores()),
            metrics: Metrics::default(),
            feedback: feedback.map(Arc::new),
            ending: AtomicBool::new(false),
        };
        Ok(Self { listener, app: Arc::new(app) })
    }

    /// Where it listens, as a URL.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn url(&self) -> Result<String> {
        let address = self.listener.local_addr().map_err(|e| Error::Serve(format!("the port cannot be read: {e}")))?;
        // An unspecified address is every one of this machine; a browser needs a single one.
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
            IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Ok(format!("http://{ip}:{}/", address.port()))
    }

    /// Serves until `stop` becomes true; then finishes what is under way.
    ///
    /// # Errors
    /// The threads cannot be started, or the port cannot be used.
    pub fn run(self, stop: watch::Receiver<bool>) -> Result<()> {
        let fault = |e: std::io::Error| Error::Serve(format!("the service cannot be started: {e}"));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(cores()).enable_all().build().map_err(fault)?;
        self.listener.set_nonblocking(true).map_err(fault)?;
        runtime.block_on(async {
            let listener = TcpListener::from_std(self.listener).map_err(fault)?;
            connections::serve(listener, self.app, stop).await;
            Ok(())
        })?;
        // Computations that no one waits for any more do not hold up the end.
        runtime.shutdown_background();
        Ok(())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn unbound(address: SocketAddr, error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => "another program has it: choose another port with --port, or --port 0 for any free one",
        ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose another one with --port",
        ErrorKind::AddrNotAvailable => "it is not an address of this machine: choose another one with --host",
        _ => "choose another one with --host and --port",
    };
    Error::Serve(format!("cannot listen at {address} ({error}); {remedy}"))
}
