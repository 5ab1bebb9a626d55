//! Devices of another process, through Burn Remote: `lenet worker` serves them.

use std::{
    net::{TcpStream, ToSocketAddrs},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use burn::{
    remote::{ConnectError, RemoteHost},
    tensor::Device,
};

use super::{
    FoundDevice,
    address::{Address, TOKEN},
};

/// How long a worker may take to accept a connection: Burn itself would try for minutes.
const TO_ACCEPT: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const TO_ANSWER: Duration = Duration::from_secs(30);

/// Connects to a device of a worker.
///
/// # Errors
/// Why it cannot be used, and what to do about it.
pub(super) fn connect(address: &Address) -> Result<FoundDevice, String> {
    reach(address)?;
    let host = RemoteHost::websocket(&address.url());
    let host = match token() {
        Some(token) => host.with_credential(token),
        None => host,
    };
    let options = Device::remote_options(&host).device_index(address.index);
    let (sender, answer) = channel();
    // Whoever listens there may never answer.
    let started = thread::Builder::new().spawn(move || drop(sender.send(options.init())));
    started.map_err(|e| format!("no thread can be started for it: {e}"))?;
    let url = address.url();
    match answer.recv_timeout(TO_ANSWER) {
        Ok(Ok(device)) => {
            let hardware = format!("device {} of the worker at {}:{}", address.index, address.host, address.port);
            Ok(FoundDevice { name: address.to_string(), hardware, device })
        }
        Ok(Err(ConnectError::Unauthorized)) => Err(match token() {
            None => format!("the worker at {url} asks for its token: set {TOKEN} to it"),
            Some(_) => format!("the worker at {url} has another token than {TOKEN} here"),
        }),
        Ok(Err(ConnectError::NoSuchDevice { device_count })) => {
            let last = device_count.max(1) - 1;
            Err(format!("the worker at {url} has no device /{}: its last one is /{last}", address.index))
        }
        Ok(Err(error)) => Err(format!("what listens at {url} is no worker of this version of lenet: {error}")),
        Err(_) => Err(format!("what listens at {url} does not answer: is it a worker?")),
    }
}

/// Whether a worker accepts connections.
///
/// # Errors
/// Why it does not, and what to do about it.
pub(super) fn reach(address: &Address) -> Result<(), String> {
    let (host, port) = (address.host.trim_matches(['[', ']']), address.port);
    let found = (host, port).to_socket_addrs().map_err(|e| format!("there is no machine {host}: {e}"))?;
    let mut failure = "it has no address".to_owned();
    for socket in found {
        match TcpStream::connect_timeout(&socket, TO_ACCEPT) {
            Ok(_) => return Ok(()),
            Err(error) => failure = error.to_string(),
        }
    }
    Err(format!(
        "no worker can be reached at {}: {failure}. `lenet worker --listen 0.0.0.0:{port}` starts one there that other machines \
         reach, with the same {TOKEN} as here",
        address.url()
    ))
}

fn token() -> Option<String> {
    std::env::var(TOKEN).ok().filter(|token| !token.is_empty())
}
