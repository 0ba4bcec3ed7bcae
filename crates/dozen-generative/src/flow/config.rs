//! What a flow is made of.

use dozen_data::{Fingerprint, Schema};
use dozen_nn::{Error, OptimizerConfig, TrainConfig};
use serde::{Deserialize, Serialize};

/// A function of one value with parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum BijectionConfig {
    /// `y = x + t` (NICE).
    Additive,
    /// `y = x e^s + t` (RealNVP, MAF).
    Affine,
    /// A monotone rational-quadratic spline, the identity outside `[-bound, bound]` (NSF).
    Spline {
        /// Bins.
        bins: usize,
        /// Where the straight tails begin.
        bound: f64,
    },
}

/// One step of a flow, from the data towards the base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum TransformConfig {
    /// Each column by a function of those before it, in this order or reversed.
    Autoregressive {
        /// The function.
        bijection: BijectionConfig,
        /// Units of each hidden layer.
        hidden: Vec<usize>,
        /// From the last column to the first.
        reversed: bool,
        /// Fast in drawing and slow in densities (IAF) instead of the other way round (MAF).
        inverse: bool,
    },
    /// Half of the columns by functions of the other half.
    Coupling {
        /// The function.
        bijection: BijectionConfig,
        /// Units of each hidden layer.
        hidden: Vec<usize>,
        /// Which half: the second, or the first.
        first: bool,
    },
    /// A scale and a shift of each column, begun at the data's.
    Actnorm,
    /// An invertible matrix.
    Linear,
    /// The columns in another order, drawn by the seed.
    Permutation,
    /// `z + u tanh(w.z + b)`.
    Planar,
    /// `z + b (z - c) / (a + |z - c|)`.
    Radial,
    /// A velocity field, learnt by matching straight lines; alone in its flow.
    Rectified {
        /// Units of each hidden layer.
        hidden: Vec<usize>,
        /// How it is followed.
        solver: Solver,
    },
}

/// How a velocity is followed from one end of time to the other, in so many steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Solver {
    /// Straight on: one velocity a step.
    Euler {
        /// Steps.
        steps: usize,
    },
    /// By the velocity in a step's middle: two a step.
    Midpoint {
        /// Steps.
        steps: usize,
    },
    /// The classical rule of Runge and Kutta: four a step.
    Rk4 {
        /// Steps.
        steps: usize,
    },
}

impl Solver {
    /// How many steps.
    pub fn steps(self) -> usize {
        match self {
            Self::Euler { steps } | Self::Midpoint { steps } | Self::Rk4 { steps } => steps,
        }
    }
}

/// What the flow ends at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum BaseConfig {
    /// Independent standard normal columns.
    Gaussian,
    /// Independent columns of Student's t, for heavy tails.
    StudentT {
        /// Degrees of freedom.
        degrees: f64,
    },
    /// A mixture of Gaussians with learnt means and deviations.
    Mixture {
        /// How many.
        parts: usize,
    },
}

/// The hyper-parameters of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowConfig {
    /// From the data to the base.
    pub transforms: Vec<TransformConfig>,
    /// What the flow ends at.
    pub base: BaseConfig,
}

/// Flows that work on tables without tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Autoregressive neural splines.
    Nsf,
    /// Neural splines by coupling: as fast to draw from as to train.
    NsfCoupling,
    /// Masked autoregressive flow.
    Maf,
    /// Inverse autoregressive flow.
    Iaf,
    /// Affine coupling.
    RealNvp,
    /// Additive coupling.
    Nice,
    /// Actnorm, an invertible matrix and affine coupling in each step.
    Glow,
    /// Planar bends.
    Planar,
    /// Radial bends.
    Radial,
    /// A velocity field, learnt by matching straight lines.
    Rectified(Solver),
}

/// Where a preset's splines end, in standard deviations of the data.
const BOUND: f64 = 5.0;

