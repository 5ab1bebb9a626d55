//! Helpers that several tests use.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use burn::{module::ModuleVisitor, prelude::*, train::Interrupter};
use lenet::{
    Result,
    artifacts::Existing,
    config::Config,
    data::{Splits, load_mnist},
    model::LeNet5,
    report::Report,
    run::train,
    training::Progress,
};
use tempfile::TempDir;

/// A path below the project's root.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The shipped `configs/smoke.toml`, with changes.
pub fn smoke(overrides: &[&str]) -> Config {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    Config::load(&project("configs/smoke.toml"), &overrides).unwrap()
}

/// Trains without any output.
pub fn train_quietly(config: &Config, folder: &Path, existing: Existing) -> Result<Report> {
    train(config, folder, existing, Progress::None, &Interrupter::new())
}

/// A run of one epoch on all of MNIST, trained once for all tests that need a good net.
pub fn full_run() -> &'static (TempDir, Report) {
    static RUN: OnceLock<(TempDir, Report)> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let overrides = ["training.epochs=1".to_owned()];
        let config = Config::load(&project("configs/lenet.toml"), &overrides).unwrap();
        let report = train_quietly(&config, folder.path(), Existing::Refuse).unwrap();
        (folder, report)
    })
}

/// The splits of the shipped `configs/lenet.toml`.
pub fn splits() -> &'static Splits {
    static SPLITS: OnceLock<Splits> = OnceLock::new();
    SPLITS.get_or_init(|| Splits::load(&Config::default()).unwrap())
}

/// A small data set of real images: a folder with the first of MNIST's test images, as both training and test set.
pub fn small_folder(length: usize) -> TempDir {
    let (_, test) = load_mnist().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let items: Vec<_> = (0..length).map(|i| (*test.image(i), test.label(i))).collect();
    for prefix in ["train", "t10k"] {
        idx_files(folder.path(), prefix, &items);
    }
    folder
}

/// Writes images and their labels as IDX files.
pub fn idx_files(folder: &Path, prefix: &str, items: &[([u8; 784], u8)]) {
    let count = u32::try_from(items.len()).unwrap().to_be_bytes();
    let side = 28_u32.to_be_bytes();
    let mut images = [&0x0803_u32.to_be_bytes()[..], &count, &side, &side].concat();
    let mut labels = [&0x0801_u32.to_be_bytes()[..], &count].concat();
    for (image, label) in items {
        images.extend(image);
        labels.push(*label);
    }
    std::fs::write(folder.join(format!("{prefix}-images-idx3-ubyte")), &images).unwrap();
    std::fs::write(folder.join(format!("{prefix}-labels-idx1-ubyte")), &labels).unwrap();
}

/// The bits of every parameter, in the order of the layers.
pub fn parameter_bits(net: &LeNet5) -> Vec<u32> {
    struct Collect(Vec<u32>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>().map(f32::to_bits));
        }
    }
    let mut collect = Collect(Vec::new());
    net.visit(&mut collect);
    collect.0
}

/// The bits of a run's model.
pub fn model_bits(folder: &Path) -> Vec<u32> {
    parameter_bits(&LeNet5::load(&folder.join("model.bpk"), &Device::flex()).unwrap())
}

/// A command of the binary, not yet started.
pub fn lenet(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lenet"));
    command.args(args).current_dir(project(""));
    command
}

/// Runs a command of the binary: exit code, standard output, standard error.
pub fn run(args: &[&str]) -> (i32, String, String) {
    finish(lenet(args).output().unwrap())
}

/// The exit code, standard output and standard error of a command.
pub fn finish(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Replaces a value in a record file: damage that only a checksum or a look at the values finds.
pub fn poison(path: &Path, value: f32) {
    let net = LeNet5::load(path, &Device::flex()).unwrap();
    let mut bytes: Vec<u8> = net.clone().into_record().into_bytes().unwrap().to_vec();
    let bias: Vec<f32> = net.output.bias.unwrap().val().into_data().iter().collect();
    let pattern: Vec<u8> = bias.iter().flat_map(|v| v.to_le_bytes()).collect();
    let at = bytes.windows(pattern.len()).position(|w| w == pattern).unwrap();
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

/// The older CPU backend.
#[expect(deprecated, reason = "Burn will drop ndarray; until then it is the cross-check of flex")]
pub fn ndarray() -> Device {
    Device::ndarray()
}
