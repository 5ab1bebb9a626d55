//! A client that can also misbehave, and servers to ask.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

use lenet::{
    artifacts::PRETRAINED,
    inference::Trained,
    page::Demo,
    serve::{Options, Served, Service},
};
use serde_json::Value;
use tokio::sync::watch;

use crate::common::{lenet, project};

/// `lenet serve` in a process of its own, which ends with the test.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = lenet(&["serve", PRETRAINED, "--port", "0"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let address = url.trim().trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        Self { child, address }
    }

    pub fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server for all tests that only ask.
pub fn server() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| in_process(Options::default()))
}

/// A server in a thread of this process.
pub fn in_process(options: Options) -> SocketAddr {
    let trained = Trained::load(Path::new(PRETRAINED), Some("flex")).unwrap();
    let page = Demo { html: "<!doctype html><title>page</title>".into(), policy: "default-src 'none'".into() };
    let served = Served { trained, page };
    let service = Service::bind(served, Options { port: 0, ..options }).unwrap();
    let address = service.url().unwrap().trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    thread::spawn(move || {
        let (_stop, stopped) = watch::channel(false);
        service.run(stopped).unwrap();
    });
    address
}

/// A header's name and value.
pub type Header<'a> = (&'a str, &'a str);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

/// A request with a body; `Host` is ours unless there is one among the headers.
pub fn request(address: SocketAddr, line: &str, headers: &[Header], body: &[u8]) -> Vec<u8> {
    let (host, length) = (address.to_string(), body.len().to_string());
    let own = [("content-length", length.as_str()), ("host", host.as_str())];
    let own = own.into_iter().filter(|(name, _)| !headers.iter().any(|(given, _)| given == name));
    let lines: String =
        own.chain(headers.iter().copied()).map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
    [format!("{line} HTTP/1.1\r\n{lines}\r\n").as_bytes(), body].concat()
}

/// Reads an answer; an error if the connection ends before it does.
pub fn read_answer(stream: &mut BufReader<TcpStream>) -> std::io::Result<Answer> {
    let mut line = || {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            Err(ErrorKind::UnexpectedEof.into())
        } else {
            Ok(line.trim_end().to_owned())
        }
    };
    let first: std::io::Result<String> = line();
    let status = first?.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    answer.body.resize(answer.header("content-length").parse().unwrap_or(0), 0);
    stream.read_exact(&mut answer.body)?;
    Ok(answer)
}

pub fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}

pub fn ask(address: SocketAddr, line: &str, headers: &[Header], body: &[u8]) -> Answer {
    try_ask(address, line, headers, body).unwrap()
}

/// `None` if the connection is closed instead.
pub fn try_ask(address: SocketAddr, line: &str, headers: &[Header], body: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    stream.get_mut().write_all(&request(address, line, headers, body)).ok()?;
    read_answer(&mut stream).ok()
}

pub const PREDICT: &str = "POST /v1/predict";
pub const RAW: Header = ("content-type", "application/octet-stream");
pub const JSON: Header = ("content-type", "application/json");

pub fn seven() -> Vec<u8> {
    fs::read(project("tests/pictures/7.png")).unwrap()
}

pub fn multipart(files: &[(&str, Vec<u8>)]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!("--edge\r\ncontent-disposition: form-data; name=\"picture\"; filename=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--edge--\r\n");
    ("multipart/form-data; boundary=edge".into(), body)
}