impl FlowConfig {
    /// A preset of so many steps with networks of these hidden layers.
    pub fn preset(preset: Preset, steps: usize, hidden: &[usize], bins: usize, base: BaseConfig) -> Self {
        let spline = BijectionConfig::Spline { bins, bound: BOUND };
        let affine = BijectionConfig::Affine;
        let autoregressive = |bijection, step: usize, inverse| TransformConfig::Autoregressive {
            bijection,
            hidden: hidden.to_vec(),
            reversed: step % 2 == 1,
            inverse,
        };
        let coupling = |bijection, step: usize| TransformConfig::Coupling {
            bijection,
            hidden: hidden.to_vec(),
            first: step % 2 == 1,
        };
        let step = |step: usize| -> Vec<TransformConfig> {
            match preset {
                Preset::Nsf => vec![autoregressive(spline, step, false)],
                Preset::Maf => vec![autoregressive(affine, step, false)],
                Preset::Iaf => vec![autoregressive(affine, step, true)],
                // Two couplings, so that every column is changed in a step.
                Preset::NsfCoupling => {
                    vec![TransformConfig::Linear, coupling(spline, 0), coupling(spline, 1)]
                }
                Preset::RealNvp => {
                    vec![TransformConfig::Permutation, coupling(affine, 0), coupling(affine, 1)]
                }
                Preset::Nice => {
                    vec![coupling(BijectionConfig::Additive, 0), coupling(BijectionConfig::Additive, 1)]
                }
                Preset::Glow => {
                    vec![TransformConfig::Actnorm, TransformConfig::Linear, coupling(affine, step)]
                }
                Preset::Planar => vec![TransformConfig::Planar],
                Preset::Radial => vec![TransformConfig::Radial],
                Preset::Rectified(solver) => {
                    vec![TransformConfig::Rectified { hidden: hidden.to_vec(), solver }]
                }
            }
        };
        // A velocity field is the whole flow.
        let steps = if matches!(preset, Preset::Rectified(_)) { 1 } else { steps };
        let mut transforms: Vec<TransformConfig> = (0..steps).flat_map(step).collect();
        if preset == Preset::Nice {
            // Additive steps keep volumes; one scale at the end (Dinh et al. 2015, section 3.3).
            transforms.push(TransformConfig::Actnorm);
        }
        Self { transforms, base }
    }

    /// Checks what the types cannot.
    pub fn validate(&self, columns: usize) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Request(problem));
        if self.transforms.is_empty() {
            return refuse("a flow needs at least one transform; give --steps 1 or more".into());
        }
        let alone = self.transforms.len() == 1;
        for transform in &self.transforms {
            let (bijection, hidden) = match transform {
                TransformConfig::Autoregressive { bijection, hidden, inverse, .. } => {
                    if *inverse && matches!(bijection, BijectionConfig::Spline { .. }) {
                        return refuse(
                            "inverse autoregressive flows are affine here; splines go the other way".into(),
                        );
                    }
                    (bijection, hidden)
                }
                TransformConfig::Coupling { bijection, hidden, .. } => {
                    if columns < 2 {
                        return refuse("coupling needs two columns; take --preset nsf for one".into());
                    }
                    (bijection, hidden)
                }
                TransformConfig::Rectified { hidden, solver } => {
                    if hidden.contains(&0) || solver.steps() == 0 {
                        return refuse("a hidden layer needs a unit, and a solver a step".into());
                    }
                    if !alone {
                        return refuse(
                            "a rectified flow is one velocity field, without other transforms".into(),
                        );
                    }
                    continue;
                }
                _ => continue,
            };
            if hidden.contains(&0) {
                return refuse("a hidden layer needs at least one unit".into());
            }
            if let BijectionConfig::Spline { bins, bound } = bijection
                && !((1..=256).contains(bins) && *bound > 0.0)
            {
                return refuse(format!(
                    "a spline has 1 to 256 bins, not {bins}, and a bound above 0, not {bound}"
                ));
            }
        }
        match self.base {
            BaseConfig::StudentT { degrees } if degrees.is_nan() || degrees <= 0.0 => {
                refuse(format!("--degrees must be above 0, not {degrees}"))
            }
            BaseConfig::Mixture { parts: 0 } => refuse("--parts must be at least 1".into()),
            _ => Ok(()),
        }
    }
}

/// Everything in a model's `config.json` beside the format and the family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The flow.
    pub model: FlowConfig,
    /// The columns whose density it is.
    pub columns: Schema,
    /// The columns that the density is conditional on.
    pub condition: Schema,
    /// For each column whether it holds whole numbers, which uniform noise makes continuous (Theis et al. 2016).
    pub whole: Vec<bool>,
    /// How it was trained.
    pub training: TrainConfig,
    /// The rule of its steps.
    pub optimizer: OptimizerConfig,
    /// Bound on the norm of the gradient.
    pub clip_norm: Option<f64>,
    /// Decay of the moving average of weights.
    pub ema: Option<f64>,
    /// The files that it was trained on.
    pub data: Vec<Fingerprint>,
}
