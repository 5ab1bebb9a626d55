//! `lenet import`.

use std::path::PathBuf;

use super::{print, train::on_test_images};
use crate::{
    Result,
    artifacts::RunDir,
    config::Scale,
    import::{Imported, Options, import},
    terminal::say,
};

/// Below this accuracy, the net was probably trained for something else.
const POOR: f64 = 0.8;

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The parameters: .safetensors, or .pt or .pth with a state_dict of PyTorch
    file: PathBuf,
    /// The folder of the new run
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// How pixels are scaled for the net [default: as the file says, or found by measuring]
    #[arg(long, value_enum)]
    scale: Option<Scale>,
    /// The data to measure the net on, as data.folder in a config [default: MNIST]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Replace the run in the folder
    #[arg(long)]
    force: bool,
}

impl ImportArgs {
    pub(super) fn run(self) -> Result<()> {
        let Self { file, out, scale, data, force } = self;
        let data = data.unwrap_or_default();
        let options = Options { scale, data, force };
        let Imported { report, scale, measured, ignored } = import(&file, &out, &options)?;
        if let Some(measured) = measured {
            say(format!("the pixels are scaled as \"{}\" ({measured})", scale.name()));
        } else if options.scale.is_none() {
            say(format!("the pixels are scaled as \"{}\": the file says so", scale.name()));
        }
        if !ignored.is_empty() {
            let (file, ignored) = (file.display(), ignored.join(", "));
            say(format!("warning: {file} also holds {ignored}, of which nothing was read or executed"));
        }
        if report.test.as_ref().is_some_and(|test| test.accuracy < POOR) {
            say("warning: its shapes are those of LeNet-5, but it misses much: it may have been trained with another \
                 activation than ReLU, with averages for maxima, with other margins around 28x28 pixels, or on other data");
        }
        let run = RunDir::open(&out)?;
        let results = report.test.as_ref().map(on_test_images).unwrap_or_default();
        print(&format!("{results}\nthe run is in {}, its page is {}\n", out.display(), run.page().display()))
    }
}
