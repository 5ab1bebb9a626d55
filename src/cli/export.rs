//! `lenet export`.

use std::path::{Path, PathBuf};

use super::{load, print};
use crate::{
    Error, Result,
    artifacts::RunDir,
    card::MNIST,
    data::Splits,
    export::{Format, Input, Net},
    files::write_atomically,
    inference::Trained,
    page::{About, Demo, demo},
    terminal::say,
};

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The run's folder, a model.bpk, or `pretrained`, the net that comes with lenet
    run: PathBuf,
    /// The file to write, or to replace: .html, the net as a page to draw on; .onnx, .safetensors or .pt for other programs
    file: PathBuf,
    /// What an ONNX file takes
    #[arg(long, value_enum)]
    input: Option<Input>,
    /// What others may use the net under, such as MIT or CC-BY-4.0, in a file for other programs [default: MIT for
    /// `pretrained`, else none]
    #[arg(long, value_name = "NAME")]
    license: Option<String>,
}

impl ExportArgs {
    pub(super) fn run(self) -> Result<()> {
        let Self { run, file, input, license } = self;
        let shown = file.display();
        let is_page = file.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("html"));
        let format = Format::of(&file);
        if input.is_some() && format != Some(Format::Onnx) {
            return Err(Error::Usage(format!("--input is for .onnx, not for {shown}")));
        }
        if license.is_some() && is_page {
            return Err(Error::Usage(format!("--license is for .onnx, .safetensors and .pt, not for {shown}")));
        }
        let bytes = match format {
            Some(format) => Net::read(&run, license)?.to_bytes(format, input.unwrap_or_default())?,
            None if is_page => demo_of(&run, &load(&run, None)?, false)?.html.into_bytes(),
            None => {
                return Err(Error::Usage(format!(
                    "{shown}: its suffix says in which format to write; there are .html, .onnx, .safetensors and .pt"
                )));
            }
        };
        write_atomically(&file, &bytes)?;
        print(&format!("{shown}\n"))
    }
}

/// The page of a net, with examples if its test images can be loaded.
pub(super) fn demo_of(run: &Path, trained: &Trained, feedback: bool) -> Result<Demo> {
    if !trained.card.framing.cuts_out() {
        say(
            "the page frames drawings and pictures as digits, but this net takes whole pictures: only its examples are read well",
        );
    }
    // The model file of a run stands for the run.
    let folder = if run.is_file() { run.parent().unwrap_or(Path::new("")) } else { run };
    let in_run = trained.origin.is_run();
    let report = if in_run { RunDir::open(folder)?.read_report().ok() } else { None };
    let test = if in_run || trained.card.data == MNIST {
        let set = Splits::load(&trained.config).map(|splits| splits.test);
        set.inspect_err(|error| say(format!("the page has no examples: {error}"))).ok()
    } else {
        None
    };
    let path = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = path.file_name().map_or_else(|| "net".into(), |name| name.to_string_lossy());
    let misses = report.and_then(|report| report.test).map(|test| test.worst).unwrap_or_default();
    demo(trained, &About { name: &name, test: test.as_ref(), misses: &misses, feedback })
}
