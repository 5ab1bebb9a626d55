//! Nets that other programs trained, as runs: their parameters from a file of safetensors or of PyTorch.

mod file;
mod fit;
mod pickle;
mod scale;

use std::path::{Path, PathBuf};

use burn::module::Module;

pub use self::scale::Measured;
use self::{file::Contents, fit::fit};
use crate::{
    Error, Result,
    artifacts::{Existing, RunDir},
    backend::{FoundDevice, default_for_burn, select},
    card::Card,
    config::{CLASSES, Config, Frame, Scale},
    data::{Splits, listed},
    evaluation::{dead_units, evaluate},
    files::sha256,
    page,
    report::{Report, Source, Status},
    state_dict::{StateDict, net},
    thresholds::Thresholds,
};

/// How a net is imported.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How pixels are scaled for the net; without it, the file says so, or it is found by measuring.
    pub scale: Option<Scale>,
    /// The data to measure it on, as `data.folder` in a config; empty for MNIST.
    pub data: PathBuf,
    /// Whether a run in the folder is replaced.
    pub force: bool,
}

/// A net that was imported.
#[derive(Debug)]
pub struct Imported {
    /// What it reaches on the test set.
    pub report: Report,
    /// How pixels are scaled for it.
    pub scale: Scale,
    /// What it reaches with each scale, if that had to be measured.
    pub measured: Option<Measured>,
    /// What else is in the file, by its Python type: nothing of that was read or executed.
    pub ignored: Vec<String>,
}

/// What a file of another program holds.
struct ForeignNet {
    parameters: StateDict,
    /// If lenet exported it.
    card: Option<Card>,
    ignored: Vec<String>,
    sha256: String,
}

/// Makes a run of a file of another program: it is measured, and a folder gets everything that a trained run has but
/// checkpoints and logs.
///
/// # Errors
/// The file cannot be read or holds another net, no scale is clearly the best, the data cannot be loaded or have other
/// classes, or the folder cannot be written.
pub fn import(file: &Path, folder: &Path, options: &Options) -> Result<Imported> {
    if !options.force && RunDir::open(folder).is_ok() {
        let shown = folder.display();
        return Err(Error::Run(format!(
            "{shown} already holds a run: add --force to replace it, or choose another folder with --out"
        )));
    }
    let ForeignNet { parameters, card, ignored, sha256 } = read(file)?;
    let FoundDevice { name: backend, hardware, device } = select(default_for_burn().unwrap_or_default())?;
    let net = net(&parameters, &device)?;

    let mut config = Config { backend, ..Config::default() };
    config.data.folder.clone_from(&options.data);
    // Which images it learned from is unknown.
    config.data.validation = 0.into();
    if let Some(card) = &card {
        (config.data.frame, config.data.invert) = (card.framing, card.invert.into());
    }
    let names = card.as_ref().map(|card| card.classes.clone()).unwrap_or_default();
    let splits = images(file, &mut config, names, net.classes())?;
    let (scale, measured) = match options.scale.or(card.as_ref().map(|card| card.scale)) {
        Some(scale) => (scale, None),
        None => scale::find(&net, &splits.train, &device).map(|(scale, measured)| (scale, Some(measured)))?,
    };
    config.data.scale = scale;
    let mut config = config.with_absolute_folder();
    if config.data.folder != Path::new("") {
        config = config.with_found(&splits.source.found);
    }
    let test = splits.test.clone().with_scale(scale);

    let mut report = Report::new(&config, 0, 0);
    report.data_sha256 = (config.data.folder != Path::new("")).then(|| splits.sha256());
    report.hardware = hardware;
    report.status = Status::Complete;
    report.imported_from = Some(Source { path: file.display().to_string(), sha256 });
    report.test = Some(evaluate(&net, &test, &device)?);
    report.dead_units = Some(dead_units(&net, &test, &device)?);
    let classes = config.data.classes.clone();
    let thresholds = card.as_ref().map_or_else(|| Thresholds::default_for(&config), |card| card.thresholds);
    let test_accuracy = report.test.as_ref().map(|test| test.accuracy);
    let (framing, invert) = (config.data.frame.or(Frame::Digit), config.data.invert.is_on(false));
    let card = Card { scale, framing, invert, classes, thresholds, test_accuracy, ..card.unwrap_or_default() };

    // Nothing is written before all is known.
    let existing = if options.force { Existing::Replace } else { Existing::Refuse };
    let run = RunDir::prepare(folder, existing)?;
    run.begin(&config)?;
    let record = net.into_record().into_bytes().map_err(|e| Error::Device(e.to_string()))?;
    report.model_sha256 = Some(run.write_model(record.to_vec(), &card)?);
    run.write_report(&report)?;
    page::write_single(&run, &run.page(), Some(&test))?;
    Ok(Imported { report, scale, measured, ignored })
}

