//! Training a flow on a table in memory.

use dozen_data::{Kind, Table};
use dozen_nn::{
    Decay, Device, Error, History, Observer, OptimizerConfig, Schedule, TrainConfig, TrainingRecord,
    choose_device,
};

use super::{BaseConfig, FlowConfig, Model, Preset, Saved, TrainRequest, fit};
use crate::parts::Parts;

/// How to make a flow of a table of numbers.
///
/// ```no_run
/// use dozen_data::{ReadOptions, read_table};
/// use dozen_generative::{TableModel, flow};
///
/// let data = read_table("moons.csv", &ReadOptions::default())?;
/// let model = flow::Config::default().fit(&data)?;
/// let scores = model.score(&data)?;
/// model.save("runs/moons".as_ref())?;
/// # Ok::<(), dozen_nn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The transforms and the base. Default: three autoregressive spline steps of two layers of 128 units.
    pub model: FlowConfig,
    /// How to train. Default: Adam at 0.001 falling along a cosine, 100 epochs of batches of 256, gradients bounded by 5,
    /// an end after 20 epochs without a better validation.
    pub record: TrainingRecord,
    /// The columns that the density is conditional on. Default: none.
    pub condition: Vec<String>,
    /// The share of rows that are held out for early stopping and calibration, in [0, 1). Default: 0.1.
    pub held_out: f64,
}

impl Default for Config {
    fn default() -> Self {
        let schedule = Schedule { rate: 0.001, warm_up: 0, decay: Decay::Cosine };
        Self {
            model: FlowConfig::preset(Preset::Nsf, 3, &[128, 128], 8, BaseConfig::Gaussian),
            record: TrainingRecord {
                training: TrainConfig { epochs: 100, batch_size: 256, schedule, ..TrainConfig::default() },
                optimizer: OptimizerConfig::adam(0.0),
                clip_norm: Some(5.0),
                ema: None,
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
    /// When a column holds text or other categories, a cell is missing, the configuration makes no sense, or the loss is no
    /// longer finite.
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
        let is_real = |kind: &Kind| matches!(kind, Kind::Real { .. });
        if let Some(column) = parts.columns.columns.iter().find(|column| !is_real(&column.kind)) {
            return Err(Error::Request(format!(
                "column `{}` holds bits or categories, of which a flow has no density; leave it out, or make it a condition",
                column.name
            )));
        }
        let width = parts.columns.columns.len();
        if parts.train.0.rows() <= width {
            return Err(Error::Request(format!(
                "{} training rows cannot tell the density of {width} columns",
                parts.train.0.rows()
            )));
        }
        let config = Saved {
            model: self.model.clone(),
            columns: parts.columns,
            condition: parts.condition,
            whole: vec![false; width],
            variational: None,
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
            reflow: None,
        };
        fit(request, std::slice::from_ref(device), observer)
    }
}
