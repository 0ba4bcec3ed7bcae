//! The rnn stop of the tour.

use std::path::Path;

use dozen::data::make;
use dozen::nn::{
    Decay, Existing, OptimizerConfig, Progress, RunFolder, Schedule, TrainConfig, TrainingRecord,
};
use dozen::sequence::{
    CellKind, Config, Data, DropoutConfig, NetworkConfig, Shown, Task, TrainRequest, UnitKind, Units,
    evaluate_language, train_model, training_report,
};
use serde_json::json;

use super::{data, generate};
use crate::context::Context;
use crate::output::Failure;
use crate::tour_stop::{Check, Stop};

/// Strings of a grammar whose entropy is known: what a language model can at best reach.
pub(crate) fn tour(out: &Path, context: &Context) -> Result<Stop, Failure> {
    let made = make::reber(4000, context.seed());
    let parts = data::split_text(&made.text, &[0.9, 0.1], false);
    let units = Units::of_texts(&UnitKind::Characters, [made.text.as_str()]);
    let ids = |text: &str| units.encode(text, "the text");
    let (train, valid) = (ids(parts[0])?, ids(parts[1])?);
    let config = Config {
        model: NetworkConfig {
            cell: CellKind::Gru,
            hidden: 32,
            layers: 1,
            bidirectional: false,
            projection: None,
            layer_norm: false,
            embedding: 16,
            tied: false,
            learned_state: false,
            forget_bias: 1.0,
            dropout: DropoutConfig::default(),
        },
        task: Task::LanguageModel,
        sequence_length: 40,
        record: TrainingRecord {
            training: TrainConfig {
                epochs: 8,
                batch_size: 20,
                patience: None,
                schedule: Schedule { rate: 0.01, warm_up: 0, decay: Decay::Cosine },
                seed: context.seed(),
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: Some(1.0),
            ema: None,
        },
        data: Vec::new(),
    };
    let run = RunFolder::begin(out, Existing::Overwrite)?;
    let request = TrainRequest {
        config,
        units: Some(units.clone()),
        data: Data::Text { train: &train, valid: &valid },
        vectors: Vec::new(),
    };
    let (model, history) = train_model(request, &run, &context.device()?, Progress::new(true))?;
    run.finish()?;
    let found = evaluate_language(&model, &valid, data::predicted_bytes(&units, parts[1], &valid), None)?;
    let truth = made.nats_per_character;
    let results = [
        ("nats a character".to_owned(), format!("{:.4}", found.nats_per_token)),
        ("the grammar's own entropy".to_owned(), format!("{truth:.4}")),
    ];
    let shown = [Shown::Text { prompt: String::new(), text: generate::specimen(&model, context.seed())? }];
    let report = training_report(&model, &history, &results, &shown, &context.command_line());
    let checks = vec![Check::new(
        (found.nats_per_token - truth).abs() < 0.03,
        format!(
            "{:.4} nats a character of a Reber grammar, whose entropy is {truth:.4}",
            found.nats_per_token
        ),
    )];
    let json = json!({ "nats_per_token": found.nats_per_token, "entropy_nats_per_token": truth });
    Ok(Stop { report, json, checks })
}
