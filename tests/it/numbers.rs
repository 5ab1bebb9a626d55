//! Whole numbers, the notice of several digits, and the contact sheet.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::{DynamicImage, GrayImage};
use insta::assert_snapshot;
use lenet::{
    artifacts::PRETRAINED,
    data::load_mnist,
    inference::Trained,
    picture_bench::{NumberResult, SeenNumber, number_sums, read_all_numbers},
    scenes::{number_kinds, number_scene},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{arg, run};

#[test]
fn the_shipped_net_reads_numbers() {
    let trained = Trained::load(Path::new(PRETRAINED), None).unwrap();
    let (_, test) = load_mnist().unwrap();
    let results = read_all_numbers(|picture| SeenNumber::by(&trained, picture), &test, 6, 4).unwrap();
    let [tuned, held_out] = number_sums(&results);
    let share = |count: usize, of: usize| count as f64 / of as f64;
    let floor = |sum: &NumberResult, digits: f64, numbers: f64, noticed: f64| {
        let right = (share(sum.digits_right, sum.digits), share(sum.numbers_right, sum.numbers));
        assert!(right.0 > digits && right.1 > numbers, "{sum:?}");
        assert!(share(sum.noticed, sum.numbers) > noticed && share(sum.refused, sum.numbers) < 0.05, "{sum:?}");
    };
    floor(&tuned, 0.92, 0.75, 0.8);
    floor(&held_out, 0.92, 0.75, 0.8);
}

/// A picture of a number that the shipped net reads, its digits, and where they are.
fn picture(folder: &TempDir) -> (PathBuf, Vec<usize>, Vec<[u32; 4]>) {
    let trained = Trained::load(Path::new(PRETRAINED), None).unwrap();
    let test = load_mnist().unwrap().1;
    let is_read = |picture: &DynamicImage, digits: &[usize]| {
        let seen = SeenNumber::by(&trained, picture).unwrap();
        seen.noticed && seen.digits.as_deref() == Some(digits)
    };
    let mut scenes = (0..20).map(|number| number_scene(&number_kinds()[0], &test, 7, number));
    let (scene, digits) = scenes.find(|(scene, digits)| is_read(&scene.picture, digits)).unwrap();
    let path = folder.path().join("a number.png");
    scene.picture.save(&path).unwrap();
    (path, digits, scene.boxes)
}

fn json(output: &str) -> Vec<Value> {
    serde_json::from_str(output).unwrap()
}

#[test]
fn a_number_is_read_with_the_place_of_each_digit() {
    let folder = tempfile::tempdir().unwrap();
    let (path, digits, boxes) = picture(&folder);
    let (code, output, error) = run(&["predict", arg(&path), "tests/pictures/7.png", "--number", "--json"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let answers = json(&output);
    assert_eq!((answers.len(), &answers[1]["number"]), (2, &Value::from("7")));
    let answer = &answers[0];
    let expected: String = digits.iter().map(ToString::to_string).collect();
    assert_eq!(answer["number"].as_str().unwrap().replace(' ', ""), expected);
    let found = answer["digits"].as_array().unwrap();
    assert_eq!(found.len(), digits.len());
    for ((found, digit), [left, top, width, height]) in found.iter().zip(&digits).zip(boxes) {
        assert_eq!(found["class"], digit.to_string());
        assert!((0.0..=1.0).contains(&found["probability"].as_f64().unwrap()) && found["sure"].is_boolean());
        let side = |key: &str| u32::try_from(found["bounds"][key].as_u64().unwrap()).unwrap();
        // Within a few pixels of where it was drawn.
        for (found, drawn) in [
            (side("left"), left),
            (side("top"), top),
            (side("left") + side("width"), left + width),
            (side("top") + side("height"), top + height),
        ] {
            assert!(found.abs_diff(drawn) <= 6, "{answer}");
        }
    }
    let (code, output, _) = run(&["predict", arg(&path), "--number"]);
    assert_eq!(code, 0);
    assert!(output.starts_with(&format!("{}  {}  {} ", path.display(), answer["number"].as_str().unwrap(), digits[0])));
    assert_eq!(output.matches('%').count(), digits.len());
}

#[test]
fn boxes_are_in_the_pixels_of_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let (small, ..) = picture(&folder);
    let large = folder.path().join("large.png");
    let picture = image::open(&small).unwrap();
    let (width, height) = (picture.width(), picture.height());
    picture.resize_exact(width * 5, height * 5, image::imageops::FilterType::Triangle).save(&large).unwrap();
    let (_, output, _) = run(&["predict", arg(&small), arg(&large), "--number", "--json"]);
    let answers = json(&output);
    assert_eq!(answers[0]["number"], answers[1]["number"]);
    let edge = |answer: &Value, key: &str| answer["digits"][0]["bounds"][key].as_i64().unwrap();
    for key in ["left", "top", "width", "height"] {
        assert!((edge(&answers[0], key) * 5 - edge(&answers[1], key)).abs() <= 15, "{answers:?}");
    }
}

#[test]
fn several_digits_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, ..) = picture(&folder);
    let (_, output, _) = run(&["predict", arg(&path), "--no-digit", "0"]);
    assert!(output.contains("  ? ") && output.ends_with("  (sees several digits; --number reads them)\n"), "{output}");
    let (_, output, _) = run(&["predict", arg(&path), "tests/pictures", "--json", "--no-digit", "0"]);
    let answers = json(&output);
    assert_eq!((&answers[0]["several"], &answers[0]["sure"]), (&Value::from(true), &Value::from(false)));
    assert!(answers.len() == 11 && answers[1..].iter().all(|answer| answer["several"] == false), "{output}");
    let (code, _, error) = run(&["predict", arg(&path), "--no-digit", "1"]);
    assert!(code == 1 && error.contains("shows several digits, not one; --number reads them"), "{error}");
}

