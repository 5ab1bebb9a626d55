//! What is refused, and how that is told.

use lenet::serve::Options;
use serde_json::json;

use super::client::{Header, JSON, PREDICT, RAW, ask, in_process, server, seven};
use crate::common::{run, splits};

/// A request: its line, headers and body. Its answer: the status, and what the detail says.
type Case = (&'static str, Vec<Header<'static>>, Vec<u8>, u16, &'static str);

#[test]
fn every_status_comes_with_its_remedy() {
    let address = server();
    let raw = splits().test.image(0);
    let blank = [7_u8; 784];
    let cases: Vec<Case> = vec![
        (PREDICT, vec![], seven(), 200, ""),
        (PREDICT, vec![("content-type", "image/png")], seven(), 200, ""),
        (PREDICT, vec![("content-type", "application/x-www-form-urlencoded")], seven(), 200, ""),
        (PREDICT, vec![RAW], raw.to_vec(), 200, ""),
        ("GET /livez", vec![], vec![], 200, ""),
        ("GET /readyz", vec![], vec![], 200, ""),
        (PREDICT, vec![], vec![], 400, "no picture"),
        (PREDICT, vec![JSON], b"{".to_vec(), 400, "expected {\"pictures\""),
        (PREDICT, vec![JSON], b"{\"pictures\": [\"?\"]}".to_vec(), 400, "picture 0 is not base64"),
        (PREDICT, vec![JSON], b"{\"images\": [[1, 2]]}".to_vec(), 400, "image 0 has 2 pixels, not 784"),
        (PREDICT, vec![JSON], b"{\"images\": [[256]]}".to_vec(), 400, "256"),
        (PREDICT, vec![("content-type", "multipart/form-data")], vec![1], 400, "multipart"),
        (PREDICT, vec![("content-type", "multipart/form-data; boundary=x")], vec![1], 400, "multipart"),
        ("POST /v1/predict?top=0", vec![], seven(), 400, "1 to 10"),
        ("POST /v1/predict?what=1", vec![], seven(), 400, "top, seen, layers"),
        ("POST /v1/predict?layers=c2", vec![], seven(), 400, "c1, s2, c3"),
        ("POST /v1/predict?layers=c1", vec![RAW], raw.repeat(17), 400, "at most 16"),
        (PREDICT, vec![("origin", "http://evil.example")], seven(), 403, "--allow-origin"),
        ("GET /v2", vec![], vec![], 404, "/openapi.json"),
        ("POST /v1/feedback?class=7", vec![], raw.to_vec(), 404, "--feedback DIR"),
        ("GET /v1/predict", vec![], vec![], 405, "/openapi.json"),
        ("DELETE /", vec![], vec![], 405, "/openapi.json"),
        (PREDICT, vec![], vec![0; (10 << 20) + 1], 413, "--max-body"),
        (PREDICT, vec![RAW], vec![0; 784 * 10_001], 413, "10000 may be sent"),
        (PREDICT, vec![("content-type", "text/plain")], seven(), 415, "image/png"),
        (PREDICT, vec![("content-encoding", "gzip")], seven(), 415, "without Content-Encoding"),
        ("GET /", vec![("host", "evil.example")], vec![], 421, "--allow-host"),
        (PREDICT, vec![RAW], vec![0; 785], 422, "784 bytes an image"),
        (PREDICT, vec![RAW], seven(), 422, "send it as image/png"),
        (PREDICT, vec![RAW], blank.to_vec(), 422, "one shade"),
        (PREDICT, vec![], b"no picture".to_vec(), 422, "PNG, JPEG"),
    ];
    for (line, headers, body, status, phrase) in cases {
        let answer = ask(address, line, &headers, &body);
        let what = format!("{line} {headers:?}: {answer:?}");
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
        if status == 405 {
            assert!(!answer.header("allow").is_empty(), "{what}");
        }
        if status >= 400 {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
            let problem = answer.json();
            assert_eq!((&problem["type"], &problem["status"]), (&json!("about:blank"), &json!(status)), "{what}");
            assert!(answer.detail().contains(phrase), "{what}");
        }
    }
}

#[test]
fn forged_hosts_and_origins_reach_nothing() {
    let server = in_process(Options { allowed_origins: vec!["https://ok.example".into()], ..Options::default() });
    let port = server.port();
    let own = format!("http://{server}");
    for host in ["evil.example", "localhost.evil.example", "169.254.169.254"] {
        for line in ["GET /", "GET /livez", PREDICT, "GET /nothing", "OPTIONS /v1/predict"] {
            assert_eq!(ask(server, line, &[("host", host)], &[]).status, 421, "{host} {line}");
        }
    }
    assert_eq!(ask(server, "GET /livez", &[("host", &format!("localhost:{port}"))], &[]).status, 200);
    let origin = |origin: &str| ask(server, PREDICT, &[("origin", origin)], &seven());
    assert_eq!([origin(&own).status, origin("https://ok.example").status], [200, 200]);
    assert_eq!(origin(&own).header("access-control-allow-origin"), "");
    assert_eq!(origin("https://ok.example").header("access-control-allow-origin"), "https://ok.example");
    for other in ["null", "http://evil.example", "http://localhost:1", &format!("https://{server}")] {
        let answer = origin(other);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ""), "{other}");
    }
    let cross = ("sec-fetch-site", "cross-site");
    assert_eq!(ask(server, PREDICT, &[cross], &seven()).status, 403);
    let link = [cross, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!((ask(server, "GET /", &link, &[]).status, ask(server, "GET /metrics", &link, &[]).status), (200, 403));
    let asks = [("origin", "https://ok.example"), ("access-control-request-method", "POST")];
    let answer = ask(server, "OPTIONS /v1/predict", &asks, &[]);
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, "GET, POST"));
}

#[test]
fn a_token_is_asked_for_and_an_open_door_is_refused() {
    let server = in_process(Options { token: Some("secret".into()), ..Options::default() });
    let page = ask(server, "GET /", &[], &[]);
    assert_eq!((page.status, page.header("www-authenticate").starts_with("Basic")), (401, true));
    assert_eq!(ask(server, "GET /", &[("authorization", "Bearer secret")], &[]).status, 200);
    assert_eq!(ask(server, "GET /livez", &[], &[]).status, 200);
    let (code, _, error) = run(&["serve", "--host", "0.0.0.0", "--port", "0"]);
    assert!(code == 2 && error.contains("--token") && error.contains("--insecure"), "{error}");
    let (code, _, error) = run(&["serve", "--port", &server.port().to_string()]);
    assert!(code == 1 && error.contains("--port 0"), "{error}");
    let (code, _, error) = run(&["serve", "--max-body", "10MB"]);
    assert!(code == 2 && error.contains("KiB or MiB"), "{error}");
    for (arguments, phrase) in [
        (["--allow-origin", "null"], "https://example.org"),
        (["--allow-host", "http://example.org"], "a name alone"),
        (["--token", ""], "--token"),
    ] {
        let (code, _, error) = run(&["serve", "--port", "0", arguments[0], arguments[1]]);
        assert!(code == 2 && error.contains(phrase), "{error}");
    }
}
