//! Training an autoencoder on a table in memory.

use dozen_data::Table;
use dozen_nn::{Device, Error, History, Observer, TrainConfig, TrainingRecord, choose_device};

use super::{
    LatentConfig, Likelihood, Model, NetworkConfig, Objective, PosteriorConfig, PriorConfig, Saved,
    TrainRequest, VaeConfig, fit,
};
use crate::parts::Parts;

/// How to make a variational autoencoder of a table, whose cells may be missing.
///
/// ```no_run
/// use dozen_data::{ReadOptions, read_table};
/// use dozen_generative::{LatentModel, vae};
///
/// let data = read_table("survey.csv", &ReadOptions { missing: true, ..ReadOptions::default() })?;
/// let model = vae::Config::default().fit(&data)?;
/// let (cells, condition) = model.cells(&data)?;
/// let codes = model.encode(&cells, &condition);
/// # Ok::<(), dozen_nn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The networks, the distributions and the objective. Default: a layer of 256 units on each side, ten latent columns,
    /// a normal likelihood of numbers, the evidence lower bound.
    pub model: VaeConfig,
    /// How to train. Default: [`TrainingRecord::default`] with 100 epochs.
    pub record: TrainingRecord,
    /// The columns that the model is conditional on. Default: none.
    pub condition: Vec<String>,
    /// The share of rows that are held out for early stopping, in [0, 1). Default: 0.1.
    pub held_out: f64,
}

impl Default for Config {
    fn default() -> Self {
        let kind =
            LatentConfig::Variational { posterior: PosteriorConfig::Diagonal, prior: PriorConfig::Standard };
        let record = TrainingRecord::default();
        Self {
            model: VaeConfig {
                network: NetworkConfig::Mlp { hidden: vec![256] },
                latent: 10,
                kind,
                likelihood: Likelihood::Gaussian { deviation: None },
                condition_networks: false,
                objective: Objective::default(),
            },
            record: TrainingRecord { training: TrainConfig { epochs: 100, ..record.training }, ..record },
            condition: Vec::new(),
            held_out: 0.1,
        }
    }
}

impl Config {
    /// Trains on a table in memory, on the best device there is. With a condition both networks see it.
    ///
    /// # Errors
    /// When the configuration makes no sense, or the loss is no longer finite.
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
        let parts = Parts::of(table, &self.condition, self.held_out, self.record.training.seed, true)?;
        let conditional = self.model.condition_networks || !self.condition.is_empty();
        let config = Saved {
            model: VaeConfig { condition_networks: conditional, ..self.model.clone() },
            columns: parts.columns,
            condition: parts.condition,
            image: None,
            record: self.record.clone(),
            data: Vec::new(),
        };
        let request = TrainRequest {
            config,
            train: &parts.train.0,
            train_condition: &parts.train.1,
            valid: &parts.valid.0,
            valid_condition: &parts.valid.1,
        };
        fit(request, device, observer)
    }
}
