//! What is answered: the same as `predict --json` says.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use lenet::{artifacts::PRETRAINED, inference::Trained, serve::ROUTES};
use serde_json::{Value, json};

use super::client::{JSON, PREDICT, RAW, ask, multipart, server};
use crate::common::{arg, project, run, splits};

#[test]
fn answers_are_those_of_predict() {
    let names = ["0.png", "1.jpg", "2.png", "3.png", "4.png", "5.jpg", "6.png", "7.png", "8.png", "9.jpg"];
    let paths = names.map(|name| project("tests/pictures").join(name));
    let arguments = ["predict", "--json", "--top", "10"].into_iter().chain(paths.iter().map(|path| arg(path)));
    let (code, output, _) = run(&arguments.collect::<Vec<_>>());
    let mut expected: Vec<Value> = serde_json::from_str(&output).unwrap();
    assert_eq!(code, 0);
    for (entry, name) in expected.iter_mut().zip(names) {
        let object = entry.as_object_mut().unwrap();
        object.remove("path");
        object.insert("name".into(), name.into());
    }
    let files: Vec<(&str, Vec<u8>)> =
        names.iter().zip(&paths).map(|(name, path)| (*name, fs::read(path).unwrap())).collect();
    let (kind, body) = multipart(&files);
    assert_eq!(ask(server(), PREDICT, &[("content-type", &kind)], &body).json(), json!(expected));

    // Large files too.
    let large =
        image::open(project("tests/pictures/7.png")).unwrap().resize(1200, 1200, image::imageops::FilterType::Triangle);
    let mut bmp = std::io::Cursor::new(Vec::new());
    large.write_to(&mut bmp, image::ImageFormat::Bmp).unwrap();
    let (kind, body) = multipart(&[("large.bmp", bmp.into_inner())]);
    assert!(body.len() > 3 << 20, "{}", body.len());
    assert_eq!(ask(server(), PREDICT, &[("content-type", &kind)], &body).json()[0]["index"], 7);

    // The same in base64 has no names, and entries that cannot be read stay in their places.
    let pictures: Vec<String> =
        files.iter().map(|(_, bytes)| STANDARD.encode(bytes)).chain([String::new(), "AAAA".into()]).collect();
    let answer =
        ask(server(), "POST /v1/predict?top=1", &[JSON], json!({ "pictures": pictures }).to_string().as_bytes()).json();
    let entries = answer.as_array().unwrap();
    for (entry, expected) in entries.iter().zip(&expected) {
        assert_eq!(
            (&entry["probability"], &entry["ranking"]),
            (&expected["probability"], &json!([expected["ranking"][0]]))
        );
    }
    assert_eq!((entries.len(), entries[10]["error"].is_string(), entries[11]["error"].is_string()), (12, true, true));
}

#[test]
fn what_is_refused_is_refused_as_by_predict() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    let mut blank = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(40, 30).write_to(&mut blank, image::ImageFormat::Png).unwrap();
    let dots = image::GrayImage::from_fn(200, 200, |x, y| image::Luma([u8::from(x % 50 == 0 && y % 50 == 0) * 255]));
    let mut specks = std::io::Cursor::new(Vec::new());
    dots.write_to(&mut specks, image::ImageFormat::Png).unwrap();
    for picture in [blank.into_inner(), specks.into_inner(), b"text\n".to_vec(), b"\x89PNG\r\n\x1a\n".to_vec()] {
        fs::write(&path, &picture).unwrap();
        let (code, output, _) = run(&["predict", "--json", arg(&path)]);
        let expected: Value = serde_json::from_str(&output).unwrap();
        let answer = ask(server(), PREDICT, &[], &picture);
        assert_eq!((code, answer.status), (1, 422), "{output}");
        let reason = answer.detail().strip_prefix("the picture ").unwrap().to_owned();
        assert!(expected[0]["error"].as_str().unwrap().ends_with(&reason), "{expected} {reason}");
    }
}

#[test]
fn framed_images_are_classified_in_order() {
    let test = &splits().test;
    let bytes: Vec<u8> = (0..1000).flat_map(|i| *test.image(i)).collect();
    let answer = ask(server(), "POST /v1/predict?top=1", &[RAW], &bytes).json();
    let trained = Trained::load(Path::new(PRETRAINED), Some("flex")).unwrap();
    let images: Vec<[u8; 784]> = (0..1000).map(|i| *test.image(i)).collect();
    let expected = trained.probabilities(&images).unwrap();
    let entries = answer.as_array().unwrap();
    assert_eq!(entries.len(), 1000);
    for (entry, expected) in entries.iter().zip(&expected) {
        let probability = f64::from(expected[entry["index"].as_u64().unwrap() as usize]);
        assert!((entry["probability"].as_f64().unwrap() - probability).abs() < 1e-5, "{entry} {expected:?}");
    }
    let pixels = json!({ "images": [images[0].to_vec(), images[1].to_vec()] }).to_string();
    let wished = ask(server(), "POST /v1/predict?seen=true&layers=c1,s4,f6,output", &[JSON], pixels.as_bytes()).json();
    let seen = STANDARD.decode(wished[1]["seen"].as_str().unwrap()).unwrap();
    assert_eq!(seen, images[1]);
    let layers = &wished[1]["layers"];
    let length = |value: &Value| value.as_array().map_or(0, Vec::len);
    assert_eq!([&layers["c1"], &layers["c1"][5], &layers["c1"][5][27]].map(length), [6, 28, 28]);
    assert_eq!([&layers["s4"], &layers["s4"][15][4], &layers["f6"], &layers["output"]].map(length), [16, 5, 84, 10]);
}

#[test]
fn the_document_names_the_routes_that_answer() {
    let server = server();
    let document = ask(server, "GET /openapi.json", &[], &[]).json();
    let paths = document["paths"].as_object().unwrap();
    let mut documented: Vec<(&str, &str)> = paths
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |m| (m.as_str(), path.as_str())))
        .collect();
    let mut routes = ROUTES.to_vec();
    documented.sort_unstable();
    routes.sort_unstable();
    assert_eq!(documented, routes);
    for (method, path) in routes {
        let answer = ask(server, &format!("{} {path}", method.to_uppercase()), &[], &[]);
        let taken = path == "/v1/feedback" || ![404, 405].contains(&answer.status);
        assert!(taken && answer.status < 500, "{method} {path}: {answer:?}");
        let statuses = document["paths"][path][method]["responses"].as_object().unwrap();
        assert!(statuses.contains_key(&answer.status.to_string()), "{method} {path}: {answer:?}");
    }
    let model = ask(server, "GET /v1/model", &[], &[]).json();
    for key in document["components"]["schemas"]["Model"]["required"].as_array().unwrap() {
        assert!(!model[key.as_str().unwrap()].is_null(), "{key}: {model}");
    }
    let metrics = String::from_utf8(ask(server, "GET /metrics", &[], &[]).body).unwrap();
    assert!(metrics.contains("lenet_requests_total{route=\"/v1/model\",status=\"200\"}"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    let page = ask(server, "GET /", &[], &[]);
    assert_eq!(page.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
}
