//! Charts as SVG, with colours that follow the page's theme.

use plotters::{
    coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{Error, Result};

/// Width and height, in units that are a little less than a pixel on a phone.
const SIZE: (u32, u32) = (480, 300);
/// Width of a legend beside the chart, in the same units.
const LEGEND_WIDTH: u32 = 220;
/// A legend with more entries would hide the chart.
const MAX_INSIDE: usize = 4;
/// Number of colours; further series start again with the first.
const COLOURS: usize = 8;

/// A series of points in a chart.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// The index of its colour.
    pub colour: usize,
    /// Its points, `(x, y)`.
    pub points: Vec<(f64, f64)>,
    /// How its points are drawn.
    pub marks: Marks,
}

/// How the points of a series are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marks {
    /// Joined by a line.
    Line,
    /// Dots alone.
    Dots,
    /// Dots, each with the count that it stands for, such as a number of images; larger counts have larger dots.
    Counts(Vec<usize>),
}

/// Where a chart has its legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legend {
    /// In the upper right corner, for falling lines.
    Above,
    /// In the lower right corner, for rising lines.
    Below,
    /// Nowhere: the text beside the chart explains it.
    None,
}

/// A chart of one or more series.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Its name, which is also the name of its file.
    pub name: &'static str,
    /// The label of the x-axis.
    pub x: String,
    /// The label of the y-axis.
    pub y: String,
    /// Whether the x-axis is logarithmic.
    pub log_x: bool,
    /// Whether the y-axis is logarithmic.
    pub log_y: bool,
    /// Whether the y-axis shows fractions as percent.
    pub percent: bool,
    /// The series.
    pub series: Vec<Series>,
    /// Where the legend is.
    pub legend: Legend,
}

impl Chart {
    /// A chart with a linear x-axis. The y-axis is logarithmic if the values span more than a factor of 12.
    pub(crate) fn new(name: &'static str, x: &str, y: &str, percent: bool, series: Vec<Series>) -> Self {
        let series: Vec<Series> = series.into_iter().filter(|s| !s.points.is_empty()).collect();
        let values = || series.iter().flat_map(|s| &s.points).map(|p| p.1).filter(|v| v.is_finite());
        let (min, max) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        let log_y = min > 0.0 && max / min > 12.0;
        Self { name, x: x.to_owned(), y: y.to_owned(), log_x: false, log_y, percent, series, legend: Legend::Above }
    }

