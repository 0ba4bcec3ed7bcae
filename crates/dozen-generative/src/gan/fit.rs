//! Training a generative adversarial network on a table in memory.

use dozen_data::Table;
use dozen_nn::{
    Decay, Device, Error, History, Observer, OptimizerConfig, Schedule, TrainConfig, TrainingRecord,
    choose_device,
};

use super::{Columns, GanConfig, Lipschitz, Loss, Model, NetworkConfig, Numbers, Saved, TrainRequest, fit};
use crate::parts::Parts;

/// How to make a generative adversarial network of a table.
///
/// ```no_run
/// use dozen_data::{ReadOptions, read_table};
/// use dozen_generative::{TableModel, gan};
///
/// let data = read_table("moons.csv", &ReadOptions::default())?;
/// let model = gan::Config::default().fit(&data)?;
/// let nothing = model.condition().encode(&data)?;
/// let rows = model.table(&model.draw(100, &nothing, 1)?)?;
/// # Ok::<(), dozen_nn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Both networks and the game. Default: three layers of 128 units on each side, and the Wasserstein distance with a
    /// gradient penalty of 0.1, two steps of the critic to one of the generator.
    pub model: GanConfig,
    /// How numbers reach the networks. Default: standardized.
    pub numbers: Numbers,
    /// How to train. Default: Adam (0.5, 0.99) at 0.002 falling in a line, 30 epochs of 300 steps, batches of 128, an average
    /// of the generator's weights with the decay 0.99.
    pub record: TrainingRecord,
    /// The columns that the model is conditional on. Default: none.
    pub condition: Vec<String>,
    /// The share of rows that are held out and whose distance from samples is measured, in [0, 1). Default: 0.1.
    pub held_out: f64,
}

impl Default for Config {
    fn default() -> Self {
        let network = NetworkConfig::Mlp { generator: vec![128; 3], critic: vec![128; 3] };
        let plain = GanConfig::plain(network, Loss::Wasserstein, Lipschitz::GradientPenalty { weight: 0.1 });
        let schedule = Schedule { rate: 0.002, warm_up: 0, decay: Decay::Linear };
        let training =
            TrainConfig { epochs: 30, batch_size: 128, patience: None, schedule, ..TrainConfig::default() };
        Self {
            model: GanConfig { critic_steps: 2, steps_per_epoch: 300, ..plain },
            numbers: Numbers::Standard,
            record: TrainingRecord {
                training,
                optimizer: OptimizerConfig::Adam {
                    beta_1: 0.5,
                    beta_2: 0.99,
                    epsilon: 1e-8,
                    weight_decay: 0.0,
                },
                clip_norm: None,
                ema: Some(0.99),
            },
            condition: Vec::new(),
            held_out: 0.1,
        }
    }
}

impl Config {
    /// Trains on a table in memory, on the best device there is.
    ///
    /// # Errors
    /// When a cell is missing, the configuration makes no sense, or a loss is no longer finite.
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
        let parts = Parts::of(table, &self.condition, self.held_out, self.record.training.seed, false)?;
        let config = Saved {
            model: self.model.clone(),
            layout: Columns::fit(&parts.columns, &parts.train.0, self.numbers, None),
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
        let (model, history, _) = fit(request, device, observer)?;
        Ok((model, history))
    }
}
