//! `lenet serve`.

mod values;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use self::values::{parse_host, parse_origin, parse_size};
use super::{export::demo_of, load, print, signals::stopped_by_signal};
use crate::{
    Error, Result,
    artifacts::PRETRAINED,
    serve::{Options, Served, Service},
    terminal::say,
};

/// Where a token may be, so that it is not among the arguments, which others on the machine can read.
const TOKEN: &str = "LENET_TOKEN";

#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// The run's folder, a model.bpk, or the net that comes with lenet
    #[arg(default_value = PRETRAINED)]
    run: PathBuf,
    /// The port; 0 for any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The address to listen at; any but this machine's own needs --token or --insecure
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Open the page in a browser
    #[arg(long)]
    open: bool,
    /// The largest body of a request, such as 500KiB or 10MiB
    #[arg(long, value_name = "SIZE", default_value = "10MiB", value_parser = parse_size)]
    max_body: usize,
    /// A further name of this machine that requests may use; can be repeated
    #[arg(long, value_name = "NAME", value_parser = parse_host)]
    allow_host: Vec<String>,
    /// The origin of another page that may ask, such as `https://example.org`; can be repeated
    #[arg(long, value_name = "URL", value_parser = parse_origin)]
    allow_origin: Vec<String>,
    /// What every request must show; better in the environment variable LENET_TOKEN
    #[arg(long, value_name = "TOKEN", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    token: Option<String>,
    /// Listen at an address that others can reach, without a token
    #[arg(long)]
    insecure: bool,
    /// Let the page save corrections as pictures in this folder, to train on
    #[arg(long, value_name = "DIR")]
    feedback: Option<PathBuf>,
    /// The backend to compute on [default: the one it was trained on]
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
}

impl ServeArgs {
    pub(super) fn run(self) -> Result<()> {
        let token = self.token.or_else(|| std::env::var(TOKEN).ok()).filter(|token| !token.is_empty());
        if !self.host.is_loopback() && token.is_none() && !self.insecure {
            return Err(Error::Usage(format!(
                "everyone who reaches {} could ask this service: set {TOKEN} or --token, or say --insecure",
                self.host
            )));
        }
        let stopped = stopped_by_signal()?;
        let trained = load(&self.run, self.backend.as_deref())?;
        let page = demo_of(&self.run, &trained, self.feedback.is_some())?;
        let options = Options {
            host: self.host,
            port: self.port,
            max_body: self.max_body,
            allowed_hosts: self.allow_host,
            allowed_origins: self.allow_origin,
            token,
            feedback: self.feedback,
            ..Options::default()
        };
        let service = Service::bind(Served { trained, page }, options)?;
        let url = service.url()?;
        print(&format!("{url}\n"))?;
        if self.open
            && let Err(error) = open::that_detached(&url)
        {
            say(format!("no browser can be opened: {error}"));
        }
        service.run(stopped)
    }
}
