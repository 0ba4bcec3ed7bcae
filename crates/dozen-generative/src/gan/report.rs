//! The report of a training run.

use dozen_data::{ImageShape, Matrix, Table};
use dozen_nn::{Error, History};
use dozen_report::{Animation, BarPlot, LinePlot, PictureGrid, Report, Table as ReportTable};

use super::{Evaluation, Loss, Model, Modes};
use crate::pairs::pairs;

/// Rows in the report's pictures.
const ROWS: usize = 1500;

/// Pictures of each sort.
const PICTURES: usize = 64;

/// Pictures to a line.
const LINE: usize = 8;

/// The results, how both sides fared, and samples beside data. `frames` are images drawn from one noise after each epoch.
pub fn training_report(
    model: &Model,
    history: &History,
    held_out: &Evaluation,
    data: &Table,
    frames: &[Matrix],
    command: &str,
) -> Result<Report, Error> {
    let config = model.config();
    let [generator, critic] = model.parameters();
    let steps = history.epochs.last().map_or(0, |epoch| epoch.step);
    let lead = format!(
        "A generator of {} columns with {generator} parameters and a critic with {critic}, trained against each other for {steps} steps in {:.1} seconds \
         (seed {}). Every number below can be computed again with the command.",
        config.columns.columns.len(),
        history.seconds,
        config.record.training.seed
    );
    let mut report = Report::new("Generative adversarial network", lead, command);
    results(&mut report, held_out);
    curves(&mut report, history, config.model.loss);
    if let Some(modes) = &held_out.modes {
        mode_shares(&mut report, modes);
    }
    let rows: Vec<usize> = (0..data.rows().min(ROWS)).collect();
    let (cells, condition) = model.cells(&data.select(&rows))?;
    if let Some(shape) = config.image {
        images(&mut report, model, shape, &cells, &condition, frames);
    } else {
        let drawn = model.sample(cells.rows(), &condition, config.record.training.seed);
        pairs(report.section("Data and samples"), &config.columns.columns, &cells, &drawn);
    }
    Ok(report)
}

fn results(report: &mut Report, found: &Evaluation) {
    let value = |value: f64| format!("{value:.4}");
    let share = |value: f64| format!("{:.1} %", 100.0 * value);
    let mut table = ReportTable::new(["samples beside held-out rows", ""])
        .row(["Wasserstein distance, exact".into(), value(found.wasserstein)])
        .row(["the same between two halves of the rows".into(), value(found.wasserstein_between_halves)])
        .row(["critic's value at rows less that at samples".into(), value(found.critic_value)])
        .row(["told right by the critic".into(), share(found.accuracy)])
        .row(["Fréchet distance".into(), value(found.frechet)])
        .row(["kernel distance".into(), format!("{:.6}", found.kernel_distance)])
        .row(["precision: samples that look like data".into(), share(found.neighbours.precision)])
        .row(["recall: data that is reached".into(), share(found.neighbours.recall)])
        .row(["density".into(), value(found.neighbours.density)])
        .row(["coverage".into(), share(found.neighbours.coverage)]);
    if let Some(modes) = &found.modes {
        let count = &modes.count;
        table = table
            .row(["modes found".into(), format!("{} of {}", count.found, modes.names.len())])
            .row(["samples of high quality".into(), share(count.high_quality)]);
    }
    if let Some(copying) = &found.copying {
        table = table.row([
            "nearer to training rows than held-out rows are".into(),
            share(copying.nearer_than_held_out),
        ]);
    }
    report.section("How good it is").table(table);
}

