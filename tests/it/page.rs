//! What a run looks like: its page in a real browser, its metrics in other tools, and sweeps.
//!
//! Some of these tests need Chromium (Debian: `apt install chromium`) or the Python package `tensorboard` (`pip install
//! tensorboard`; `LENET_PYTHON` names a Python that has it). Without them they are skipped and print why, unless
//! `LENET_NEED_BROWSER` is set, as in CI.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use lenet::{
    artifacts::{Existing, RunDir},
    report::{Report, Status},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    browser::{Rendered, chromium, look, skip},
    common::{arg, full_run, run, smoke, train_quietly},
};

/// The page itself has no scripts.
const LOOK: &str = "
    const root = page.documentElement, style = view.getComputedStyle(page.body);
    const images = [...page.images];
    return {
        charts: [...page.querySelectorAll('figure > svg')].filter(svg => svg.getBoundingClientRect().height > 100)
            .map(svg => svg.parentElement.id),
        labels: page.querySelectorAll('svg text').length,
        images: images.length,
        shown: images.filter(image => image.complete && image.naturalWidth > 0 && image.width > 0).length,
        overflow: root.scrollWidth - root.clientWidth,
        background: style.backgroundColor, foreground: style.color,
        metrics: Object.fromEntries([...page.querySelectorAll('[data-metric]')]
            .map(node => [node.dataset.metric, node.textContent])),
        confusion: [...page.querySelectorAll('#confusion td')].map(cell => Number(cell.textContent)),
        outside: [...page.querySelectorAll('[src],[href]')].filter(node =>
            !(node.getAttribute('src') ?? '').startsWith('data:')).length + page.scripts.length,
    };";

#[test]
fn the_page_shows_the_run_in_a_browser() {
    let Some(browser) = chromium() else { return };
    let (folder, report) = full_run();
    let page = RunDir::open(folder.path()).unwrap().page();
    let test = report.test.as_ref().unwrap();
    for (width, dark) in [(1100, false), (390, false), (390, true)] {
        let Rendered { found, console } = look(browser, &page, width, dark, &Value::Null, LOOK);
        assert_eq!(console, Vec::<String>::new());
        assert_eq!(found["charts"], serde_json::json!(["error", "loss", "learning-rate", "calibration"]));
        assert!(found["labels"].as_u64().unwrap() > 30, "{found}");
        // The misses, two images of filters, the digit and its four layers.
        assert_eq!(found["images"].as_u64().unwrap() as usize, test.worst.len() + 2 + 1 + 4);
        assert_eq!(found["shown"], found["images"]);
        assert_eq!((&found["overflow"], &found["outside"]), (&Value::from(0), &Value::from(0)), "{found}");
        let [background, foreground] = ["background", "foreground"].map(|key| found[key].as_str().unwrap());
        let (light, white_text) = (background == "rgb(255, 255, 255)", foreground == "rgb(230, 232, 235)");
        assert_eq!((light, white_text), (!dark, dark), "{background} {foreground}");
        let metrics = &found["metrics"];
        assert_eq!(metrics["test.accuracy"], format!("{:.2}\u{a0}%", test.accuracy * 100.0));
        assert_eq!(metrics["test.misses"], test.misses.to_string());
        assert_eq!(metrics["test.loss"], format!("{:.4}", test.loss));
        assert_eq!(metrics["best_epoch"], report.best_epoch.unwrap().to_string());
        let confusion: Vec<usize> =
            found["confusion"].as_array().unwrap().iter().map(|cell| cell.as_u64().unwrap() as usize).collect();
        assert_eq!(confusion, test.confusion.concat());
    }
}

/// Two short runs, one of them diverged.
fn two_runs() -> &'static TempDir {
    static RUNS: OnceLock<TempDir> = OnceLock::new();
    RUNS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let good = smoke(&["data.train=640", "data.validation=100", "logging.tensorboard=true"]);
        train_quietly(&good, &folder.path().join("good <1>"), Existing::Refuse).unwrap();
        let bad = smoke(&["data.train=320", "optimizer.learning_rate=1e30"]);
        train_quietly(&bad, &folder.path().join("bad"), Existing::Refuse).unwrap_err();
        folder
    })
}

#[test]
fn pages_are_rewritten_compared_and_drawn() {
    let folder = two_runs().path();
    let (good, bad) = (folder.join("good <1>"), folder.join("bad"));
    assert!(fs::read_to_string(bad.join("report.html")).unwrap().contains("diverged"));
    fs::remove_file(good.join("report.html")).unwrap();
    let svg = folder.join("charts");
    let (code, output, error) = run(&["report", arg(&good), "--svg", arg(&svg)]);
    assert_eq!((code, output.lines().count(), error.as_str()), (0, 5, ""), "{output}");
    let page = fs::read_to_string(good.join("report.html")).unwrap();
    assert!(page.contains("<title>good &lt;1&gt;"), "names are escaped");
    for name in ["error", "loss", "learning-rate", "calibration"] {
        let chart = fs::read_to_string(svg.join(format!("{name}.svg"))).unwrap();
        assert!(chart.starts_with("<svg") && chart.trim_end().ends_with("</svg>"), "{chart}");
    }
    let comparison = folder.join("both.html");
    let (code, _, error) = run(&["report", arg(&good), arg(&bad), "--out", arg(&comparison)]);
    assert_eq!((code, error.as_str()), (0, ""));
    let html = fs::read_to_string(&comparison).unwrap();
    assert!(html.contains("data.train: 640 -&gt; 320") && html.contains("diverged"), "{html}");
    if let Some(browser) = chromium() {
        let Rendered { found, console } = look(browser, &comparison, 390, false, &Value::Null, LOOK);
        assert_eq!((console.len(), &found["overflow"]), (0, &Value::from(0)), "{found}");
        assert_eq!(found["charts"], serde_json::json!(["error", "loss"]));
    }
    // Without a model, the numbers and charts are still there.
    fs::rename(good.join("model.bpk"), folder.join("away")).unwrap();
    let (code, _, _) = run(&["report", arg(&good)]);
    fs::rename(folder.join("away"), good.join("model.bpk")).unwrap();
    let page = fs::read_to_string(good.join("report.html")).unwrap();
    assert!(code == 0 && page.contains("could not be read when this page was made") && page.contains("id=\"error\""));
    let (code, _, error) = run(&["report", "tests"]);
    assert!(code == 1 && error.contains("is not a run"), "{error}");
}

