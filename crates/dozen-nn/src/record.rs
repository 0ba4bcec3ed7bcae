//! How a model was trained, as its `config.json` keeps it.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::{Decay, Error, Optimizer, OptimizerConfig, TrainConfig, Trained};

/// Everything about the training of a network that its family does not have for itself: with the data and the family's
/// own configuration, enough to train it again to the same bytes. It is flattened into the `config.json` of every family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// Epochs, batches, the schedule and the seed.
    pub training: TrainConfig,
    /// The rule of the steps.
    pub optimizer: OptimizerConfig,
    /// Bound on the norm of each gradient, above zero; `None` for no bound.
    pub clip_norm: Option<f64>,
    /// Decay of the moving average of the weights, which is what is evaluated and kept, in [0, 1); `None` for the weights
    /// themselves.
    pub ema: Option<f64>,
}

impl Default for TrainingRecord {
    /// [`TrainConfig::default`] with Adam, no bound and no average.
    fn default() -> Self {
        Self {
            training: TrainConfig::default(),
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: None,
            ema: None,
        }
    }
}

impl TrainingRecord {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// With the setting that has no sense.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Setting(problem));
        let is_positive = |value: f64| value > 0.0 && value.is_finite();
        let TrainConfig { epochs, batch_size, schedule, .. } = self.training;
        if epochs == 0 || batch_size == 0 {
            return refuse("`epochs` and `batch_size` must be at least 1".into());
        }
        if !is_positive(schedule.rate) {
            return refuse(format!("`rate` must be a positive number, not {}", schedule.rate));
        }
        if let Decay::Step { factor, .. } | Decay::Exponential { factor } | Decay::Plateau { factor, .. } =
            schedule.decay
            && !is_positive(factor)
        {
            return refuse(format!("`decay_factor` must be a positive number, not {factor}"));
        }
        if let Decay::Step { every: 0, .. } = schedule.decay {
            return refuse("`decay_epochs` must be at least 1".into());
        }
        let (momentum, weight_decay) = match self.optimizer {
            OptimizerConfig::Sgd { momentum } => (momentum, 0.0),
            OptimizerConfig::RmsProp { .. } => (0.0, 0.0),
            OptimizerConfig::RmsPropTf { momentum, weight_decay, .. } => (momentum, weight_decay),
            OptimizerConfig::Adam { weight_decay, .. } => (0.0, weight_decay),
        };
        if !(0.0..1.0).contains(&momentum) {
            return refuse(format!("`momentum` must lie in [0, 1), not {momentum}"));
        }
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return refuse(format!("`weight_decay` must be at least 0, not {weight_decay}"));
        }
        if let Some(norm) = self.clip_norm.filter(|norm| !is_positive(*norm)) {
            return refuse(format!("`clip_norm` must be a positive number, not {norm}"));
        }
        if let Some(decay) = self.ema.filter(|decay| !(0.0..1.0).contains(decay)) {
            return refuse(format!("`ema` must lie in [0, 1), not {decay}"));
        }
        Ok(())
    }

    /// A network with its optimizer, at the beginning of its training.
    pub fn begin<M: Module>(&self, network: M) -> Trained<M> {
        Trained::new(network, self.optimizer(), self.ema)
    }

    /// The optimizer alone.
    pub fn optimizer(&self) -> Optimizer {
        Optimizer::new(self.optimizer, self.clip_norm)
    }
}

/// Reads the record of a model that may have none, as imported ones, from the whole of its `config.json`: with
/// `#[serde(flatten, deserialize_with = "dozen_nn::optional_record")]`. Of a record that is there nothing may be damaged;
/// models that dozen 0.1 trained have the first part of it alone, which is checked and left.
///
/// # Errors
/// When what is there is no record.
pub fn optional_record<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<TrainingRecord>, D::Error> {
    let all = serde_json::Map::<String, serde_json::Value>::deserialize(from)?;
    let damaged = |error: serde_json::Error| serde::de::Error::custom(format!("training: {error}"));
    match all.get("training") {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(_) if all.contains_key("optimizer") => {
            serde_json::from_value(serde_json::Value::Object(all)).map(Some).map_err(damaged)
        }
        Some(training) => {
            serde_json::from_value::<TrainConfig>(training.clone()).map(|_| None).map_err(damaged)
        }
    }
}
