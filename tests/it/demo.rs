//! The net as a page, in a real browser: that it computes what the program computes, and that people can use it.

use std::{fs, path::Path, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use burn::prelude::*;
use lenet::{
    artifacts::{PRETRAINED, RunDir},
    data::{PIXELS, images_tensor},
    evaluation::evaluate,
    inference::Trained,
    model::LeNet5,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    browser::{Rendered, chromium, look},
    common::{arg, project, run, splits},
    operator::{Step, assert_same, burn_step, labels, values},
};

/// The shipped net as a page.
fn page() -> &'static Path {
    static PAGE: OnceLock<TempDir> = OnceLock::new();
    let folder = PAGE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (code, output, error) = run(&["export", PRETRAINED, arg(&folder.path().join("page.html"))]);
        assert_eq!((code, error.as_str()), (0, ""), "{output}");
        folder
    });
    Box::leak(folder.path().join("page.html").into_boxed_path())
}

/// A script with what all of them need.
fn script(body: &str) -> String {
    [include_str!("demo/helpers.js"), body].concat()
}

/// What a script finds in the page, which must log nothing.
fn find(browser: &str, data: &Value, body: &str) -> Value {
    let Rendered { found, console } = look(browser, page(), 1400, false, data, &script(body));
    assert_eq!(console, Vec::<String>::new());
    found
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The first of MNIST's test images, in base64.
fn test_images(count: usize) -> Value {
    let images: Vec<u8> = (0..count).flat_map(|i| *splits().test.image(i)).collect();
    json!({ "images": STANDARD.encode(images), "labels": (0..count).map(|i| splits().test.label(i)).collect::<Vec<_>>() })
}

#[test]
fn the_page_reads_the_test_images_as_the_program_does() {
    const LOGITS: &str = "return DATA.labels.map((_, i) => Array.from(forward(net, image(i)).values.output));";
    let Some(browser) = chromium() else { return };
    let test = &splits().test;
    let found = find(browser, &test_images(test.len()), LOGITS);
    let logits: Vec<Vec<f64>> = found.as_array().unwrap().iter().map(numbers).collect();
    let trained = Trained::load(Path::new(PRETRAINED), Some("flex")).unwrap();
    let images = (0..test.len()).map(|i| test.image(i)).collect::<Vec<&[u8; PIXELS]>>();
    let expected = values(trained.net.forward(images_tensor(images.into_iter(), test.scale(), &trained.device)));
    let difference = logits.iter().flatten().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(difference <= 1e-4, "{difference}");
    let argmax = |row: &[f64]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
    let misses = logits.iter().enumerate().filter(|(i, row)| argmax(row) != usize::from(test.label(*i))).count();
    assert_eq!(misses, evaluate(&trained.net, test, &trained.device).unwrap().misses);
}

#[test]
fn the_pages_gradients_are_the_programs() {
    const COUNT: usize = 10;
    let Some(browser) = chromium() else { return };
    let mut data = test_images(COUNT);
    data["labels"] = json!(labels(COUNT, 10));
    let found = find(browser, &data, include_str!("demo/gradients.js"));
    let step = Step {
        logits: numbers(&found["logits"]),
        loss: found["loss"].as_f64().unwrap(),
        gradients: found["gradients"].as_array().unwrap().iter().map(numbers).collect(),
    };
    let device = Device::flex().autodiff();
    let dir = RunDir::open(Path::new(PRETRAINED)).unwrap();
    let net = LeNet5::from_record(dir.read_model().unwrap(), &dir.model(), &device).unwrap();
    let images = (0..COUNT).map(|i| splits().test.image(i)).collect::<Vec<_>>();
    let images = images_tensor(images.into_iter(), splits().test.scale(), &Device::flex());
    let images: Vec<f32> = images.into_data().iter().collect();
    assert_same("the page", &step, &burn_step(&net, &images, &device));
}

#[test]
fn strokes_are_read_alike_at_every_size_and_place() {
    let Some(browser) = chromium() else { return };
    let found =
        find(browser, &test_images(200), concat!(include_str!("demo/trace.js"), include_str!("demo/strokes.js")));
    assert!(found["furthest"].as_u64().unwrap() <= 1 && found["changed"] == 0, "{found}");
    assert!(found["right"].as_u64().unwrap() >= 194, "{found}");
}

#[test]
fn fingers_and_pens_draw_and_palms_do_not() {
    let Some(browser) = chromium() else { return };
    let found = find(browser, &Value::Null, include_str!("demo/pointers.js"));
    let answers: Vec<&str> =
        found["answers"].as_array().unwrap().iter().map(|answer| answer.as_str().unwrap()).collect();
    let (blank, drawn): (Vec<_>, Vec<_>) = answers.iter().enumerate().partition(|(i, _)| i % 2 == 0);
    assert!(blank.iter().all(|(_, answer)| **answer == "nothing drawn yet"), "{answers:?}");
    assert!(drawn.len() == 4 && drawn.iter().all(|(_, answer)| answer.starts_with('7')), "{answers:?}");
    assert!(found["furthest"].as_u64().unwrap() <= 1, "{found}");
}

#[test]
fn keys_alone_draw_read_and_choose() {
    let Some(browser) = chromium() else { return };
    let found = find(browser, &Value::Null, include_str!("demo/keys.js"));
    let drawn = &found["drawn"];
    assert!(drawn[0].as_str().unwrap().starts_with('1') && drawn[1].as_str().unwrap().starts_with("1, "), "{found}");
    assert!(drawn[1].as_str().unwrap().ends_with("percent"), "{found}");
    assert_eq!(found["undone"], json!(["nothing drawn yet", "blank"]));
    let index = |unit: &str| found[unit]["index"].as_i64().unwrap();
    assert_eq!((&found["first"]["layer"], index("second") - index("first")), (&json!("c3"), 100), "{found}");
    let spoken = found["spoken"].as_str().unwrap();
    assert!(spoken.starts_with("C3 map ") && spoken.contains(": "), "{found}");
    assert!(spoken.starts_with(found["focused"].as_str().unwrap()), "{found}");
    assert_eq!(found["unreachable"], json!([]));
}

#[test]
fn every_unit_is_shown_on_desktops_and_phones_light_and_dark() {
    let Some(browser) = chromium() else { return };
    for (width, dark) in [(1400, false), (1400, true), (390, false), (390, true)] {
        let Rendered { found, console } =
            look(browser, page(), width, dark, &Value::Null, &script(include_str!("demo/every_unit.js")));
        assert_eq!(console, Vec::<String>::new());
        assert_eq!((&found["problems"], &found["requests"], &found["canvases"]), (&json!([]), &json!([]), &json!(0)));
        assert!(found["units"].as_u64().unwrap() > 40, "{found}");
        assert_eq!(found["background"] == "rgb(18, 20, 23)", dark, "{found}");
    }
}

#[test]
fn the_page_names_no_other_place() {
    let html = fs::read_to_string(page()).unwrap();
    let policy = html.split("Content-Security-Policy").nth(1).unwrap();
    for part in ["default-src 'none'", "connect-src 'none'", "script-src 'sha256-", "style-src 'sha256-"] {
        assert!(policy.replace("&#x27;", "'").split('>').next().unwrap().contains(part), "{part}");
    }
    assert!(!html.contains(" src=") && !html.contains("<link") && !html.contains("url("));
    assert!(html.len() < 500_000, "{}", html.len());
}

#[test]
fn pictures_are_dropped_on_the_page() {
    let Some(browser) = chromium() else { return };
    let names = ["0.png", "1.jpg", "2.png", "3.png", "4.png", "5.jpg", "6.png", "7.png", "8.png", "9.jpg"];
    let files: Vec<Value> = names
        .iter()
        .map(|name| json!({ "name": name, "bytes": STANDARD.encode(fs::read(project("tests/pictures").join(name)).unwrap()) }))
        .chain([json!({ "name": "broken.png", "bytes": STANDARD.encode("not a picture") })])
        .collect();
    let found = find(browser, &json!({ "files": files }), include_str!("demo/pictures.js"));
    let read = found.as_array().unwrap();
    let right = read.iter().filter(|entry| entry[0].as_str().unwrap().starts_with(&entry[1].to_string()));
    assert!(right.count() >= 9, "{found}");
    assert_eq!(read[10][2], "broken.png cannot be read as a picture.");
}

#[test]
fn other_suffixes_are_refused() {
    let (code, _, error) = run(&["export", PRETRAINED, "page.pdf"]);
    assert!(code == 2 && error.contains(".html"), "{error}");
}
