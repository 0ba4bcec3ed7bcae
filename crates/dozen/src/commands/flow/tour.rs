//! The flow stop of the tour.

use std::path::Path;

use dozen::data::{Schema, Table, make, split_rows};
use dozen::generative::flow::{
    BaseConfig, FlowConfig, Preset, Saved, TrainRequest, evaluate, train_model, training_report,
};
use dozen::nn::{
    Decay, Existing, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig, TrainingRecord,
};
use serde_json::json;

use crate::context::Context;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

/// A board whose entropy is known: the log-probability that a flow can at best reach.
pub(crate) fn tour(out: &Path, context: &Context) -> Result<Stop, Failure> {
    let made = make::checkerboard(6000, context.seed());
    let columns = made.table.columns().iter().take(2).cloned().collect();
    let table = Table::new(columns)?;
    let parts = split_rows(table.rows(), &[0.8, 0.2], context.seed())?;
    let (train, valid) = (table.select(&parts[0]), table.select(&parts[1]));
    let columns = Schema::infer(&train, &[])?;
    let config = Saved {
        model: FlowConfig::preset(Preset::Nsf, 3, &[32, 32], 8, BaseConfig::Gaussian),
        whole: vec![false; 2],
        variational: None,
        image: None,
        condition: Schema { columns: Vec::new() },
        record: TrainingRecord {
            training: TrainConfig {
                epochs: 30,
                batch_size: 256,
                patience: None,
                schedule: Schedule { rate: 0.005, warm_up: 0, decay: Decay::Cosine },
                seed: context.seed(),
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: Some(5.0),
            ema: None,
        },
        data: Vec::new(),
        columns,
    };
    let (rows, held_out) = (config.columns.encode(&train)?, config.columns.encode(&valid)?);
    let none = |table: &Table| config.condition.encode(table);
    let (train_condition, valid_condition) = (none(&train)?, none(&valid)?);
    let run = RunFolder::begin(out, Existing::Overwrite)?;
    let request = TrainRequest {
        config: config.clone(),
        train: &rows,
        train_condition: &train_condition,
        valid: &held_out,
        valid_condition: &valid_condition,
        reflow: None,
    };
    let (model, history) = train_model(request, &run, &[context.device()?], Progress::new(true))?;
    run.finish()?;
    let found = evaluate(&model, &valid)?;
    let report = training_report(&model, &history, &found, &valid, &context.command_line())?;
    let truth = -made.truth[0].1;
    let checks = vec![Check::new(
        (-0.4..0.1).contains(&(found.log_prob - truth)),
        format!("{:.4} nats a row of a checkerboard, of which {truth:.4} can be reached", found.log_prob),
    )];
    let json = json!({ "log_prob_nats_per_row": found.log_prob, "truth": truth });
    Ok(Stop { report, json, checks })
}
