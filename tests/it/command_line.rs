//! The binary as users see it: output, exit codes, signals.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use burn::prelude::*;
use image::{GrayImage, Luma};
use lenet::{data::load_mnist, model::LeNet5};
use serde_json::Value;

use crate::common::{arg, finish, full_run, lenet, project, run, small_folder};

/// A short training into `folder`.
fn short<'a>(folder: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let common = ["train", "configs/smoke.toml", "--set", "data.train=640", "--out", arg(folder)];
    [&common[..], more].concat()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_run_from_training_to_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a run with spaces");
    let (code, output, error) = run(&short(&out, &["--set", "training.epochs=2"]));
    assert_eq!(code, 0, "{error}");
    assert!(output.starts_with("test accuracy ") && output.contains(arg(&out)), "{output}");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "one line per epoch: {error}");
    assert!(lines[1].starts_with("epoch  2/2 | train loss "), "{error}");
    let report = json(&out.join("report.json"));
    assert_eq!(report["status"], "complete");
    assert_eq!(report["epochs"].as_array().unwrap().len(), 2);
    let config = fs::read_to_string(out.join("config.toml")).unwrap();
    assert!(config.contains("train = 640") && config.contains("learning_rate = 0.05"), "{config}");
    for file in ["model.bpk", "checkpoint/model-2.bpk", "checkpoint/optim-2.bpk", "train/epoch-1/Loss.log"] {
        assert!(out.join(file).is_file(), "{file}");
    }

    let (code, output, _) = run(&["evaluate", arg(&out), "--json"]);
    let evaluation: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &evaluation), (0, &report["test"]));
    let (code, output, _) = run(&["evaluate", arg(&out), "--split", "valid"]);
    assert!(code == 0 && output.starts_with("valid accuracy ") && output.contains(" of 500 images"), "{output}");
    let best = &report["epochs"][report["best_epoch"].as_u64().unwrap() as usize - 1];
    let (_, output, _) = run(&["evaluate", arg(&out), "--split", "valid", "--json"]);
    let valid: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(valid["accuracy"], best["valid"]["accuracy"]);
}

#[test]
fn an_answer_below_the_threshold_is_marked() {
    let nine = "tests/pictures/9.jpg";
    let (code, output, error) = run(&["predict", nine, "--no-digit", "0", "--threshold", "0"]);
    assert!(code == 0 && output.starts_with(&format!("{nine}  9 ")), "{output}{error}");
    let (_, output, _) = run(&["predict", nine, "--threshold", "1"]);
    assert!(output.starts_with(&format!("{nine}  ? 9 (or ")) && output.ends_with(" %\n"), "{output}");
    for (threshold, sure) in [("0", true), ("1", false)] {
        let (_, output, _) = run(&["predict", nine, "--threshold", threshold, "--json"]);
        assert_eq!(serde_json::from_str::<Value>(&output).unwrap()[0]["sure"], sure);
    }
    for wrong in ["2", "NaN", "much"] {
        assert_eq!(run(&["predict", nine, "--threshold", wrong]).0, 2, "{wrong}");
    }
}

#[test]
fn predict_classifies_what_it_can_and_reports_the_rest() {
    let run_folder = full_run().0.path();
    let folder = tempfile::tempdir().unwrap();
    let seven = folder.path().join("a seven.png");
    let (_, test) = load_mnist().unwrap();
    GrayImage::from_raw(28, 28, test.image(0).to_vec()).unwrap().save(&seven).unwrap();
    let blank = folder.path().join("blank.png");
    GrayImage::from_pixel(50, 50, Luma([255])).save(&blank).unwrap();

    let (code, output, error) = run(&["predict", arg(run_folder), arg(&seven)]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(output.starts_with(&format!("{}  7 ", arg(&seven))) && output.ends_with(" %\n"), "{output}");
    assert_eq!(output.lines().count(), 1);

    let model = run_folder.join("model.bpk");
    let (code, output, error) =
        run(&["predict", arg(&model), arg(&blank), arg(&seven), "no/such.png", "--top", "3", "--json"]);
    assert_eq!(code, 1);
    assert!(error.contains("blank.png: shows nothing") && error.contains("no/such.png: cannot be read"), "{error}");
    assert!(error.ends_with("error: 2 of 3 pictures could not be read\n"), "{error}");
    let entries: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&entries[1]["index"], entries[1]["ranking"].as_array().unwrap().len()), (&Value::from(7), 3));
    assert!(entries[0]["error"].is_string() && entries[2]["error"].is_string());
}

