//! What a flow is made of.

use dozen_data::{Fingerprint, ImageShape, Schema};
use dozen_nn::{Error, TrainingRecord, dense_weights};
use serde::{Deserialize, Serialize};

use super::transform::{Bijection, LinearSpline};

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
    /// A monotone spline of straight pieces, the identity outside `[-bound, bound]`.
    LinearSpline {
        /// Bins.
        bins: usize,
        /// Where the straight tails begin.
        bound: f64,
    },
}

impl From<BijectionConfig> for Bijection {
    fn from(config: BijectionConfig) -> Self {
        match config {
            BijectionConfig::Additive => Self::Additive,
            BijectionConfig::Affine => Self::Affine,
            BijectionConfig::Spline { bins, bound } => Self::Spline(dozen_kernels::Spline { bins, bound }),
            BijectionConfig::LinearSpline { bins, bound } => Self::LinearSpline(LinearSpline { bins, bound }),
        }
    }
}

/// Which values of an image a coupling leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Mask {
    /// Every other pixel.
    Checkerboard {
        /// Those whose row and column add up to an odd number.
        odd: bool,
    },
    /// Half of the channels.
    Channels {
        /// The first half changes, else the second.
        first: bool,
    },
}

/// How training finds the divergence of a velocity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// As it is, at a price for each column.
    Exact,
    /// Along one random direction, right on average.
    Hutchinson,
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
    /// A velocity field, learnt by the likelihood.
    Continuous {
        /// Units of each hidden layer.
        hidden: Vec<usize>,
        /// How it is followed.
        solver: Solver,
        /// Of the velocity's slopes, in training.
        trace: Trace,
    },
    /// Batch normalisation.
    BatchNorm,
    /// From [0, 1] onto the line.
    Logit {
        /// What keeps 0 and 1 from infinity.
        margin: f64,
    },
    /// From the line into (0, 1), for a uniform base.
    Sigmoid,
    /// Squares of two by two pixels become channels.
    Squeeze {
        /// Before.
        shape: ImageShape,
    },
    /// A scale and a shift of each channel.
    ImageActnorm {
        /// Of the images.
        shape: ImageShape,
    },
    /// An invertible matrix over the channels of a pixel: a 1x1 convolution.
    ImageLinear {
        /// Of the images.
        shape: ImageShape,
    },
    /// Some values of an image by functions of the others.
    ImageCoupling {
        /// Of the images.
        shape: ImageShape,
        /// Which are left.
        mask: Mask,
        /// Channels of the network's hidden layers.
        hidden: usize,
    },
}

impl TransformConfig {
    /// Of the images, where it is a step for images.
    fn shape(&self) -> Option<ImageShape> {
        match self {
            Self::Squeeze { shape }
            | Self::ImageActnorm { shape }
            | Self::ImageLinear { shape }
            | Self::ImageCoupling { shape, .. } => Some(*shape),
            _ => None,
        }
    }

    /// At most as many numbers as such a step of so many columns has.
    fn least_parameters(&self, columns: usize) -> f64 {
        let dense =
            |ends: [usize; 2], hidden: &[usize]| dense_weights(&[&ends[..1], hidden, &ends[1..]].concat());
        let each = |bijection: &BijectionConfig| Bijection::from(*bijection).parameters();
        match self {
            Self::Autoregressive { bijection, hidden, .. } => {
                dense([columns, columns.saturating_mul(each(bijection))], hidden)
            }
            Self::Coupling { bijection, hidden, .. } => {
                let half = columns / 2;
                dense([half, half.saturating_mul(each(bijection))], hidden)
            }
            Self::Rectified { hidden, .. } | Self::Continuous { hidden, .. } => dense([columns; 2], hidden),
            Self::Linear => dense_weights(&[columns, columns]),
            Self::ImageLinear { shape } => dense_weights(&[shape.channels; 2]),
            Self::ImageCoupling { hidden, .. } => dense_weights(&[*hidden; 2]),
            _ => 0.0,
        }
    }
}

/// How a velocity is followed from one end of time to the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The rule of Dormand and Prince, in steps as long as the tolerance lets them be.
    Adaptive {
        /// How far a step may be off, absolutely and relatively.
        tolerance: f64,
    },
}

/// Steps of a solver; more end on no machine.
const MOST_STEPS: usize = 1_000_000;

