//! The training loop of every neural family.

use std::time::Instant;

use dozen_run::{Checkpoints, Finishing, read_json};
use serde::{Deserialize, Serialize};

use crate::tensorboard::EventWriter;
use crate::{Error, Learner, Progress, RunFolder, Schedule, StepContext, Terms, interrupt_requested};

/// How long and in what pieces to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The most epochs.
    pub epochs: u64,
    /// Rows to a step.
    pub batch_size: usize,
    /// Stop after this many epochs without a better validation; `None` never stops early.
    pub patience: Option<u64>,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// Fixes shuffling and everything random inside steps.
    pub seed: u64,
    /// Also write TensorBoard event files.
    pub tensorboard: bool,
}

/// One finished epoch, a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u64,
    /// Steps taken until its end.
    pub step: u64,
    /// The learning rate of its last step.
    pub rate: f64,
    /// Seconds of training, validation included, until its end.
    pub seconds: f64,
    /// Terms of the training loss, averaged over its rows.
    pub train: Vec<(String, f64)>,
    /// Terms of the validation; empty where nothing is held out.
    pub valid: Vec<(String, f64)>,
}

/// What a run has been through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// All finished epochs.
    pub epochs: Vec<EpochRecord>,
    /// The epoch, from 1, whose weights the model has: the best by validation, or else the last.
    pub best_epoch: u64,
    /// Seconds of training.
    pub seconds: f64,
}

impl History {
    /// The first term of each epoch's validation.
    pub fn validation(&self) -> Vec<f64> {
        self.epochs.iter().filter_map(|epoch| epoch.valid.first().map(|(_, value)| *value)).collect()
    }

    fn best_value(&self) -> f64 {
        self.validation().into_iter().fold(f64::INFINITY, f64::min)
    }
}

/// Where a run stands; together with the learner's own files, enough to go on as if nothing had happened.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    history: History,
    step: u64,
    /// Batches of the current epoch that are done, and their sums of terms times rows.
    batch: usize,
    rows: usize,
    sums: Vec<(String, f64)>,
}

/// Trains on rows `0..rows`, going on from the run's checkpoint if it has one.
///
/// At the end the learner holds the weights of the best epoch by validation, or of the last where nothing is held out.
///
/// # Errors
/// [`Error::NotFinite`] when a term of the loss is not finite, which names the last checkpoint if there was one;
/// [`Error::Interrupted`] after Ctrl-C or SIGTERM, which leaves a checkpoint of the last step.
pub fn train(
    learner: &mut impl Learner,
    rows: usize,
    config: &TrainConfig,
    run: &RunFolder,
    progress: Progress,
) -> Result<History, Error> {
    if rows == 0 {
        return Err(Error::Request("there are no rows to train on".into()));
    }
    let mut state = State::default();
    if run.state_file().exists() {
        state = read_json(&run.state_file())?;
        learner.load(&run.last(), true)?;
    }
    let events = config.tensorboard.then(|| EventWriter::create(run.path())).transpose()?;
    let before = state.history.seconds;
    let mut training = Loop {
        rows,
        config,
        run,
        state,
        events,
        started: Instant::now(),
        before,
        checkpoints: run.checkpoints(),
    };
    let _finishing = Finishing::begin();
    training.run(learner, progress)?;
    Ok(training.state.history)
}

struct Loop<'a> {
    rows: usize,
    config: &'a TrainConfig,
    run: &'a RunFolder,
    state: State,
    events: Option<EventWriter>,
    started: Instant,
    /// Seconds of training before this process went on.
    before: f64,
    checkpoints: Checkpoints,
}

