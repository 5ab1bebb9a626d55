//! `lenet worker`.

use std::net::SocketAddr;

use super::{print, signals::stopped_by_signal};
use crate::{
    Error, Result,
    backend::{FoundDevice, REMOTE, TOKEN},
    terminal::say,
    worker::{Options, serve},
};

#[derive(Debug, clap::Args)]
pub(super) struct WorkerArgs {
    /// Where to listen; port 0 for any free one. Any address but this machine's own needs a token, in the environment variable
    /// LENET_WORKER_TOKEN
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3111")]
    listen: SocketAddr,
    /// The devices, of one backend [default: all GPUs of the first backend that has one, or else the CPU]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    devices: Vec<String>,
}

impl WorkerArgs {
    pub(super) fn run(self) -> Result<()> {
        let token = match std::env::var(TOKEN) {
            Ok(token) if !token.is_empty() => Some(token),
            Err(std::env::VarError::NotPresent) => None,
            _ => return Err(Error::Usage(format!("{TOKEN} is set, but empty or not UTF-8"))),
        };
        let asks = token.is_some();
        let options = Options { listen: self.listen, devices: self.devices, token };
        let ready = |address: SocketAddr, devices: &[FoundDevice]| {
            let names = devices.iter().enumerate().map(|(index, _)| name(address, index));
            print(&names.fold(String::new(), |text, name| text + &name + "\n"))?;
            let shown: Vec<_> = devices.iter().map(|found| format!("{} ({})", found.name, found.hardware)).collect();
            let to = if asks { "who has the token" } else { "everyone on this machine, without a token" };
            say(format!("serving {} to {to}; Ctrl-C ends it", shown.join(", ")));
            Ok(())
        };
        serve(&options, ready, say, stopped_by_signal()?)
    }
}

/// What a device is called where training runs.
fn name(address: SocketAddr, index: usize) -> String {
    let (host, port) = (address.ip(), address.port());
    let host = match host {
        any if any.is_unspecified() => "HOST".to_owned(),
        std::net::IpAddr::V4(host) => host.to_string(),
        std::net::IpAddr::V6(host) => format!("[{host}]"),
    };
    let device = if index > 0 { format!("/{index}") } else { String::new() };
    format!("{REMOTE}:ws://{host}:{port}{device}")
}
