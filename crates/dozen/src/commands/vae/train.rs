//! `dozen vae train`.

use std::time::Instant;

use clap::Args;
use dozen::generative::vae::{Evaluation, Saved, TrainRequest, evaluate, train_model, training_report};
use serde_json::json;

use super::chosen::Chosen;
use super::shape::{ObjectiveFlags, Shape};
use crate::begun::Begun;
use crate::columns::Columns;
use crate::context::Context;
use crate::data::TrainingData;
use crate::output::Failure;
use crate::training::{self, TrainingArguments};

#[derive(Args, Debug)]
#[command(mut_arg("epochs", |a| a.default_value("100")))]
pub(crate) struct Train {
    #[command(flatten)]
    data: TrainingData,
    #[command(flatten)]
    training: TrainingArguments,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    objective: ObjectiveFlags,
    #[command(flatten)]
    columns: Chosen,
}

/// Importance draws in a report.
const REPORT_DRAWS: usize = 10;

pub(super) fn run(arguments: &Train, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let run = arguments.training.run.begin(context)?;
    let device = arguments.training.one_device(context)?;
    let record = arguments.training.record(context.seed())?;
    let parts = arguments.data.read_with_missing(context.seed())?;
    let chosen = &arguments.columns;
    let shape = chosen.columns.shape(&parts.train);
    let model = arguments.shape.config(&arguments.objective, shape, chosen.conditional())?;
    let Columns { modelled, condition, image } =
        chosen.choose(&parts.train, &arguments.data.categorical, model.likelihood)?;
    let config = Saved { model, columns: modelled, condition, image, record, data: parts.fingerprints()? };
    let (train, valid) = (
        config.columns.encode_with_missing(&parts.train)?,
        config.columns.encode_with_missing(&parts.valid)?,
    );
    let given = (config.condition.encode(&parts.train)?, config.condition.encode(&parts.valid)?);
    Begun::learns_from(&run, &config.data)?;
    let request = TrainRequest {
        config,
        train: &train,
        train_condition: &given.0,
        valid: &valid,
        valid_condition: &given.1,
    };
    let (model, history) = train_model(request, &run, &device, context.progress())?;
    let held_out = evaluate(&model, &parts.valid, REPORT_DRAWS, context.seed())?;
    let tested =
        parts.test.as_ref().map(|test| evaluate(&model, test, REPORT_DRAWS, context.seed())).transpose()?;
    let label = parts.valid.column(&chosen.columns.label).map(|column| column.name.as_str());
    let report = training_report(&model, &history, &held_out, &parts.valid, label, &context.command_line())?;
    run.write_text("report.html", &report.html())?;
    let mut results = training::trained("vae", model.parameters() as u64, &history)
        .figures(json!({
            "valid_elbo_nats_per_row": held_out.elbo,
            "reconstruction_nats_per_row": held_out.reconstruction,
            "kl_nats_per_row": held_out.divergence,
            "active_units": held_out.active_units,
        }))
        .line(in_words("validation", &held_out));
    if let Some(tested) = tested {
        results =
            results.figures(json!({ "test_elbo_nats_per_row": tested.elbo })).line(in_words("test", &tested));
    }
    training::finish(run, results, started, context)
}

pub(super) fn in_words(rows: &str, found: &Evaluation) -> String {
    format!(
        "bound of {rows} rows: {:.4} ± {:.4} nats a row, of them {:.4} for the reconstruction and {:.4} for the latent",
        found.elbo,
        found.standard_error,
        found.reconstruction,
        0.0 - found.divergence
    )
}
