//! Plots as SVG. Colours are marks that the page's style sheet turns into its light or dark palette.

use std::fmt::Write;
use std::ops::Range;

use plotters::prelude::*;

/// Axes and their labels.
const SOFT: RGBColor = RGBColor(2, 2, 2);
/// Grid lines.
const LINE: RGBColor = RGBColor(1, 1, 1);
/// The ground behind the names of series, which may stand on points.
const PAPER: RGBColor = RGBColor(3, 3, 3);
/// The series of a plot.
const SERIES: [RGBColor; 8] = [
    RGBColor(1, 0, 1),
    RGBColor(1, 0, 2),
    RGBColor(1, 0, 3),
    RGBColor(1, 0, 4),
    RGBColor(1, 0, 5),
    RGBColor(1, 0, 6),
    RGBColor(1, 0, 7),
    RGBColor(1, 0, 8),
];
const SIZE: (u32, u32) = (760, 380);
/// Of one of several plots side by side.
const SMALL: (u32, u32) = (400, 260);

/// Lines over a common axis.
#[derive(Clone, Debug)]
pub struct LinePlot {
    title: String,
    x: String,
    y: String,
    lines: Vec<(String, Vec<(f64, f64)>)>,
    levels: Vec<(String, f64)>,
    size: (u32, u32),
}

impl LinePlot {
    /// A plot with a title and the names of its axes, units included.
    pub fn new(title: impl Into<String>, x: impl Into<String>, y: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x: x.into(),
            y: y.into(),
            lines: Vec::new(),
            levels: Vec::new(),
            size: SIZE,
        }
    }

    /// Adds a line. Points that are not finite are left out, and so is a line without points.
    #[must_use]
    pub fn line(mut self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        let points: Vec<_> = points.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        if !points.is_empty() {
            self.lines.push((name.into(), points));
        }
        self
    }

    /// Adds a horizontal line, such as a baseline.
    #[must_use]
    pub fn level(mut self, name: impl Into<String>, y: f64) -> Self {
        self.levels.push((name.into(), y));
        self
    }

    /// Makes it fit beside others.
    #[must_use]
    pub fn small(mut self) -> Self {
        self.size = SMALL;
        self
    }

    /// The plot as SVG; empty if there is nothing to draw.
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let Some(xs) = span(points().map(|p| p.0), 0.0) else { return String::new() };
        let ys = points().map(|p| p.1).chain(self.levels.iter().map(|l| l.1));
        let Some(ys) = span(ys, 0.06) else { return String::new() };
        let mut series: Vec<(&str, Vec<(f64, f64)>)> =
            self.lines.iter().map(|(name, points)| (name.as_str(), points.clone())).collect();
        series
            .extend(self.levels.iter().map(|(name, y)| (name.as_str(), vec![(xs.start, *y), (xs.end, *y)])));
        draw(self.size, &self.title, (&self.x, &self.y), (xs, ys), |chart| {
            for (index, (name, points)) in series.iter().enumerate() {
                let color = SERIES[index % SERIES.len()];
                let style = ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: 2 };
                chart
                    .draw_series(LineSeries::new(points.iter().copied(), style))?
                    .label(*name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
            }
            Ok(())
        })
    }
}

/// A plot with the page's light palette in it and a white ground, to stand by itself.
pub fn standalone(svg: &str) -> String {
    let color = |name: &str| -> &str {
        let style = include_str!("report.css");
        let found = style.split_once(&format!("--{name}:")).map(|(_, rest)| rest);
        found.and_then(|rest| rest.split([';', '}']).next()).unwrap_or("black")
    };
    let mut svg = svg.replace("#010101", color("line")).replace("#020202", color("soft"));
    svg = svg.replace("#030303", color("paper"));
    for series in 1..=SERIES.len() {
        svg = svg.replace(&format!("#01000{series}"), color(&format!("s{series}")));
    }
    svg.replacen(">\n", ">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n", 1)
}

/// Points in the plane, in groups; from the ninth on colours come again.
#[derive(Clone, Debug)]
pub struct ScatterPlot {
    title: String,
    x: String,
    y: String,
    groups: Vec<(String, Vec<(f64, f64)>)>,
    segments: Vec<[(f64, f64); 2]>,
    labels: Vec<((f64, f64), String)>,
    diagonal: bool,
}

