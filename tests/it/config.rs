//! Config files and overrides, and the messages about wrong ones.

use std::path::Path;

use insta::assert_snapshot;
use lenet::{Error, config::Config};

use crate::common::project;

fn load(text: &str, overrides: &[&str]) -> Result<Config, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.toml");
    std::fs::write(&path, text).unwrap();
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    Config::load(&path, &overrides).map_err(|error| {
        assert_eq!(error.exit_code(), 2);
        // The folder's name is random.
        Error::Config(error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    })
}

fn complaint(text: &str, overrides: &[&str]) -> String {
    load(text, overrides).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(load("", &[]).unwrap(), Config::default());
}

#[test]
fn a_written_config_reads_back_the_same() {
    let mut config = Config { seed: 12, ..Config::default() };
    config.data.folder = "some where".into();
    config.optimizer.learning_rate = 0.1 + 0.2;
    assert_eq!(load(&config.to_toml().unwrap(), &[]).unwrap(), config);
}

#[test]
fn every_shipped_config_is_valid_and_says_how_to_run_it() {
    let mut count = 0;
    for entry in std::fs::read_dir(project("configs")).unwrap() {
        let path = entry.unwrap().path();
        Config::load(&path, &[]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(text.contains(&format!("-- train configs/{name}")), "{name}");
        count += 1;
    }
    assert!(count >= 2);
}

#[test]
fn overrides_apply_in_their_order_and_need_no_quotes() {
    let config = load(
        "seed = 1",
        &["seed=2", "seed=3", "schedule.kind=one-cycle", "optimizer.learning_rate=1", "data.folder=a folder/x"],
    )
    .unwrap();
    assert_eq!(config.seed, 3);
    assert_eq!(config.optimizer.learning_rate.to_bits(), 1.0_f64.to_bits());
    assert_eq!(config.data.folder, Path::new("a folder/x"));
}

#[test]
fn wrong_files_are_refused_with_line_and_caret() {
    assert_snapshot!(complaint("seed = 1\n\n[trainig]\nepochs = 3\n", &[]), @"
    test.toml:3:2: unknown key `trainig`, expected one of `backend`, `devices`, `seed`, `operators`, `data`, `augmentation`, `training`, `optimizer`, `schedule`, `loss`, `logging`
      |
    3 | [trainig]
      |  ^^^^^^^
    ");
    assert_snapshot!(complaint("[training]\nepochs = 3\nlearning_rate = 0.1\n", &[]), @"
    test.toml:3:1: unknown key `learning_rate`, expected one of `epochs`, `batch_size`, `patience`, `from`, `class_weights`
      |
    3 | learning_rate = 0.1
      | ^^^^^^^^^^^^^
    ");
    assert_snapshot!(complaint("[training]\nepochs = \"three\"\n", &[]), @r#"
    test.toml:2:10: invalid type: string "three", expected a whole number from 0
      |
    2 | epochs = "three"
      |          ^^^^^^^
    "#);
    assert_snapshot!(complaint("[training]\n  batch_size = 0 # none\n", &[]), @"
    test.toml:2:16: training.batch_size must be 1 to 1000000
      |
    2 |   batch_size = 0 # none
      |                ^
    ");
    assert_snapshot!(complaint("[schedule]\nkind = \"linear\"\n", &[]), @r#"
    test.toml:2:8: unknown value `linear`, expected one of `constant`, `cosine`, `one-cycle`, `step`
      |
    2 | kind = "linear"
      |        ^^^^^^^^
    "#);
    assert_snapshot!(complaint("backend = \"gpu\"\n", &[]), @r#"
    test.toml:1:11: backend "gpu" is not a backend. Known: auto, flex, ndarray, cpu, wgpu, vulkan, metal, webgpu, cuda, rocm, remote
      |
    1 | backend = "gpu"
      |           ^^^^^
    "#);
    assert_snapshot!(complaint("[optimizer]\nlearning_rate = nan\n", &[]), @"
    test.toml:2:17: optimizer.learning_rate must be a number above 0
      |
    2 | learning_rate = nan
      |                 ^^^
    ");
    assert_snapshot!(complaint("seed = \n", &[]), @"
    test.toml:1:8: string values must be quoted, expected literal string
      |
    1 | seed = 
      |        ^
    ");
    assert_snapshot!(complaint("seed = -1\n", &[]), @"
    test.toml:1:8: invalid value: integer `-1`, expected a whole number from 0
      |
    1 | seed = -1
      |        ^^
    ");
}

#[test]
fn wrong_overrides_are_refused_by_name() {
    assert_snapshot!(complaint("", &["optimizer.learning_rat=0.1"]), @"--set optimizer.learning_rat=0.1: there is no key `learning_rat`; optimizer has: clip_norm, learning_rate, momentum, nesterov, weight_decay");
    assert_snapshot!(complaint("", &["epochs=0.1"]), @"--set epochs=0.1: there is no key `epochs`; the config has: augmentation, backend, data, devices, logging, loss, operators, optimizer, schedule, seed, training");
    assert_snapshot!(complaint("", &["training.epochs"]), @"--set training.epochs: expected KEY=VALUE, such as optimizer.learning_rate=0.1");
    assert_snapshot!(complaint("", &["training.epochs=many"]), @r#"--set training.epochs=many: invalid type: string "many", expected a whole number from 0"#);
    assert_snapshot!(complaint("", &["training.epochs=0"]), @"--set training.epochs=0: training.epochs must be 1 to 1000000");
    assert_snapshot!(complaint("", &["training.patience=1000001"]), @"--set training.patience=1000001: training.patience must be at most 1000000");
    assert_snapshot!(complaint("", &["data.negatives=2"]), @"--set data.negatives=2: data.negatives is a fraction of the mini-batch: 0 to 1");
    assert_snapshot!(complaint("", &["data.negatives=0.1", "operators=composed"]), @r#"--set data.negatives=0.1: data.negatives needs operators = "fused""#);
    assert_snapshot!(complaint("", &["data.negatives=0.1", "training.class_weights=balanced"]), @"--set training.class_weights=balanced: training.class_weights cannot be set together with data.negatives, whose images have no class");
    assert_snapshot!(complaint("", &["data.classes=a,b"]), @r#"--set data.classes=a,b: invalid type: string "a,b", expected a list such as ["one", "two"]"#);
    assert_snapshot!(complaint("", &[r#"data.classes=["a"]"#]), @r#"--set data.classes=["a"]: data.classes must be 2 to 256 names, or [] for those of the data; these are 1"#);
    assert_snapshot!(complaint("", &[r#"data.classes=["a", "b", "a"]"#]), @r#"--set data.classes=["a", "b", "a"]: data.classes has the name "a" twice"#);
    assert_snapshot!(complaint("", &[r#"data.classes=["a", ""]"#]), @r#"--set data.classes=["a", ""]: data.classes has the name "", which is empty or has spaces at an end"#);
    assert_snapshot!(complaint("", &[r#"data.classes=["a", "b\nc"]"#]), @r#"--set data.classes=["a", "b\nc"]: data.classes has the name "b\nc", which has a control character"#);
    assert_snapshot!(complaint("", &["seed.x=1"]), @"--set seed.x=1: `seed` has no keys below it");
    assert_snapshot!(complaint("", &["training=1"]), @"--set training=1: `training` is a section; set one of its keys: batch_size, class_weights, epochs, from, patience");
    assert_snapshot!(complaint("", &["training.patience=2", "data.validation=0"]), @"--set training.patience=2: training.patience needs a validation set: set data.validation above 0");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("no/such.toml"), &[]).unwrap_err();
    assert_snapshot!(error, @"cannot read the config no/such.toml: No such file or directory (os error 2)");
}

#[test]
fn a_config_in_another_encoding_is_read_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.toml");
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Config::load(&path, &[]).map_err(|e| e.to_string().replace(&format!("{}/", folder.path().display()), ""))
    };
    // As PowerShell's `>` writes it.
    let utf_16: Vec<u8> = "\u{feff}seed = 7\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(load(&utf_16).unwrap().seed, 7);
    assert_eq!(load(b"\xef\xbb\xbfseed = 7").unwrap().seed, 7);
    assert_snapshot!(load(b"# Gr\xf6\xdfe\nseed = 7").unwrap_err(), @"test.toml: is not text in UTF-8: line 1 holds the byte 0xf6. Save it as UTF-8 in an editor");
    assert_snapshot!(load(b"\x89PNG\r\n\x1a\n\0\0").unwrap_err(), @"test.toml: is a picture in PNG format, not text");
    assert_snapshot!(Config::load(&project("configs"), &[]).unwrap_err().to_string().replace(&project("").display().to_string(), ""), @"configs is a folder; give a config file, such as configs/lenet.toml");
}