impl Loop<'_> {
    fn run(&mut self, learner: &mut impl Learner, progress: Progress) -> Result<(), Error> {
        while !self.is_over() {
            self.epoch(learner, progress)?;
            self.close_epoch(learner)?;
            if self.checkpoints.due() {
                self.save(learner)?;
            }
        }
        if learner.keeps_best() && !self.state.history.validation().is_empty() {
            learner.load(&self.run.best(self.state.history.best_epoch), false)?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let done = self.state.history.epochs.len() as u64;
        let waited = done - self.state.history.best_epoch;
        done >= self.config.epochs
            || self.config.patience.is_some_and(|patience| done > 0 && waited >= patience)
    }

    fn epoch(&mut self, learner: &mut impl Learner, progress: Progress) -> Result<(), Error> {
        let epoch = self.state.history.epochs.len() as u64;
        let seed = mix(self.config.seed, epoch);
        let batches = learner.batches(self.rows, self.config.batch_size.max(1), seed);
        let title = format!("epoch {}/{}", epoch + 1, self.config.epochs);
        let mut meter = progress.start(&title, "rows", self.rows as u64, self.state.rows as u64);
        let best = self.state.history.best_value();
        for batch in &batches[self.state.batch..] {
            if let Some(next) = batches.get(self.state.batch + 1) {
                learner.upcoming(next, self.seed(self.state.step + 2));
            }
            let terms = learner.step(batch, self.context(epoch, batches.len(), learner));
            self.check(&terms)?;
            self.state.step += 1;
            self.state.batch += 1;
            self.state.rows += batch.len();
            add(&mut self.state.sums, &terms, batch.len());
            meter.advance(batch.len() as u64, || message(&self.means(), best));
            if interrupt_requested() {
                self.save(learner)?;
                return Err(Error::Interrupted { step: self.state.step, folder: self.run.out().to_owned() });
            }
            // An epoch may take hours. At its end it is validated first.
            if self.state.batch < batches.len() && self.checkpoints.due() {
                self.save(learner)?;
            }
        }
        meter.finish();
        Ok(())
    }

    fn context(&self, epoch: u64, batches: usize, learner: &impl Learner) -> StepContext {
        let total = self.config.epochs * batches as u64;
        let rate = self.config.schedule.rate(self.state.step, total, epoch, &self.state.history.validation());
        let step = self.state.step + 1;
        let seed = self.seed(step);
        learner.device().seed(seed);
        StepContext { rate, step, seed }
    }

    /// The seed of a step.
    fn seed(&self, step: u64) -> u64 {
        mix(self.config.seed ^ 0x5eed, step)
    }

    fn check(&self, terms: &Terms) -> Result<(), Error> {
        match terms.iter().find(|(_, value)| !value.is_finite()) {
            None => Ok(()),
            Some((term, value)) => Err(Error::NotFinite {
                step: self.state.step + 1,
                term: (*term).to_owned(),
                value: *value,
                checkpoint: self.run.state_file().exists().then(|| self.run.last()),
            }),
        }
    }

    fn means(&self) -> Vec<(String, f64)> {
        self.state.sums.iter().map(|(name, sum)| (name.clone(), sum / self.state.rows as f64)).collect()
    }

    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Validates, keeps the weights if they are the best so far, and writes the metrics.
    fn close_epoch(&mut self, learner: &mut impl Learner) -> Result<(), Error> {
        let valid = learner.validate();
        self.check(&valid)?;
        self.state.history.seconds = self.seconds();
        let epoch = self.state.history.epochs.len() as u64 + 1;
        let is_best = !learner.keeps_best()
            || valid.first().is_none_or(|(_, value)| *value < self.state.history.best_value());
        let record = EpochRecord {
            epoch,
            step: self.state.step,
            rate: self.config.schedule.rate(
                self.state.step.saturating_sub(1),
                self.state.step / epoch * self.config.epochs,
                epoch - 1,
                &self.state.history.validation(),
            ),
            seconds: self.state.history.seconds,
            train: self.means(),
            valid: valid.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        if let Some(events) = &mut self.events {
            let tagged = |kind: &str, terms: &[(String, f64)]| {
                terms.iter().map(|(name, value)| (format!("{kind}/{name}"), *value)).collect::<Vec<_>>()
            };
            let scalars = [tagged("train", &record.train), tagged("valid", &record.valid)].concat();
            events.scalars(record.step, scalars.iter().map(|(name, value)| (name.as_str(), *value)))?;
        }
        if is_best {
            self.state.history.best_epoch = epoch;
            if learner.keeps_best() && !record.valid.is_empty() {
                self.run.keep_best(epoch, |folder| learner.save(folder, false))?;
            }
        }
        self.state.history.epochs.push(record);
        (self.state.batch, self.state.rows) = (0, 0);
        self.state.sums.clear();
        self.write_metrics()
    }

    fn write_metrics(&self) -> Result<(), Error> {
        let line = |terms: &[(String, f64)]| -> serde_json::Map<String, serde_json::Value> {
            terms.iter().map(|(name, value)| (name.clone(), (*value).into())).collect()
        };
        let mut text = String::new();
        for record in &self.state.history.epochs {
            let EpochRecord { epoch, step, rate, seconds, train, valid } = record;
            let (train, valid) = (line(train), line(valid));
            let value = serde_json::json!({
                "epoch": epoch, "step": step, "rate": rate, "seconds": seconds, "train": train, "valid": valid,
            });
            text += &format!("{value}\n");
        }
        Ok(self.run.write_text("metrics.jsonl", &text)?)
    }

    fn save(&mut self, learner: &impl Learner) -> Result<(), Error> {
        self.state.history.seconds = self.seconds();
        let Self { run, state, checkpoints, .. } = self;
        checkpoints
            .write(|| run.checkpoint(state, state.history.best_epoch, |folder| learner.save(folder, true)))
    }
}

fn add(sums: &mut Vec<(String, f64)>, terms: &Terms, rows: usize) {
    for (name, value) in terms {
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += value * rows as f64,
            None => sums.push(((*name).to_owned(), value * rows as f64)),
        }
    }
}

fn message(means: &[(String, f64)], best: f64) -> String {
    let terms: Vec<String> = means.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    let best = if best.is_finite() { format!(", best valid {best:.4}") } else { String::new() };
    terms.join(", ") + &best
}

/// A seed from two numbers (the finaliser of SplitMix64).
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
