//! The report of a training run.

use dozen_data::{ImageShape, Matrix, Table};
use dozen_nn::{Error, History};
use dozen_report::{LinePlot, PictureGrid, Report, ScatterPlot, Table as ReportTable};

use super::{Evaluation, Model};
use crate::tensors::{to_host, to_tensor};

/// Rows in the report's pictures.
const ROWS: usize = 800;

/// Columns whose pairs are drawn.
const MOST_PAIRED: usize = 4;

/// The results, the curves, data beside samples, the way through the flow, and whether base values are as they should be.
pub fn training_report(
    model: &Model,
    history: &History,
    held_out: &Evaluation,
    data: &Table,
    command: &str,
) -> Result<Report, Error> {
    let config = model.config();
    let lead = format!(
        "A flow of {} steps over {} columns with {} parameters, trained for {} epochs in {:.1} seconds (seed {}). Every number below can be \
         computed again with the command.",
        config.model.transforms.len(),
        config.columns.columns.len(),
        model.parameters(),
        history.epochs.len(),
        history.seconds,
        config.record.training.seed
    );
    let mut report = Report::new("Normalizing flow", lead, command);
    let table = ReportTable::new(["on held-out rows", ""])
        .row([
            "log-probability, nats a row".into(),
            format!("{:.4} ± {:.4}", held_out.log_prob, held_out.standard_error),
        ])
        .row(["bits a dimension".into(), format!("{:.4}", held_out.bits_per_dimension)]);
    report.section("How good it is").table(table);
    curves(&mut report, history);
    if let Some(shape) = config.image {
        images(&mut report, model, shape, data)?;
        return Ok(report);
    }
    let rows: Vec<usize> = (0..data.rows().min(ROWS)).collect();
    let (cells, condition) = model.cells(&data.select(&rows))?;
    density(&mut report, model, &cells);
    pairs(&mut report, model, &cells, &condition)?;
    path(&mut report, model, &cells, &condition);
    calibration(&mut report, model, &cells, &condition);
    Ok(report)
}

fn curves(report: &mut Report, history: &History) {
    let [training, validation] = history.curves();
    let name = history.epochs.first().and_then(|epoch| epoch.train.first()).map_or("", |(name, _)| name);
    let plot = LinePlot::new("Loss", "epoch", name.replace('_', " "))
        .line("training", training)
        .line("validation", validation);
    let caption = format!("Lower is better. The model has the weights of epoch {}.", history.best_epoch);
    report.section("How it learnt").plot(plot.svg(), &caption);
}

/// A pair of columns of some rows.
fn points(cells: &Matrix, a: usize, b: usize) -> Vec<(f64, f64)> {
    (0..cells.rows()).map(|row| (f64::from(cells.row(row)[a]), f64::from(cells.row(row)[b]))).collect()
}

/// Pictures of each sort.
const PICTURES: usize = 40;

fn images(report: &mut Report, model: &Model, shape: ImageShape, data: &Table) -> Result<(), Error> {
    let rows: Vec<usize> = (0..data.rows().min(PICTURES)).collect();
    let held_out = data.select(&rows);
    let (cells, condition) = model.cells(&held_out)?;
    let drawn = model.sample(rows.len(), &condition, model.config().record.training.seed)?;
    let z = model.encode(&cells, &condition);
    let halved = Matrix::new(z.values().iter().map(|z| 0.7 * z).collect(), z.columns());
    let typical = model.table_of(&model.decode(&halved, &condition))?;
    let grid = |table: &Table, caption: &str| -> Result<_, Error> {
        let cells = model.config().columns.encode(table)?;
        let pictures = (0..cells.rows()).map(|row| cells.row(row).to_vec()).collect();
        let ImageShape { channels, height, width } = shape;
        Ok((PictureGrid::new([channels, height, width], pictures).svg(8), caption.to_owned()))
    };
    report.section("Data and samples").plots([
        grid(&held_out, "Held-out images.")?,
        grid(&drawn, "Drawn from the flow.")?,
        grid(&typical, "The held-out images with their base values times 0.7: nearer to what is typical.")?,
    ]);
    Ok(())
}

/// Points of a side of the density's picture.
const SIDE: usize = 160;