fn curves(report: &mut Report, history: &History, loss: Loss) {
    let of = |name: &'static str, valid: bool| -> Vec<(f64, f64)> {
        let value = |epoch: &dozen_nn::EpochRecord| {
            let terms = if valid { &epoch.valid } else { &epoch.train };
            terms.iter().find(|(term, _)| term == name).map(|(_, value)| (epoch.step as f64, *value))
        };
        history.epochs.iter().filter_map(value).collect()
    };
    let losses = LinePlot::new("Losses", "step", "loss")
        .line("generator", of("generator_loss", false))
        .line("discriminator", of("discriminator_loss", false));
    let accuracy = LinePlot::new("What the discriminator tells right", "step", "share")
        .line("of data and samples", of("discriminator_accuracy", false))
        .level("chance", 0.5);
    let section = report.section("How both sides fared");
    section.plot(losses.svg(), "Neither falls when all goes well: each side learns from the other.");
    section.plot(
        accuracy.svg(),
        "Near 1 the generator learns nothing from a saturated loss, near 0.5 the discriminator is fooled.",
    );
    let js = of("js_estimate_nats", false);
    if !js.is_empty() {
        let plot = LinePlot::new("Jensen-Shannon divergence, as the discriminator bounds it", "step", "nats")
            .line("ln 2 - loss / 2", js)
            .level("ln 2, where it saturates", std::f64::consts::LN_2);
        section.plot(plot.svg(), "Of data and samples that do not overlap it is ln 2 however near they are: it cannot say how training goes.");
    }
    let plot = LinePlot::new("Distance of samples to held-out rows", "step", "distance")
        .line("exact transport", of("wasserstein1", true));
    let plot = match loss {
        Loss::Wasserstein => plot.line("the critic's value", of("critic_value", true)),
        _ => plot,
    };
    let caption = match loss {
        Loss::Wasserstein => {
            "With slopes of one the critic's value is the transport distance or less; it can be more where its slopes are steeper."
        }
        _ => "Between rows as the networks see them.",
    };
    section.plot(plot.svg(), caption);
}

fn mode_shares(report: &mut Report, modes: &Modes) {
    let good: usize = modes.count.counts.iter().sum();
    let share = |count: &usize| *count as f64 / good.max(1) as f64;
    let plot =
        modes.names.iter().zip(&modes.count.counts).fold(BarPlot::new(["samples"]), |plot, (name, count)| {
            plot.category(name.clone(), vec![share(count)])
        });
    let caption = format!(
        "Samples of high quality by the mode that they are nearest to; KL from data {:.4} nats.",
        modes.count.divergence
    );
    report.section("Modes").plot(plot.svg(), &caption);
}

/// From [-1, 1] to [0, 1].
fn grid(shape: ImageShape, cells: &Matrix) -> PictureGrid {
    let light = |row: usize| cells.row(row).iter().map(|value| 0.5 * (value + 1.0)).collect();
    PictureGrid::new([shape.channels, shape.height, shape.width], (0..cells.rows()).map(light).collect())
}

/// Images drawn from one noise after each epoch, one grid after the other; `None` where there are none.
pub fn animation(shape: ImageShape, frames: &[Matrix]) -> Option<Animation> {
    Animation::new(frames.iter().map(|frame| grid(shape, frame)), LINE, 200)
}

fn images(
    report: &mut Report,
    model: &Model,
    shape: ImageShape,
    cells: &Matrix,
    condition: &Matrix,
    frames: &[Matrix],
) {
    let first: Vec<usize> = (0..cells.rows().min(PICTURES)).collect();
    let given = if condition.columns() > 0 { condition.select(&first) } else { condition.clone() };
    let seed = model.config().record.training.seed;
    let drawn = model.sample(first.len(), &given, seed);
    report.section("Images").plots([
        (grid(shape, &cells.select(&first)).svg(LINE), "Held-out images.".to_owned()),
        (grid(shape, &drawn).svg(LINE), "Drawn.".to_owned()),
    ]);
    if let Some(animation) = animation(shape, frames) {
        report
            .section("While it learnt")
            .plot(animation.svg(), "Images from the same noise after each epoch, one after the other.");
    }
    let ways: Vec<f32> = (0..4)
        .flat_map(|way| {
            let given = given.select(&[way as usize % given.rows().max(1); 2 * LINE]);
            model.interpolate(2 * LINE, &given, seed.wrapping_add(way)).values().to_vec()
        })
        .collect();
    let ways = Matrix::new(ways, shape.size());
    report.section("From one noise to another").plot(
        grid(shape, &ways).svg(2 * LINE),
        "Each line goes from one noise to another. Where it changes at once, the generator has learnt single images.",
    );
}
