//! A run, a comparison of several, or the variants of training images, as a single HTML file without scripts; and the net
//! itself, as a page that computes.

mod augmentation;
mod charts;
mod confusion;
mod data;
mod demo;
mod sheet;
mod sprites;

use std::path::Path;

use burn::tensor::Tensor;
use minijinja::Environment;
use serde::Serialize;
use serde_json::json;

pub use self::{
    augmentation::write_augmentation,
    charts::{Chart, Legend, Marks, Series},
    data::write_data,
    demo::{About, Demo, demo},
    sheet::{Entry, Sheet, State},
};
use self::{
    charts::{DARK, LIGHT},
    confusion::Confusion,
    sprites::{Palette, sprite},
};
use crate::{
    Error, Result,
    artifacts::RunDir,
    backend,
    config::{Config, Schedule},
    data::{IMAGE_SIDE, ImageSet, images_tensor},
    evaluation::{DeadUnits, Evaluation, Miss},
    files::write_atomically,
    fused::values,
    model::LeNet5,
    report::{EpochReport, Report, SplitMetrics, Status, percent, probability},
};

/// Points of the learning rate's curve in an epoch.
const SAMPLES: usize = 20;

/// The templates of the pages; what they share is in the first.
const TEMPLATES: [(&str, &str); 6] = [
    ("layout.html", include_str!("page/layout.html")),
    ("page.html", include_str!("page/page.html")),
    ("augmentation.html", include_str!("page/augmentation.html")),
    ("sheet.html", include_str!("page/sheet.html")),
    ("data.html", include_str!("page/data.html")),
    ("demo.html", include_str!("page/demo/demo.html")),
];

/// What the page needs to know about a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The name of its folder.
    pub name: String,
    /// Its settings.
    pub config: Config,
    /// What it measured.
    pub report: Report,
    /// The index of its colour in a comparison.
    pub colour: usize,
}

impl Run {
    /// Reads the settings and the report of a run.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read(run: &RunDir) -> Result<Self> {
        let path = run.path().canonicalize().unwrap_or_else(|_| run.path().to_owned());
        let name = path.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
        Ok(Self { name, config: run.read_config()?, report: run.read_report()?, colour: 0 })
    }

    /// Error rate, loss and learning rate over the epochs, and the calibration.
    #[must_use]
    pub fn charts(&self) -> Vec<Chart> {
        let epochs = &self.report.epochs;
        let calibration = self.report.test.as_ref().filter(|test| !test.calibration.is_empty()).map(calibration);
        if self.report.imported_from.is_some() {
            return calibration.into_iter().collect();
        }
        let both = |of: fn(&SplitMetrics) -> f64| {
            let valid = epochs.iter().filter_map(|e| Some((e.epoch as f64, of(&e.valid?)))).collect();
            vec![
                line("training", 0, epochs.iter().map(|e| (e.epoch as f64, of(&e.train))).collect()),
                line("validation", 1, valid),
            ]
        };
        let mut errors = both(|metrics| 1.0 - metrics.accuracy);
        if let (Some(test), Some(best)) = (&self.report.test, self.report.best_epoch) {
            errors.push(Series { marks: Marks::Dots, ..line("test", 2, vec![(best as f64, 1.0 - test.accuracy)]) });
        }
        let schedule = Schedule::new(&self.config, self.report.train_images);
        // A run that was resumed with more epochs had another schedule before.
        let as_planned = |e: &EpochReport| (schedule.rate_after(e.epoch as f64) - e.learning_rate).abs() <= 1e-9;
        let rates = if epochs.iter().all(as_planned) {
            let moments = (0..=epochs.len() * SAMPLES).map(|i| i as f64 / SAMPLES as f64);
            moments.map(|at| (at, schedule.rate_after(at))).collect()
        } else {
            epochs.iter().map(|e| (e.epoch as f64, e.learning_rate)).collect()
        };
        let mut charts = vec![
            Chart::new("error", "epoch", "error rate", true, errors),
            Chart::new("loss", "epoch", "loss", false, both(|metrics| metrics.loss)),
            Chart {
                log_y: false,
                ..Chart::new("learning-rate", "epoch", "learning rate", false, vec![line("", 0, rates)])
            },
        ];
        charts.extend(calibration);
        charts
    }
}

