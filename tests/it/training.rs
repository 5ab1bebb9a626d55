//! Whole runs through the library.

use std::{fs, time::Duration};

use burn::{prelude::*, train::Interrupter};
use lenet::{
    Error,
    artifacts::{Existing, RunDir},
    card::{Card, MNIST},
    config::{Config, Scale},
    data::Splits,
    evaluation::evaluate,
    inference::{Origin, Trained},
    model::LeNet5,
    report::{Report, Status},
    run::train,
    training::Progress,
};

use crate::common::{full_run, model_bits, poison, smoke, splits, train_quietly};

#[test]
fn an_epoch_over_all_of_mnist_reaches_97_percent() {
    let (folder, report) = full_run();
    let test = report.test.as_ref().unwrap();
    assert!(test.accuracy >= 0.97, "{}", test.accuracy);
    assert_eq!((test.images, report.train_images, report.valid_images), (10_000, 55_000, 5_000));
    assert_eq!(test.confusion.iter().flatten().sum::<usize>(), 10_000);
    assert_eq!(test.misses, 10_000 - (0..10).map(|c| test.confusion[c][c]).sum::<usize>());
    assert_eq!(RunDir::open(folder.path()).unwrap().read_report().unwrap(), *report);
}

#[test]
fn a_saved_model_gives_the_results_in_the_report() {
    let (folder, report) = full_run();
    let trained = Trained::load(folder.path(), None).unwrap();
    let again = evaluate(&trained.net, &splits().test, &trained.device).unwrap();
    assert_eq!(Some(&again), report.test.as_ref());
    let record = Trained::load(&folder.path().join("model.bpk"), None).unwrap();
    let image: [u8; 784] = *splits().test.image(0);
    assert_eq!(record.probabilities(&[image]).unwrap(), trained.probabilities(&[image]).unwrap());
}

/// The results that do not depend on the clock.
fn results(report: &Report) -> Vec<String> {
    let epochs = report.epochs.iter().map(|e| format!("{:?} {:?} {:?}", e.train, e.valid, e.learning_rate));
    epochs.chain([format!("{:?} {:?} {:?}", report.best_epoch, report.test, report.status)]).collect()
}

/// A run with everything that has a state: momentum, a schedule, weight decay and clipping.
fn stateful(epochs: usize) -> Config {
    let mut config = smoke(&["schedule.kind=cosine", "schedule.warmup=0.2", "optimizer.weight_decay=0.001"]);
    config.optimizer.clip_norm = 2.0;
    config.training.epochs = epochs;
    config
}

#[test]
fn the_same_seed_gives_the_same_results_and_another_seed_others() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, seed| {
        let config = Config { seed, ..smoke(&["training.epochs=1"]) };
        let report = train_quietly(&config, &folder.path().join(name), Existing::Refuse).unwrap();
        (results(&report), fs::read(folder.path().join(name).join("model.bpk")).unwrap())
    };
    let first = run("a", 1);
    assert_eq!(first, run("b", 1));
    assert_ne!(first, run("c", 2));
}

#[test]
fn a_model_copied_out_of_its_run_is_read_as_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let config = smoke(&["training.epochs=1", "data.scale=byte", "optimizer.learning_rate=0.0001"]);
    let report = train_quietly(&config, &run, Existing::Refuse).unwrap();
    let copy = folder.path().join("copy.bpk");
    fs::copy(run.join("model.bpk"), &copy).unwrap();
    let load = |path: &std::path::Path| Trained::load(path, None).unwrap();
    let (inside, outside) = (load(&run), load(&copy));
    assert_eq!(outside.card, inside.card);
    assert_eq!((inside.origin, outside.origin), (Origin::Run, Origin::Card));
    let card = &outside.card;
    assert_eq!((card.data.as_str(), card.scale, card.epoch), (MNIST, Scale::Byte, report.best_epoch));
    assert_eq!(card.test_accuracy, report.test.as_ref().map(|test| test.accuracy));
    assert_eq!(card.config_sha256.len(), 64);
    let image: [u8; 784] = *splits().test.image(0);
    let answer = inside.probabilities(&[image]).unwrap();
    assert_eq!(outside.probabilities(&[image]).unwrap(), answer);

    // Records of older versions have no card: their run knows, and a copy is read with the defaults.
    LeNet5::load(&copy, &Device::flex()).unwrap().into_record().save(&copy).unwrap();
    let bare = load(&copy);
    assert_eq!((bare.origin, &bare.card), (Origin::Unknown, &Card::default()));
    assert_ne!(bare.probabilities(&[image]).unwrap(), answer);
    fs::copy(&copy, run.join("model.bpk")).unwrap();
    let dir = RunDir::open(&run).unwrap();
    dir.write_report(&Report { model_sha256: None, ..report.clone() }).unwrap();
    assert_eq!(load(&run).card, inside.card);
    // Resuming such a run adds the card.
    assert_eq!(train_quietly(&config, &run, Existing::Resume).unwrap(), report);
    fs::copy(run.join("model.bpk"), &copy).unwrap();
    assert_eq!(load(&copy).probabilities(&[image]).unwrap(), answer);
}