#[test]
fn wrong_usage_is_exit_2_and_failure_exit_1() {
    for (args, code, what) in [
        (&["train"][..], 2, "<CONFIG>"),
        (&["trian"], 2, "unrecognized subcommand"),
        (&["train", "configs/smoke.toml", "--resume", "--force"], 2, "cannot be used with"),
        (&["predict", "artifacts/x", "a.png", "--top", "257"], 2, "257"),
        (&["train", "configs/smoke.toml", "--set", "training.epoch=1"], 2, "there is no key"),
        (&["train", "configs/smoke.toml", "--backend", "gpu"], 2, "is not a backend"),
        (&["train", "no/such.toml"], 1, "cannot read the config no/such.toml"),
        (&["evaluate", "no/such"], 1, "is not a run"),
        (&["evaluate", "Cargo.toml"], 1, "Cargo.toml: is text, not a net that lenet trained"),
        (&["predict", "no/such/model.bpk", "a.png"], 1, "is not a run"),
    ] {
        let (got, output, error) = run(args);
        assert_eq!((got, output.as_str()), (code, ""), "{args:?}: {error}");
        assert!(error.contains(what), "{args:?}: {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
}

#[test]
fn folders_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let mut folders = vec![file.join("run")];
    #[cfg(target_os = "linux")]
    folders.push("/proc/lenet-run".into());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let locked = folder.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
        // Permissions do not stop root.
        if fs::create_dir(locked.join("probe")).is_err() {
            folders.push(locked.join("run"));
        }
    }
    for folder in folders {
        let (code, _, error) = run(&short(&folder, &[]));
        assert_eq!(code, 1);
        assert!(error.contains("cannot create the folder") && error.contains(arg(&folder)), "{error}");
    }
}

#[test]
fn quiet_says_nothing_and_backends_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let (code, output, error) = run(&short(folder.path(), &["--quiet", "--set", "training.epochs=1"]));
    assert_eq!((code, output.as_str(), error.as_str()), (0, "", ""));
    let (_, output, _) = run(&["backends"]);
    let row = |name: &str| output.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(row("flex").contains("yes          CPU, pure Rust, SIMD and threads   the CPU, "), "{output}");
    if !cfg!(feature = "cuda") {
        assert!(row("cuda").ends_with("no           GPU of NVIDIA                      build with --features cuda"));
    }
    let (_, output, _) = run(&["backends", "--json"]);
    let backends: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&backends[0]["name"], &backends[0]["compiled"]), (&Value::from("flex"), &Value::from(true)));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = lenet(&["backends"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let (code, _, error) = finish(child.wait_with_output().unwrap());
    assert_eq!((code, error.as_str()), (0, ""));
}

#[test]
fn a_closed_standard_error_does_not_stop_training() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = lenet(&short(folder.path(), &["--progress", "lines"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let (code, output, _) = finish(child.wait_with_output().unwrap());
    assert_eq!(code, 0);
    assert!(output.contains("test accuracy"), "{output}");
}

#[test]
fn a_model_without_its_run_is_measured_on_the_test_set_alone() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("copy.bpk");
    fs::copy(full_run().0.path().join("model.bpk"), &model).unwrap();
    let (code, _, error) = run(&["evaluate", arg(&model), "--split", "valid"]);
    assert!(code == 1 && error.contains("it is unknown which images it learned from"), "{error}");
    let (code, output, error) = run(&["evaluate", arg(&model)]);
    assert!(code == 0 && output.starts_with("test accuracy 9") && error.contains("measuring it on MNIST"), "{error}");
}

#[test]
fn a_record_that_says_nothing_about_itself_is_read_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.bpk");
    let net = LeNet5::load(&full_run().0.path().join("model.bpk"), &Device::flex()).unwrap();
    net.into_record().save(&old).unwrap();
    let (code, output, error) = run(&["predict", arg(&old), "tests/pictures/7.png"]);
    assert!(code == 0 && output.starts_with("tests/pictures/7.png  "), "{output}");
    assert!(error.starts_with("warning: ") && error.contains("old.bpk does not say how it was trained"), "{error}");
}

#[cfg(unix)]
#[test]
fn pictures_with_strange_names_or_without_an_end() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let strange = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.png"));
    fs::copy(project("tests/pictures/7.png"), &strange).unwrap();
    let mut command = lenet(&["predict", arg(full_run().0.path()), "--json", "/dev/zero"]);
    let (code, output, error) = finish(command.arg(&strange).output().unwrap());
    let entries: Value = serde_json::from_str(&output).unwrap();
    assert!(code == 1 && error.contains("/dev/zero: is larger than 100 MiB"), "{error}");
    assert_eq!(entries[1]["class"], "7");
}

