//! Training on workers: other processes, which serve their devices.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use lenet::{
    artifacts::{Existing, RunDir},
    report::{Report, Status},
};

use crate::common::{arg, finish, lenet, model_bits, run, smoke, train_quietly};

const TOKEN: &str = "LENET_WORKER_TOKEN";
/// 300 images in mini-batches of 96: the last one has 12.
const SMALL: [&str; 3] = ["data.train=300", "data.validation=200", "training.batch_size=96"];

/// `lenet worker` in a process of its own, which ends with the test.
struct Worker {
    child: Child,
    /// Its devices, as training names them.
    devices: Vec<String>,
}

impl Worker {
    fn start(devices: &[&str], token: Option<&str>) -> Self {
        let mut command = lenet(&["worker", "--listen", "127.0.0.1:0", "--devices", &devices.join(",")]);
        if let Some(token) = token {
            command.env(TOKEN, token);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let devices = lines.take(devices.len()).map(Result::unwrap).collect();
        Self { child, devices }
    }

    fn one() -> Self {
        Self::start(&["flex"], None)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `lenet train` on some devices.
fn train(out: &Path, devices: &str, settings: &[&str], more: &[&str]) -> Command {
    let settings = settings.iter().flat_map(|set| ["--set", set]);
    let common = ["train", "configs/smoke.toml", "--out", arg(out), "--devices", devices];
    lenet(&common.into_iter().chain(settings).chain(more.iter().copied()).collect::<Vec<_>>())
}

fn report(folder: &Path) -> Report {
    RunDir::open(folder).unwrap().read_report().unwrap()
}

#[test]
fn one_worker_and_two_learn_what_this_process_learns() {
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("local");
    let config = smoke(&[&SMALL[..], &["operators=composed"]].concat());
    let expected = train_quietly(&config, &local, Existing::Refuse).unwrap();
    let (one, other) = (Worker::one(), Worker::start(&["flex", "flex"], None));
    assert!(other.devices[1].ends_with("/1"), "{:?}", other.devices);
    let two = format!("{},{}", one.devices[0], other.devices[1]);
    for devices in [&one.devices[0], &two] {
        let out = folder.path().join("remote");
        let (code, stdout, stderr) = finish(train(&out, devices, &SMALL, &["--force"]).output().unwrap());
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.contains("on remote:ws://127.0.0.1:"), "{stdout}");
        let learned = report(&out);
        assert_eq!(learned.backend, devices.replace(',', ", "));
        assert_eq!(learned.epochs.len(), expected.epochs.len());
        for (epoch, expected) in learned.epochs.iter().zip(&expected.epochs) {
            assert!((epoch.train.loss - expected.train.loss).abs() < 1e-5, "{epoch:?} {expected:?}");
            assert!((epoch.valid.unwrap().loss - expected.valid.unwrap().loss).abs() < 1e-5, "{epoch:?} {expected:?}");
        }
        let [learned, expected] = [&out, &local].map(|folder| model_bits(folder));
        let difference = |(a, b): (&u32, &u32)| (f32::from_bits(*a) - f32::from_bits(*b)).abs();
        assert!(learned.iter().zip(&expected).map(difference).all(|difference| difference < 1e-5));
    }
    // Without the workers, the net is used here.
    drop((one, other));
    let (code, stdout, stderr) = run(&["evaluate", arg(&folder.path().join("remote"))]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("test accuracy"), "{stdout}");
}

/// Trains on workers of which the last is killed in the second epoch.
fn kill_in_mid_run(mut workers: Vec<Worker>) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let devices: Vec<&str> = workers.iter().map(|worker| worker.devices[0].as_str()).collect();
    let devices = devices.join(",");
    let many = [&SMALL[..], &["training.epochs=1000"]].concat();
    let mut child = train(&out, &devices, &many, &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !out.join("checkpoint/model-1.bpk").exists() {
        assert!(begun.elapsed() < Duration::from_mins(1) && child.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(20));
    }
    let worker = workers.pop().unwrap();
    let lost = worker.devices[0].replace("remote:", "");
    drop(worker);
    let killed = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(killed.elapsed() < Duration::from_secs(30), "training does not end without its worker");
        thread::sleep(Duration::from_millis(20));
    }
    let (code, _, stderr) = finish(child.wait_with_output().unwrap());
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("error: training failed: no worker can be reached at "), "{stderr}");
    assert!(stderr.contains(&lost) && stderr.contains("--resume"), "{stderr}");

    let done = report(&out).epochs.len();
    let (code, _, stderr) = {
        let one_more = format!("training.epochs={}", done + 1);
        let settings = [&SMALL[..], &[&one_more]].concat();
        finish(train(&out, "flex", &settings, &["--resume"]).output().unwrap())
    };
    assert_eq!(code, 0, "{stderr}");
    let resumed = report(&out);
    assert_eq!((resumed.status, resumed.epochs.len(), resumed.backend.as_str()), (Status::Complete, done + 1, "flex"));
}

#[test]
fn a_killed_worker_ends_the_run_which_goes_on_here() {
    kill_in_mid_run(vec![Worker::one()]);
}

#[test]
fn a_killed_worker_of_two_ends_the_run_which_goes_on_here() {
    kill_in_mid_run(vec![Worker::one(), Worker::one()]);
}

#[test]
fn a_token_keeps_others_out_and_is_written_nowhere() {
    let secret = "a-secret-of-the-test";
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let worker = Worker::start(&["flex"], Some(secret));
    let with = |token: Option<&str>| {
        let mut command = train(&out, &worker.devices[0], &SMALL, &["--progress", "lines"]);
        if let Some(token) = token {
            command.env(TOKEN, token);
        }
        finish(command.output().unwrap())
    };
    let (code, _, stderr) = with(None);
    assert!(code == 2 && stderr.contains("asks for its token: set LENET_WORKER_TOKEN"), "{stderr}");
    let (code, _, stderr) = with(Some("wrong"));
    assert!(code == 2 && stderr.contains("has another token than LENET_WORKER_TOKEN"), "{stderr}");
    let (code, stdout, stderr) = with(Some(secret));
    assert_eq!(code, 0, "{stderr}");
    assert!(!stdout.contains(secret) && !stderr.contains(secret));
    let mut folders = vec![out];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).unwrap();
                assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{:?}", entry.path());
            }
        }
    }
}

#[test]
fn workers_that_are_not_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let complaint = |device: &str| {
        let (code, _, stderr) = finish(train(&folder.path().join("run"), device, &SMALL, &[]).output().unwrap());
        assert_eq!(code, 2, "{stderr}");
        stderr
    };
    let worker = Worker::one();
    let device = worker.devices[0].clone();
    assert!(complaint(&format!("{device}/3")).contains("has no device /3: its last one is /0"));
    assert!(complaint(&format!("{device},{device}")).contains("twice"));
    assert!(complaint(&format!("flex,{device}")).contains("must be of one backend"));
    drop(worker);
    assert!(complaint(&device).contains("no worker can be reached at ws://127.0.0.1:"));
    // Something else listens there, and closes at once.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = format!("remote:ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().for_each(drop));
    assert!(complaint(&other).contains("is no worker of this version of lenet"));
}