    /// The chart as an `<svg>` element.
    ///
    /// # Errors
    /// The chart cannot be drawn.
    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg, false).map_err(|what| self.fault(&what))?;
        Ok(self.themed(&svg))
    }

    /// The chart as a complete SVG file.
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub fn standalone(&self) -> Result<String> {
        let style = format!(
            "<style>svg{{{LIGHT}}}@media(prefers-color-scheme:dark){{svg{{{DARK};background:#16181c}}}}</style>"
        );
        let mut svg = String::new();
        self.draw(&mut svg, self.series.len() > MAX_INSIDE).map_err(|what| self.fault(&what))?;
        Ok(self.themed(&svg).replacen('>', &format!(">{style}"), 1))
    }

    fn fault(&self, what: &str) -> Error {
        Error::Page(format!("the chart {} cannot be drawn: {what}", self.name))
    }

    fn draw(&self, svg: &mut String, legend_beside: bool) -> std::result::Result<(), String> {
        let fail = |e: &dyn std::fmt::Display| e.to_string();
        let size = (SIZE.0 + if legend_beside { LEGEND_WIDTH } else { 0 }, SIZE.1);
        let whole = SVGBackend::with_string(svg, size).into_drawing_area();
        let (root, beside) = whole.split_horizontally(SIZE.0);
        if legend_beside {
            let font = ("sans-serif", 13).into_font().color(&FOREGROUND);
            for (y, series) in (20..).step_by(17).zip(&self.series) {
                let key = Rectangle::new([(4, y - 2), (18, y + 1)], shade(series.colour).filled());
                beside.draw(&key).map_err(|e| fail(&e))?;
                beside.draw(&Text::new(series.name.as_str(), (24, y - 6), font.clone())).map_err(|e| fail(&e))?;
            }
        }
        let mut builder = ChartBuilder::on(&root);
        builder.margin(8).margin_right(16).x_label_area_size(38).y_label_area_size(56);
        // Ticks at whole epochs only.
        let min_step = if self.x == "epoch" { 1.0 } else { 0.0 };
        let x = Axis::new(self.range(self.log_x, |p| p.0, false), self.log_x, min_step, false);
        let y = Axis::new(self.range(self.log_y, |p| p.1, !self.log_y), self.log_y, 0.0, self.percent);
        self.fill(builder.build_cartesian_2d(x, y).map_err(|e| fail(&e))?)?;
        whole.present().map_err(|e| fail(&e))
    }

    /// The smallest and the largest value of an axis, with some margin.
    fn range(&self, log: bool, of: fn(&(f64, f64)) -> f64, from_zero: bool) -> (f64, f64) {
        let values = self.series.iter().flat_map(|s| &s.points).map(of).filter(|v| v.is_finite());
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            return if log { (0.1, 1.0) } else { (0.0, 1.0) };
        }
        if log {
            return (low / 1.25, high * 1.25);
        }
        if from_zero {
            low = low.min(0.0);
        }
        let room = if high > low { (high - low) * 0.04 } else { 0.5 };
        (if from_zero { low } else { low - room }, high + room)
    }

    fn fill<'a, 'b: 'a>(
        &self,
        mut chart: ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>,
    ) -> std::result::Result<(), String> {
        let text = ("sans-serif", 14).into_font().color(&FOREGROUND);
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .axis_desc_style(text.clone())
            .label_style(text.clone())
            .axis_style(FOREGROUND)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .x_labels(8)
            .y_labels(6)
            .draw()
            .map_err(|e| e.to_string())?;
        for series in &self.series {
            let colour = shade(series.colour);
            let points = || series.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite());
            let drawn = match &series.marks {
                Marks::Dots => chart.draw_series(points().map(|at| Circle::new(at, 4, colour.filled()))),
                Marks::Line => {
                    // A single epoch is a point, not a line.
                    let size = if series.points.len() <= 30 { 2 } else { 0 };
                    chart.draw_series(LineSeries::new(points(), colour.stroke_width(2)).point_size(size))
                }
                Marks::Counts(counts) => {
                    let font = ("sans-serif", 11).into_font().color(&FOREGROUND);
                    let dots =
                        series.points.iter().copied().zip(counts).filter(|((x, y), _)| x.is_finite() && y.is_finite());
                    chart.draw_series(dots.map(|((x, y), count)| {
                        let radius = radius(*count);
                        // On the left, unless the diagonal would cross it, as it does below the diagonal.
                        let (side, offset) = if y < x - 0.01 && x < 0.95 {
                            (HPos::Left, radius + 3)
                        } else {
                            (HPos::Right, -radius - 3)
                        };
                        EmptyElement::at((x, y))
                            + Circle::new((0, 0), radius, colour.filled())
                            + Text::new(count.to_string(), (offset, 0), font.pos(Pos::new(side, VPos::Center)))
                    }))
                }
            };
            drawn
                .map_err(|e| e.to_string())?
                .label(&series.name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 1), (x + 14, y + 2)], colour.filled()));
        }
        if self.series.len() > 1 && self.series.len() <= MAX_INSIDE && self.legend != Legend::None {
            chart
                .configure_series_labels()
                .position(match self.legend {
                    Legend::Above => SeriesLabelPosition::UpperRight,
                    Legend::Below | Legend::None => SeriesLabelPosition::LowerRight,
                })
                .label_font(text)
                .border_style(TRANSPARENT)
                .background_style(BACKGROUND.mix(0.8))
                .draw()
                .map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Replaces the colours by the page's, and the fixed size by that of the surrounding element.
    fn themed(&self, svg: &str) -> String {
        let mut svg = svg
            .replace("\"#010101\"", "\"currentColor\"")
            .replace("\"#020202\"", "\"var(--grid)\"")
            .replace("\"#000001\"", "\"var(--background)\"");
        for colour in 0..COLOURS {
            let shade = colour + 3;
            svg = svg.replace(&format!("\"#{shade:02X}{shade:02X}{shade:02X}\""), &format!("\"var(--s{colour})\""));
        }
        let label = format!("role=\"img\" aria-label=\"{} against {}\" viewBox", self.y, self.x);
        match (svg.find("width="), svg.find("viewBox")) {
            (Some(from), Some(to)) if from < to => svg.replace_range(from..to + "viewBox".len(), &label),
            _ => {}
        }
        svg
    }
}

/// Placeholders that [`Chart::themed`] replaces by the page's colours.
const FOREGROUND: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const BACKGROUND: RGBColor = RGBColor(0, 0, 1);

fn shade(colour: usize) -> RGBColor {
    let shade = u8::try_from(colour % COLOURS).unwrap_or_default() + 3;
    RGBColor(shade, shade, shade)
}

/// The radius of a dot for a count: two units more for each power of ten, so that both 1 and 10,000 can be seen.
fn radius(count: usize) -> i32 {
    2 + 2 * i32::try_from(count.max(1).ilog10()).unwrap_or_default()
}

/// An axis: its range, its ticks, and their format.
#[derive(Clone)]
struct Axis {
    ends: (f64, f64),
    log: bool,
    ticks: Vec<f64>,
    percent: bool,
}

impl Axis {
    fn new(ends: (f64, f64), log: bool, min_step: f64, percent: bool) -> Self {
        Self { ends, log, ticks: ticks(ends, log, min_step), percent }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let along = |value: f64| if self.log { value.ln() } else { value };
        let (low, high) = (along(self.ends.0), along(self.ends.1));
        let fraction = (along(*value) - low) / (high - low);
        #[expect(clippy::cast_possible_truncation, reason = "a position in the chart")]
        let offset = (f64::from(limit.1 - limit.0) * fraction).round() as i32;
        limit.0 + offset
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.ends.0..self.ends.1
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        if self.percent { format!("{} %", short(value * 100.0)) } else { short(*value) }
    }
}