fn long_training(folder: &Path, more: &[&str]) -> Child {
    lenet(&short(folder, &[&["--set", "training.epochs=6"], more].concat()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_for_epochs(folder: &Path, epochs: usize) {
    let start = Instant::now();
    let report = folder.join("report.json");
    while fs::read_to_string(&report).unwrap_or_default().matches("\"epoch\"").count() < epochs {
        assert!(start.elapsed() < Duration::from_mins(1), "no epoch was finished");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_run_finds_its_images_from_elsewhere_and_after_they_moved() {
    let folder = tempfile::tempdir().unwrap();
    let [data, moved, out] = ["digits", "moved", "run"].map(|name| folder.path().join(name));
    fs::rename(small_folder(120).keep(), &data).unwrap();
    // Relative to the working folder.
    let settings =
        ["--set", "data.validation=20", "--set", "data.train=0", "--set", "training.epochs=1", "--data", "digits"];
    let config = project("configs/smoke.toml");
    let train = |more: &[&str]| {
        let mut command = lenet(&[&["train", arg(&config), "--out", arg(&out)], &settings[..], more].concat());
        finish(command.current_dir(folder.path()).output().unwrap())
    };
    let (code, _, error) = train(&[]);
    assert_eq!(code, 0, "{error}");
    let (code, elsewhere, error) = run(&["evaluate", arg(&out)]);
    assert!(code == 0 && elsewhere.contains(" of 120 images"), "{error}");

    fs::rename(&data, &moved).unwrap();
    let (code, _, error) = run(&["evaluate", arg(&out)]);
    assert!(code == 1 && error.contains("no such folder") && error.contains("--data DIR"), "{error}");
    let (code, output, error) = run(&["evaluate", arg(&out), "--data", arg(&moved)]);
    assert_eq!((code, &output), (0, &elsewhere), "{error}");
    let page = folder.path().join("page.html");
    let (code, _, error) = run(&["report", arg(&out), "--out", arg(&page)]);
    assert!(code == 0 && error.contains("the page shows no images") && error.contains("--data DIR"), "{error}");
    assert!(!fs::read_to_string(&page).unwrap().contains("Feature maps"));
    let (code, _, error) = run(&["report", arg(&out), "--out", arg(&page), "--data", arg(&moved)]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(fs::read_to_string(&page).unwrap().contains("Feature maps"));

    // A model by itself knows what it was trained on, not where that is.
    let model = folder.path().join("copy.bpk");
    fs::copy(out.join("model.bpk"), &model).unwrap();
    let (code, _, error) = run(&["evaluate", arg(&model)]);
    assert!(code == 2 && error.contains("\"digits\"") && error.contains("--data DIR"), "{error}");
    let (_, output, _) = run(&["evaluate", arg(&model), "--data", arg(&moved)]);
    assert_eq!(output, elsewhere);

    // The run goes on with the same images, wherever they are, and with no others.
    let other = small_folder(121);
    for (images, expected) in [(arg(&data), "no such folder"), (arg(other.path()), "was trained on other images than")]
    {
        let (code, _, error) = train(&["--resume", "--set", "training.epochs=2", "--data", images]);
        assert!(code == 1 && error.contains(expected), "{error}");
    }
    let (code, _, error) = train(&["--resume", "--set", "training.epochs=2", "--data", "moved"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(json(&out.join("report.json"))["epochs"].as_array().unwrap().len(), 2);
    assert_eq!(run(&["evaluate", arg(&out)]).0, 0);
}

#[test]
fn a_net_that_has_learned_nothing_gets_advice() {
    let folder = tempfile::tempdir().unwrap();
    let (code, output, error) = run(&short(folder.path(), &["--set", "optimizer.learning_rate=1"]));
    assert!(code == 0 && output.starts_with("test accuracy "), "{error}");
    assert!(
        error.contains("learned next to nothing") && error.contains("lower optimizer.learning_rate to 0.1"),
        "{error}"
    );
}

#[test]
fn more_threads_than_are_of_use_are_not_started() {
    let mut command = lenet(&["predict", "tests/pictures/7.png"]);
    let (code, output, error) = finish(command.env("RAYON_NUM_THREADS", "100000").output().unwrap());
    assert!(code == 0 && output.starts_with("tests/pictures/7.png  7 "), "{output}");
    assert!(
        error.starts_with("RAYON_NUM_THREADS=100000 is more than this machine has use for: going on with "),
        "{error}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 150000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_lenet")]);
    command.args(short(&folder.path().join("run"), &[])).current_dir(project(""));
    let (code, _, error) = finish(command.output().unwrap());
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("there is not enough memory: ") && !error.contains("download"), "{error}");
    assert!(!error.contains("panicked") && !error.contains("memory allocation"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_closed_terminal_stops_training_unless_nohup_was_used() {
    let folder = tempfile::tempdir().unwrap();
    let [stopped, whole] = ["stopped", "whole"].map(|name| folder.path().join(name));
    let child = long_training(&stopped, &["--set", "training.epochs=60"]);
    wait_for_epochs(&stopped, 1);
    signal(&child, "-HUP");
    let (code, _, error) = finish(child.wait_with_output().unwrap());
    assert!(code == 1 && error.contains("with --resume to continue"), "{error}");

    // As `nohup` does it.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_lenet")]);
    command.args(short(&whole, &["--set", "training.epochs=30"])).current_dir(project(""));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_epochs(&whole, 1);
    signal(&child, "-HUP");
    let (code, output, error) = finish(child.wait_with_output().unwrap());
    assert!(code == 0 && output.starts_with("test accuracy") && !error.contains("stopping"), "{error}");
    assert_eq!(json(&whole.join("report.json"))["epochs"].as_array().unwrap().len(), 30);
}

#[cfg(unix)]
#[test]
fn an_interrupted_and_a_killed_training_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(name));
    let (code, ..) = finish(long_training(&whole, &[]).wait_with_output().unwrap());
    assert_eq!(code, 0);

    let child = long_training(&broken, &[]);
    wait_for_epochs(&broken, 2);
    signal(&child, "-INT");
    let (code, _, error) = finish(child.wait_with_output().unwrap());
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("stopping; press Ctrl-C again to quit immediately"), "{error}");
    assert!(error.contains("is kept") || error.contains("are kept"), "{error}");
    assert!(error.trim_end().ends_with("run the same command with --resume to continue"), "{error}");
    let (code, output, error) =
        run(&["predict", arg(&broken), "tests/pictures/7.png", "--no-digit", "0", "--threshold", "0"]);
    assert!(code == 0 && output.starts_with("tests/pictures/7.png  "), "{error}");
    assert!(error.contains("is not trained to its end: this is its best epoch so far, epoch "), "{error}");

    let child = long_training(&broken, &["--resume"]);
    wait_for_epochs(&broken, 3);
    signal(&child, "-KILL");
    child.wait_with_output().unwrap();
    // While it trains, no other process may.
    let child = long_training(&broken, &["--resume"]);
    wait_for_epochs(&broken, 4);
    let (code, _, error) = run(&short(&broken, &["--resume", "--set", "training.epochs=6"]));
    assert_eq!(code, 1);
    assert!(error.contains("another process is training into"), "{error}");
    let (code, _, error) = finish(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{error}");
    // What the killed one was writing is gone.
    let names = |folder: &Path| -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&broken), names(&whole));
    assert!(
        names(&broken.join("checkpoint")).iter().all(|name| Path::new(name).extension().is_some_and(|e| e == "bpk"))
    );

    let [mut whole, mut broken] = [whole, broken].map(|folder| json(&folder.join("report.json")));
    for report in [&mut whole, &mut broken] {
        for clock in ["seconds", "model_sha256"] {
            report[clock] = Value::Null;
        }
        for epoch in report["epochs"].as_array_mut().unwrap() {
            epoch["seconds"] = Value::Null;
            epoch["images_per_second"] = Value::Null;
        }
    }
    assert_eq!(whole, broken);
}
