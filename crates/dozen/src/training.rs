//! The flags about training, shared by all neural families.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use dozen::FAMILIES;
use dozen::nn::{
    Decay, Device, Existing, History, OptimizerConfig, RunFolder, Schedule, TrainConfig, TrainingRecord,
    choose_device,
};
use serde_json::json;

use crate::begun::Begun;
use crate::context::Context;
use crate::output::{Failure, Results};

/// Where a model goes that something else than training makes.
#[derive(Args, Debug, Clone)]
pub(crate) struct Out {
    /// The folder to write the model to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace the model that is in the folder already, if dozen wrote all that is there
    #[arg(long)]
    overwrite: bool,
}

impl Out {
    /// Begins the folder.
    pub(crate) fn begin(&self) -> Result<RunFolder, Failure> {
        Ok(RunFolder::begin(&self.out, existing(self.overwrite))?)
    }
}

/// Where a training run goes, and how it is kept safe.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Run")]
pub(crate) struct Run {
    /// The folder to write the model to
    #[arg(long, value_name = "DIR", required_unless_present = "resume")]
    out: Option<PathBuf>,
    /// Go on with the unfinished run that was to become DIR, with its own data and flags
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Replace the model or the unfinished run that is in the folder already, if dozen wrote all that is there
    #[arg(long)]
    overwrite: bool,
    /// Seconds between checkpoints, which are kept to a twentieth of the time; 0 writes one after each step
    #[arg(long, default_value = "20s", value_name = "S", value_parser = seconds)]
    checkpoint_every: Duration,
}

impl Run {
    /// Begins the run, or goes on with it, and makes Ctrl-C save it.
    pub(crate) fn begin(&self, context: &Context) -> Result<RunFolder, Failure> {
        let run = if let Some(run) = &context.resumed {
            run.clone()
        } else {
            let out = self
                .out
                .as_deref()
                .ok_or_else(|| Failure::request("name the folder of the model with --out"))?;
            let run = RunFolder::begin(out, existing(self.overwrite))?;
            if run.has_dropped_a_run() {
                let message =
                    format!("the unfinished run beside {} is dropped, as --overwrite says", out.display());
                context.progress().say(&message);
            }
            Begun::now(context).write(&run)?;
            run
        };
        Ok(run.with_checkpoints_every(self.checkpoint_every))
    }
}

/// A time, as `10`, `10s` or `0.5s`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text).parse::<f64>();
    let time = number
        .ok()
        .filter(|number| *number <= 1e6)
        .and_then(|number| Duration::try_from_secs_f64(number).ok());
    time.ok_or_else(|| "a number of seconds is needed, such as 10 or 10s".into())
}

fn existing(overwrite: bool) -> Existing {
    if overwrite { Existing::Overwrite } else { Existing::Keep }
}