/// The ticks of an axis. On a linear axis these are about five multiples of 1, 2 or 5 times a power of ten, at least
/// `min_step` from each other; on a logarithmic axis, as many parts of decades as there is room for.
fn ticks((low, high): (f64, f64), log: bool, min_step: f64) -> Vec<f64> {
    if log {
        let decades = (high / low).log10();
        let digits: &[f64] = match decades {
            d if d < 1.5 => &[1.0, 2.0, 5.0],
            d if d < 3.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        #[expect(clippy::cast_possible_truncation, reason = "exponents of numbers")]
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let powers = (first..=last).step_by(if decades > 7.0 { 2 } else { 1 });
        let all = powers.flat_map(|power| digits.iter().map(move |digit| digit * 10.0_f64.powi(power)));
        let all: Vec<f64> = all.filter(|tick| (low..=high).contains(tick)).collect();
        if all.len() > 1 {
            return all;
        }
    }
    let rough = (high - low) / 5.0;
    let power = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= 0.8 * rough);
    let step = step.unwrap_or(rough).max(min_step);
    #[expect(clippy::cast_possible_truncation, reason = "about five steps")]
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

/// A number in as few characters as possible, for an axis.
fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-2..1e5).contains(&size) {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The colours of a light page: text, grid, background, and series, which colour-blind people can tell apart.
///
/// Source: Okabe and Ito, <https://jfly.uni-koeln.de/color/>.
pub const LIGHT: &str = "color:#1c1e21;--grid:#dfe2e6;--background:#fff;--s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#cc79a7;--s4:#b58900;--s5:#56b4e9;--s6:#7f3c8d;--s7:#5f6368";
/// As [`LIGHT`], on a dark page.
pub const DARK: &str = "color:#e6e8eb;--grid:#33373d;--background:#16181c;--s0:#56b4e9;--s1:#ff8a3d;--s2:#2ecc9a;--s3:#e79bc4;--s4:#f0c33c;--s5:#8fd3ff;--s6:#c49be0;--s7:#a8adb5";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_follows_the_theme_and_escapes_names() {
        let line = |name: &str, points: &[(f64, f64)]| Series {
            name: name.into(),
            colour: 0,
            points: points.into(),
            marks: Marks::Line,
        };
        let series =
            vec![line("a<b", &[(1.0, 0.5), (2.0, 0.001)]), line("empty", &[]), line("odd", &[(1.0, f64::NAN)])];
        let chart = Chart::new("error", "epoch", "error rate", true, series);
        assert!(chart.log_y && chart.series.len() == 2);
        let svg = chart.svg().unwrap();
        assert!(svg.contains("a&lt;b") && svg.contains("var(--s0)") && svg.contains("currentColor"));
        assert!(!svg.contains("width=\"480\"") && !svg.contains("\"#0"), "{svg}");
        assert!(chart.standalone().unwrap().contains("prefers-color-scheme:dark"));
    }

    #[test]
    fn a_count_is_written_at_its_dot() {
        let marks = Marks::Counts(vec![1, 9000]);
        let series = vec![Series { name: "measured".into(), colour: 0, points: vec![(0.5, 0.4), (1.0, 1.0)], marks }];
        let svg = Chart::new("calibration", "confidence", "accuracy", true, series).svg().unwrap();
        let dot = |radius: &str| svg.matches(&format!(" r=\"{radius}\"")).count();
        assert_eq!((dot("2"), dot("8"), svg.matches(">\n9000\n<").count()), (1, 1, 1), "{svg}");
        let joined = svg.lines().any(|line| line.starts_with("<polyline") && line.contains("var(--s0)"));
        assert!(!joined, "{svg}");
    }

    #[test]
    fn an_axis_has_about_five_labels() {
        let labels = |range| ticks(range, true, 0.0).into_iter().map(short).collect::<Vec<_>>();
        assert_eq!(ticks((0.96, 3.04), false, 1.0), [1.0, 2.0, 3.0]);
        assert_eq!(ticks((0.0, 0.04), false, 0.0), [0.0, 0.01, 0.02, 0.03, 0.04]);
        assert_eq!(ticks((1.0, 20.4), false, 1.0), [5.0, 10.0, 15.0, 20.0]);
        assert_eq!(ticks((0.0, 1.04), false, 0.0).len(), 6);
        assert!(ticks((0.24, 0.375), true, 0.0).len() > 1);
        assert_eq!(labels((0.02, 0.6)), ["0.02", "0.05", "0.1", "0.2", "0.5"]);
        assert_eq!(labels((8e-7, 0.125)), ["1e-6", "1e-5", "1e-4", "1e-3", "0.01", "0.1"]);
    }

    #[test]
    fn numbers_on_an_axis_are_short() {
        assert_eq!([0.0, 2.5, 1e-4, 10.0, 0.05, 2e5].map(short), ["0", "2.5", "1e-4", "10", "0.05", "2e5"]);
    }
}
