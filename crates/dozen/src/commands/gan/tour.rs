//! The adversarial networks' stop of the tour.

use std::path::Path;

use dozen::data::{ImageShape, Schema, make, split_rows};
use dozen::generative::gan::{
    Beside, Columns, GanConfig, Lipschitz, Loss, NetworkConfig, Numbers, Saved, TrainRequest, evaluate,
    train_model, training_report,
};
use dozen::nn::{
    Decay, Existing, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig, TrainingRecord,
};
use serde_json::json;

use crate::context::Context;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

/// Eight Gaussians on a ring: does the generator find them all, and what does the critic say beside the exact distance?
pub(crate) fn tour(out: &Path, context: &Context) -> Result<Stop, Failure> {
    let made = make::gaussian_ring(5000, context.seed());
    let parts = split_rows(made.table.rows(), &[0.8, 0.2], context.seed())?;
    let (train, valid) = (made.table.select(&parts[0]), made.table.select(&parts[1]));
    let columns = Schema::infer(&train.columns_where(|name| name != "label")?, &[])?;
    let none = Schema { columns: Vec::new() };
    let (cells, held_out) = (columns.encode(&train)?, columns.encode(&valid)?);
    let (train_condition, valid_condition) = (none.encode(&train)?, none.encode(&valid)?);
    let image: Option<ImageShape> = None;
    let network = NetworkConfig::Mlp { generator: vec![128; 3], critic: vec![128; 2] };
    let plain = GanConfig::plain(network, Loss::Wasserstein, Lipschitz::GradientPenalty { weight: 0.1 });
    let config = Saved {
        model: GanConfig { noise: 2, critic_steps: 2, steps_per_epoch: 150, ..plain },
        layout: Columns::fit(&columns, &cells, Numbers::Standard, image),
        columns,
        condition: none,
        image,
        record: TrainingRecord {
            training: TrainConfig {
                epochs: 20,
                batch_size: 128,
                patience: None,
                schedule: Schedule { rate: 0.002, warm_up: 0, decay: Decay::Linear },
                seed: context.seed(),
                tensorboard: false,
            },
            optimizer: OptimizerConfig::Adam { beta_1: 0.5, beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.0 },
            clip_norm: None,
            ema: Some(0.99),
        },
        data: Vec::new(),
    };
    let run = RunFolder::begin(out, Existing::Overwrite)?;
    let request = TrainRequest {
        config,
        train: &cells,
        train_condition: &train_condition,
        valid: &held_out,
        valid_condition: &valid_condition,
    };
    let (model, history, frames) = train_model(request, &run, &context.device()?, Progress::new(true))?;
    run.finish()?;
    let beside = Beside { label: Some("label"), ..Beside::default() };
    let found = evaluate(&model, &valid, &beside, 1000, context.seed())?;
    let report = training_report(&model, &history, &found, &valid, &frames, &context.command_line())?;
    let modes = found.modes.as_ref().map_or(0, |modes| modes.count.found);
    let checks = vec![
        Check::new(modes == 8, format!("{modes} of 8 modes found")),
        Check::new(
            found.critic_value < found.wasserstein + 0.05,
            format!(
                "the critic's {:.4} is no more than the exact distance {:.4} but for noise",
                found.critic_value, found.wasserstein
            ),
        ),
    ];
    let json = json!({ "modes_found": modes, "modes": 8, "critic_value": found.critic_value, "wasserstein1": found.wasserstein });
    Ok(Stop { report, json, checks })
}