impl ScatterPlot {
    /// A plot with a title and the names of its axes.
    pub fn new(title: impl Into<String>, x: impl Into<String>, y: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x: x.into(),
            y: y.into(),
            groups: Vec::new(),
            segments: Vec::new(),
            labels: Vec::new(),
            diagonal: false,
        }
    }

    /// Draws the line of equal coordinates too.
    #[must_use]
    pub fn diagonal(mut self) -> Self {
        self.diagonal = true;
        self
    }

    /// Adds a group of points.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.groups.push((name.into(), points));
        self
    }

    /// Draws thin lines from point to point, under the groups.
    #[must_use]
    pub fn segments(mut self, segments: Vec<[(f64, f64); 2]>) -> Self {
        self.segments = segments;
        self
    }

    /// Writes text beside places, and makes the plot larger, so that there is room for it.
    #[must_use]
    pub fn labels(mut self, labels: Vec<((f64, f64), String)>) -> Self {
        self.labels = labels;
        self
    }

    /// The plot as SVG, square; empty if there is nothing to draw.
    pub fn svg(&self) -> String {
        let size = if self.labels.is_empty() { 480 } else { 900 };
        let points = || self.groups.iter().flat_map(|(_, points)| points);
        let Some(xs) = span(points().map(|p| p.0), 0.04) else { return String::new() };
        let Some(ys) = span(points().map(|p| p.1), 0.04) else { return String::new() };
        let ends = (xs.start.max(ys.start), xs.end.min(ys.end));
        draw((size, size), &self.title, (&self.x, &self.y), (xs, ys), |chart| {
            if self.diagonal && ends.0 < ends.1 {
                chart.draw_series(LineSeries::new([(ends.0, ends.0), (ends.1, ends.1)], SOFT))?;
            }
            for ends in &self.segments {
                chart.draw_series(LineSeries::new(*ends, SOFT.mix(0.35)))?;
            }
            for (index, (name, points)) in self.groups.iter().enumerate() {
                let color = SERIES[index % SERIES.len()];
                let drawn =
                    chart.draw_series(points.iter().map(|&point| Circle::new(point, 2, color.filled())))?;
                if self.groups.len() > 1 {
                    drawn.label(name).legend(move |(x, y)| Circle::new((x + 8, y), 3, color.filled()));
                }
            }
            let style = ("sans-serif", 11).into_font();
            chart.draw_series(self.labels.iter().map(|(place, text)| {
                EmptyElement::at(*place) + Text::new(text.clone(), (4, -5), style.clone())
            }))?;
            Ok(())
        })
    }
}

/// Bars for each of several categories, in groups.
#[derive(Clone, Debug)]
pub struct BarPlot {
    groups: Vec<String>,
    categories: Vec<(String, Vec<f64>)>,
}

impl BarPlot {
    /// A plot whose categories have a bar for each of these groups.
    pub fn new<S: Into<String>>(groups: impl IntoIterator<Item = S>) -> Self {
        Self { groups: groups.into_iter().map(Into::into).collect(), categories: Vec::new() }
    }

    /// Adds a category: its name, and each group's share in [0, 1].
    #[must_use]
    pub fn category(mut self, name: impl Into<String>, shares: Vec<f64>) -> Self {
        self.categories.push((name.into(), shares));
        self
    }

    /// The plot as SVG, of bars from left to right.
    pub fn svg(&self) -> String {
        const BAR: usize = 12;
        const LEFT: f64 = 120.0;
        const LENGTH: f64 = 220.0;
        let block = BAR * self.groups.len() + 8;
        let legend = 20 * self.groups.len() + 6;
        let height = legend + block * self.categories.len();
        let mut svg =
            format!("<svg viewBox=\"0 0 {} {height}\" xmlns=\"http://www.w3.org/2000/svg\">", SMALL.0);
        let text = |svg: &mut String, x: f64, y: usize, anchor: &str, text: &str| {
            let shown: String = text.chars().take(18).collect();
            let shown = crate::escape(&shown);
            let _ = write!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" font-size=\"12\" text-anchor=\"{anchor}\">{shown}</text>"
            );
        };
        let bar = |svg: &mut String, y: usize, width: f64, group: usize| {
            let RGBColor(r, g, b) = SERIES[group % SERIES.len()];
            let height = BAR - 2;
            let _ = write!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\" fill=\"#{r:02x}{g:02x}{b:02x}\"/>"
            );
        };
        for (group, name) in self.groups.iter().enumerate() {
            bar(&mut svg, 20 * group + 2, 14.0, group);
            text(&mut svg, LEFT + 20.0, 20 * group + 12, "start", name);
        }
        let most =
            self.categories.iter().flat_map(|(_, shares)| shares).fold(f64::MIN_POSITIVE, |a, b| a.max(*b));
        for (index, (name, shares)) in self.categories.iter().enumerate() {
            let top = legend + index * block;
            text(&mut svg, LEFT - 8.0, top + block / 2 + 1, "end", name);
            for (group, share) in shares.iter().enumerate() {
                let (y, width) = (top + group * BAR, LENGTH * share / most);
                bar(&mut svg, y, width, group);
                text(&mut svg, LEFT + width + 4.0, y + BAR - 2, "start", &format!("{:.1} %", 100.0 * share));
            }
        }
        svg.push_str("</svg>");
        svg
    }
}

