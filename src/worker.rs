//! Lets other processes compute on this machine's devices, through Burn Remote.

use std::net::SocketAddr;

use tokio::sync::watch;

use crate::{
    Error, Result,
    backend::{AUTO, BACKENDS, Backend, FoundDevice, REMOTE, TOKEN, base_name, is_same_kind, select},
};

/// What a worker serves, and to whom.
#[derive(Debug)]
pub struct Options {
    /// Where it listens; port 0 for any free one.
    pub listen: SocketAddr,
    /// The names of the devices; empty for all GPUs of the first backend that has one, or else for the CPU.
    pub devices: Vec<String>,
    /// What clients must show. Needed at any address but this machine's own.
    pub token: Option<String>,
}

impl Options {
    /// The devices to serve.
    ///
    /// # Errors
    /// Others could reach it without a token, or a device does not work, is another worker's, or of another backend than the
    /// first.
    pub fn check(&self) -> Result<Vec<FoundDevice>> {
        if !self.listen.ip().is_loopback() && self.token.is_none() {
            return Err(Error::Usage(format!(
                "everyone who reaches {} could compute on this machine: set {TOKEN} to a token, here and where training runs",
                self.listen
            )));
        }
        if let Some(name) = self.devices.iter().find(|name| base_name(name) == REMOTE) {
            let name = name.split('@').next_back().unwrap_or_default();
            return Err(Error::Usage(format!("{name} is another worker's device: name it where training runs")));
        }
        let found = match self.devices.as_slice() {
            [] => all_like(select(AUTO)?),
            names => names.iter().map(|name| select(name)).collect::<Result<_>>()?,
        };
        let of_another =
            |it: &&FoundDevice| found.first().is_some_and(|first| base_name(&it.name) != base_name(&first.name));
        match found.iter().find(of_another) {
            Some(other) => Err(Error::Usage(format!(
                "a worker serves one backend, but {} and {} are of two: start another worker",
                found[0].name, other.name
            ))),
            None => Ok(found),
        }
    }
}

/// All devices of a backend that are of the same kind as one: all GPUs, say.
fn all_like(found: FoundDevice) -> Vec<FoundDevice> {
    let backend = BACKENDS.iter().find(|backend| backend.name == base_name(&found.name));
    let others = backend.map(Backend::devices).unwrap_or_default();
    let alike: Vec<_> = others.into_iter().filter(|other| is_same_kind(&other.device, &found.device)).collect();
    if alike.is_empty() { vec![found] } else { alike }
}

/// Serves until `stopped`. `ready` is told the address at which it listens, and `tell` who comes.
///
/// # Errors
/// It cannot listen there, or this program was built without the feature `remote`.
#[cfg(feature = "remote")]
pub fn serve(
    options: &Options,
    ready: impl FnOnce(SocketAddr, &[FoundDevice]) -> Result<()>,
    tell: impl Fn(String) + Send + Sync + 'static,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};

    let failed =
        |what: &dyn std::fmt::Display| Error::Serve(format!("a worker at {} is not possible: {what}", options.listen));
    let devices = options.check()?;
    let listener = std::net::TcpListener::bind(options.listen).map_err(|e| failed(&e))?;
    let address = listener.local_addr().map_err(|e| failed(&e))?;
    let token = options.token.as_deref().map(TokenAuthorizer::new).transpose().map_err(|e| failed(&e))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| failed(&e))?;
    let server = RemoteServer::new(devices.iter().map(|found| found.device.clone()))
        .with_authorizer(Door { token, tell: Box::new(tell) });
    ready(address, &devices)?;
    runtime.block_on(async {
        tokio::select! {
            ended = server.serve_async(WebSocketTransport::from_listener(listener)) => ended.map_err(|e| failed(&e)),
            // The sender lives as long as the program.
            _ = stopped.wait_for(|stopped| *stopped) => Ok(()),
        }
    })?;
    // Sessions that compute something are not waited for.
    runtime.shutdown_background();
    Ok(())
}

/// Who may compute here, and who is told of it.
#[cfg(feature = "remote")]
struct Door {
    token: Option<burn::server::TokenAuthorizer>,
    tell: Box<dyn Fn(String) + Send + Sync>,
}

#[cfg(feature = "remote")]
impl burn::server::PeerAuthorizer for Door {
    fn authorize(&self, request: burn::server::AuthorizationRequest<'_>) -> std::result::Result<(), String> {
        let (client, index) = (request.client, request.device_index);
        let client = match client {
            burn::server::ClientId::WebSocket(address) => address.to_string(),
            iroh @ burn::server::ClientId::Iroh(_) => iroh.to_string(),
        };
        let outcome = self.token.as_ref().map_or(Ok(()), |token| token.authorize(request));
        (self.tell)(match outcome {
            Ok(()) => format!("{client} computes on device {index}"),
            Err(_) => format!("{client} was refused: it has no token or another one"),
        });
        outcome
    }
}

/// Says that this program cannot serve devices.
///
/// # Errors
/// Always.
#[cfg(not(feature = "remote"))]
pub fn serve(
    options: &Options,
    _: impl FnOnce(SocketAddr, &[FoundDevice]) -> Result<()>,
    _: impl Fn(String) + Send + Sync + 'static,
    _: watch::Receiver<bool>,
) -> Result<()> {
    options.check()?;
    Err(Error::Backend(format!("workers are not compiled in: run `cargo run --features {REMOTE} -- worker …`")))
}
