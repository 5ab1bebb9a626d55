//! The names of remote devices: `remote:ws://HOST:PORT`, and `/1` behind it for the worker's second device.

use std::fmt;

/// The backend's name.
pub(crate) const REMOTE: &str = "remote";

/// Where a worker listens, and which of its devices is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The name or the number of the machine, in brackets if it is of IPv6.
    pub host: String,
    pub port: u16,
    /// Which of its devices, from 0.
    pub index: usize,
}

impl Address {
    /// Reads what follows `remote:`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Before anything else, since other messages repeat the text.
        if text.contains('@') {
            return Err(format!(
                "an address of {REMOTE} has an @: a token belongs in the environment variable {TOKEN}"
            ));
        }
        let expected =
            || format!("\"{REMOTE}:{text}\": expected {REMOTE}:ws://HOST:PORT, such as {REMOTE}:ws://gpu:3111");
        if text.starts_with("wss://") {
            return Err(format!("\"{REMOTE}:{text}\": workers do not encrypt; use ws://, through a tunnel if need be"));
        }
        let rest = text.strip_prefix("ws://").ok_or_else(expected)?;
        let (machine, index) = match rest.split_once('/') {
            None | Some((_, "")) => (rest.trim_end_matches('/'), 0),
            Some((machine, index)) => (machine, index.parse().map_err(|_| expected())?),
        };
        let (host, port) = machine.rsplit_once(':').ok_or_else(expected)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(expected)?;
        let of_a_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let number = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid = match number {
            Some(number) => number.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(of_a_name),
        };
        if valid { Ok(Self { host: host.to_owned(), port, index }) } else { Err(expected()) }
    }

    /// The worker's address without the device: `ws://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("ws://{}:{}", self.host, self.port)
    }
}

/// Where the token is that workers ask for. It is in no config, report or message.
pub(crate) const TOKEN: &str = "LENET_WORKER_TOKEN";

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{REMOTE}:{}", self.url())?;
        if self.index > 0 { write!(f, "/{}", self.index) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, shown) in [
            ("ws://gpu:3111", "remote:ws://gpu:3111"),
            ("ws://127.0.0.1:3111/", "remote:ws://127.0.0.1:3111"),
            ("ws://gpu-1.example.org:80/0", "remote:ws://gpu-1.example.org:80"),
            ("ws://[::1]:3111/12", "remote:ws://[::1]:3111/12"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn wrong_addresses_are_refused_without_showing_a_token() {
        for text in
            ["", "gpu:3111", "ws://gpu", "ws://:3111", "ws://gpu:0", "ws://gpu:3111/x", "ws://g pu:1", "ws://::1:1"]
        {
            assert!(Address::parse(text).unwrap_err().contains("such as remote:ws://gpu:3111"), "{text}");
        }
        assert!(Address::parse("wss://gpu:3111").unwrap_err().contains("do not encrypt"));
        for text in
            ["ws://me:secret@gpu:3111", "wss://me:secret@gpu:3111", "me:secret@gpu:3111", "http://me:secret@gpu"]
        {
            let error = Address::parse(text).unwrap_err();
            assert!(error.contains("LENET_WORKER_TOKEN") && !error.contains("secret"), "{error}");
        }
    }
}