/// Trains until the report has `epochs` epochs, then stops as Ctrl-C does, in the middle of the next epoch.
fn interrupt_after(config: &Config, folder: &std::path::Path, existing: Existing, epochs: usize) -> Error {
    let interrupter = Interrupter::new();
    let handle = interrupter.clone();
    let report = folder.join("report.json");
    let (ended, has_ended) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::spawn(move || {
        while has_ended.try_recv().is_err() {
            let written = fs::read_to_string(&report).unwrap_or_default().matches("\"epoch\"").count();
            if written >= epochs {
                // A few mini-batches later.
                std::thread::sleep(Duration::from_millis(60));
                return handle.stop(Some("by a test"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let error = train(config, folder, existing, Progress::None, &interrupter).unwrap_err();
    // If training ended by itself, before so many epochs.
    let _ = ended.send(());
    watcher.join().unwrap();
    error
}

#[test]
fn an_interrupted_run_is_read_with_its_best_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    // The second epoch spoils what the first has learned.
    let spoiling =
        ["schedule.kind=step", "schedule.step_factor=10", "optimizer.learning_rate=0.02", "training.epochs=9"];
    interrupt_after(&smoke(&spoiling), &run, Existing::Refuse, 2);
    let report = RunDir::open(&run).unwrap().read_report().unwrap();
    assert_eq!((report.best_epoch, report.status), (Some(1), Status::Interrupted));
    assert!(!run.join("model.bpk").exists());
    let trained = Trained::load(&run, None).unwrap();
    assert_eq!((trained.origin, trained.card.epoch), (Origin::Unfinished, Some(1)));
    let valid = evaluate(&trained.net, &Splits::load(&trained.config).unwrap().valid, &trained.device).unwrap();
    assert_eq!(Some(valid.accuracy), report.epochs[0].valid.map(|valid| valid.accuracy));
    assert_eq!(trained.card.valid_accuracy, Some(valid.accuracy));
    // A checkpoint is read with its run's settings.
    let checkpoint = Trained::load(&run.join("checkpoint/model-1.bpk"), None).unwrap();
    assert_eq!((checkpoint.origin, checkpoint.card.epoch, checkpoint.config), (Origin::Run, Some(1), trained.config));
    // As if the process had been killed before the checkpoint was there.
    fs::remove_dir_all(run.join("checkpoint")).unwrap();
    let error = Trained::load(&run, None).unwrap_err().to_string();
    assert!(error.contains("has no model yet") && error.contains("--resume"), "{error}");
}

#[test]
fn a_resumed_run_equals_one_that_was_never_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let config = stateful(4);
    let expected = train_quietly(&config, &whole, Existing::Refuse).unwrap();

    let error = interrupt_after(&config, &broken, Existing::Refuse, 1);
    assert!(matches!(error, Error::Interrupted(_)), "{error}");
    let halfway = RunDir::open(&broken).unwrap().read_report().unwrap();
    assert_eq!(halfway.status, Status::Interrupted);
    assert!(halfway.test.is_none());
    interrupt_after(&config, &broken, Existing::Resume, 2);
    let resumed = train_quietly(&config, &broken, Existing::Resume).unwrap();

    assert_eq!(results(&resumed), results(&expected));
    assert_eq!(model_bits(&broken), model_bits(&whole));
    // Resuming once more changes nothing.
    assert_eq!(train_quietly(&config, &broken, Existing::Resume).unwrap(), resumed);
}

#[test]
fn a_resume_falls_back_from_a_damaged_checkpoint_and_refuses_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let config = stateful(3);
    let expected = train_quietly(&config, &run, Existing::Refuse).unwrap();
    // As if the process had been killed while it wrote the last checkpoint.
    let report = RunDir::open(&run).unwrap();
    report.write_report(&Report { status: Status::Running, test: None, ..expected.clone() }).unwrap();
    fs::write(run.join("checkpoint/optim-3.bpk"), b"half").unwrap();
    fs::remove_file(run.join("model.bpk")).unwrap();

    let other = Config { seed: 9, ..config.clone() };
    let error = train_quietly(&other, &run, Existing::Resume).unwrap_err().to_string();
    assert!(error.contains("trained with other settings: seed (1 -> 9)"), "{error}");
    let resumed = train_quietly(&config, &run, Existing::Resume).unwrap();
    assert_eq!(results(&resumed), results(&expected));
}

#[test]
fn a_resume_that_would_have_to_start_over_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let config = stateful(5);
    let report = train_quietly(&config, &run, Existing::Refuse).unwrap();
    let dir = RunDir::open(&run).unwrap();
    dir.write_report(&Report { status: Status::Interrupted, test: None, ..report.clone() }).unwrap();
    let kept = dir.checkpoints();
    assert!(!kept.contains(&1), "{kept:?}");
    let error = train_quietly(&stateful(1), &run, Existing::Resume).unwrap_err().to_string();
    assert!(error.contains("cannot be continued up to epoch 1") && error.contains("--force"), "{error}");
    fs::remove_file(run.join("report.json")).unwrap();
    let error = train_quietly(&config, &run, Existing::Resume).unwrap_err().to_string();
    assert!(error.contains("report.json is missing"), "{error}");
    assert_eq!(dir.checkpoints(), kept);
    // If only the model is missing, it is restored.
    dir.write_report(&report).unwrap();
    let model = fs::read(run.join("model.bpk")).unwrap();
    fs::remove_file(run.join("model.bpk")).unwrap();
    train_quietly(&config, &run, Existing::Resume).unwrap();
    assert_eq!(fs::read(run.join("model.bpk")).unwrap(), model);
}

#[test]
fn an_existing_run_is_never_overwritten_without_force() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let config = smoke(&["training.epochs=1", "data.train=200"]);
    train_quietly(&config, &run, Existing::Refuse).unwrap();
    let before = fs::read(run.join("model.bpk")).unwrap();
    let error = train_quietly(&config, &run, Existing::Refuse).unwrap_err().to_string();
    assert!(error.contains("--resume") && error.contains("--force") && error.contains("--out"), "{error}");
    // A replacement that cannot begin leaves the old run alone.
    let mut hopeless = config.clone();
    hopeless.data.folder = "no/such/folder".into();
    train_quietly(&hopeless, &run, Existing::Replace).unwrap_err();
    assert_eq!(fs::read(run.join("model.bpk")).unwrap(), before);

    let other = Config { seed: 5, ..config };
    fs::write(run.join("notes.txt"), "mine").unwrap();
    let replaced = train_quietly(&other, &run, Existing::Replace).unwrap();
    assert_eq!(RunDir::open(&run).unwrap().read_report().unwrap(), replaced);
    assert_eq!(fs::read_to_string(run.join("notes.txt")).unwrap(), "mine");

    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "mine").unwrap();
    for existing in [Existing::Refuse, Existing::Replace, Existing::Resume] {
        train_quietly(&other, &foreign, existing).unwrap_err();
    }
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn a_folder_with_what_the_system_put_there_counts_as_empty() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    for name in [".gitkeep", ".DS_Store", "Thumbs.db", "Desktop.ini", "._run", ".gitignore"] {
        fs::write(folder.path().join(name), "theirs").unwrap();
    }
    let config = smoke(&["training.epochs=1", "data.train=200"]);
    train_quietly(&config, folder.path(), Existing::Refuse).unwrap();
    train_quietly(&config, folder.path(), Existing::Replace).unwrap();
    assert!(folder.path().join("lost+found").is_dir() && folder.path().join("Thumbs.db").is_file());
}

