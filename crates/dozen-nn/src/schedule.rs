//! How the learning rate changes as training goes on.

use serde::{Deserialize, Serialize};

/// A learning rate, its warm-up and its decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The rate at its highest.
    pub rate: f64,
    /// Steps over which it rises linearly from zero.
    pub warm_up: u64,
    /// What it does afterwards.
    pub decay: Decay,
}

/// How the rate falls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Decay {
    /// Not at all.
    Constant,
    /// Half a cosine from the rate to zero over all steps (Loshchilov and Hutter 2017, eq. 5).
    Cosine,
    /// In a straight line from the rate to zero over all steps.
    Linear,
    /// By `factor` every `every` epochs.
    Step {
        /// Epochs between falls.
        every: u64,
        /// In (0, 1).
        factor: f64,
    },
    /// By `factor` each epoch.
    Exponential {
        /// In (0, 1).
        factor: f64,
    },
    /// By `factor` each time that validation has not improved for `patience` epochs.
    Plateau {
        /// Epochs without improvement before a fall.
        patience: u64,
        /// In (0, 1).
        factor: f64,
    },
}

impl Schedule {
    /// The rate of step `step`, from 0, in epoch `epoch`, from 0, given the validation values of the epochs so far.
    pub fn rate(&self, step: u64, total_steps: u64, epoch: u64, validation: &[f64]) -> f64 {
        let warm = if step < self.warm_up { (step + 1) as f64 / self.warm_up as f64 } else { 1.0 };
        let span = total_steps.saturating_sub(self.warm_up).max(1) as f64;
        let progress = (step.saturating_sub(self.warm_up) as f64 / span).min(1.0);
        let share = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - progress,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Decay::Step { every, factor } => factor.powi((epoch / every.max(1)) as i32),
            Decay::Exponential { factor } => factor.powi(epoch as i32),
            Decay::Plateau { patience, factor } => factor.powi(plateaus(validation, patience)),
        };
        self.rate * warm * share
    }
}

/// How often the values, lower being better, went `patience` epochs without improving.
fn plateaus(values: &[f64], patience: u64) -> i32 {
    let (mut best, mut waited, mut count) = (f64::INFINITY, 0, 0);
    for &value in values {
        if value < best {
            (best, waited) = (value, 0);
        } else {
            waited += 1;
            if waited >= patience.max(1) {
                (waited, count) = (0, count + 1);
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(decay: Decay, warm_up: u64, values: &[f64]) -> Vec<f64> {
        let schedule = Schedule { rate: 1.0, warm_up, decay };
        (0..4).map(|step| schedule.rate(step, 4, step, values)).collect()
    }

    #[test]
    fn each_decay_follows_its_formula() {
        assert_eq!(rates(Decay::Constant, 2, &[]), [0.5, 1.0, 1.0, 1.0]);
        assert_eq!(rates(Decay::Step { every: 2, factor: 0.5 }, 0, &[]), [1.0, 1.0, 0.5, 0.5]);
        assert_eq!(rates(Decay::Exponential { factor: 0.5 }, 0, &[]), [1.0, 0.5, 0.25, 0.125]);
        assert_eq!(rates(Decay::Linear, 0, &[]), [1.0, 0.75, 0.5, 0.25]);
        let cosine = rates(Decay::Cosine, 0, &[]);
        assert!((cosine[0] - 1.0).abs() < 1e-12 && (cosine[2] - 0.5).abs() < 1e-12);
        let plateau = Decay::Plateau { patience: 2, factor: 0.1 };
        assert_eq!(rates(plateau, 0, &[3.0, 2.0, 2.5, 2.1])[0], 0.1);
        assert_eq!(rates(plateau, 0, &[3.0, 2.0, 2.5, 1.9])[0], 1.0);
    }
}
