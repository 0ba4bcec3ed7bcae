//! The report of a training run.

use dozen_data::{ImageShape, Matrix, Table};
use dozen_nn::{Error, History};
use dozen_report::{LinePlot, PictureGrid, Report, ScatterPlot, Table as ReportTable};

use super::{Evaluation, Model};
use crate::pairs::pairs;
use crate::tensors::to_host;

/// Rows in the report's pictures.
const ROWS: usize = 1500;

/// Pictures of each sort.
const PICTURES: usize = 40;

/// Pictures on a side of the manifold.
const MANIFOLD: usize = 15;

/// The results, the curves, the latent, and data beside what the model makes of them.
///
/// `labels` is the name of the column that colours the latent, if there is one.
pub fn training_report(
    model: &Model,
    history: &History,
    held_out: &Evaluation,
    data: &Table,
    labels: Option<&str>,
    command: &str,
) -> Result<Report, Error> {
    let config = model.config();
    let lead = format!(
        "An autoencoder of {} columns with a latent of {} and {} parameters, trained for {} epochs in {:.1} seconds (seed {}). Every number below \
         can be computed again with the command.",
        config.columns.columns.len(),
        config.model.latent,
        model.parameters(),
        history.epochs.len(),
        history.seconds,
        config.record.training.seed
    );
    let mut report = Report::new("Variational autoencoder", lead, command);
    results(&mut report, held_out);
    curves(&mut report, history);
    let rows: Vec<usize> = (0..data.rows().min(ROWS)).collect();
    let data = data.select(&rows);
    let (cells, condition) = model.cells(&data)?;
    latent(&mut report, model, held_out, &cells, &condition, labels.and_then(|name| data.column(name)));
    if let Some(shape) = config.image {
        images(&mut report, model, shape, &cells, &condition);
    } else {
        let drawn = model.sample(cells.rows(), &condition, config.record.training.seed, false);
        pairs(report.section("Data and samples"), &config.columns.columns, &cells, &drawn);
    }
    Ok(report)
}

fn results(report: &mut Report, held_out: &Evaluation) {
    let nats = |value: f64| format!("{value:.4}");
    let mut table = ReportTable::new(["on held-out rows", "nats a row"])
        .row([
            "evidence lower bound".into(),
            format!("{:.4} ± {:.4}", held_out.elbo, held_out.standard_error),
        ])
        .row(["reconstruction, ln p(x | z)".into(), nats(held_out.reconstruction)])
        .row(["divergence from the prior".into(), nats(held_out.divergence)]);
    if let Some([means, deviations]) = held_out.parts {
        table = table
            .row(["of it, what the means cost".into(), nats(means)])
            .row(["of it, what the deviations cost".into(), nats(deviations)]);
    }
    for bound in &held_out.bounds {
        table = table.row([
            format!("importance-weighted bound, {} draws", bound.draws),
            format!("{:.4} ± {:.4}", bound.nats, bound.standard_error),
        ]);
    }
    let section = report.section("How good it is");
    section.table(table);
    let (active, all) = (held_out.active_units, held_out.by_column.len());
    section.text(&format!(
        "{active} latent columns are active: their posterior means vary over rows by more than 0.01."
    ));
    if let Some(perplexity) = held_out.code_perplexity {
        section.text(&format!("As many codes are in use as {perplexity:.1} equally frequent ones would be."));
    }
    if 2 * active < all {
        section.text(
            "Most latent columns say nothing: the posterior has collapsed onto the prior there. A smaller --latent, --kl-warm-up or --free-bits helps, if \
             more of them are wanted.",
        );
    }
}

fn curves(report: &mut Report, history: &History) {
    let of = |term| history.curve(term);
    let plot = LinePlot::new("Loss", "epoch", "nats a row")
        .line("training objective", of("objective_nats_per_row"))
        .line("validation, minus the bound of one draw", of("negative_elbo_nats_per_row"))
        .line(
            "validation, minus the bound of as many draws as in training",
            of("negative_bound_nats_per_row"),
        );
    let parts = LinePlot::new("The divergence in validation", "epoch", "nats a row")
        .line("divergence", of("kl_nats_per_row"));
    let caption = format!("Lower is better. The model has the weights of epoch {}.", history.best_epoch);
    report.section("How it learnt").plot(plot.svg(), &caption).plot(parts.svg(), "What the latent costs.");
}

