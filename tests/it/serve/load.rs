//! Malformed bodies, slow clients and too much work.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read, Write},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{GrayImage, ImageFormat};
use lenet::serve::{Options, Times};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::client::{PREDICT, RAW, ask, connect, in_process, multipart, read_answer, request, seven};
use crate::common::splits;

#[test]
fn malformed_bodies_do_no_harm() {
    const COUNT: usize = 10_000;
    let server = in_process(Options::default());
    let small = {
        let image = GrayImage::from_raw(28, 28, splits().test.image(0).to_vec()).unwrap();
        let mut png = Cursor::new(Vec::new());
        image.write_to(&mut png, ImageFormat::Png).unwrap();
        png.into_inner()
    };
    let (multipart_kind, multipart_body) = multipart(&[("a.png", small.clone()), ("b.png", small.clone())]);
    let json = json!({ "pictures": [STANDARD.encode(&small)] }).to_string().into_bytes();
    let pixels = json!({ "images": [splits().test.image(0).to_vec()] }).to_string().into_bytes();
    let bodies = [
        ("image/png", small),
        (multipart_kind.as_str(), multipart_body),
        ("application/json", json),
        ("application/json", pixels),
        ("application/octet-stream", splits().test.image(0).to_vec()),
    ];
    let mut random = StdRng::seed_from_u64(3);
    let mut stream = connect(server);
    let mut counts = BTreeMap::new();
    for i in 0..COUNT {
        let (kind, mut body) = bodies[i % bodies.len()].clone();
        match i % 4 {
            0 => body.truncate(random.random_range(0..body.len())),
            1 => body = (0..random.random_range(0..2000)).map(|_| random.random()).collect(),
            _ => {
                for _ in 0..random.random_range(1..8) {
                    let at = random.random_range(0..body.len());
                    body[at] = random.random();
                }
            }
        }
        stream.get_mut().write_all(&request(server, PREDICT, &[("content-type", kind)], &body)).unwrap();
        let answer = read_answer(&mut stream).unwrap();
        *counts.entry(answer.status).or_insert(0) += 1;
        assert!([200, 400, 413, 422].contains(&answer.status), "{kind}: {answer:?}");
        if answer.header("connection") == "close" {
            stream = connect(server);
        }
    }
    assert!(counts[&200] > 100 && counts[&400] > 1000 && counts[&422] > 1000, "{counts:?}");
    assert_eq!(ask(server, PREDICT, &[], &seven()).json()[0]["index"], 7);
}

#[test]
fn slow_clients_are_let_go_and_others_served() {
    let times = Times {
        header: Duration::from_millis(400),
        body: Duration::from_millis(600),
        answer: Duration::from_millis(700),
        end: Duration::from_millis(100),
    };
    let server = in_process(Options { times, ..Options::default() });
    // Headers that never end: closed without an answer.
    let mut idle = connect(server);
    idle.get_mut().write_all(b"GET /livez HTTP/1.1\r\nhost: local").unwrap();
    // A body that never ends: answered.
    let mut slow = connect(server);
    let begun = request(server, PREDICT, &[RAW], &[0; 784]);
    slow.get_mut().write_all(&begun[..begun.len() - 100]).unwrap();
    let start = Instant::now();
    assert_eq!(ask(server, "GET /livez", &[], &[]).status, 200);
    assert!(start.elapsed() < Duration::from_millis(300));
    let answer = read_answer(&mut slow).unwrap();
    assert_eq!((answer.status, answer.header("connection")), (408, "close"));
    assert!(answer.detail().contains("did not arrive"));
    let mut rest = Vec::new();
    let closed = idle.read_to_end(&mut rest);
    assert!(closed.is_ok() && (rest.is_empty() || rest.starts_with(b"HTTP/1.1 408")), "{closed:?} {rest:?}");
    // A body that is announced as too large, and sent anyway: the answer arrives.
    assert_eq!(ask(server, PREDICT, &[], &vec![0; 20 << 20]).status, 413);
}

#[test]
fn more_work_than_fits_is_refused_at_once() {
    let server = in_process(Options { max_work: 40, ..Options::default() });
    let images = |count: usize| ask(server, PREDICT, &[RAW], &splits().test.image(0).repeat(count));
    let answer = images(41);
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!((images(40).status, ask(server, PREDICT, &[], &seven()).status), (200, 200));
    let (kind, body) = multipart(&[("a.png", seven()), ("b.png", seven())]);
    assert_eq!(ask(server, PREDICT, &[("content-type", &kind)], &body).status, 503);
    assert_eq!(ask(server, "GET /readyz", &[], &[]).status, 200);
}

#[test]
fn clients_that_go_away_leave_nothing_behind() {
    let times = Times { answer: Duration::from_millis(300), ..Times::default() };
    let server = in_process(Options { times, ..Options::default() });
    // One that does not send all of its body.
    let mut gone = connect(server);
    let begun = request(server, PREDICT, &[RAW], &[0; 784]);
    gone.get_mut().write_all(&begun[..begun.len() - 1]).unwrap();
    // One that takes nothing of a large answer.
    let images: Vec<u8> = (0..10_000).flat_map(|i| *splits().test.image(i)).collect();
    let mut deaf = connect(server);
    deaf.get_mut().write_all(&request(server, PREDICT, &[RAW], &images)).unwrap();
    let under_way = || {
        let metrics = String::from_utf8(ask(server, "GET /metrics", &[], &[]).body).unwrap();
        let line = metrics.lines().find_map(|line| line.strip_prefix("lenet_requests_under_way ")).unwrap();
        line.parse::<usize>().unwrap()
    };
    let start = Instant::now();
    while under_way() < 2 {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    drop(gone);
    while under_way() > 1 {
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    std::thread::sleep(2 * times.answer);
    let mut rest = Vec::new();
    let end = deaf.read_to_end(&mut rest);
    assert!(end.is_err() || !rest.ends_with(b"]"), "{} bytes", rest.len());
}
