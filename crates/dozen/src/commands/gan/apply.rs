//! `dozen gan eval`, `score`, `sample` and `interpolate`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use dozen::data::{Column, ImageShape, Matrix, Table, write_table};
use dozen::generative::TableModel;
use dozen::generative::gan::{Beside, Evaluation, Model, evaluate};
use dozen::generative::vae;
use dozen::nn::{Error, ModelFolder};
use dozen::vision::efficientnet;
use dozen::vision::picture::Picture;
use serde_json::{Value, json};

use crate::context::Context;
use crate::data::{LABEL, OnData, ToTable, number_column};
use crate::made_rows::{Made, Sample};
use crate::output::{Failure, Results};

fn open(on: &OnData, context: &Context) -> Result<(Model, Table), Failure> {
    let model = Model::open(&on.model, &context.device()?)?;
    let table = on.read.read(&on.data, context.seed(), text_columns(&model))?;
    Ok((model, table))
}

fn text_columns(model: &Model) -> Vec<String> {
    [model.config().columns.text_columns(), model.config().condition.text_columns()].concat()
}

#[derive(Args, Debug)]
pub(crate) struct Eval {
    #[command(flatten)]
    on: OnData,
    /// Rows and samples to compare, at most
    #[arg(long, default_value_t = 2000, value_name = "N")]
    rows: usize,
    /// The column that names each row's mode
    #[arg(long, default_value = LABEL, value_name = "COLUMN")]
    label: String,
    /// Training rows: are samples nearer to them than held-out rows are?
    #[arg(long, value_name = "FILE")]
    train: Option<String>,
    /// A model between whose features distances are measured: a `dozen vae` of the same columns, or of images a `dozen efficientnet`
    #[arg(long, value_name = "MODEL")]
    features: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Interpolate {
    /// A model folder
    model: PathBuf,
    /// Rows to make, both ends among them
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    count: usize,
    #[command(flatten)]
    made: Made,
}

pub(super) fn eval(arguments: &Eval, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(&arguments.on, context)?;
    let train = arguments
        .train
        .as_ref()
        .map(|file| arguments.on.read.read(file, context.seed(), text_columns(&model)))
        .transpose()?;
    let image = model.config().image;
    let space =
        arguments.features.as_deref().map(|folder| Features::open(folder, image, context)).transpose()?;
    let in_space = |cells: &Matrix| match &space {
        Some(space) => space.of(&model.config().columns.decode(cells)?),
        None => Ok(model.rows(cells)),
    };
    let beside = Beside { train: train.as_ref(), label: Some(&arguments.label), features: Some(&in_space) };
    let found = evaluate(&model, &table, &beside, arguments.rows, context.seed())?;
    let mut json = numbers(&found);
    json["seconds"] = started.elapsed().as_secs_f64().into();
    Results::new(json).lines(in_words(&found)).print(context.json())
}

/// What a model says of a row that is no class or column.
enum Features {
    /// The latents of an autoencoder.
    Autoencoder(Box<vae::Model>),
    /// What a classifier sees of an image before it tells the class.
    Classifier(Box<efficientnet::Model>, ImageShape),
}

impl Features {
    fn open(folder: &Path, image: Option<ImageShape>, context: &Context) -> Result<Self, Failure> {
        let device = context.device()?;
        if ModelFolder::open(folder)?.family() == efficientnet::FAMILY {
            let image = image.ok_or_else(|| {
                Failure::request("--features takes a classifier of images only for a generator of images")
            })?;
            return Ok(Self::Classifier(Box::new(efficientnet::Model::open(folder, &device)?), image));
        }
        let model = vae::Model::open(folder, &device)?;
        if !model.config().condition.columns.is_empty() {
            return Err(Failure::request("--features takes an autoencoder without a condition"));
        }
        Ok(Self::Autoencoder(Box::new(model)))
    }

