//! `lenet report`.

use std::path::PathBuf;

use super::print;
use crate::{
    Error, Result,
    artifacts::RunDir,
    data::{ImageSet, Splits},
    files::write_atomically,
    page::{self, Run},
    terminal::say,
};

#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// The runs' folders; `pretrained` is the net that comes with lenet
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The page to write [default: report.html in the run's folder; for several runs, comparison.html in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The folder of the run's images [default: where they were when it was trained]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also write the charts as SVG files into a folder
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

/// The test images of a run, which may have moved.
fn test_images(run: &Run, data: Option<PathBuf>) -> Result<ImageSet> {
    let mut config = run.config.clone();
    if let Some(data) = data {
        config.data.folder = data;
    }
    let splits = Splits::load(&config)?;
    let other = run.report.data_sha256.as_ref().is_some_and(|sum| *sum != splits.sha256());
    if other || run.report.test.as_ref().is_some_and(|test| test.images != splits.test.len()) {
        let folder = config.data.folder.display();
        return Err(Error::Data(format!("those in {folder} are not the ones that {} was trained on", run.name)));
    }
    Ok(splits.test)
}

impl ReportArgs {
    pub(super) fn run(self) -> Result<()> {
        if self.data.is_some() && self.runs.len() > 1 {
            return Err(Error::Usage("--data is for a single run: a comparison shows no images".into()));
        }
        let dirs = self.runs.iter().map(|path| RunDir::open(path)).collect::<Result<Vec<_>>>()?;
        let read = |(colour, dir)| Ok(Run { colour, ..Run::read(dir)? });
        let runs = dirs.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        let (charts, path) = if let ([dir], [run]) = (&dirs[..], &runs[..]) {
            let in_run = if dir.is_pretrained() { "pretrained.html".into() } else { dir.page() };
            let path = self.out.unwrap_or(in_run);
            let test = run.report.test.as_ref().map(|_| test_images(run, self.data)).transpose();
            let test = test.unwrap_or_else(|error| {
                say(format!("the page shows no images: {error}"));
                None
            });
            page::write_single(dir, &path, test.as_ref())?;
            (run.charts(), path)
        } else {
            let path = self.out.unwrap_or_else(|| "comparison.html".into());
            page::write_comparison("Comparison", &runs, &[], &path)?;
            (page::comparison_charts(&runs), path)
        };
        let mut written = format!("{}\n", path.display());
        if let Some(folder) = self.svg {
            std::fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder))?;
            for chart in charts {
                let path = folder.join(format!("{}.svg", chart.name));
                write_atomically(&path, chart.standalone()?.as_bytes())?;
                written = written + &path.display().to_string() + "\n";
            }
        }
        print(&written)
    }
}