#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let config = smoke(&["training.epochs=1", "data.train=200"]);
    let ours = [".lenet-AbCdEf.tmp", "checkpoint/model-1.bpk.4711-0.tmp"];
    let others = ["notes.tmp", ".tmpAbCdEf", "checkpoint/notes.txt"];
    fs::create_dir_all(&run).unwrap();
    // Killed before the config was written.
    fs::write(run.join(ours[0]), "half").unwrap();
    train_quietly(&config, &run, Existing::Refuse).unwrap();
    assert!(!run.join(ours[0]).exists());
    for existing in [Existing::Resume, Existing::Replace] {
        for name in ours.iter().chain(&others) {
            fs::write(run.join(name), "half").unwrap();
        }
        train_quietly(&config, &run, existing).unwrap();
        assert_eq!(ours.map(|name| run.join(name).exists()), [false; 2], "{existing:?}");
        assert_eq!(others.map(|name| run.join(name).exists()), [true; 3], "{existing:?}");
    }
}

#[test]
fn early_stopping_ends_a_run_that_no_longer_improves() {
    let folder = tempfile::tempdir().unwrap();
    let config = smoke(&["training.epochs=50", "training.patience=2", "data.train=300", "data.validation=100"]);
    let report = train_quietly(&config, folder.path(), Existing::Refuse).unwrap();
    assert!(report.epochs.len() < 50);
    assert_eq!(report.epochs.len(), report.best_epoch.unwrap() + 2);
}

