//! Runs on several devices: two `flex` ones, which serve to try out what several GPUs do.

use lenet::artifacts::Existing;

use crate::common::{arg, finish, lenet, model_bits, smoke, train_quietly};

/// 500 images in mini-batches of 96: the last one has 20.
const SMALL: [&str; 5] =
    ["data.train=500", "data.validation=300", "training.batch_size=96", "training.epochs=2", "schedule.kind=one-cycle"];

fn values(bits: &[u32]) -> impl Iterator<Item = f32> {
    bits.iter().copied().map(f32::from_bits)
}

#[test]
fn devices_that_share_a_mini_batch_learn_what_one_learns() {
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    for reduction in ["mean", "sum"] {
        let loss = format!("loss.reduction={reduction}");
        let rate = if reduction == "sum" { "optimizer.learning_rate=0.0005" } else { "optimizer.learning_rate=0.05" };
        let rest = [&loss, rate, "optimizer.weight_decay=0.001", "optimizer.clip_norm=1", "loss.label_smoothing=0.1"];
        let one = smoke(&[&SMALL[..], &rest].concat());
        // Parts of 48, and of 10 at the end.
        let mut two = one.clone();
        two.devices = vec!["flex".into(), "flex".into()];
        let [one, two] = [(one, &folders[0]), (two, &folders[1])]
            .map(|(config, folder)| train_quietly(&config, folder.path(), Existing::Replace).unwrap());
        assert_eq!((one.backend.as_str(), two.backend.as_str()), ("flex", "flex, flex"));
        for (one, two) in one.epochs.iter().zip(&two.epochs) {
            assert!((one.train.loss - two.train.loss).abs() < 1e-5, "{one:?} {two:?}");
            assert!((one.valid.unwrap().loss - two.valid.unwrap().loss).abs() < 1e-5, "{one:?} {two:?}");
            assert_eq!(one.learning_rate.to_bits(), two.learning_rate.to_bits());
        }
        let [one, two] = [&folders[0], &folders[1]].map(|folder| model_bits(folder.path()));
        let furthest = values(&one).zip(values(&two)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest > 0.0 && furthest < 1e-5, "{furthest}");
    }
}

#[test]
fn a_run_goes_on_with_other_devices() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = smoke(&SMALL);
    config.devices = vec!["flex".into(); 3];
    let mut first = config.clone();
    first.training.epochs = 1;
    train_quietly(&first, folder.path(), Existing::Refuse).unwrap();
    let resumed = train_quietly(&config, folder.path(), Existing::Resume).unwrap();
    assert_eq!((resumed.backend.as_str(), resumed.epochs.len()), ("flex, flex, flex", 2));
    config.devices.clear();
    config.training.epochs = 3;
    let resumed = train_quietly(&config, folder.path(), Existing::Resume).unwrap();
    assert_eq!((resumed.backend.as_str(), resumed.epochs.len()), ("flex", 3));
    assert!(resumed.epochs.is_sorted_by(|a, b| a.train.loss > b.train.loss), "{:?}", resumed.epochs);
}

#[test]
fn devices_are_named_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let train = |args: &[&str]| {
        let sets = SMALL.iter().flat_map(|set| ["--set", set]);
        let all =
            ["train", "configs/smoke.toml", "--out", arg(&out)].into_iter().chain(sets).chain(args.iter().copied());
        // With a single thread, which has to compute both parts.
        finish(lenet(&all.collect::<Vec<_>>()).env("RAYON_NUM_THREADS", "1").output().unwrap())
    };
    let complaint = |args: &[&str]| {
        let (code, _, stderr) = train(args);
        assert_eq!(code, 2, "{stderr}");
        stderr
    };
    assert!(complaint(&["--devices", "flex,auto"]).contains("devices has \"auto\"; name each device"));
    assert!(complaint(&["--devices", "flex,gpu"]).contains("\"gpu\" is not a backend. Known: auto, flex,"));
    assert!(complaint(&["--devices", "flex,flex:1"]).contains("finds one device here, flex:0"));
    assert!(complaint(&["--set", "devices=flex"]).contains("expected a list such as [\"one\", \"two\"]"));
    assert!(complaint(&["--devices", "flex", "--backend", "flex"]).contains("cannot be used with"));
    let negatives = ["--devices", "flex,flex", "--set", "data.negatives=0.1"];
    assert!(complaint(&negatives).contains("data.negatives needs a single device"));
    let small = ["--devices", "flex,flex", "--set", "training.batch_size=1"];
    assert!(complaint(&small).contains("training.batch_size must be at least 1 for each"));
    assert!(!out.exists());

    let (code, stdout, stderr) = train(&["--devices", "flex,flex:0", "--set", "training.epochs=1"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains(" on flex, flex, "), "{stdout}");
    // `--backend` takes the place of the config's devices.
    let again = ["--set", "devices=[\"flex\", \"flex\"]", "--backend", "flex", "--resume"];
    let (code, stdout, stderr) = train(&again);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains(" on flex, "), "{stdout}");
}

#[test]
fn a_worker_that_others_can_reach_needs_a_token() {
    let worker = |args: &[&str]| {
        let mut command = lenet(&[&["worker"], args].concat());
        let (code, _, stderr) = finish(command.env_remove("LENET_WORKER_TOKEN").output().unwrap());
        assert_eq!(code, 2, "{stderr}");
        stderr
    };
    assert!(worker(&["--listen", "0.0.0.0:0"]).contains("set LENET_WORKER_TOKEN to a token, here and where"));
    assert!(worker(&["--devices", "flex,ndarray"]).contains("a worker serves one backend"));
    assert!(worker(&["--devices", "remote:ws://gpu:3111"]).contains("is another worker's device"));
    if !cfg!(feature = "remote") {
        assert!(worker(&[]).contains("`cargo run --features remote -- worker …`"));
    }
}
