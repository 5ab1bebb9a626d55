//! The end: what is under way is finished.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::client::{PREDICT, RAW, Server, ask, connect, read_answer, request, try_ask};
use crate::common::splits;

#[test]
fn what_is_under_way_is_finished() {
    let mut server = Server::start(&[]);
    let (address, ended) = (server.address, AtomicBool::new(false));
    let answered = AtomicUsize::new(0);
    let body = splits().test.image(0);
    let expected = ask(address, PREDICT, &[RAW], body).body;
    let status = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let Ok(stream) = TcpStream::connect(address) else { return };
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut stream = BufReader::new(stream);
                loop {
                    let sent = stream.get_mut().write_all(&request(address, PREDICT, &[RAW], body));
                    // Closed between two requests: this one was not begun. What begins must be complete.
                    if sent.is_err() || !stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
                        assert!(ended.load(Ordering::Relaxed));
                        return;
                    }
                    let answer = read_answer(&mut stream).unwrap();
                    if answer.status == 503 {
                        return;
                    }
                    assert_eq!((answer.status, &answer.body), (200, &expected));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        ended.store(true, Ordering::Relaxed);
        server.terminate();
        server.child.wait().unwrap()
    });
    assert_eq!(status.code(), Some(0));
    assert!(answered.load(Ordering::Relaxed) > 100, "{answered:?}");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn while_it_ends_it_is_not_ready_and_lets_bodies_arrive() {
    let mut server = Server::start(&[]);
    let body = splits().test.image(0);
    let sent = request(server.address, PREDICT, &[RAW], body);
    let (begin, end) = sent.split_at(sent.len() - 100);
    // Two clients that never say anything do not hold up the end: browsers open connections in advance.
    let (mut slow, _idle, mut kept) = (connect(server.address), connect(server.address), connect(server.address));
    kept.get_mut().write_all(&request(server.address, "GET /readyz", &[], &[])).unwrap();
    assert_eq!(read_answer(&mut kept).unwrap().status, 200);
    slow.get_mut().write_all(begin).unwrap();
    thread::sleep(Duration::from_millis(100));
    server.terminate();
    let start = Instant::now();
    // A connection on which nothing was asked yet when the end came is closed: a client that has just connected tries again.
    while try_ask(server.address, "GET /readyz", &[], &[]).is_none_or(|answer| answer.status == 200) {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(ask(server.address, "GET /livez", &[], &[]).status, 200);
    let refused = ask(server.address, PREDICT, &[RAW], body);
    assert_eq!((refused.status, refused.header("connection")), (503, "close"));
    slow.get_mut().write_all(end).unwrap();
    let answer = read_answer(&mut slow).unwrap();
    assert_eq!((answer.status, &answer.json()[0]["index"]), (200, &7.into()));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
