//! `lenet export`.

use std::path::{Path, PathBuf};

use super::print;
use crate::{
    Error, Result,
    artifacts::RunDir,
    card::MNIST,
    data::Splits,
    files::write_atomically,
    inference::{Origin, Trained},
    page::{About, demo},
    terminal::say,
};

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The run's folder, a model.bpk, or `pretrained`, the net that comes with lenet
    run: PathBuf,
    /// The file to write, or to replace: .html, the net as a page to draw on
    file: PathBuf,
}

impl ExportArgs {
    pub(super) fn run(self) -> Result<()> {
        if self.file.extension().is_none_or(|suffix| !suffix.eq_ignore_ascii_case("html")) {
            let file = self.file.display();
            return Err(Error::Usage(format!("{file}: its suffix says in which format to write; there is .html")));
        }
        let trained = Trained::load(&self.run, None)?;
        write_atomically(&self.file, demo_of(&self.run, &trained)?.as_bytes())?;
        print(&format!("{}\n", self.file.display()))
    }
}

/// The page of a net, with examples if its test images can be loaded.
fn demo_of(run: &Path, trained: &Trained) -> Result<String> {
    // The model file of a run stands for the run.
    let folder = if run.is_file() { run.parent().unwrap_or(Path::new("")) } else { run };
    let report = if trained.origin == Origin::Run { RunDir::open(folder)?.read_report().ok() } else { None };
    let test = if trained.origin == Origin::Run || trained.card.data == MNIST {
        let set = Splits::load(&trained.config).map(|splits| splits.test);
        set.inspect_err(|error| say(format!("the page has no examples: {error}"))).ok()
    } else {
        None
    };
    let path = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = path.file_name().map_or_else(|| "net".into(), |name| name.to_string_lossy());
    let misses = report.and_then(|report| report.test).map(|test| test.worst).unwrap_or_default();
    demo(trained, &About { name: &name, test: test.as_ref(), misses: &misses })
}
