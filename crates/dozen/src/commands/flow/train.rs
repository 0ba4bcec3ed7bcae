//! `dozen flow train`.

use std::time::Instant;

use clap::Args;
use dozen::data::{Kind, Schema, Table, Values};
use dozen::generative::flow::{
    Calibration, Config, Evaluation, TrainRequest, evaluate, score, train_model, training_report,
};
use dozen::nn::RunFolder;
use serde_json::json;

use super::shape::Shape;
use crate::args::{Command as Noun, Context, Invocation};
use crate::data::TrainingData;
use crate::output::{Failure, Results};
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
}

/// Which columns are modelled, and how.
#[derive(Args, Debug)]
#[command(next_help_heading = "Columns")]
pub(super) struct Chosen {
    /// Columns to model [default: all but those of --condition]
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    columns: Vec<String>,
    /// Columns that the density is conditional on; numbers, bits or categories
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    condition: Vec<String>,
    /// Columns of whole numbers, which uniform noise makes continuous
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    dequantize: Vec<String>,
}

/// The file of held-out log-probabilities in a model folder.
pub(super) const CALIBRATION: &str = "calibration.json";

/// Held-out rows that odd ones are compared with, at most.
const CALIBRATED: usize = 10_000;

pub(super) fn run(arguments: &Train, context: &Context) -> Result<(), Failure> {
    let Some(out) = &arguments.training.resume else { return train(arguments, context, None) };
    let (run, Invocation { command, context }) = training::resume(out, context)?;
    match command {
        Noun::Flow(super::Command::Train(arguments)) => train(&arguments, &context, Some(run)),
        _ => Err(Failure::request(format!("the unfinished run of {} is of another family", out.display()))),
    }
}

fn train(arguments: &Train, context: &Context, resumed: Option<RunFolder>) -> Result<(), Failure> {
    let started = Instant::now();
    let device = context.device()?;
    let training = arguments.training.config(context.seed())?;
    let parts = arguments.data.read(context.seed())?;
    let (columns, condition) = arguments.columns.choose(&parts.train, &arguments.data.categorical)?;
    let whole = columns.columns.iter().map(|column| arguments.columns.dequantize.contains(&column.name));
    let config = Config {
        model: arguments.shape.config(),
        whole: whole.collect(),
        columns,
        condition,
        training,
        optimizer: arguments.training.optimizer(),
        clip_norm: arguments.training.clip_norm,
        ema: arguments.training.ema,
        data: parts.fingerprints()?,
    };
    config.model.validate(config.columns.columns.len())?;
    let cells = |table: &Table| -> Result<_, Failure> {
        Ok((config.columns.encode(table)?, config.condition.encode(table)?))
    };
    let ((rows, rows_condition), (valid, valid_condition)) = (cells(&parts.train)?, cells(&parts.valid)?);
    let run = arguments.training.run_folder(context, resumed)?;
    let request = TrainRequest {
        config,
        train: &rows,
        train_condition: &rows_condition,
        valid: &valid,
        valid_condition: &valid_condition,
    };
    let (model, history) = train_model(request, &run, &device, context.progress())?;
    let held_out = evaluate(&model, &parts.valid)?;
    let tested = parts.test.as_ref().map(|test| evaluate(&model, test)).transpose()?;
    let some: Vec<usize> = (0..parts.valid.rows().min(CALIBRATED)).collect();
    let calibration = Calibration::new(score(&model, &parts.valid.select(&some))?.log_prob);
    run.write_json(CALIBRATION, &calibration)?;
    let report = training_report(&model, &history, &held_out, &parts.valid, &context.command_line())?;
    run.write_text("report.html", &report.html())?;
    let out = run.finish()?.display().to_string();
    let mut json = json!({
        "family": "flow",
        "parameters": model.parameters(),
        "epochs": history.epochs.len(),
        "best_epoch": history.best_epoch,
        "valid_log_prob_nats_per_row": held_out.log_prob,
        "out": out,
    });
    let mut lines = vec![
        format!(
            "{} parameters, {} epochs, the best of them {}",
            model.parameters(),
            history.epochs.len(),
            history.best_epoch
        ),
        in_words("validation", &held_out),
    ];
    if let Some(tested) = tested {
        json["test_log_prob_nats_per_row"] = tested.log_prob.into();
        lines.push(in_words("test", &tested));
    }
    lines.push(format!("the model is in {out}, its report is {out}/report.html"));
    json["seconds"] = started.elapsed().as_secs_f64().into();
    Results::new(json).lines(lines).print(context.json());
    Ok(())
}

pub(super) fn in_words(rows: &str, found: &Evaluation) -> String {
    format!(
        "log-probability of {rows} rows: {:.4} ± {:.4} nats a row, {:.4} bits a dimension",
        found.log_prob, found.standard_error, found.bits_per_dimension
    )
}

impl Chosen {
    /// The columns to model and those of the condition.
    fn choose(&self, table: &Table, categorical: &[String]) -> Result<(Schema, Schema), Failure> {
        let names: Vec<String> = table.columns().iter().map(|column| column.name.clone()).collect();
        for name in self.columns.iter().chain(&self.condition).chain(&self.dequantize) {
            if !names.contains(name) {
                return Err(Failure::request(format!(
                    "there is no column `{name}`; the columns are {}",
                    names.join(", ")
                )));
            }
        }
        let modelled = |name: &String| {
            !self.condition.contains(name) && (self.columns.is_empty() || self.columns.contains(name))
        };
        let part = |keep: &dyn Fn(&String) -> bool| -> Result<Schema, Failure> {
            let columns = table.columns().iter().filter(|column| keep(&column.name)).cloned().collect();
            let kept: Table = Table::new(columns)?.from_file(table.file(), table.row_in_file(0));
            let categorical: Vec<String> = categorical.iter().filter(|name| keep(name)).cloned().collect();
            Ok(Schema::infer(&kept, &categorical)?)
        };
        let condition = if self.condition.is_empty() {
            Schema { columns: Vec::new() }
        } else {
            part(&|name| self.condition.contains(name))?
        };
        let columns = part(&modelled)?;
        for column in &columns.columns {
            let whole = self.dequantize.contains(&column.name);
            let advice = format!(
                "leave it out with --columns, make it a --condition, or model the table with `dozen autoregressive`; whole numbers may be given \
                 with --dequantize {}",
                column.name
            );
            match &column.kind {
                Kind::Real { .. } if whole => check_whole(table, &column.name)?,
                Kind::Real { .. } => {}
                Kind::Binary if whole => {}
                Kind::Binary => {
                    return Err(Failure::request(format!(
                        "column `{}` has only zeros and ones, of which a flow has no density: {advice}",
                        column.name
                    )));
                }
                Kind::Categorical { .. } => {
                    return Err(Failure::request(format!(
                        "column `{}` is categorical, and a flow models numbers: {advice}",
                        column.name
                    )));
                }
            }
        }
        Ok((columns, condition))
    }
}

fn check_whole(table: &Table, name: &str) -> Result<(), Failure> {
    let Some(column) = table.column(name) else { return Ok(()) };
    let broken = match &column.values {
        Values::Number(values) => values.iter().position(|value| value.fract() != 0.0),
        _ => None,
    };
    match broken {
        Some(row) => Err(Failure::request(format!(
            "row {}, column `{name}` of --dequantize: {} is no whole number",
            table.row_in_file(row),
            column.values.text(row)
        ))),
        None => Ok(()),
    }
}