fn latent(
    report: &mut Report,
    model: &Model,
    held_out: &Evaluation,
    cells: &Matrix,
    condition: &Matrix,
    labels: Option<&dozen_data::Column>,
) {
    let z = model.encode(cells, condition);
    let section = report.section("The latent");
    if !held_out.by_column.is_empty() {
        let mut sorted = held_out.by_column.clone();
        sorted.sort_by(|a, b| f64::total_cmp(b, a));
        let points = sorted.iter().enumerate().map(|(rank, nats)| (rank as f64 + 1.0, *nats)).collect();
        let plot = LinePlot::new("Divergence by latent column", "column, the largest first", "nats a row");
        section.plot(plot.line("divergence", points).svg(), "Columns near zero say nothing about the row.");
    }
    if z.columns() < 2 {
        return;
    }
    // The two columns that vary the most.
    let spread = |column: usize| {
        let values = || (0..z.rows()).map(|row| z.row(row)[column]);
        let mean = values().sum::<f32>() / z.rows() as f32;
        values().map(|value| (value - mean).powi(2)).sum::<f32>()
    };
    let mut order: Vec<usize> = (0..z.columns()).collect();
    order.sort_by(|a, b| f32::total_cmp(&spread(*b), &spread(*a)));
    let (a, b) = (order[0].min(order[1]), order[0].max(order[1]));
    let name = |row: usize| labels.map_or_else(String::new, |column| column.values.text(row));
    let mut groups: std::collections::BTreeMap<String, Vec<(f64, f64)>> = std::collections::BTreeMap::new();
    for row in 0..z.rows() {
        let point = (f64::from(z.row(row)[a]), f64::from(z.row(row)[b]));
        groups.entry(name(row)).or_default().push(point);
    }
    let plot = ScatterPlot::new("Held-out rows", format!("z_{}", a + 1), format!("z_{}", b + 1));
    let plot = groups.into_iter().take(24).fold(plot, |plot, (name, points)| plot.group(name, points));
    section
        .plot(plot.svg(), "The two latent columns that vary the most, coloured by label where there is one.");
}

/// `[channels, height, width]`.
fn sides(shape: ImageShape) -> [usize; 3] {
    [shape.channels, shape.height, shape.width]
}

fn grid(shape: ImageShape, cells: &Matrix, columns: usize) -> String {
    let pictures = (0..cells.rows()).map(|row| cells.row(row).to_vec()).collect();
    PictureGrid::new(sides(shape), pictures).svg(columns)
}

fn images(report: &mut Report, model: &Model, shape: ImageShape, cells: &Matrix, condition: &Matrix) {
    let first: Vec<usize> = (0..cells.rows().min(PICTURES)).collect();
    let (inputs, given) = (cells.select(&first), condition.select(&first));
    let z = model.encode(&inputs, &given);
    let seed = model.config().record.training.seed;
    let section = report.section("Images");
    section.plots([
        (grid(shape, &inputs, 8), "Held-out images.".to_owned()),
        (grid(shape, &model.decode(&z, &given), 8), "What the model makes of them.".to_owned()),
        (grid(shape, &model.sample(first.len(), &given, seed, true), 8), "Drawn from the prior.".to_owned()),
    ]);
    if model.config().model.latent == 2 && condition.columns() == 0 {
        let quantile = |place: usize| {
            let share = 0.05 + 0.9 * place as f64 / (MANIFOLD - 1) as f64;
            normal_quantile(share) as f32
        };
        // The second column grows upwards.
        let place = |at: usize| [quantile(at % MANIFOLD), quantile(MANIFOLD - 1 - at / MANIFOLD)];
        let z = Matrix::new((0..MANIFOLD * MANIFOLD).flat_map(place).collect(), 2);
        let none = Matrix::new(Vec::new(), 0);
        report.section("The manifold").plot(
            grid(shape, &model.decode(&z, &none), MANIFOLD),
            "The plane of the latent, from its 5th to its 95th hundredth along each side.",
        );
    }
}

/// The value below which a standard normal lies with this probability, by halving.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle: f64 = f64::midpoint(low, high);
        let below = 0.5 * libm::erfc(-middle * std::f64::consts::FRAC_1_SQRT_2);
        if below < share { low = middle } else { high = middle }
    }
    low
}

impl Model {
    /// What networks see of cells, categories as one of many: what distances between rows are measured in.
    pub fn inputs(&self, cells: &Matrix, condition: &Matrix) -> Matrix {
        let width = self.config().input_width();
        let pieces = self.pieces(cells, condition, ROWS);
        Matrix::new(pieces.flat_map(|rows| to_host(rows.inputs)).collect(), width)
    }
}
