//! The observer of a run's folder: checkpoints, metrics, progress, interruption.

use dozen_run::{Checkpoints, Finishing, RunFolder, interrupt_requested, read_json};

use crate::history::EpochRecord;
use crate::progress::Meter;
use crate::tensorboard::EventWriter;
use crate::{Epoch, Error, Learner, Observer, Progress, TrainingState};

/// The observer of a run's folder: it goes on from the folder's checkpoint, keeps the best weights and checkpoints there,
/// writes `metrics.jsonl`, shows progress, and ends the training after Ctrl-C or SIGTERM with a checkpoint of the last step.
pub struct RunObserver<'a> {
    run: &'a RunFolder,
    progress: Progress,
    checkpoints: Checkpoints,
    events: Option<EventWriter>,
    meter: Option<Meter>,
    /// From the beginning of the steps on.
    finishing: Option<Finishing>,
}

impl<'a> RunObserver<'a> {
    /// Of a folder. With `tensorboard` event files are written, too.
    ///
    /// # Errors
    /// When those cannot be.
    pub fn new(run: &'a RunFolder, progress: Progress, tensorboard: bool) -> Result<Self, Error> {
        let events = tensorboard.then(|| EventWriter::create(run.path())).transpose()?;
        let checkpoints = run.checkpoints();
        Ok(Self { run, progress, checkpoints, events, meter: None, finishing: None })
    }

    fn save(&mut self, state: &TrainingState, learner: &dyn Learner) -> Result<(), Error> {
        let Self { run, checkpoints, .. } = self;
        let best = state.history.best_epoch;
        checkpoints.write(|| run.checkpoint(state, best, |folder| learner.save(folder, true)))
    }

    fn write_metrics(&self, epochs: &[EpochRecord]) -> Result<(), Error> {
        let line = |terms: &[(String, f64)]| -> serde_json::Map<String, serde_json::Value> {
            terms.iter().map(|(name, value)| (name.clone(), (*value).into())).collect()
        };
        let mut text = String::new();
        for record in epochs {
            let EpochRecord { epoch, step, rate, seconds, train, valid } = record;
            let (train, valid) = (line(train), line(valid));
            let value = serde_json::json!({
                "epoch": epoch, "step": step, "rate": rate, "seconds": seconds, "train": train, "valid": valid,
            });
            text += &format!("{value}\n");
        }
        Ok(self.run.write_text("metrics.jsonl", &text)?)
    }
}

impl Observer for RunObserver<'_> {
    fn resume(&mut self, learner: &mut dyn Learner) -> Result<Option<TrainingState>, Error> {
        self.finishing = Some(Finishing::begin());
        if !self.run.state_file().exists() {
            return Ok(None);
        }
        let state = read_json(&self.run.state_file())?;
        learner.load(&self.run.last(), true)?;
        Ok(Some(state))
    }

    fn epoch_begins(&mut self, epoch: Epoch, state: &TrainingState) {
        let title = format!("epoch {}/{}", epoch.number, epoch.of);
        self.meter = Some(self.progress.start(&title, "rows", epoch.rows as u64, state.rows as u64));
    }

    fn stepped(
        &mut self,
        epoch: Epoch,
        rows: usize,
        state: &TrainingState,
        learner: &dyn Learner,
    ) -> Result<(), Error> {
        if let Some(meter) = &mut self.meter {
            meter.advance(rows as u64, || message(&state.means(), state.history.best_value()));
        }
        if interrupt_requested() {
            self.save(state, learner)?;
            return Err(Error::Interrupted { step: state.step, folder: self.run.out().to_owned() });
        }
        // An epoch may take hours. At its end it is validated first.
        if state.batch < epoch.batches && self.checkpoints.due() {
            self.save(state, learner)?;
        }
        if state.batch == epoch.batches
            && let Some(meter) = self.meter.take()
        {
            meter.finish();
        }
        Ok(())
    }

    fn epoch_ended(&mut self, state: &TrainingState, best: bool, learner: &dyn Learner) -> Result<(), Error> {
        let Some(record) = state.history.epochs.last() else { return Ok(()) };
        if let Some(events) = &mut self.events {
            let tagged = |kind: &str, terms: &[(String, f64)]| {
                terms.iter().map(|(name, value)| (format!("{kind}/{name}"), *value)).collect::<Vec<_>>()
            };
            let scalars = [tagged("train", &record.train), tagged("valid", &record.valid)].concat();
            events.scalars(record.step, scalars.iter().map(|(name, value)| (name.as_str(), *value)))?;
        }
        if best && learner.keeps_best() && !record.valid.is_empty() {
            self.run.keep_best(record.epoch, |folder| learner.save(folder, false))?;
        }
        self.write_metrics(&state.history.epochs)?;
        if self.checkpoints.due() {
            self.save(state, learner)?;
        }
        Ok(())
    }

    fn load_best(&mut self, epoch: u64, learner: &mut dyn Learner) -> Result<(), Error> {
        learner.load(&self.run.best(epoch), false)
    }

    fn keeps_weights(&self) -> bool {
        true
    }

    fn checkpoint(&self) -> Option<std::path::PathBuf> {
        self.run.state_file().exists().then(|| self.run.last())
    }
}

fn message(means: &[(String, f64)], best: f64) -> String {
    let terms: Vec<String> = means.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
    let best = if best.is_finite() { format!(", best valid {best:.4}") } else { String::new() };
    terms.join(", ") + &best
}