impl Solver {
    fn has_sense(self) -> bool {
        match self {
            Self::Euler { steps } | Self::Midpoint { steps } | Self::Rk4 { steps } => {
                (1..=MOST_STEPS).contains(&steps)
            }
            Self::Adaptive { tolerance } => tolerance > 0.0,
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
    /// Independent columns uniform in (0, 1); the last transform must be a sigmoid.
    Uniform,
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Preset {
    /// Autoregressive neural splines.
    Nsf,
    /// The same of straight pieces.
    NsfLinear,
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
    /// A velocity field, learnt by the likelihood.
    Continuous(Solver, Trace),
}

/// Flows of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagePreset {
    /// Actnorm, 1x1 convolution and coupling by halves of the channels, at several scales.
    Glow,
    /// Coupling by checkerboards and by halves of the channels, at several scales.
    RealNvp,
}

/// Where a preset's splines end, in standard deviations of the data.
const BOUND: f64 = 5.0;

/// What keeps pixels from the ends of [0, 1], where logits are infinite (Dinh et al. 2017, section 4.1).
const MARGIN: f64 = 0.05;

/// How often the sides of images are halved, where they are even.
const SCALES: usize = 3;

impl FlowConfig {
    /// A preset of so many steps with networks of these hidden layers.
    pub fn preset(preset: Preset, steps: usize, hidden: &[usize], bins: usize, base: BaseConfig) -> Self {
        let spline = BijectionConfig::Spline { bins, bound: BOUND };
        let linear_spline = BijectionConfig::LinearSpline { bins, bound: BOUND };
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
                Preset::NsfLinear => vec![autoregressive(linear_spline, step, false)],
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
                Preset::Continuous(solver, trace) => {
                    vec![TransformConfig::Continuous { hidden: hidden.to_vec(), solver, trace }]
                }
            }
        };
        // A velocity field is the whole flow.
        let steps = if matches!(preset, Preset::Rectified(_) | Preset::Continuous(..)) { 1 } else { steps };
        let mut transforms: Vec<TransformConfig> = (0..steps).flat_map(step).collect();
        if preset == Preset::Nice {
            // Additive steps keep volumes; one scale at the end (Dinh et al. 2015, section 3.3).
            transforms.push(TransformConfig::Actnorm);
        }
        if base == BaseConfig::Uniform {
            transforms.push(TransformConfig::Sigmoid);
        }
        Self { transforms, base }
    }

    /// With batch normalisation after each step that bends.
    #[must_use]
    pub fn with_batch_norm(self) -> Self {
        let bends = |transform: &TransformConfig| {
            matches!(transform, TransformConfig::Autoregressive { .. } | TransformConfig::Coupling { .. })
        };
        let with = |transform: TransformConfig| {
            let norm = bends(&transform).then_some(TransformConfig::BatchNorm);
            std::iter::once(transform).chain(norm)
        };
        Self { transforms: self.transforms.into_iter().flat_map(with).collect(), ..self }
    }

    /// For values in [0, 1].
    #[must_use]
    pub fn of_unit_interval(mut self) -> Self {
        self.transforms.insert(0, TransformConfig::Logit { margin: MARGIN });
        self
    }

    /// A preset for images of this shape with values in [0, 1]: `steps` at each scale, networks of `hidden` channels.
    pub fn images(preset: ImagePreset, shape: ImageShape, steps: usize, hidden: usize) -> Self {
        let mut transforms = vec![TransformConfig::Logit { margin: MARGIN }];
        let coupling = |shape, mask| TransformConfig::ImageCoupling { shape, mask, hidden };
        let mut shape = shape;
        for scale in 0..=SCALES {
            if preset == ImagePreset::RealNvp {
                for step in 0..steps {
                    transforms.push(TransformConfig::ImageActnorm { shape });
                    transforms.push(coupling(shape, Mask::Checkerboard { odd: step % 2 == 1 }));
                }
            }
            let Some(squeezed) = shape.squeezed().filter(|_| scale < SCALES) else { break };
            transforms.push(TransformConfig::Squeeze { shape });
            shape = squeezed;
            for step in 0..steps {
                transforms.push(TransformConfig::ImageActnorm { shape });
                if preset == ImagePreset::Glow {
                    transforms.push(TransformConfig::ImageLinear { shape });
                }
                let first = preset == ImagePreset::RealNvp && step % 2 == 1;
                transforms.push(coupling(shape, Mask::Channels { first }));
            }
            // Half of the channels are at the base now (Dinh et al. 2017, section 3.6).
            shape.channels /= 2;
        }
        Self { transforms, base: BaseConfig::Gaussian }
    }