/// How to train.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Training")]
pub(crate) struct TrainingArguments {
    #[command(flatten)]
    pub(crate) run: Run,
    /// The most passes over the training rows
    #[arg(long, default_value_t = 500, value_name = "N")]
    epochs: u64,
    /// Rows to a step
    #[arg(long, default_value_t = 100, value_name = "N")]
    batch_size: usize,
    /// Stop after this many epochs without a better validation; 0 never stops early
    #[arg(long, default_value_t = 20, value_name = "N")]
    patience: u64,
    /// Learning rate at its highest
    #[arg(long, default_value_t = 0.001, value_name = "RATE")]
    rate: f64,
    /// How the rate falls
    #[arg(long, value_enum, default_value_t = DecayFlag::Plateau, value_name = "HOW")]
    decay: DecayFlag,
    /// Factor of each fall, for step, exponential and plateau
    #[arg(long, default_value_t = 0.3, value_name = "F")]
    decay_factor: f64,
    /// Epochs between falls, for step; epochs without improvement before one, for plateau
    #[arg(long, default_value_t = 6, value_name = "N")]
    decay_epochs: u64,
    /// Steps over which the rate rises from zero
    #[arg(long, default_value_t = 0, value_name = "N")]
    warm_up: u64,
    /// The rule of the steps
    #[arg(long, value_enum, default_value_t = OptimizerFlag::Adam, value_name = "RULE")]
    optimizer: OptimizerFlag,
    /// Weight decay: decoupled with Adam (AdamW), in the gradient with rmsprop-tf
    #[arg(long, default_value_t = 0.0, value_name = "D")]
    weight_decay: f64,
    /// Momentum of SGD and rmsprop-tf
    #[arg(long, default_value_t = 0.9, value_name = "M")]
    momentum: f64,
    /// Bound on the norm of the gradient
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// Evaluate and save a moving average of the weights with this decay
    #[arg(long, value_name = "D")]
    ema: Option<f64>,
    /// Devices that each batch is shared out to, as in cuda:0,cuda:1 or cpu,cpu; their mean gradient is followed
    /// [default: the one of --device]
    #[arg(long, value_delimiter = ',', value_name = "DEVICE,...")]
    devices: Vec<String>,
    /// Also write TensorBoard event files
    #[arg(long)]
    tensorboard: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum DecayFlag {
    Constant,
    Cosine,
    Linear,
    Step,
    Exponential,
    Plateau,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum OptimizerFlag {
    Sgd,
    Rmsprop,
    /// As TensorFlow has it, with momentum
    RmspropTf,
    Adam,
}

impl TrainingArguments {
    /// What the loop needs.
    fn config(&self, seed: u64) -> TrainConfig {
        let factor = self.decay_factor;
        let decay = match self.decay {
            DecayFlag::Constant => Decay::Constant,
            DecayFlag::Cosine => Decay::Cosine,
            DecayFlag::Linear => Decay::Linear,
            DecayFlag::Step => Decay::Step { every: self.decay_epochs, factor },
            DecayFlag::Exponential => Decay::Exponential { factor },
            DecayFlag::Plateau => Decay::Plateau { patience: self.decay_epochs, factor },
        };
        TrainConfig {
            epochs: self.epochs,
            batch_size: self.batch_size,
            patience: (self.patience > 0).then_some(self.patience),
            schedule: Schedule { rate: self.rate, warm_up: self.warm_up, decay },
            seed,
            tensorboard: self.tensorboard,
        }
    }

    /// What `config.json` keeps of it.
    pub(crate) fn record(&self, seed: u64) -> Result<TrainingRecord, Failure> {
        let (training, optimizer) = (self.config(seed), self.optimizer());
        let record = TrainingRecord { training, optimizer, clip_norm: self.clip_norm, ema: self.ema };
        record.validate()?;
        Ok(record)
    }

    /// The devices that each batch is shared out to.
    pub(crate) fn devices(&self, context: &Context) -> Result<Vec<Device>, Failure> {
        if self.devices.is_empty() {
            return Ok(vec![context.device()?]);
        }
        let devices: Vec<Device> =
            self.devices.iter().map(|name| choose_device(name)).collect::<Result<_, _>>()?;
        let kinds: Vec<&str> =
            self.devices.iter().map(|name| name.split(':').next().unwrap_or_default()).collect();
        if kinds.iter().any(|kind| *kind != kinds[0]) {
            return Err(Failure::request("--devices are all of one kind: cpu, cuda or wgpu"));
        }
        Ok(devices)
    }

    /// The device of a family whose batches cannot be shared out.
    pub(crate) fn one_device(&self, context: &Context) -> Result<Device, Failure> {
        if self.devices.len() > 1 {
            let families = FAMILIES.iter().filter(|family| family.shares_batches);
            let nouns: Vec<&str> = families.map(|family| family.noun).collect();
            return Err(Failure::request(format!(
                "--devices takes one device here; batches of {} can be shared out",
                nouns.join(", ")
            )));
        }
        Ok(self.devices(context)?.remove(0))
    }

    /// The rule of the steps.
    fn optimizer(&self) -> OptimizerConfig {
        match self.optimizer {
            OptimizerFlag::Sgd => OptimizerConfig::Sgd { momentum: self.momentum },
            OptimizerFlag::Rmsprop => OptimizerConfig::RmsProp { decay: 0.99, epsilon: 1e-8 },
            OptimizerFlag::RmspropTf => OptimizerConfig::RmsPropTf {
                decay: 0.9,
                momentum: self.momentum,
                epsilon: 1e-3,
                weight_decay: self.weight_decay,
            },
            OptimizerFlag::Adam => OptimizerConfig::adam(self.weight_decay),
        }
    }
}

/// What `train` says of a network that went through epochs.
pub(crate) fn trained(family: &str, parameters: u64, history: &History) -> Results {
    let (epochs, best) = (history.epochs.len(), history.best_epoch);
    Results::new(json!({ "family": family, "parameters": parameters, "epochs": epochs, "best_epoch": best }))
        .line(format!("{parameters} parameters, {epochs} epochs, the best of them {best}"))
}

/// Ends the run, and says where its model is and how long all took.
pub(crate) fn finish(
    run: RunFolder,
    results: Results,
    started: Instant,
    context: &Context,
) -> Result<(), Failure> {
    let out = run.finish()?.display().to_string();
    results
        .line(format!("the model is in {out}, its report is {out}/report.html"))
        .figures(json!({ "out": out, "seconds": started.elapsed().as_secs_f64() }))
        .print(context.json())
}
