//! The autoencoder's stop of the tour.

use std::path::Path;

use dozen::data::{Schema, make, split_rows};
use dozen::generative::vae::{
    LatentConfig, Likelihood, NetworkConfig, Objective, PosteriorConfig, PriorConfig, Saved, TrainRequest,
    VaeConfig, evaluate, train_model, training_report,
};
use dozen::nn::{
    Decay, Existing, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig, TrainingRecord,
};
use serde_json::json;

use crate::context::Context;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

/// Bits whose entropy is known: no bound on their log-probability is above its negative.
pub(crate) fn tour(out: &Path, context: &Context) -> Result<Stop, Failure> {
    let made = make::binary_tree(5000, 12, context.seed());
    let parts = split_rows(made.table.rows(), &[0.8, 0.2], context.seed())?;
    let (train, valid) = (made.table.select(&parts[0]), made.table.select(&parts[1]));
    let columns = Schema::infer(&train, &[])?;
    let (rows, held_out) = (columns.encode(&train)?, columns.encode(&valid)?);
    let none = Schema { columns: Vec::new() };
    let (train_condition, valid_condition) = (none.encode(&train)?, none.encode(&valid)?);
    let config = Saved {
        model: VaeConfig {
            network: NetworkConfig::Mlp { hidden: vec![64] },
            latent: 6,
            kind: LatentConfig::Variational {
                posterior: PosteriorConfig::Diagonal,
                prior: PriorConfig::Standard,
            },
            likelihood: Likelihood::Bernoulli,
            condition_networks: false,
            objective: Objective { importance: 5, ..Objective::default() },
        },
        columns,
        condition: none,
        image: None,
        record: TrainingRecord {
            training: TrainConfig {
                epochs: 25,
                batch_size: 100,
                patience: None,
                schedule: Schedule { rate: 0.003, warm_up: 0, decay: Decay::Cosine },
                seed: context.seed(),
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: None,
            ema: None,
        },
        data: Vec::new(),
    };
    let run = RunFolder::begin(out, Existing::Overwrite)?;
    let request = TrainRequest {
        config,
        train: &rows,
        train_condition: &train_condition,
        valid: &held_out,
        valid_condition: &valid_condition,
    };
    let (model, history) = train_model(request, &run, &context.device()?, Progress::new(true))?;
    run.finish()?;
    let found = evaluate(&model, &valid, 100, context.seed())?;
    let report = training_report(&model, &history, &found, &valid, None, &context.command_line())?;
    let (bound, truth) = (found.bounds.last().map_or(found.elbo, |bound| bound.nats), -made.truth[0].1);
    let checks = vec![Check::new(
        (-0.4..0.15).contains(&(bound - truth)),
        format!("a bound of {bound:.4} nats a row on bits of which {truth:.4} can be reached"),
    )];
    Ok(Stop { report, json: json!({ "log_prob_bound_nats_per_row": bound, "truth": truth }), checks })
}
