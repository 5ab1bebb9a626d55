//! `lenet report`.

use std::path::PathBuf;

use super::print;
use crate::{
    Error, Result,
    artifacts::RunDir,
    files::write_atomically,
    page::{self, Run},
};

#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// The runs' folders; `pretrained` is the net that comes with lenet
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The page to write [default: report.html in the run's folder; for several runs, comparison.html in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also write the charts as SVG files into a folder
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

impl ReportArgs {
    pub(super) fn run(self) -> Result<()> {
        let dirs = self.runs.iter().map(|path| RunDir::open(path)).collect::<Result<Vec<_>>>()?;
        let read = |(colour, dir)| Ok(Run { colour, ..Run::read(dir)? });
        let runs = dirs.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        let (charts, path) = if let ([dir], [run]) = (&dirs[..], &runs[..]) {
            let in_run = if dir.is_pretrained() { "pretrained.html".into() } else { dir.page() };
            let path = self.out.unwrap_or(in_run);
            page::write_single(dir, &path, None)?;
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
