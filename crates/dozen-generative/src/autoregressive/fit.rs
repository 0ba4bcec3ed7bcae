//! Training an autoregressive model on a table in memory.

use dozen_data::Table;
use dozen_nn::{Device, Error, History, Observer, TrainingRecord, choose_device};

use super::{Model, ModelConfig, TrainRequest, fit};
use crate::parts::Parts;

/// How to make an autoregressive model of a table of bits, categories and numbers.
///
/// ```no_run
/// use dozen_data::{ReadOptions, read_table};
/// use dozen_generative::{TableModel, autoregressive};
///
/// let data = read_table("survey.csv", &ReadOptions::default())?;
/// let model = autoregressive::Config::default().fit(&data)?;
/// let log_prob = model.score(&data)?;
/// # Ok::<(), dozen_nn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The model. Default: [`ModelConfig::default`].
    pub model: ModelConfig,
    /// How to train. Default: [`TrainingRecord::default`].
    pub record: TrainingRecord,
    /// The share of rows that are held out for early stopping, in [0, 1). Default: 0.1.
    pub held_out: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { model: ModelConfig::default(), record: TrainingRecord::default(), held_out: 0.1 }
    }
}

impl Config {
    /// Trains on a table in memory, on the best device there is.
    ///
    /// # Errors
    /// When a cell is missing, the configuration makes no sense, or the loss is no longer finite.
    pub fn fit(&self, table: &Table) -> Result<Model, Error> {
        Ok(self.fit_with(table, &choose_device("auto")?, &mut ())?.0)
    }

    /// The same on a device, with an observer.
    ///
    /// # Errors
    /// As [`Config::fit`], and when the observer ends it.
    pub fn fit_with(
        &self,
        table: &Table,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<(Model, History), Error> {
        let parts = Parts::of(table, &[], self.held_out, self.record.training.seed, false)?;
        let request = TrainRequest {
            model: self.model.clone(),
            columns: parts.columns,
            train: &parts.train.0,
            valid: (parts.valid.0.rows() > 0).then_some(&parts.valid.0),
            record: self.record.clone(),
            data: Vec::new(),
        };
        let (model, _, history) = fit(request, std::slice::from_ref(device), observer)?;
        Ok((model, history))
    }
}