#[test]
fn what_is_no_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, picture: GrayImage| {
        let path = folder.path().join(name);
        picture.save(&path).unwrap();
        path
    };
    let blank = save("blank.png", GrayImage::from_pixel(60, 40, image::Luma([200])));
    let block = save(
        "block.png",
        GrayImage::from_fn(200, 100, |x, y| {
            image::Luma([if (60..140).contains(&x) && (30..70).contains(&y) { 0 } else { 255 }])
        }),
    );
    let (code, output, error) = run(&["predict", arg(&blank), arg(&block), "no-such.png", "--number", "--json"]);
    assert_eq!((code, json(&output).len()), (1, 3));
    let error = error.replace(arg(folder.path()), "DIR");
    let lines: Vec<&str> = error.lines().collect();
    assert_snapshot!(lines[0], @"error: DIR/blank.png: shows nothing: it is of one shade all over; is it the right file?");
    assert!(
        lines[1].starts_with("error: DIR/block.png: shows no number that the net recognizes: its best guess, "),
        "{error}"
    );
    assert!(lines[2].contains("no-such.png") && lines[3].contains("3 of 3 pictures"), "{error}");
    assert_eq!(run(&["predict", arg(&blank), "--number", "--top", "2"]).0, 2);
}

#[test]
fn odd_shapes_have_no_number() {
    let trained = Trained::load(Path::new(PRETRAINED), None).unwrap();
    for (width, height) in [(1, 1), (1, 300), (300, 1), (2, 2), (5000, 3), (61, 2)] {
        let mut page = GrayImage::from_pixel(width, height, image::Luma([255]));
        page.put_pixel(width / 2, height / 2, image::Luma([0]));
        let _ = trained.read_number(&page.into()).unwrap();
    }
    let checkered = GrayImage::from_fn(300, 200, |x, y| image::Luma([if (x / 3 + y / 3) % 2 == 0 { 0 } else { 255 }]));
    let _ = trained.read_number(&checkered.into()).unwrap();
}

#[test]
fn the_contact_sheet_shows_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, digits, _) = picture(&folder);
    let odd = folder.path().join("<b>&.png");
    fs::copy("tests/pictures/7.png", &odd).unwrap();
    let sheet = folder.path().join("new/sheet");
    let page = sheet.join("predictions.html");
    let arguments = ["predict", arg(&path), arg(&odd), "Cargo.toml", "--number", "--show", arg(&sheet)];
    let (code, output, error) = run(&arguments);
    assert_eq!((code, output.lines().count()), (1, 2));
    assert!(error.contains(arg(&page)), "{error}");
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("&lt;b&gt;&amp;.png") && !html.contains("<b>&.png"));
    assert_eq!(html.matches("data:image/jpeg").count(), 2);
    assert_eq!(html.matches("data:image/png").count(), digits.len() + 1);
    assert_eq!(html.matches("class=\"box").count(), digits.len() + 1);
    assert!(html.contains("<figure class=\"refused\">") && !html.contains("http"), "{html}");
    // It is replaced by another, but no other file is.
    assert_eq!(run(&["predict", arg(&path), "--no-digit", "0", "--show", arg(&sheet)]).0, 0);
    assert_eq!(fs::read_to_string(&page).unwrap().matches("data:image/jpeg").count(), 1);
    fs::write(&page, "mine").unwrap();
    let (code, output, error) = run(&["predict", arg(&path), "--show", arg(&sheet)]);
    assert_eq!((code, output.as_str(), fs::read_to_string(&page).unwrap().as_str()), (1, "", "mine"));
    assert!(error.contains("is not a page that --show wrote"), "{error}");
    let (code, _, error) = run(&["predict", arg(&path), "--show", arg(&path)]);
    assert!(code == 1 && error.contains("cannot create the folder"), "{error}");
}