fn line(name: &str, colour: usize, points: Vec<(f64, f64)>) -> Series {
    Series { name: name.to_owned(), colour, points, marks: Marks::Line }
}

fn calibration(test: &Evaluation) -> Chart {
    let measured = line("measured", 0, test.calibration.iter().map(|bin| (bin.confidence, bin.accuracy)).collect());
    let counts = Marks::Counts(test.calibration.iter().map(|bin| bin.images).collect());
    let perfect = line("perfect calibration", 7, vec![(0.0, 0.0), (1.0, 1.0)]);
    let series = vec![perfect, Series { marks: counts, ..measured }];
    Chart { log_y: false, legend: Legend::Below, ..Chart::new("calibration", "confidence", "accuracy", true, series) }
}

/// Writes the page of a run; without its test images, it has no misses and no feature maps.
///
/// # Errors
/// The run cannot be read, or the page cannot be written.
pub fn write_single(dir: &RunDir, path: &Path, test: Option<&ImageSet>) -> Result<()> {
    let run = Run::read(dir)?;
    let gallery = match &run.report.test {
        // If the model cannot be loaded, the page still has its numbers.
        Some(test_results) => test.and_then(|set| Gallery::new(dir, set, test_results).ok()),
        None => None,
    };
    let charts = figures(&run.charts())?;
    let confusion = run.report.test.as_ref().map(Confusion::new).transpose()?;
    let page = render(
        "page.html",
        &json!({
            "title": run.name,
            "report": run.report,
            "status": run.report.status,
            // The settings of an imported net's training are unknown.
            "config": run.report.imported_from.is_none().then(|| run.config.to_toml()).transpose()?,
            "scale": run.config.data.scale.name(),
            "charts": charts,
            "confusion": confusion,
            "gallery": gallery,
            "light": LIGHT,
            "dark": DARK,
        }),
    )?;
    write_atomically(path, page.as_bytes())
}

/// Writes a page that compares runs.
///
/// # Errors
/// The page cannot be written.
pub fn write_comparison(title: &str, runs: &[Run], extra: &[Chart], path: &Path) -> Result<()> {
    let mut charts = extra.to_vec();
    charts.extend(comparison_charts(runs));
    let rows = runs.iter().map(|run| summary(runs, run)).collect::<Result<Vec<_>>>()?;
    let charts = figures(&charts)?;
    let page =
        render("page.html", &json!({ "title": title, "runs": rows, "charts": charts, "light": LIGHT, "dark": DARK }))?;
    write_atomically(path, page.as_bytes())
}

/// The error rate and the loss of each run over the epochs.
#[must_use]
pub fn comparison_charts(runs: &[Run]) -> Vec<Chart> {
    let each = |of: &dyn Fn(&EpochReport) -> Option<f64>| -> Vec<Series> {
        let points = |run: &Run| run.report.epochs.iter().filter_map(|e| Some((e.epoch as f64, of(e)?))).collect();
        runs.iter().map(|run| line(&run.name, run.colour, points(run))).collect()
    };
    // Validation is preferred if every run has it: metrics of training are means over an epoch in which the net
    // changes.
    let validated = runs.iter().flat_map(|run| &run.report.epochs).all(|e| e.valid.is_some());
    let of = if validated { "validation" } else { "training" };
    let metrics = |e: &EpochReport| if validated { e.valid } else { Some(e.train) };
    vec![
        Chart::new("error", "epoch", &format!("error rate, {of}"), true, each(&|e| Some(1.0 - metrics(e)?.accuracy))),
        Chart::new("loss", "epoch", &format!("loss, {of}"), false, each(&|e| Some(metrics(e)?.loss))),
    ]
}

/// A run in the table of a comparison.
#[derive(Serialize)]
struct Summary {
    name: String,
    colour: usize,
    report: Report,
    status: Status,
    /// The fraction of C5's and F6's units that are dead, 0 to 1.
    dead: Option<f64>,
    /// The settings in which it differs from the first run.
    differences: Vec<String>,
}

