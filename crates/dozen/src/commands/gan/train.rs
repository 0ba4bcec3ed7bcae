//! `dozen gan train`.

use std::time::Instant;

use clap::Args;
use dozen::data::{Kind, Schema};
use dozen::generative::gan::{
    Beside, Columns, Saved, TrainRequest, animation, evaluate, train_model, training_report,
};
use dozen::nn::{Decay, Schedule, TrainConfig, TrainingRecord};
use serde_json::json;

use super::shape::{Game, Shape};
use crate::begun::Begun;
use crate::columns::{self, ColumnArguments, unit_interval};
use crate::context::Context;
use crate::data::TrainingData;
use crate::output::{Failure, Results};
use crate::training::{self, Run};

#[derive(Args, Debug)]
pub(crate) struct Train {
    #[command(flatten)]
    data: TrainingData,
    #[command(flatten)]
    training: Training,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    game: Game,
    /// Make the model conditional on the label
    #[arg(long, help_heading = "Columns")]
    conditional: bool,
    #[command(flatten)]
    columns: ColumnArguments,
}

/// How long to train, and where to.
#[derive(Args, Debug)]
#[command(next_help_heading = "Training")]
struct Training {
    #[command(flatten)]
    run: Run,
    /// Steps of the generator
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    iterations: usize,
    /// Steps between looks at how it goes; whole looks are trained [default: about a thirtieth of all, at most 1000]
    #[arg(long, value_name = "N")]
    look_every: Option<usize>,
    /// Rows to a step
    #[arg(long, default_value_t = 64, value_name = "N")]
    batch_size: usize,
    /// The discriminator's learning rate [default: the papers': 5e-5 with clip, 1e-4 where slopes are held otherwise, else 2e-4]
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,
    /// Let the rates fall to zero in a straight line, and keep the last weights; otherwise, on tables, those of the look with the
    /// least distance to held-out rows
    #[arg(long)]
    linear_decay: bool,
    /// Bound on the norm of each gradient
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// Evaluate and save a moving average of the generator's weights with this decay
    #[arg(long, value_name = "D")]
    ema: Option<f64>,
    /// Also write TensorBoard event files
    #[arg(long)]
    tensorboard: bool,
}

impl Training {
    /// As asked for; else about a thirtieth of all, a divisor of them where there is one near.
    fn steps_per_epoch(&self) -> usize {
        let all = self.iterations.max(1);
        let wanted = (all / 30).clamp(1, 1000);
        let divisor = || (wanted..=(2 * wanted).min(1000)).find(|steps| all.is_multiple_of(*steps));
        self.look_every.or_else(divisor).unwrap_or(wanted).clamp(1, all)
    }

    fn config(&self, rate: f64, seed: u64) -> Result<TrainConfig, Failure> {
        let rate = self.rate.unwrap_or(rate);
        if self.iterations == 0 || self.batch_size == 0 {
            return Err(Failure::request("--iterations and --batch-size must be at least 1"));
        }
        Ok(TrainConfig {
            epochs: self.iterations.div_ceil(self.steps_per_epoch()) as u64,
            batch_size: self.batch_size,
            patience: None,
            schedule: Schedule {
                rate,
                warm_up: 0,
                decay: if self.linear_decay { Decay::Linear } else { Decay::Constant },
            },
            seed,
            tensorboard: self.tensorboard,
        })
    }
}

/// Rows that the report is about, at most.
const REPORTED: usize = 1000;

/// Pixels in [-1, 1], which is where tanh goes.
fn signed(columns: Schema) -> Schema {
    let signed = |mut column: dozen::data::ColumnSchema| {
        column.kind = match column.kind {
            Kind::Real { deviation, .. } => Kind::Real { mean: 0.5 * deviation, deviation: 0.5 * deviation },
            _ => Kind::Real { mean: 0.5, deviation: 0.5 },
        };
        column
    };
    Schema { columns: columns.columns.into_iter().map(signed).collect() }
}

pub(super) fn run(arguments: &Train, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let run = arguments.training.run.begin(context)?;
    let device = context.device()?;
    let (training, chosen) = (&arguments.training, &arguments.columns);
    let (optimizer, rate) = arguments.game.optimizer()?;
    let record = TrainingRecord {
        training: training.config(rate, context.seed())?,
        optimizer,
        clip_norm: training.clip_norm,
        ema: training.ema,
    };
    let parts = arguments.data.read(context.seed())?;
    let columns::Columns { modelled, condition, image } = chosen.choose(
        &parts.train,
        &arguments.data.categorical,
        arguments.conditional,
        |table, image, categorical| {
            if image {
                Ok(signed(unit_interval(table, true)?))
            } else {
                Ok(Schema::infer(table, categorical)?)
            }
        },
    )?;
    let model = arguments.shape.config(&arguments.game, image, training.steps_per_epoch())?;
    model.validate()?;
    record.validate()?;
    let (cells, held_out) = (modelled.encode(&parts.train)?, modelled.encode(&parts.valid)?);
    let given = (condition.encode(&parts.train)?, condition.encode(&parts.valid)?);
    let config = Saved {
        layout: Columns::fit(&modelled, &cells, arguments.shape.numbers, image),
        model,
        columns: modelled,
        condition,
        image,
        record,
        data: parts.fingerprints()?,
    };
    Begun::learns_from(&run, &config.data)?;
    let request = TrainRequest {
        config,
        train: &cells,
        train_condition: &given.0,
        valid: &held_out,
        valid_condition: &given.1,
    };
    let (model, history, frames) = train_model(request, &run, &device, context.progress())?;
    let label = parts.valid.column(&chosen.label).map(|column| column.name.as_str());
    let beside = Beside { label, ..Beside::default() };
    let found = evaluate(&model, &parts.valid, &beside, REPORTED, context.seed())?;
    let report = training_report(&model, &history, &found, &parts.valid, &frames, &context.command_line())?;
    run.write_text("report.html", &report.html())?;
    if let Some(animation) = image.and_then(|shape| animation(shape, &frames)) {
        run.write_bytes("samples.png", &animation.png())?;
    }
    let last = history.epochs.last();
    let term = |name: &str| {
        let epoch = last?;
        let terms = epoch.train.iter().chain(&epoch.valid);
        terms.clone().find(|(term, _)| term == name).map(|(_, value)| *value)
    };
    let [generator, critic] = model.parameters();
    let steps = last.map_or(0, |epoch| epoch.step);
    let json = json!({
        "family": "gan",
        "generator_parameters": generator,
        "discriminator_parameters": critic,
        "iterations": steps,
        "best_iteration": history.epochs.get(history.best_epoch.saturating_sub(1) as usize).map(|epoch| epoch.step),
        "iterations_per_second": steps as f64 / history.seconds,
        "generator_loss": term("generator_loss"),
        "discriminator_loss": term("discriminator_loss"),
        "discriminator_accuracy": term("discriminator_accuracy"),
        "js_estimate_nats": term("js_estimate_nats"),
        "critic_value": found.critic_value,
        "wasserstein1": found.wasserstein,
    });
    let lines = [
        format!("{generator} parameters of the generator, {critic} of the discriminator, {steps} steps"),
        format!(
            "the discriminator tells {:.1} % right",
            100.0 * term("discriminator_accuracy").unwrap_or(f64::NAN)
        ),
        format!(
            "Wasserstein distance from samples to held-out rows {:.4}, between two halves of those {:.4}",
            found.wasserstein, found.wasserstein_between_halves
        ),
    ];
    training::finish(run, Results::new(json).lines(lines), started, context)
}
