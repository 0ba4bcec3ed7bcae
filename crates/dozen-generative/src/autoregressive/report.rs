//! The report of a training run.

use dozen_data::{Kind, Table, Values};
use dozen_nn::{Error, History};
use dozen_report::{LinePlot, PixelGrid, Report, ScatterPlot, Table as ReportTable};

use super::{Evaluation, Model};

/// Rows drawn for the report's pictures.
const ROWS: usize = 1000;

/// Curves, the metrics beside their baselines, and samples beside data.
pub fn training_report(
    model: &Model,
    history: &History,
    held_out: Option<&Evaluation>,
    data: &Table,
    command: &str,
) -> Result<Report, Error> {
    let config = model.config();
    let architecture = format!("{:?}", config.model.architecture).to_lowercase();
    let lead = format!(
        "An autoregressive model ({architecture}) of {} columns with {} parameters, trained for {} epochs in {:.1} seconds \
         (seed {}). Every number below can be computed again with the command.",
        config.columns.columns.len(),
        model.parameters(),
        history.epochs.len(),
        history.seconds,
        config.record.training.seed
    );
    let mut report = Report::new("Autoregressive model", lead, command);
    if let Some(held_out) = held_out {
        metrics(&mut report, held_out);
    }
    curves(&mut report, history, held_out);
    samples(&mut report, model, data)?;
    Ok(report)
}

fn metrics(report: &mut Report, held_out: &Evaluation) {
    let cell = |value: f64| format!("{value:.4}");
    let [independent, chow_liu] = held_out.baselines;
    let table = ReportTable::new(["on held-out rows", "log-probability, nats a row"])
        .row(["this model".into(), format!("{:.4} ± {:.4}", held_out.log_prob, held_out.standard_error)])
        .row(["Chow-Liu tree".into(), cell(chow_liu)])
        .row(["independent columns".into(), cell(independent)]);
    report
        .section("How good it is")
        .text(
            "Higher is better. The difference to the baselines is what the model has learnt about how columns depend on \
             each other. The figure after ± is one standard error of the mean over the held-out rows.",
        )
        .table(table);
}

fn curves(report: &mut Report, history: &History, held_out: Option<&Evaluation>) {
    let [training, validation] = history.curves();
    let mut plot = LinePlot::new("Negative log-likelihood", "epoch", "nats a row")
        .line("training", training)
        .line("validation", validation);
    if let Some(held_out) = held_out {
        plot = plot.level("Chow-Liu tree", -held_out.baselines[1]);
    }
    let caption = format!(
        "Lower is better. The model has the weights of epoch {}. Training values include dropout, which is why they may \
         lie above validation.",
        history.best_epoch
    );
    report.section("How it learnt").plot(plot.svg(), &caption);
}

fn samples(report: &mut Report, model: &Model, data: &Table) -> Result<(), Error> {
    let seed = model.config().record.training.seed;
    let drawn = model.sample(ROWS, seed)?;
    let section = report.section("What it draws");
    let columns = &model.config().columns.columns;
    let numeric = |table: &Table, column: &str| -> Vec<f64> {
        let values = table.column(column).map(|c| &c.values);
        values.map_or(Vec::new(), |v| (0..v.len()).filter_map(|row| v.number(row)).collect())
    };
    let means = |table: &Table| -> Vec<f64> {
        columns.iter().map(|c| numeric(table, &c.name)).filter(|v| !v.is_empty()).map(|v| mean(&v)).collect()
    };
    let side = (columns.len() as f64).sqrt() as usize;
    let binary = columns.iter().all(|c| c.kind == Kind::Binary);
    if binary && side * side == columns.len() && side >= 6 {
        let grid = |table: &Table| PixelGrid::new(side, side, pictures(table, 40)).svg(10);
        let shown =
            [(grid(data), "From the data.".to_owned()), (grid(&drawn), "Drawn from the model.".to_owned())];
        section.plots(shown);
    }
    let real: Vec<&str> =
        columns.iter().filter(|c| matches!(c.kind, Kind::Real { .. })).map(|c| c.name.as_str()).collect();
    if let [x, y, ..] = real[..] {
        let cloud = |table: &Table, title: &str| {
            let points = numeric(table, x).into_iter().zip(numeric(table, y)).take(ROWS).collect();
            ScatterPlot::new(title, x, y).group(title, points).svg()
        };
        let shown = [
            (cloud(data, "data"), format!("The data's first rows, {x} and {y}.")),
            (cloud(&drawn, "drawn"), "As many rows drawn from the model.".to_owned()),
        ];
        section.plots(shown);
    } else {
        let against = |title: &str, data: Vec<f64>, drawn: Vec<f64>| {
            let pairs = data.into_iter().zip(drawn).collect();
            ScatterPlot::new(title, "in the data", "in drawn rows").diagonal().group("", pairs).svg()
        };
        let shown = [
            (against("Means", means(data), means(&drawn)), "Each point is a column.".to_owned()),
            (
                against("Correlations", correlations(data), correlations(&drawn)),
                format!(
                    "Each point is a pair of columns. Points scatter about the line by the noise of {ROWS} draws."
                ),
            ),
        ];
        section.plots(shown);
    }
    let shown: Vec<_> = drawn.columns().iter().take(10).collect();
    let mut table = ReportTable::new(shown.iter().map(|c| c.name.clone()));
    for row in 0..drawn.rows().min(8) {
        table = table.row(shown.iter().map(|c| match &c.values {
            Values::Number(values) => format!("{:.4}", values[row]),
            values => values.text(row),
        }));
    }
    section.text("The first drawn rows, up to ten columns:").table(table);
    Ok(())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of each pair among the first numeric columns that vary.
fn correlations(table: &Table) -> Vec<f64> {
    const MOST_COLUMNS: usize = 24;
    let columns = table.columns().iter().take(MOST_COLUMNS);
    let standardized: Vec<Vec<f64>> = columns
        .filter_map(|c| (0..table.rows()).map(|row| c.values.number(row)).collect::<Option<Vec<f64>>>())
        .map(|values| {
            let centre = mean(&values);
            let deviation = mean(&values.iter().map(|v| (v - centre).powi(2)).collect::<Vec<_>>()).sqrt();
            values.into_iter().map(|v| if deviation > 0.0 { (v - centre) / deviation } else { 0.0 }).collect()
        })
        .collect();
    let product = |a: &[f64], b: &[f64]| mean(&a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>());
    (0..standardized.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|(i, j)| product(&standardized[i], &standardized[j]))
        .collect()
}

fn pictures(table: &Table, count: usize) -> Vec<Vec<f32>> {
    (0..table.rows().min(count))
        .map(|row| table.columns().iter().map(|c| c.values.number(row).unwrap_or(0.0) as f32).collect())
        .collect()
}
