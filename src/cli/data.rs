//! `lenet data`.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{print, print_json};
use crate::{
    Error, Result,
    config::Config,
    data::{ClassCounts, Inspection, Splits, counted},
    orientation, page,
    terminal::say,
};

/// The settings that `lenet train configs/own.toml` has.
const OWN: &str = include_str!("../../configs/own.toml");
/// The page that is written if none is named.
const PAGE: &str = "data.html";

#[derive(Debug, clap::Args)]
pub(super) struct DataArgs {
    /// The folder: a folder of pictures for each class, or IDX, CSV or npz files
    folder: PathBuf,
    /// Set a value of the config, such as data.frame=whole; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The page to write [default: data.html; with --json none]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DataArgs {
    pub(super) fn run(self) -> Result<()> {
        let mut config = Config::parse(OWN, Path::new("configs/own.toml"), &self.overrides)?;
        config.data.folder = self.folder;
        let splits = Splits::load(&config)?;
        let mut inspection = Inspection::of(&splits);
        inspection.problems.extend(orientation::problem(&splits)?);
        let page = self.out.or_else(|| (!self.json).then(|| PAGE.into()));
        if let Some(page) = &page {
            page::write_data(&config, &splits, &inspection, page)?;
        }
        if self.json {
            let found = &splits.source.found;
            print_json(&json!({
                "folder": config.data.folder.to_string_lossy(),
                "form": splits.source.form,
                "frame": found.frame,
                "transposed": found.transpose,
                "inverted": found.invert,
                "classes": inspection.classes,
                "problems": inspection.problems,
            }))?;
        } else {
            print(&text(&config, &splits, &inspection))?;
        }
        if let Some(page) = page {
            say(format!("the page is {}", page.display()));
        }
        let spoiling = inspection.problems.iter().filter(|problem| problem.spoils).count();
        if spoiling == 0 {
            return Ok(());
        }
        let would = if spoiling == 1 { "thing would" } else { "things would" };
        Err(Error::Data(format!("{}: {spoiling} {would} spoil a training", config.data.folder.display())))
    }
}

fn text(config: &Config, splits: &Splits, inspection: &Inspection) -> String {
    let width = inspection.classes.iter().map(|class| class.class.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!("{}\n\n{:width$}  training  validation  test\n", splits.in_one_line(config), "class");
    for class in &inspection.classes {
        let indent = " ".repeat(width - class.class.chars().count());
        let ClassCounts { class, train, valid, test } = class;
        let _ = writeln!(text, "{class}{indent}  {train:8}  {valid:10}  {test:4}");
    }
    let spoiling = inspection.problems.iter().filter(|problem| problem.spoils).count();
    let _ = match inspection.problems.len() {
        0 => writeln!(text, "\nnothing is wrong with them"),
        all => writeln!(text, "\n{}, of which {spoiling} would spoil a training:", counted(all, "finding")),
    };
    for problem in &inspection.problems {
        let _ = writeln!(text, "- {}: {}", if problem.spoils { "warning" } else { "note" }, problem.text);
    }
    text
}
