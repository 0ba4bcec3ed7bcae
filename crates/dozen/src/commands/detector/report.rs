//! The page about a trained detector.

use dozen::nn::History;
use dozen::report::{LinePlot, PictureGrid, Report, Table};
use dozen::vision::detection::{ErrorKinds, Pictured};
use dozen::vision::detector::{Evaluation, Model};
use dozen::vision::picture::{Filter, resize};

/// Images that are shown, and their sides.
const SHOWN: (usize, usize) = (12, 224);
/// Least score of a box that is shown.
const SURE: f32 = 0.5;

pub(super) fn report(
    model: &Model,
    history: &History,
    found: &Evaluation,
    valid: &Pictured,
    command: &str,
) -> Report {
    let categories = &model.config().categories;
    let lead = format!(
        "A detector of {} categories, trained for {} epochs in {:.1} seconds.",
        categories.len(),
        history.epochs.len(),
        history.seconds
    );
    let mut report = Report::new("Detector", lead, command);
    let shown = |value: f64| if value < 0.0 { "no boxes".to_owned() } else { format!("{value:.3}") };
    let table = super::files::NAMES
        .iter()
        .zip(found.precision.summary())
        .fold(Table::new(["on held-out images", ""]), |table, (name, value)| {
            table.row([name.replace('_', " "), shown(value)])
        });
    report.section("How good it is").table(table);
    let kinds = ErrorKinds::new(&found.truths, &found.detections(), 0.3);
    let mut errors = Table::new(["detections surer than 0.3", ""]);
    for (name, count) in [
        ("right", kinds.right),
        ("on a box of another category", kinds.category),
        ("near a box of their category, not well enough on it", kinds.place),
        ("near a box of another category", kinds.both),
        ("on a box that a surer one found", kinds.double),
        ("on nothing", kinds.background),
        ("boxes missed", kinds.missed),
    ] {
        errors = errors.row([name.to_owned(), count.to_string()]);
    }
    report.section("What is wrong").table(errors);
    let of = |term| history.curve(term);
    let losses = LinePlot::new("Losses", "epoch", "")
        .line("objectness", of("objectness"))
        .line("boxes of proposals", of("proposal_boxes"))
        .line("categories", of("categories"))
        .line("boxes", of("boxes"));
    let precision = LinePlot::new("Average precision", "epoch", "share")
        .line("overlaps 0.5 to 0.95", of("map"))
        .line("overlap 0.5", of("map50"));
    report
        .section("How it learnt")
        .plot(losses.svg(), "Of the first stage, and of the second on what the first proposes.")
        .plot(precision.svg(), "On held-out images.");
    let curves = categories.iter().take(8).enumerate().fold(
        LinePlot::new("Precision over recall", "recall", "precision"),
        |plot, (category, name)| {
            let curve = found.precision.curve(0, category);
            let points = curve.into_iter().enumerate().filter(|(_, value)| *value >= 0.0);
            plot.line(name, points.map(|(at, value)| (at as f64 / 100.0, value)).collect())
        },
    );
    report.section("Each category").plot(curves.svg(), "At an overlap of 0.5.");
    let side = SHOWN.1;
    let pictures: Vec<Vec<f32>> = (0..valid.len().min(SHOWN.0))
        .map(|image| {
            let picture = valid.picture(image);
            let (width, height) = (picture.width as f32, picture.height as f32);
            let whole = [0.0, 0.0, f64::from(width), f64::from(height)];
            let mut small = resize(&picture, [side; 2], whole, Filter::Bilinear);
            let scale = [side as f32 / width, side as f32 / height];
            for found in found.found[image].iter().filter(|found| found.score >= SURE).rev() {
                let [left, top, right, bottom] = found.rect;
                let rect = [left * scale[0], top * scale[1], right * scale[0], bottom * scale[1]];
                small.draw_box(rect, found.category, &categories[found.category]);
            }
            let plane = |colour: usize| {
                small.pixels.iter().skip(colour).step_by(3).map(|level| f32::from(*level) / 255.0)
            };
            (0..3).flat_map(plane).collect()
        })
        .collect();
    if !pictures.is_empty() {
        let grid = PictureGrid::new([3, side, side], pictures);
        report
            .section("What it finds")
            .plot(grid.svg(4), "Held-out images with the boxes that are surer than 0.5.");
    }
    report
}