    fn of(&self, table: &Table) -> Result<Matrix, Error> {
        match self {
            Self::Autoencoder(model) => {
                let (cells, condition) = model.cells(table)?;
                Ok(model.encode(&cells, &condition))
            }
            Self::Classifier(model, shape) => {
                let level = |column: &Column, row: usize| column.values.number(row).unwrap_or(0.0);
                let levels = |row: usize| -> Vec<f64> {
                    table.columns().iter().map(|column| level(column, row)).collect()
                };
                let pictures: Vec<Picture> =
                    (0..table.rows()).map(|row| picture(&levels(row), *shape)).collect();
                let rows = model.features(&pictures);
                let columns = rows.first().map_or(0, Vec::len);
                Ok(Matrix::new(rows.concat(), columns))
            }
        }
    }
}

/// A row of levels from 0 to 255, a channel after the other, as a picture.
fn picture(levels: &[f64], shape: ImageShape) -> Picture {
    let places = shape.height * shape.width;
    let channel = |channel: usize| if shape.channels == 3 { channel } else { 0 };
    let level =
        |place: usize, of: usize| levels[channel(of) * places + place].clamp(0.0, 255.0).round() as u8;
    let pixels = (0..places).flat_map(|place| [0, 1, 2].map(|of| level(place, of))).collect();
    Picture { width: shape.width, height: shape.height, pixels }
}

fn numbers(found: &Evaluation) -> Value {
    let mut json = json!({
        "rows": found.rows,
        "wasserstein1": found.wasserstein,
        "wasserstein1_between_halves": found.wasserstein_between_halves,
        "critic_value": found.critic_value,
        "discriminator_accuracy": found.accuracy,
        "frechet": found.frechet,
        "kernel_distance": found.kernel_distance,
        "precision": found.neighbours.precision,
        "recall": found.neighbours.recall,
        "density": found.neighbours.density,
        "coverage": found.neighbours.coverage,
        "parzen_nats_per_row": found.parzen.log_prob,
        "parzen_standard_error": found.parzen.standard_error,
    });
    if let Some(modes) = &found.modes {
        json["modes_found"] = modes.count.found.into();
        json["modes"] = modes.names.len().into();
        json["high_quality"] = modes.count.high_quality.into();
        json["mode_kl_nats"] = modes.count.divergence.into();
        json["mode_counts"] = json!(modes.names.iter().zip(&modes.count.counts).collect::<Vec<_>>());
    }
    if let Some(copying) = &found.copying {
        json["nearer_to_training_than_held_out"] = copying.nearer_than_held_out.into();
    }
    json
}

fn in_words(found: &Evaluation) -> Vec<String> {
    let near = &found.neighbours;
    let mut lines = vec![
        format!(
            "Wasserstein distance from {} samples to as many rows {:.4}, between two halves of the rows {:.4}",
            found.rows, found.wasserstein, found.wasserstein_between_halves
        ),
        format!(
            "critic's value at rows less that at samples {:.4}; it tells {:.1} % right",
            found.critic_value,
            100.0 * found.accuracy
        ),
        format!("Fréchet distance {:.4}, kernel distance {:.6}", found.frechet, found.kernel_distance),
        format!(
            "precision {:.3}, recall {:.3}, density {:.3}, coverage {:.3}",
            near.precision, near.recall, near.density, near.coverage
        ),
        format!(
            "Parzen window (says little in many columns): {:.4} ± {:.4} nats a row",
            found.parzen.log_prob, found.parzen.standard_error
        ),
    ];
    if let Some(modes) = &found.modes {
        let count = &modes.count;
        lines.push(format!(
            "{} of {} modes found, {:.1} % of samples of high quality, KL over modes {:.4} nats",
            count.found,
            modes.names.len(),
            100.0 * count.high_quality,
            count.divergence
        ));
    }
    if let Some(copying) = &found.copying {
        lines.push(format!(
            "a sample is nearer to training rows than a held-out row with probability {:.3}; above 0.5 it copies",
            copying.nearer_than_held_out
        ));
    }
    lines
}

pub(super) fn score(arguments: &ToTable, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (model, table) = open(&arguments.on, context)?;
    let (cells, condition) = model.cells(&table)?;
    let values: Vec<f64> =
        model.critic_values(&model.rows(&cells), &condition).into_iter().map(f64::from).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let rows = write_table(&arguments.out, [Ok(Table::new(vec![number_column("critic_value", values)])?)])?;
    let (seconds, out) = (started.elapsed().as_secs_f64(), arguments.out.display().to_string());
    let json = json!({
        "critic_value": mean,
        "rows": rows,
        "rows_per_second": rows as f64 / seconds,
        "out": out,
        "seconds": seconds,
    });
    let line =
        format!("{rows} rows in {out}, {mean:.4} on average; higher looks more like data to the critic");
    Results::new(json).line(line).print(context.json())
}

pub(super) fn sample(arguments: &Sample, context: &Context) -> Result<(), Failure> {
    let (device, seed) = (context.device()?, context.seed());
    arguments.run(
        context,
        |folder| Model::open(folder, &device),
        |model, rows, condition| model.draw(rows, condition, seed),
    )
}

pub(super) fn interpolate(arguments: &Interpolate, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let Interpolate { model, count, made } = arguments;
    if *count < 2 {
        return Err(Failure::request("-n must be at least 2: both ends are among the rows"));
    }
    let model = Model::open(model, &context.device()?)?;
    made.write(&model, *count, started, context, |condition| {
        Ok(model.interpolate(*count, condition, context.seed()))
    })
}