/// The density of flows of two columns without a condition.
fn density(report: &mut Report, model: &Model, cells: &Matrix) {
    if cells.columns() != 2 || !model.config().condition.columns.is_empty() || cells.rows() == 0 {
        return;
    }
    let span = |at: usize| {
        let values = (0..cells.rows()).map(|row| cells.row(row)[at]);
        let (low, high) = values.fold((f32::MAX, f32::MIN), |(a, b), value| (a.min(value), b.max(value)));
        let margin = 0.1 * (high - low);
        (low - margin, (high - low + 2.0 * margin) / SIDE as f32)
    };
    let ((left, across), (low, up)) = (span(0), span(1));
    let place = |pixel: usize| {
        let (line, column) = (SIDE - 1 - pixel / SIDE, pixel % SIDE);
        [left + (column as f32 + 0.5) * across, low + (line as f32 + 0.5) * up]
    };
    let grid = Matrix::new((0..SIDE * SIDE).flat_map(place).collect(), 2);
    let values = model.log_prob(&grid, &Matrix::new(Vec::new(), 0));
    let greatest = values.iter().copied().fold(f64::MIN, f64::max);
    // The square root shows what is thin, too.
    let picture = values.into_iter().map(|value| ((0.5 * (value - greatest)).exp()) as f32).collect();
    let columns = &model.config().columns.columns;
    report
        .section("The density")
        .text(&format!(
            "Over {} (from left to right) and {} (from below), as far as held-out rows reach; light is dense, by the square root.",
            columns[0].name, columns[1].name
        ))
        .plots([(PictureGrid::new([1, SIDE, SIDE], vec![picture]).svg(1), String::new())]);
}

fn pairs(report: &mut Report, model: &Model, cells: &Matrix, condition: &Matrix) -> Result<(), Error> {
    let columns = &model.config().columns;
    let width = columns.columns.len().min(MOST_PAIRED);
    if width < 2 {
        return Ok(());
    }
    let drawn = model.sample(cells.rows(), condition, model.config().record.training.seed)?;
    let drawn = columns.encode(&drawn)?;
    let mut plots = Vec::new();
    for a in 0..width {
        for b in a + 1..width {
            let (x, y) = (&columns.columns[a].name, &columns.columns[b].name);
            let plot = ScatterPlot::new(format!("{x}, {y}"), x.clone(), y.clone())
                .group("held out", points(cells, a, b))
                .group("drawn", points(&drawn, a, b));
            plots.push((plot.svg(), String::new()));
        }
    }
    report
        .section("Data and samples")
        .text("Columns are standardised. Where the model fits, both colours fill the same places.")
        .plots(plots);
    Ok(())
}

fn path(report: &mut Report, model: &Model, cells: &Matrix, condition: &Matrix) {
    if cells.columns() < 2 {
        return;
    }
    let device = model.flow.transforms.first().map(|_| burn::module::Module::devices(&model.flow));
    let device = device.and_then(|devices| devices.into_iter().next()).unwrap_or_default();
    let context = model.context(condition);
    let path = model.flow.path(to_tensor(cells, &device), context.as_ref());
    let frames = path.into_iter().enumerate().map(|(step, rows)| {
        let rows = Matrix::new(to_host(rows), cells.columns());
        let title = if step == 0 { "data".to_owned() } else { format!("after step {step}") };
        (
            ScatterPlot::new(title, "first column", "second column").group("rows", points(&rows, 0, 1)).svg(),
            String::new(),
        )
    });
    report
        .section("The way from the data to the base")
        .text("The first two columns of held-out rows after each step. The last picture should look like the base: a round cloud.")
        .plots(frames);
}

fn calibration(report: &mut Report, model: &Model, cells: &Matrix, condition: &Matrix) {
    let z = model.encode(cells, condition);
    if model.flow.base.cumulative(0.0).is_none() {
        return;
    }
    let mut plot = LinePlot::new("Calibration of the base values", "expected share", "share found")
        .line("as it should be", vec![(0.0, 0.0), (1.0, 1.0)]);
    for (at, column) in model.config().columns.columns.iter().enumerate().take(7) {
        let mut shares: Vec<f64> =
            (0..z.rows()).filter_map(|row| model.flow.base.cumulative(f64::from(z.row(row)[at]))).collect();
        shares.sort_by(f64::total_cmp);
        let count = shares.len() as f64;
        let points = shares.iter().enumerate().map(|(rank, share)| (*share, (rank as f64 + 0.5) / count));
        plot = plot.line(column.name.clone(), points.collect());
    }
    let caption = "The probability integral transform of each column's base values: on the diagonal they are standard normal. A line above it \
                   bends to values that are too small.";
    report.section("Is the base reached?").plot(plot.svg(), caption);
}