fn report(folder: &Path) -> Report {
    RunDir::open(folder).unwrap().read_report().unwrap()
}

#[test]
fn metrics_are_written_as_csv() {
    let folder = two_runs().path().join("good <1>");
    let csv = fs::read_to_string(folder.join("metrics.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap(),
        "epoch,train_loss,train_accuracy,valid_loss,valid_accuracy,learning_rate,seconds,images_per_second"
    );
    let epochs = report(&folder).epochs;
    assert_eq!(lines.clone().count(), epochs.len());
    for (line, epoch) in lines.zip(epochs) {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        let valid = epoch.valid.unwrap();
        let expected = [epoch.epoch as f64, epoch.train.loss, epoch.train.accuracy, valid.loss, valid.accuracy];
        assert_eq!(&cells[..5], &expected);
    }
}

#[test]
fn tensorboard_reads_the_event_file() {
    const READ: &str = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}))";
    let folder = two_runs().path().join("good <1>");
    let python = std::env::var_os("LENET_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let output = Command::new(&python).args(["-c", READ]).arg(folder.join("tensorboard")).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        return skip("no Python with the package tensorboard; `pip install tensorboard`, and LENET_PYTHON names it");
    };
    let tags: Value = serde_json::from_slice(&output.stdout).unwrap();
    let epochs = report(&folder).epochs;
    let expect = |tag: &str, of: &dyn Fn(&lenet::report::EpochReport) -> f64| {
        let expected: Vec<Value> = epochs.iter().map(|e| serde_json::json!([e.epoch, of(e) as f32])).collect();
        assert_eq!(tags[tag], Value::from(expected), "{tag}");
    };
    expect("train/loss", &|e| e.train.loss);
    expect("train/accuracy", &|e| e.train.accuracy);
    expect("valid/loss", &|e| e.valid.unwrap().loss);
    expect("valid/accuracy", &|e| e.valid.unwrap().accuracy);
    expect("learning_rate", &|e| e.learning_rate);
}

#[test]
fn a_sweep_prints_a_table_and_continues_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sweep");
    let sweep = |more: &[&str]| {
        let common = ["sweep", "configs/smoke.toml", "--set", "data.train=320", "--set", "training.epochs=1"];
        run(&[&common[..], &["--over", "optimizer.learning_rate=0.01,0.05,1e30", "--out", arg(&out)], more].concat())
    };
    let (code, output, error) = sweep(&["--seeds", "2"]);
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("run 6 of 6: learning_rate=1e30,seed=2"), "{error}");
    let rows: Vec<Vec<&str>> = output.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..3], ["optimizer.learning_rate", "runs", "diverged"]);
    assert_eq!((&rows[1][..3], &rows[3][..4]), (&["0.01", "2", "0"][..], &["1e30", "2", "2", "-"][..]), "{output}");
    let html = fs::read_to_string(out.join("sweep.html")).unwrap();
    assert!(html.contains("id=\"sweep\"") && html.contains("learning_rate=0.05,seed=2"));

    // A complete run is not trained again, an incomplete one is finished, and a missing one is trained.
    let dir = |name: &str| out.join(name);
    let before = fs::read(dir("learning_rate=0.01,seed=1").join("report.json")).unwrap();
    fs::remove_dir_all(dir("learning_rate=0.01,seed=2")).unwrap();
    let half = RunDir::open(&dir("learning_rate=0.05,seed=1")).unwrap();
    half.write_report(&Report { status: Status::Running, test: None, ..half.read_report().unwrap() }).unwrap();
    let (code, json, _) = sweep(&["--seeds", "2", "--json"]);
    assert_eq!(code, 0);
    assert_eq!(fs::read(dir("learning_rate=0.01,seed=1").join("report.json")).unwrap(), before);
    let points: Value = serde_json::from_str(&json).unwrap();
    let mean = |point: &Value| format!("{:.2}", point["test_accuracy"]["mean"].as_f64().unwrap() * 100.0);
    assert_eq!([mean(&points[0]), mean(&points[1])], [rows[1][7], rows[2][7]].map(ToOwned::to_owned), "{output}");

    let (code, _, error) = sweep(&["--seeds", "2", "--set", "training.batch_size=8"]);
    assert!(code == 1 && error.contains("trained with other settings"), "{error}");
    for wrong in ["seed", "nothing.here=1", "training.epochs=0"] {
        let (code, _, error) = run(&["sweep", "configs/smoke.toml", "--over", wrong, "--out", arg(&dir("no"))]);
        assert!(code == 2 && !dir("no").exists(), "{wrong}: {error}");
    }
}
