//! Corrections from the page.

use std::fs;

use serde_json::json;

use lenet::{config::Frame, data::Splits};

use super::client::{RAW, Server, ask};
use crate::{
    browser::{chromium, look},
    common::{arg, run, smoke, splits},
};

#[test]
fn corrections_are_saved_to_train_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--feedback", arg(folder.path())]);
    let image = splits().test.image(3);
    let send =
        |class: &str, bytes: &[u8]| ask(server.address, &format!("POST /v1/feedback?class={class}"), &[RAW], bytes);
    let saved = send("7", image);
    assert_eq!((saved.status, send("7", image).status), (201, 201), "{saved:?}");
    let path = folder.path().join("7").join(saved.json()["name"].as_str().unwrap());
    assert_eq!(image::open(&path).unwrap().into_luma8().as_raw(), image);
    assert_eq!(fs::read_dir(folder.path().join("7")).unwrap().count(), 1);
    // The last word counts.
    assert_eq!((send("9", image).status, path.exists()), (201, false));
    assert_eq!((send("7", image).status, path.exists()), (201, true));
    for class in ["10", "..", "%2e%2e", "", "7/../8"] {
        assert_eq!(send(class, image).status, 400, "{class}");
    }
    assert_eq!((send("7", &image[1..]).status, send("7", &[0; 785]).status), (422, 422));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    // Training reads them, as the net saw them.
    let images: Vec<_> = (10..18).map(|i| *splits().test.image(i)).collect();
    for (i, image) in images.iter().enumerate() {
        assert_eq!(send(if i % 2 == 0 { "7" } else { "9" }, image).status, 201);
    }
    let mut config = smoke(&["data.train=0", "data.validation=0.2"]);
    config.data.folder = folder.path().into();
    let read = Splits::load(&config).unwrap();
    assert_eq!((read.train.classes(), read.source.found.frame), (&["7", "9"].map(String::from)[..], Frame::Digit));
    let all = read.all_or_test();
    let known = |i: usize| all.image(i) == image || images.contains(all.image(i));
    assert!(all.len() == 9 && (0..9).all(known));
    // What goes wrong with the folder is not told to strangers.
    fs::remove_dir_all(folder.path().join("7")).unwrap();
    fs::write(folder.path().join("7"), "").unwrap();
    let answer = send("7", image);
    assert_eq!((answer.status, answer.detail().contains(arg(folder.path()))), (500, false), "{answer:?}");
    let (code, _, error) = run(&["serve", "--port", "0", "--feedback", "Cargo.toml"]);
    assert!(code == 1 && error.contains("Cargo.toml"), "{error}");
}

#[test]
fn the_page_sends_corrections() {
    const SCRIPT: &str = "
        const sent = [];
        view.fetch = async (url, { method, body }) => {
            sent.push({ url, method, body: Array.from(body) });
            return { ok: sent.length === 1, json: async () => ({ detail: 'the disk is full' }) };
        };
        const feedback = byId('feedback');
        const choice = feedback.querySelector('select');
        const choose = async name => {
            choice.value = name;
            choice.dispatchEvent(new view.Event('change'));
            await until(() => choice.value === '');
            return feedback.querySelector('[role=status]').textContent;
        };
        return { said: [await choose('7'), await choose('8')], sent, drawn: Array.from(state.pixels), hidden: feedback.hidden };";
    let Some(browser) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--feedback", arg(folder.path())]);
    let path = folder.path().join("page.html");
    let page = ask(server.address, "GET /", &[], &[]);
    assert!(page.header("content-security-policy").contains("connect-src 'self'"), "{page:?}");
    fs::write(&path, page.body).unwrap();
    let script = [include_str!("../demo/helpers.js"), SCRIPT].concat();
    let rendered = look(browser, &path, 1400, false, &json!({}), &script);
    assert_eq!(rendered.console, Vec::<String>::new());
    let found = rendered.found;
    assert_eq!(found["said"], json!(["Saved as 7, thank you.", "It is not saved: the disk is full."]));
    let request =
        |class: &str| json!({ "url": format!("/v1/feedback?class={class}"), "method": "POST", "body": found["drawn"] });
    assert_eq!((&found["sent"], &found["hidden"]), (&json!([request("7"), request("8")]), &json!(false)));
}
