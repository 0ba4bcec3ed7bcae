//! `dozen autoregressive ...`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use dozen::data::{
    Column, Made, Schema, Table, TableReader, Values, make, open_table, split_rows, write_table,
};
use dozen::generative::autoregressive::{
    Architecture, Baselines, Evaluation, Evidence, Model, ModelConfig, Ordering, Surprise, TrainRequest,
    conditional_tables, evaluate, export_pytorch, surprises, train_model, training_report,
};
use dozen::nn::{Decay, Existing, OptimizerConfig, RunFolder, Schedule, TrainConfig, TrainingRecord};
use dozen::report::{LinePlot, ScatterPlot};
use serde_json::json;

use crate::begun::Begun;
use crate::context::Context;
use crate::data::{OnData, ToTable, TrainingData};
use crate::output::{Failure, Results, print_table};
use crate::tour_stop::{Check, Stop};
use crate::training::{self, TrainingArguments};

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen autoregressive train bits.csv --out runs/bits --epochs 20",
    "\n  dozen autoregressive score runs/bits bits.csv --out scores.csv",
    "\n  dozen autoregressive sample runs/bits -n 5 --given \"bit_0=1\"",
);

/// Cells read and scored at a time: few enough to stay in the caches between reading, encoding and the network.
const CHUNK_CELLS: usize = 1 << 20;

/// What to do with autoregressive models.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Train a model on a table
    Train(Box<Train>),
    /// Mean log-probability of held-out rows, beside the baselines
    Eval(OnData),
    /// The log-probability of each row, and which column surprises most
    Score(ToTable),
    /// Draw rows, with some columns given if you like
    Sample(Sample),
    /// The probability of some columns' values, with others given if you like
    Probability(ProbabilityArguments),
    /// Write a model in another form
    Export(Export),
}

#[derive(Args, Debug)]
pub(crate) struct Train {
    #[command(flatten)]
    data: TrainingData,
    #[command(flatten)]
    training: TrainingArguments,
    #[command(flatten)]
    shape: Shape,
}

/// The model's shape.
#[derive(Args, Debug)]
#[command(next_help_heading = "Model")]
struct Shape {
    /// The shape of the conditionals
    #[arg(long, value_enum, default_value_t = Architecture::Made, value_name = "MODEL")]
    model: Architecture,
    /// Units of each hidden layer [default: 500; for mlp 16]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    hidden: Option<Vec<usize>>,
    /// How the order of the columns is chosen
    #[arg(long, value_enum, default_value_t = Ordering::ChowLiu, value_name = "HOW")]
    order: Ordering,
    /// Orders averaged when a probability is computed; more than 1 makes made order-agnostic [default: 1; for eonade 8]
    #[arg(long, value_name = "N")]
    orders: Option<usize>,
    /// Leave out the connections from inputs straight to outputs
    #[arg(long)]
    no_direct: bool,
    /// Start from random weights instead of from the Chow-Liu tree
    #[arg(long)]
    no_tree_start: bool,
    /// Gaussians to a mixture, for real columns
    #[arg(long, default_value_t = 10, value_name = "N")]
    mixtures: usize,
    /// Probability of dropping a hidden unit in training; inputs are dropped half as often
    #[arg(long, default_value_t = 0.5, value_name = "P")]
    dropout: f64,
    /// Models trained side by side whose probabilities are averaged
    #[arg(long, default_value_t = 1, value_name = "N")]
    members: usize,
}