/// Reads a file.
fn read(file: &Path) -> Result<ForeignNet> {
    let bytes = file::bytes(file)?;
    let Contents { tensors, card, ignored } = file::read(file, &bytes)?;
    let fault = |reason| Error::Record { path: file.to_owned(), reason };
    let parameters = fit(&tensors).map_err(fault)?;
    let outputs = parameters.output.bias.values.len();
    if !CLASSES.contains(&outputs) {
        let [min, max] = [CLASSES.start(), CLASSES.end()];
        return Err(fault(format!("has an output for {outputs} classes, where {min} to {max} are possible")));
    }
    if let Some(card) = card.as_ref().filter(|card| card.classes.len() != outputs) {
        let named = card.classes.len();
        return Err(fault(format!("names {named} classes but has an output for {outputs}; it may be damaged")));
    }
    Ok(ForeignNet { parameters, card, ignored, sha256: sha256(&bytes) })
}

/// The images to measure a net on. The config gets the names of their classes: `names`, if the file has some.
fn images(file: &Path, config: &mut Config, names: Vec<String>, outputs: usize) -> Result<Splits> {
    config.data.classes = names;
    let splits = Splits::load(config).or_else(|_| {
        config.data.classes.clear();
        Splits::load(config)
    })?;
    let classes = splits.test.classes();
    if classes.len() == outputs {
        config.data.classes = classes.to_vec();
        return Ok(splits);
    }
    let folder = &config.data.folder;
    let data = if folder == Path::new("") { "MNIST".into() } else { format!("the data in {}", folder.display()) };
    Err(Error::Usage(format!(
        "{} tells apart {outputs} classes, but {data} has {} ({}): name the data that it was trained for with --data DIR",
        file.display(),
        classes.len(),
        listed(classes),
    )))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use burn::tensor::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        data::numbered,
        export::{Format, Input, Net},
        model::LeNet5Config,
        state_dict::{Values, state_dict},
    };

    const FORMATS: [(Format, &str); 2] = [(Format::Safetensors, "net.safetensors"), (Format::Torch, "net.pt")];

    fn exported(parameters: StateDict, format: Format) -> Vec<u8> {
        let card = Card { classes: numbered(parameters.output.bias.values.len().max(2)), ..Card::default() };
        let net = Net { parameters, card, model_sha256: String::new(), license: None };
        net.to_bytes(format, Input::Byte).unwrap()
    }

    fn complaint(file: &Path) -> String {
        read(file).err().unwrap().to_string()
    }

    fn random() -> StateDict {
        state_dict(&LeNet5Config::new(10).init_seeded(1, &Device::flex())).unwrap()
    }

    #[test]
    fn a_truncated_file_of_any_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tiny = random().map(|tensor| Values { shape: vec![1], values: tensor.values[..1].to_vec() });
        for (format, name) in FORMATS {
            let (file, bytes) = (folder.path().join(name), exported(tiny.clone(), format));
            for length in 0..bytes.len() {
                fs::write(&file, &bytes[..length]).unwrap();
                let error = complaint(&file);
                // Of fewer bytes, it is not known what they were.
                let expected = if length < 16 { " is " } else { "damaged" };
                assert!(error.contains(expected), "{length} of {}: {error}", bytes.len());
            }
            fs::write(&file, &bytes).unwrap();
            assert!(complaint(&file).contains("is not LeNet-5"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn damage_gives_a_result_and_no_panic(
            // Where a file says what it holds: at its beginning or its end.
            damage in prop::collection::vec((-2000_isize..3000, any::<u8>()), 1..8),
        ) {
            let folder = tempfile::tempdir().unwrap();
            for (format, name) in FORMATS {
                let (file, mut bytes) = (folder.path().join(name), exported(random(), format));
                for (at, byte) in &damage {
                    let at = at.rem_euclid(bytes.len().try_into().unwrap());
                    bytes[usize::try_from(at).unwrap()] = *byte;
                }
                fs::write(&file, &bytes).unwrap();
                let _ = read(&file);
            }
        }
    }

    #[test]
    fn a_parameter_of_every_file_is_found_by_its_shape() {
        let folder = tempfile::tempdir().unwrap();
        // With 84 classes there are two biases of 84, and with 6 two of 6.
        for classes in [84, 6, 26] {
            let mut parameters = random();
            let value = |i: usize| i as f32 / 64.0;
            let values = |shape: &[usize]| {
                let count = shape.iter().product();
                Values { shape: shape.to_vec(), values: (0..count).map(value).collect() }
            };
            parameters.output.weight = values(&[classes, 84]);
            parameters.output.bias = values(&[classes]);
            for (format, name) in FORMATS {
                let file = folder.path().join(name);
                fs::write(&file, exported(parameters.clone(), format)).unwrap();
                assert_eq!(read(&file).unwrap().parameters, parameters);
            }
        }
    }
}
