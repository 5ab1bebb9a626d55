//! The net that comes with the program.

use lenet::{
    artifacts::{PRETRAINED, RunDir},
    card::Card,
    data::digits,
    evaluation::Evaluation,
    inference::{Prediction, Trained},
};
use serde_json::Value;
use std::{fs, path::Path};

use crate::common::{arg, finish, lenet, project, run};

#[test]
fn the_shipped_net_is_as_accurate_as_its_report_says() {
    let report = RunDir::open(Path::new(PRETRAINED)).unwrap().read_report().unwrap();
    let test = report.test.unwrap();
    assert!(test.accuracy >= 0.995, "{}", test.accuracy);
    // From elsewhere: the net is in the program, not in this folder. MNIST is in the cache by now.
    let elsewhere = tempfile::tempdir().unwrap();
    for arguments in [&["evaluate", "--json"][..], &["evaluate", "pretrained", "--json"]] {
        let (code, output, error) = finish(lenet(arguments).current_dir(elsewhere.path()).output().unwrap());
        assert_eq!(code, 0, "{error}");
        let evaluation: Evaluation = serde_json::from_str(&output).unwrap();
        // Other processors may round differently.
        assert!(evaluation.misses.abs_diff(test.misses) <= 1, "{} {}", evaluation.misses, test.misses);
    }
}

#[test]
fn the_shipped_config_is_one_of_those_in_the_repository() {
    let shipped = RunDir::open(Path::new(PRETRAINED)).unwrap().read_config().unwrap();
    let config = lenet::config::Config::load(&project("configs/pretrained.toml"), &[]).unwrap();
    assert_eq!(shipped.differences(&config.with_classes(&digits())).unwrap(), []);
}

#[test]
fn the_shipped_record_says_what_its_run_says() {
    let dir = RunDir::open(Path::new(PRETRAINED)).unwrap();
    let of_run = Card::new(&dir.read_config().unwrap(), &dir.read_report().unwrap()).unwrap();
    let record = fs::read(project("pretrained/model.bpk")).unwrap();
    let of_record = Card::read(&record, Path::new("model.bpk")).unwrap();
    assert_eq!(of_record, Some(of_run), "`lenet train configs/pretrained.toml --resume --out ./pretrained` updates it");
}

#[test]
fn a_newcomer_reads_a_picture_without_training() {
    let seven = project("tests/pictures/7.png");
    let (code, output, error) = run(&["predict", arg(&seven), "--json"]);
    assert_eq!(code, 0, "{error}");
    let predictions: Vec<Value> = serde_json::from_str(&output).unwrap();
    assert_eq!((predictions.len(), &predictions[0]["class"]), (1, &Value::from("7")));
    let (_, named, _) = run(&["predict", "pretrained", arg(&seven), "--json"]);
    assert_eq!(named, output);
    let trained = Trained::load(Path::new(PRETRAINED), None).unwrap();
    let prediction: &Prediction = &trained.predict(&[seven]).unwrap().remove(0).unwrap();
    assert_eq!((prediction.index, prediction.ranking.len()), (7, 10));
}

#[test]
fn the_shipped_net_stands_where_a_run_stands() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let (code, _, error) = run(&["report", "pretrained", "--out", arg(&page)]);
    assert_eq!(code, 0, "{error}");
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("<h1>pretrained</h1>") && html.contains("Feature maps"));
    let (code, _, error) = run(&["train", "configs/smoke.toml", "--out", "pretrained", "--force"]);
    assert_eq!(code, 1);
    assert!(error.contains("comes with lenet") && error.contains("--out"), "{error}");
}

#[test]
fn a_run_without_pictures_and_a_misspelt_run_are_named() {
    let cases = [
        (&["predict", "pretrained"][..], 2, "no picture"),
        (&["predict", "configs"], 1, "neither a run nor a folder with pictures in it"),
        (&["predict", "artifacts/misspelt", "a.png"], 1, "neither a run nor a picture"),
        (&["predict", "no-such.png"], 1, "1 of 1 pictures"),
    ];
    for (arguments, expected, complaint) in cases {
        let (code, _, error) = run(arguments);
        assert_eq!(code, expected, "{error}");
        assert!(error.contains(complaint), "{error}");
    }
}