impl Shape {
    fn config(&self) -> ModelConfig {
        let default_hidden = match self.model {
            Architecture::Fvsbn => vec![],
            Architecture::Mlp => vec![16],
            _ => vec![500],
        };
        let orders = self.orders.unwrap_or(if self.model == Architecture::Eonade { 8 } else { 1 });
        let one_order = self.model != Architecture::Eonade && orders == 1;
        let direct = one_order && !self.no_direct && self.model != Architecture::Mlp;
        ModelConfig {
            architecture: self.model,
            hidden: self.hidden.clone().unwrap_or(default_hidden),
            direct: direct || (orders > 1 && self.model == Architecture::Made && !self.no_direct),
            tree_start: direct && self.order == Ordering::ChowLiu && !self.no_tree_start,
            ordering: match self.order {
                Ordering::ChowLiu if one_order => Ordering::ChowLiu,
                Ordering::ChowLiu | Ordering::Natural => Ordering::Natural,
                Ordering::Random => Ordering::Random,
            },
            orders,
            mixtures: self.mixtures,
            dropout: self.dropout,
            members: self.members,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Sample {
    /// A model folder
    model: PathBuf,
    /// Rows to draw
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    rows: usize,
    /// Columns with fixed values
    #[arg(long, value_name = "COLUMN=VALUE,...")]
    given: Option<String>,
    /// The file to write [default: CSV on standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ProbabilityArguments {
    /// A model folder
    model: PathBuf,
    /// The values whose probability is asked for
    #[arg(long, value_name = "COLUMN=VALUE,...")]
    of: String,
    /// Columns with fixed values
    #[arg(long, value_name = "COLUMN=VALUE,...")]
    given: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// A model folder
    model: PathBuf,
    /// The form
    #[arg(long, value_enum, value_name = "FORM")]
    to: Form,
    /// The file, or for tables the folder, to write
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Form {
    /// nn.Linear tensors of fvsbn or made, masked, in a safetensors file
    Pytorch,
    /// Each conditional of a small binary model as a CSV of all states before it
    Tables,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Train(arguments) => train(&arguments, context),
        Command::Eval(arguments) => eval(&arguments, context),
        Command::Score(arguments) => score(&arguments, context),
        Command::Sample(arguments) => sample(&arguments, context),
        Command::Probability(arguments) => probability(&arguments, context),
        Command::Export(arguments) => export(&arguments, context),
    }
}

fn train(arguments: &Train, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let run = arguments.training.run.begin(context)?;
    let devices = arguments.training.devices(context)?;
    let record = arguments.training.record(context.seed())?;
    let model = arguments.shape.config();
    model.validate()?;
    let parts = arguments.data.read(context.seed())?;
    let columns = Schema::infer(&parts.train, &arguments.data.categorical)?;
    let (train, valid) = (columns.encode(&parts.train)?, columns.encode(&parts.valid)?);
    let data = parts.fingerprints()?;
    Begun::learns_from(&run, &data)?;
    let request = TrainRequest { model, columns, train: &train, valid: Some(&valid), record, data };
    let (model, baselines, history) = train_model(request, &run, &devices, context.progress())?;
    let held_out = evaluate(&model, &baselines, [Ok(parts.valid.clone())])?;
    let tested = parts.test.map(|test| evaluate(&model, &baselines, [Ok(test)])).transpose()?;
    let report = training_report(&model, &history, Some(&held_out), &parts.valid, &context.command_line())?;
    run.write_text("report.html", &report.html())?;
    let mut results = training::trained("autoregressive", model.parameters() as u64, &history)
        .figures(json!({
            "model": model.config().model.architecture,
            "valid_log_prob_nats_per_row": held_out.log_prob,
        }))
        .line(in_words("validation", &held_out));
    if let Some(tested) = tested {
        results = results
            .figures(json!({ "test_log_prob_nats_per_row": tested.log_prob }))
            .line(in_words("test", &tested));
    }
    training::finish(run, results, started, context)
}

fn in_words(rows: &str, evaluation: &Evaluation) -> String {
    let Evaluation { log_prob, standard_error, baselines: [independent, chow_liu], .. } = evaluation;
    format!(
        "log-probability of {rows} rows: {log_prob:.4} ± {standard_error:.4} nats a row \
         (Chow-Liu tree {chow_liu:.4}, independent columns {independent:.4})"
    )
}

fn open(model: &Path, context: &Context) -> Result<Model, Failure> {
    Ok(Model::open(model, &context.device()?)?)
}

fn tables(on: &OnData, model: &Model, context: &Context) -> Result<TableReader, Failure> {
    let columns = &model.config().columns;
    let options = on.read.options(context.seed(), columns.text_columns());
    Ok(open_table(&on.data, &options, (CHUNK_CELLS / columns.columns.len()).max(256))?)
}

fn eval(arguments: &OnData, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = open(&arguments.model, context)?;
    let baselines = Baselines::open(&arguments.model)?;
    let evaluation = evaluate(&model, &baselines, tables(arguments, &model, context)?)?;
    let Evaluation { log_prob, standard_error, rows, baselines: [independent, chow_liu] } = evaluation;
    let json = json!({
        "log_prob_nats_per_row": log_prob,
        "standard_error": standard_error,
        "rows": rows,
        "baselines": { "independent": independent, "chow_liu": chow_liu },
        "seconds": started.elapsed().as_secs_f64(),
    });
    Results::new(json).line(in_words(&rows.to_string(), &evaluation)).print(context.json())
}

fn score(arguments: &ToTable, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = open(&arguments.on.model, context)?;
    let mut meter = context.progress().start("score", "rows", 0, 0);
    let mut sum = 0.0;
    let mut fault = None;
    let tables = tables(&arguments.on, &model, context)?;
    let scored = tables.map_while(|table| {
        let scored = table.map_err(Failure::from).and_then(|table| Ok(surprises(&model, &table)?));
        match scored {
            Ok(rows) => {
                sum += rows.iter().map(|row| row.log_prob).sum::<f64>();
                meter.advance(rows.len() as u64, String::new);
                Some(score_table(rows))
            }
            Err(error) => {
                fault = Some(error);
                None
            }
        }
    });
    let rows = write_table(&arguments.out, scored)?;
    meter.finish();
    if let Some(fault) = fault {
        return Err(fault);
    }
    let seconds = started.elapsed().as_secs_f64();
    let json = json!({
        "rows": rows,
        "log_prob_nats_per_row": sum / rows as f64,
        "rows_per_second": rows as f64 / seconds,
        "out": arguments.out.display().to_string(),
        "seconds": seconds,
    });
    Results::new(json)
        .line(format!(
            "{rows} rows scored, {:.4} nats a row on average, in {}",
            sum / rows as f64,
            arguments.out.display()
        ))
        .print(context.json())
}

fn score_table(rows: Vec<Surprise>) -> Result<Table, dozen::data::DataError> {
    let numbers = |of: fn(&Surprise) -> f64| Values::Number(rows.iter().map(of).collect());
    Table::new(vec![
        Column::new("log_prob_nats", numbers(|row| row.log_prob)),
        Column::new("surprising_column", Values::Text(rows.iter().map(|row| row.column.clone()).collect())),
        Column::new("surprising_column_log_prob_nats", numbers(|row| row.column_log_prob)),
    ])
}

fn sample(arguments: &Sample, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = open(&arguments.model, context)?;
    if arguments.rows == 0 {
        return Err(Failure::request("-n must be at least 1"));
    }
    let mut json = json!({ "rows": arguments.rows });
    let mut note = String::new();
    let table = if let Some(given) = &arguments.given {
        let evidence = Evidence::parse(given, &model.config().columns)?;
        let drawn = model.sample_given(arguments.rows, &evidence, context.seed())?;
        json["exact"] = drawn.exact.into();
        if drawn.exact {
            note = " (exact: the order begins with the given columns)".into();
        } else {
            json["effective_sample_size"] = drawn.effective_sample_size.into();
            note = format!(
                " (by importance resampling; the proposals are worth {:.0} independent draws)",
                drawn.effective_sample_size
            );
        }
        drawn.table
    } else {
        model.sample(arguments.rows, context.seed())?
    };
    let Some(out) = &arguments.out else {
        print_table(&table, json, context.json())?;
        return Ok(());
    };
    write_table(out, [Ok(table)])?;
    let seconds = started.elapsed().as_secs_f64();
    json["out"] = out.display().to_string().into();
    json["rows_per_second"] = (arguments.rows as f64 / seconds).into();
    json["seconds"] = seconds.into();
    Results::new(json)
        .line(format!("{} rows drawn{note}, in {}", arguments.rows, out.display()))
        .print(context.json())
}

fn probability(arguments: &ProbabilityArguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = open(&arguments.model, context)?;
    let columns = &model.config().columns;
    let event = Evidence::parse(&arguments.of, columns)?;
    let probability = match &arguments.given {
        None => model.probability(&event, context.seed()),
        Some(given) => model.probability_given(&event, &Evidence::parse(given, columns)?, context.seed()),
    };
    let json = json!({
        "probability": probability.value,
        "standard_error": probability.standard_error,
        "exact": probability.exact,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let condition = arguments.given.as_ref().map_or(String::new(), |given| format!(" | {given}"));
    let how = if probability.exact {
        "exact".to_owned()
    } else {
        format!("± {:.2e}, by importance sampling", probability.standard_error)
    };
    Results::new(json)
        .line(format!("p({}{condition}) = {:.6} ({how})", arguments.of, probability.value))
        .print(context.json())
}

fn export(arguments: &Export, context: &Context) -> Result<(), Failure> {
    let model = open(&arguments.model, context)?;
    let out = &arguments.out;
    let mut files = 1;
    match arguments.to {
        Form::Pytorch => export_pytorch(&model, out)?,
        Form::Tables => {
            let tables = conditional_tables(&model)?;
            files = tables.len();
            std::fs::create_dir_all(out)
                .map_err(|e| Failure::request(format!("cannot make the folder `{}`: {e}", out.display())))?;
            for (step, (name, table)) in tables.into_iter().enumerate() {
                write_table(&out.join(format!("{step:02}_{name}.csv")), [Ok(table)])?;
            }
        }
    }
    let json = json!({ "out": out.display().to_string(), "files": files });
    Results::new(json).line(format!("written to {}", out.display())).print(context.json())
}

/// A Bayesian network over bits whose entropy is known, and a density in the plane whose shape is.
pub(crate) fn tour(folder: &Path, context: &Context) -> Result<Stop, Failure> {
    let Made { table, truth } = make::binary_tree(12_000, 16, context.seed());
    let entropy = truth[0].1;
    let bits = tour_model(&table, &folder.join("bits"), context, Decay::Constant)?;
    let Made { table: board, truth } = make::checkerboard(12_000, context.seed());
    let board = Table::new(board.into_columns().into_iter().take(2).collect())?;
    let plane = tour_model(&board, &folder.join("plane"), context, Decay::Cosine)?;
    let mut report = bits.report;
    report
        .section("Against the truth")
        .text(&format!(
            "The bits come from a Bayesian network whose entropy is {entropy:.4} nats a row; no model's negative \
             log-likelihood can lie below it but by chance. This one reached {:.4}.",
            -bits.held_out.log_prob
        ))
        .plot(
            LinePlot::new("Validation against the entropy", "epoch", "nats a row")
                .line("validation", bits.validation)
                .level("entropy of the data", entropy)
                .svg(),
            "The gap to the entropy is what is left to learn.",
        );
    let drawn = plane.model.sample(3000, context.seed())?;
    let cloud = |table: &Table| {
        let value = |column: usize, row| table.columns()[column].values.number(row).unwrap_or(0.0);
        let points = (0..table.rows().min(3000)).map(|row| (value(0, row), value(1, row))).collect();
        ScatterPlot::new("", "x", "y").group("", points).svg()
    };
    report
        .section("Real values: a checkerboard")
        .text(&format!(
            "A MADE whose conditionals are mixtures of Gaussians learns a density in the plane. The exact entropy is \
             ln 8 = {:.4} nats; its negative log-likelihood on held-out points is {:.4}.",
            truth[0].1, -plane.held_out.log_prob
        ))
        .plots([(cloud(&board), "The data.".to_owned()), (cloud(&drawn), "Drawn from the model.".to_owned())]);
    let (reached, board) = (-bits.held_out.log_prob, -plane.held_out.log_prob);
    let checks = vec![
        // Held-out rows are a sample: their own entropy is a little off that of the network they come from.
        Check::new(
            (reached - entropy).abs() < 0.15,
            format!("{reached:.4} nats a row on bits whose entropy is {entropy:.4}"),
        ),
        Check::new(
            (-0.05..0.5).contains(&(board - truth[0].1)),
            format!("{board:.4} nats a point of a board whose entropy is {:.4}", truth[0].1),
        ),
    ];
    let json = json!({
        "bits_log_prob_nats_per_row": bits.held_out.log_prob,
        "bits_entropy_nats_per_row": entropy,
        "board_log_prob_nats_per_row": plane.held_out.log_prob,
        "board_entropy_nats_per_row": truth[0].1,
    });
    Ok(Stop { report, json, checks })
}

struct TourModel {
    model: Model,
    held_out: Evaluation,
    validation: Vec<(f64, f64)>,
    report: dozen::report::Report,
}

fn tour_model(table: &Table, out: &Path, context: &Context, decay: Decay) -> Result<TourModel, Failure> {
    let parts = split_rows(table.rows(), &[0.8, 0.2], context.seed())?;
    let (train, valid) = (table.select(&parts[0]), table.select(&parts[1]));
    let columns = Schema::infer(&train, &[])?;
    let real = decay == Decay::Cosine;
    let run = RunFolder::begin(out, Existing::Overwrite)?;
    let request = TrainRequest {
        model: ModelConfig {
            architecture: Architecture::Made,
            hidden: if real { vec![128, 128] } else { vec![64] },
            direct: true,
            tree_start: false,
            ordering: Ordering::Natural,
            orders: 1,
            mixtures: 20,
            dropout: 0.0,
            members: 1,
        },
        train: &columns.encode(&train)?,
        valid: Some(&columns.encode(&valid)?),
        columns,
        record: TrainingRecord {
            training: TrainConfig {
                epochs: 40,
                batch_size: 100,
                patience: Some(8),
                schedule: Schedule { rate: if real { 2e-3 } else { 1e-3 }, warm_up: 0, decay },
                seed: context.seed(),
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: None,
            ema: None,
        },
        data: Vec::new(),
    };
    let (model, baselines, history) = train_model(request, &run, &[context.device()?], context.progress())?;
    let held_out = evaluate(&model, &baselines, [Ok(valid.clone())])?;
    let report = training_report(&model, &history, Some(&held_out), &valid, &context.command_line())?;
    run.write_text("report.html", &report.html())?;
    run.finish()?;
    let validation = history.epochs.iter().map(|e| e.epoch as f64).zip(history.validation()).collect();
    Ok(TourModel { model, held_out, validation, report })
}
