//! Sweeps that several processes share.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::common::{arg, finish, lenet};

/// Starts a sweep of six runs of a few seconds together.
fn sweep(out: &Path, more: &[&str]) -> Child {
    let common = ["sweep", "configs/smoke.toml", "--over", "optimizer.learning_rate=0.01,0.05,1e30", "--seeds", "2"];
    let small = ["--set", "data.train=640", "--set", "training.epochs=3", "--out", arg(out)];
    let mut command = lenet(&[&common[..], &small, more].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The table without the time that training took.
fn table(out: &Path) -> Value {
    let mut points: Value = serde_json::from_str(&fs::read_to_string(out.join("sweep.json")).unwrap()).unwrap();
    for point in points.as_array_mut().unwrap() {
        point.as_object_mut().unwrap().remove("seconds");
    }
    points
}

#[test]
fn processes_that_share_a_sweep_or_are_killed_end_with_the_same_table() {
    let folder = tempfile::tempdir().unwrap();
    let [alone, shared, killed] = ["alone", "shared", "killed"].map(|name| folder.path().join(name));
    let (code, output, error) = finish(sweep(&alone, &["--jobs", "1"]).wait_with_output().unwrap());
    assert!(code == 0 && output.contains("the comparison is at"), "{error}");

    let together = [sweep(&shared, &["--jobs", "1"]), sweep(&shared, &["--jobs", "2"])];
    let together = together.map(|child| finish(child.wait_with_output().unwrap()));
    // Each run is trained once: nobody finds a run of the other's that cannot be resumed or has other settings.
    for (code, _, error) in &together {
        assert_eq!(*code, 0, "{error}");
    }
    assert!(together.iter().any(|(_, output, _)| output.contains("the comparison is at")), "{together:?}");
    assert_eq!(table(&shared), table(&alone));

    // The system releases what a killed process held.
    for after in [400, 700, 1100] {
        let mut children = [sweep(&killed, &["--jobs", "1"]), sweep(&killed, &["--jobs", "2"])];
        thread::sleep(Duration::from_millis(after));
        for child in &mut children {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }
    let (code, _, error) = finish(sweep(&killed, &[]).wait_with_output().unwrap());
    assert_eq!(code, 0, "{error}");
    assert_eq!(table(&killed), table(&alone));
}

#[cfg(unix)]
#[test]
fn a_signal_stops_all_jobs_of_a_sweep() {
    use crate::command_line::signal;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sweep");
    let child = sweep(&out, &["--jobs", "3", "--set", "training.epochs=300"]);
    while fs::read_dir(&out).map_or(0, Iterator::count) < 2 {
        thread::sleep(Duration::from_millis(20));
    }
    signal(&child, "-INT");
    let (code, _, error) = finish(child.wait_with_output().unwrap());
    assert!(code == 1 && error.contains(" of 6 runs are done; run the same command to continue"), "{error}");
    let (code, _, error) = finish(sweep(&out, &["--jobs", "2", "--progress", "lines"]).wait_with_output().unwrap());
    assert!(code == 2 && error.contains("--progress shows one run at a time"), "{error}");
}
