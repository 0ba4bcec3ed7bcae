//! `dozen flow train`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::Table;
use dozen::generative::flow::{
    Evaluation, Model, Saved, TrainRequest, TransformConfig, evaluate, train_model, training_report,
};
use serde_json::json;

use super::chosen::{Chosen, Columns};
use super::shape::Shape;
use crate::begun::Begun;
use crate::context::Context;
use crate::data::TrainingData;
use crate::output::Failure;
use crate::training::{self, TrainingArguments};

#[derive(Args, Debug)]
#[command(
    mut_arg("epochs", |a| a.default_value("100")),
    mut_arg("batch_size", |a| a.default_value("256")),
    mut_arg("clip_norm", |a| a.default_value("5")),
    mut_arg("decay", |a| a.default_value("cosine"))
)]
pub(crate) struct Train {
    #[command(flatten)]
    data: TrainingData,
    #[command(flatten)]
    training: TrainingArguments,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    columns: Chosen,
    /// A rectified flow to make straighter: the new one goes on from it, with its columns and shape, on couples that it draws
    #[arg(long, value_name = "MODEL", help_heading = "Flow")]
    reflow: Option<PathBuf>,
}

pub(super) fn run(arguments: &Train, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let run = arguments.training.run.begin(context)?;
    let devices = arguments.training.devices(context)?;
    let record = arguments.training.record(context.seed())?;
    let parts = arguments.data.read(context.seed())?;
    let teacher = arguments.reflow.as_ref().map(|model| Model::open(model, &devices[0])).transpose()?;
    let columns = match &teacher {
        Some(teacher) => columns_of(teacher)?,
        None => arguments.columns.choose(&parts.train, &arguments.data.categorical)?,
    };
    let model = match &teacher {
        Some(teacher) => teacher.config().model.clone(),
        None => arguments.shape.config(columns.image)?,
    };
    if columns.variational && matches!(model.transforms[..], [TransformConfig::Rectified { .. }]) {
        return Err(Failure::request(
            "--variational needs a flow that is learnt by the likelihood, which rectified is not",
        ));
    }
    let config = Saved {
        model,
        whole: columns.whole,
        variational: columns.variational.then(|| arguments.shape.hidden()),
        image: columns.image,
        columns: columns.modelled,
        condition: columns.condition,
        record,
        data: parts.fingerprints()?,
    };
    let width = config.columns.columns.len();
    config.model.validate(width)?;
    if config.image.is_none() && parts.train.rows() <= width {
        return Err(Failure::request(format!(
            "{} training rows cannot tell the density of {width} columns; more rows or fewer --columns are needed",
            parts.train.rows()
        )));
    }
    let cells = |table: &Table| -> Result<_, Failure> {
        Ok((config.columns.encode(table)?, config.condition.encode(table)?))
    };
    let ((rows, rows_condition), (valid, valid_condition)) = (cells(&parts.train)?, cells(&parts.valid)?);
    Begun::learns_from(&run, &config.data)?;
    let request = TrainRequest {
        config,
        train: &rows,
        train_condition: &rows_condition,
        valid: &valid,
        valid_condition: &valid_condition,
        reflow: teacher.as_ref(),
    };
    let (model, history) = train_model(request, &run, &devices, context.progress())?;
    let held_out = evaluate(&model, &parts.valid)?;
    let tested = parts.test.as_ref().map(|test| evaluate(&model, test)).transpose()?;
    let report = training_report(&model, &history, &held_out, &parts.valid, &context.command_line())?;
    run.write_text("report.html", &report.html())?;
    let mut results = training::trained("flow", model.parameters() as u64, &history)
        .figures(json!({ "valid_log_prob_nats_per_row": held_out.log_prob }))
        .line(in_words("validation", &held_out));
    if let Some(tested) = tested {
        results = results
            .figures(json!({ "test_log_prob_nats_per_row": tested.log_prob }))
            .line(in_words("test", &tested));
    }
    training::finish(run, results, started, context)
}

/// Those of a rectified flow.
fn columns_of(teacher: &Model) -> Result<Columns, Failure> {
    let config = teacher.config();
    let [TransformConfig::Rectified { .. }] = config.model.transforms[..] else {
        return Err(Failure::request("--reflow takes a model of --preset rectified"));
    };
    Ok(Columns {
        modelled: config.columns.clone(),
        condition: config.condition.clone(),
        whole: config.whole.clone(),
        image: config.image,
        variational: false,
    })
}

pub(super) fn in_words(rows: &str, found: &Evaluation) -> String {
    format!(
        "log-probability of {rows} rows: {:.4} ± {:.4} nats a row, {:.4} bits a dimension",
        found.log_prob, found.standard_error, found.bits_per_dimension
    )
}