/// Small square pictures of rows of values in [0, 1], such as bits or images.
#[derive(Clone, Debug)]
pub struct PixelGrid {
    width: usize,
    height: usize,
    pictures: Vec<Vec<f32>>,
}

impl PixelGrid {
    /// Pictures of `width` by `height` values, row after row; one is dark.
    pub fn new(width: usize, height: usize, pictures: Vec<Vec<f32>>) -> Self {
        Self { width, height, pictures }
    }

    /// The pictures side by side, `columns` to a line.
    pub fn svg(&self, columns: usize) -> String {
        let (w, h) = (self.width + 1, self.height + 1);
        let lines = self.pictures.len().div_ceil(columns);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {} {}\" xmlns=\"http://www.w3.org/2000/svg\" shape-rendering=\"crispEdges\">",
            columns * w,
            lines * h
        );
        for (index, picture) in self.pictures.iter().enumerate() {
            let (left, top) = (index % columns * w, index / columns * h);
            let _ = write!(
                svg,
                "<rect class=\"grid\" stroke-width=\"0.1\" x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\"/>",
                self.width, self.height
            );
            for (pixel, &value) in picture.iter().enumerate().filter(|(_, value)| **value > 0.02) {
                let (x, y) = (left + pixel % self.width, top + pixel / self.width);
                let opacity = if value >= 1.0 { String::new() } else { format!(" opacity=\"{value:.2}\"") };
                let _ = write!(
                    svg,
                    "<rect class=\"ink\" x=\"{x}\" y=\"{y}\" width=\"1\" height=\"1\"{opacity}/>"
                );
            }
        }
        svg.push_str("</svg>");
        svg
    }
}

/// The least range that holds all values and a margin.
fn span(values: impl Iterator<Item = f64>, margin: f64) -> Option<Range<f64>> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if !(low.is_finite() && high.is_finite()) {
        return None;
    }
    let pad = if high > low { (high - low) * margin } else { high.abs().max(1.0) * 0.05 };
    Some(low - pad..high + pad)
}

/// A label without digits that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;
type DrawResult = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(
    size: (u32, u32),
    title: &str,
    (x, y): (&str, &str),
    (xs, ys): (Range<f64>, Range<f64>),
    series: impl FnOnce(&mut Chart) -> DrawResult,
) -> String {
    let mut svg = String::new();
    let drawn = || -> DrawResult {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 16).into_font().color(&SOFT))
            .margin(8)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(xs, ys)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(LINE)
            .axis_style(SOFT)
            .label_style(("sans-serif", 13).into_font().color(&SOFT))
            .axis_desc_style(("sans-serif", 13).into_font().color(&SOFT))
            .x_label_formatter(&|value| short(*value))
            .y_label_formatter(&|value| short(*value))
            .x_desc(x)
            .y_desc(y)
            .draw()?;
        series(&mut chart)?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .background_style(PAPER.mix(0.8))
            .label_font(("sans-serif", 13).into_font().color(&SOFT))
            .draw()?;
        area.present()
    };
    match drawn() {
        Ok(()) => svg,
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_levels_are_drawn_and_named() {
        let plot = LinePlot::new("Loss", "epoch", "nats")
            .line("train", vec![(1.0, 3.0), (2.0, f64::NAN), (3.0, 1.0)]);
        let svg = plot.level("baseline", 2.0).svg();
        for expected in ["train", "baseline", "epoch", "#010001", "#010002"] {
            assert!(svg.contains(expected), "{expected} is missing");
        }
    }

    #[test]
    fn a_plot_by_itself_has_colours() {
        let svg =
            standalone(&LinePlot::new("Loss", "epoch", "nats").line("a", vec![(1.0, 3.0), (2.0, 2.0)]).svg());
        assert!(
            svg.contains("#2463c4")
                && svg.contains("fill=\"white\"")
                && !svg.contains("#0100")
                && !svg.contains("#0202")
        );
    }

    #[test]
    fn nothing_to_draw_draws_nothing() {
        assert_eq!(LinePlot::new("", "", "").svg(), "");
        assert_eq!(ScatterPlot::new("", "", "").group("a", vec![]).svg(), "");
    }

    #[test]
    fn bars_are_as_long_as_their_shares() {
        let svg = BarPlot::new(["a", "b<"]).category("x", vec![0.5, 0.25]).svg();
        assert!(svg.contains("width=\"220.0\"") && svg.contains("width=\"110.0\"") && svg.contains("b&lt;"));
        assert!(svg.contains("50.0 %") && svg.contains("25.0 %"));
    }

    #[test]
    fn pixels_stand_in_their_grid() {
        let svg = PixelGrid::new(2, 1, vec![vec![0.0, 1.0], vec![1.0, 0.5]]).svg(2);
        assert_eq!(svg.matches("class=\"ink\"").count(), 3);
        assert!(svg.contains("x=\"1\" y=\"0\"") && svg.contains("x=\"3\" y=\"0\""));
    }
}