    /// At most as many numbers as such a flow of so many columns has.
    pub(super) fn least_parameters(&self, columns: usize) -> f64 {
        let base = if let BaseConfig::Mixture { parts } = self.base { parts } else { 0 };
        let transforms = self.transforms.iter().map(|transform| transform.least_parameters(columns));
        transforms.sum::<f64>() + dense_weights(&[base, columns])
    }

    /// Checks what the types cannot.
    pub fn validate(&self, columns: usize) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Setting(problem));
        if self.transforms.is_empty() {
            return refuse("a flow needs at least one transform; give `steps` 1 or more".into());
        }
        let alone = self.transforms.len() == 1;
        if let Some(shape) =
            self.transforms.iter().filter_map(TransformConfig::shape).find(|shape| shape.size() > columns)
        {
            return refuse(format!("an image of {shape} does not fit into rows of {columns} columns"));
        }
        for transform in &self.transforms {
            let (bijection, hidden) = match transform {
                TransformConfig::Autoregressive { bijection, hidden, inverse, .. } => {
                    let spline = !matches!(bijection, BijectionConfig::Additive | BijectionConfig::Affine);
                    if *inverse && spline {
                        return refuse(
                            "inverse autoregressive flows are affine here; splines go the other way".into(),
                        );
                    }
                    (bijection, hidden)
                }
                TransformConfig::Coupling { bijection, hidden, .. } => {
                    if columns < 2 {
                        return refuse("coupling needs two columns; take `preset` nsf for one".into());
                    }
                    (bijection, hidden)
                }
                TransformConfig::Rectified { hidden, solver }
                | TransformConfig::Continuous { hidden, solver, .. } => {
                    if hidden.contains(&0) || !solver.has_sense() {
                        return refuse(
                            "a hidden layer needs a unit, and a solver a step or a tolerance".into(),
                        );
                    }
                    if !alone && matches!(transform, TransformConfig::Rectified { .. }) {
                        return refuse(
                            "a rectified flow is one velocity field, without other transforms, and its base not uniform".into(),
                        );
                    }
                    continue;
                }
                TransformConfig::ImageCoupling { shape, mask, hidden } => {
                    if *hidden == 0 || (matches!(mask, Mask::Channels { .. }) && shape.channels < 2) {
                        return refuse(
                            "image couplings need a hidden channel, and two channels to halve".into(),
                        );
                    }
                    continue;
                }
                _ => continue,
            };
            if hidden.contains(&0) {
                return refuse("a hidden layer needs at least one unit".into());
            }
            if let BijectionConfig::Spline { bins, bound } | BijectionConfig::LinearSpline { bins, bound } =
                bijection
                && !((1..=256).contains(bins) && *bound > 0.0)
            {
                return refuse(format!(
                    "a spline has 1 to 256 bins, not {bins}, and a bound above 0, not {bound}"
                ));
            }
        }
        match self.base {
            BaseConfig::StudentT { degrees } if degrees.is_nan() || degrees <= 0.0 => {
                refuse(format!("`degrees` must be above 0, not {degrees}"))
            }
            BaseConfig::Mixture { parts: 0 } => refuse("`parts` must be at least 1".into()),
            BaseConfig::Uniform if self.transforms.last() != Some(&TransformConfig::Sigmoid) => {
                refuse("a uniform base needs a sigmoid as the last transform".into())
            }
            _ => Ok(()),
        }
    }
}

/// Everything in a model's `config.json` beside the format and the family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The flow.
    pub model: FlowConfig,
    /// The columns whose density it is.
    pub columns: Schema,
    /// The columns that the density is conditional on.
    pub condition: Schema,
    /// For each column whether it holds whole numbers, which noise from [0, 1) makes continuous (Theis et al. 2016).
    pub whole: Vec<bool>,
    /// Units of each hidden layer of the flow that makes the noise, given the numbers (Ho et al. 2019); else it is uniform.
    #[serde(default)]
    pub variational: Option<Vec<usize>>,
    /// The shape, where the columns are the pixels of an image, from 0 to 255.
    #[serde(default)]
    pub image: Option<ImageShape>,
    /// How it was trained.
    #[serde(flatten)]
    pub record: TrainingRecord,
    /// The files that it was trained on.
    pub data: Vec<Fingerprint>,
}