fn summary(runs: &[Run], run: &Run) -> Result<Summary> {
    let differences = runs[0].config.differences(&run.config)?;
    Ok(Summary {
        name: run.name.clone(),
        colour: run.colour,
        report: run.report.clone(),
        status: run.report.status,
        dead: run.report.dead_units.map(DeadUnits::dense),
        differences: differences.into_iter().map(|(key, values)| format!("{key}: {values}")).collect(),
    })
}

/// A chart, as the template needs it.
#[derive(Serialize)]
struct Figure {
    name: &'static str,
    caption: String,
    svg: String,
}

fn figures(charts: &[Chart]) -> Result<Vec<Figure>> {
    let figure = |chart: &Chart| {
        let caption = format!("{} against {}", chart.y, chart.x);
        Ok(Figure { name: chart.name, caption, svg: chart.svg()? })
    };
    charts.iter().map(figure).collect()
}

/// What the page shows as images: misses, filters and feature maps.
#[derive(Serialize)]
struct Gallery {
    misses: Vec<Shown>,
    c1_filters: String,
    c3_filters: String,
    /// The first image of the test set, and its class.
    image: String,
    class: String,
    maps: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct Shown {
    image: String,
    index: usize,
    label: String,
    answer: String,
    probability: f64,
}

impl Gallery {
    fn new(dir: &RunDir, set: &ImageSet, test: &Evaluation) -> Result<Self> {
        let device = backend::host().ok_or_else(|| Error::Page("there is no CPU backend".into()))?;
        let net = LeNet5::from_record(dir.read_model()?, &dir.model(), &device)?;
        let shown = |miss: &Miss| {
            let &Miss { index, label, answer, probability, .. } = miss;
            let [label, answer] = [label, answer].map(|class| set.classes().get(class).cloned().unwrap_or_default());
            Ok(Shown { image: image(set, index)?, index, label, answer, probability })
        };
        let misses = test.worst.iter().filter(|miss| miss.index < set.len()).map(shown).collect::<Result<_>>()?;
        let layers = net.layers(images_tensor([set.image(0)].into_iter(), set.scale(), &device));
        let map = |name, tensor: Tensor<4>, columns| {
            let [_, _, side, _] = tensor.dims();
            Ok((name, sprite(&values(tensor)?, side, columns, Palette::Grey)?))
        };
        Ok(Self {
            misses,
            c1_filters: sprite(&values(net.c1.weight.val())?, 5, 6, Palette::Signed)?,
            // A column for each of the sixteen maps; Burn's weights have a row for each.
            c3_filters: sprite(&values(net.c3.weight.val().swap_dims(0, 1))?, 5, 16, Palette::Signed)?,
            image: image(set, 0)?,
            class: set.class(0).to_owned(),
            maps: vec![
                map("C1, 6 of 28\u{d7}28", layers.c1, 6)?,
                map("S2, 6 of 14\u{d7}14", layers.s2, 6)?,
                map("C3, 16 of 10\u{d7}10", layers.c3, 8)?,
                map("S4, 16 of 5\u{d7}5", layers.s4, 8)?,
            ],
        })
    }
}

fn image(set: &ImageSet, index: usize) -> Result<String> {
    let pixels: Vec<f32> = set.image(index).iter().map(|byte| f32::from(*byte)).collect();
    sprite(&pixels, IMAGE_SIDE, 1, Palette::Grey)
}

fn render(template: &str, values: &serde_json::Value) -> Result<String> {
    let mut environment = Environment::new();
    environment.add_filter("percent", |fraction: f64| percent(fraction).replace(' ', "\u{a0}"));
    environment.add_filter("probability", |p: f64| probability(p).replace(' ', "\u{a0}"));
    environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
    TEMPLATES
        .iter()
        .try_for_each(|(name, source)| environment.add_template(name, source))
        .and_then(|()| environment.get_template(template))
        .and_then(|template| template.render(minijinja::value::Serde(values)))
        .map_err(|e| Error::Page(format!("the page cannot be made: {e:#}")))
}