#[test]
fn without_validation_the_last_epoch_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let config = smoke(&["data.validation=0", "data.train=200"]);
    let report = train_quietly(&config, folder.path(), Existing::Refuse).unwrap();
    assert_eq!((report.best_epoch, report.epochs[1].valid), (Some(2), None));
}

/// The assignment's sum over a mini-batch equals a mean with a learning rate as many times larger as the batch.
#[test]
fn a_summed_loss_is_a_mean_with_a_larger_step() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, overrides: &[&str]| {
        let common = ["training.epochs=1", "data.train=320", "optimizer.momentum=0"];
        let config = smoke(&[&common[..], overrides].concat());
        train_quietly(&config, &folder.path().join(name), Existing::Refuse).unwrap().epochs[0].train.loss
    };
    let sum = run("sum", &["loss.reduction=sum", "optimizer.learning_rate=0.001953125"]);
    let mean = run("mean", &["loss.reduction=mean", "optimizer.learning_rate=0.0625"]);
    assert!((sum - mean).abs() < 1e-4, "{sum} against {mean}");
}

#[test]
fn a_diverging_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = smoke(&["optimizer.learning_rate=1e30", "data.train=300"]);
    let error = train_quietly(&config, folder.path(), Existing::Refuse).unwrap_err();
    assert!(matches!(error, Error::Diverged { epoch: 1 }), "{error}");
    assert_eq!(RunDir::open(folder.path()).unwrap().read_report().unwrap().status, Status::Diverged);
}

#[test]
fn a_damaged_model_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let config = smoke(&["training.epochs=1", "data.train=200"]);
    train_quietly(&config, folder.path(), Existing::Refuse).unwrap();
    let model = folder.path().join("model.bpk");
    let good = fs::read(&model).unwrap();
    let load_both = || {
        let run = Trained::load(folder.path(), None).map(|_| ()).unwrap_err().to_string();
        (run, LeNet5::load(&model, &Device::flex()).map(|_| ()))
    };
    poison(&model, 0.25);
    let (run, record) = load_both();
    assert!(run.contains("is not the file that training wrote") && record.is_ok(), "{run}");
    fs::write(&model, &good).unwrap();
    poison(&model, f32::NAN);
    assert!(load_both().1.unwrap_err().to_string().contains("not finite numbers"));
    fs::write(&model, &good[..good.len() / 2]).unwrap();
    assert!(load_both().1.unwrap_err().to_string().contains("may be damaged"));
    fs::write(&model, b"").unwrap();
    assert!(load_both().1.is_err());
    fs::remove_file(&model).unwrap();
    assert!(load_both().0.contains("has no model yet"));
}

#[test]
fn ndarray_learns_too_and_its_model_runs_on_flex() {
    let folder = tempfile::tempdir().unwrap();
    let config = smoke(&["backend=ndarray", "training.epochs=1", "training.batch_size=16", "data.train=1280"]);
    let report = train_quietly(&config, folder.path(), Existing::Refuse).unwrap();
    let test = report.test.unwrap();
    assert!(test.accuracy > 0.5, "{}", test.accuracy);
    let trained = Trained::load(folder.path(), Some("flex")).unwrap();
    let on_flex = evaluate(&trained.net, &splits().test, &trained.device).unwrap();
    assert!(on_flex.misses.abs_diff(test.misses) <= 2 && (on_flex.loss - test.loss).abs() < 1e-5);
}

#[cfg(target_os = "linux")]
mod memory {
    use std::{fs, process::Stdio, thread, time::Duration};

    use crate::common::lenet;

    /// The most memory that a run has taken, in KiB.
    fn peak(args: &[&str]) -> u64 {
        let mut run = lenet(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut peak = 0;
        while run.try_wait().unwrap().is_none() {
            let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak);
            thread::sleep(Duration::from_millis(2));
        }
        assert!(run.wait().unwrap().success());
        peak
    }

    /// Each step of the fused operators once left 14 KB behind in Burn's autodiff.
    #[test]
    fn a_long_training_takes_no_more_than_a_short_one() {
        let folder = tempfile::tempdir().unwrap();
        let of = |epochs: usize| {
            let (out, epochs) = (folder.path().join(epochs.to_string()), format!("training.epochs={epochs}"));
            let steps =
                ["training.batch_size=1", "data.train=500", "data.validation=100", "optimizer.learning_rate=0.0001"];
            let mut args = vec!["train", "configs/smoke.toml", "--out", out.to_str().unwrap(), "--set", &epochs];
            args.extend(steps.iter().flat_map(|set| ["--set", set]));
            peak(&args)
        };
        let (short, long) = (of(1), of(25));
        assert!(short > 10_000 && long < short + 25_000, "{short} KiB, then {long} KiB");
    }
}
