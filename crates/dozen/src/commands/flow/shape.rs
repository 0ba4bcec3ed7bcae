//! The flags of a flow's shape.

use clap::{Args, ValueEnum};
use dozen::data::ImageShape;
use dozen::generative::flow::{BaseConfig, FlowConfig, ImagePreset, Preset, Solver, Trace};

use crate::output::Failure;

/// The flow's shape.
#[derive(Args, Debug)]
#[command(next_help_heading = "Flow")]
pub(super) struct Shape {
    /// Steps that work together
    #[arg(long, value_enum, default_value_t = PresetFlag::Nsf, value_name = "PRESET")]
    preset: PresetFlag,
    /// How often the preset's steps are repeated [default: 3; for planar and radial 32; for images 8 at each scale]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Units of each hidden layer of the steps' networks [default: 128,128; for rectified 256,256,256; for continuous 64,64; for glow and realnvp of images 64 channels]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    hidden: Option<Vec<usize>>,
    /// Bins of a spline
    #[arg(long, default_value_t = 8, value_name = "N")]
    bins: usize,
    /// How a rectified or continuous flow is followed
    #[arg(long, value_enum, default_value_t = SolverFlag::Rk4, value_name = "RULE")]
    solver: SolverFlag,
    /// In how many steps [default: 24; for continuous 8]
    #[arg(long, value_name = "N")]
    ode_steps: Option<usize>,
    /// How far a step of rk45 may be off
    #[arg(long, default_value_t = 1e-4, value_name = "T")]
    tolerance: f64,
    /// How training finds the divergence, for continuous
    #[arg(long, value_enum, default_value_t = Trace::Exact, value_name = "HOW")]
    trace: Trace,
    /// Batch normalisation after each autoregressive or coupling step
    #[arg(long)]
    batch_norm: bool,
    /// What the flow ends at
    #[arg(long, value_enum, default_value_t = BaseFlag::Gaussian, value_name = "BASE")]
    base: BaseFlag,
    /// Degrees of freedom, for student-t
    #[arg(long, default_value_t = 5.0, value_name = "N")]
    degrees: f64,
    /// Gaussians, for mixture
    #[arg(long, default_value_t = 8, value_name = "N")]
    parts: usize,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum PresetFlag {
    /// Autoregressive neural splines: the best densities
    Nsf,
    /// The same with splines of straight pieces
    NsfLinear,
    /// Neural splines by coupling: as fast to draw from as to train
    NsfCoupling,
    /// Masked autoregressive flow
    Maf,
    /// Inverse autoregressive flow: fast to draw from, slow to train
    Iaf,
    /// Affine coupling; of images by checkerboards and channels
    Realnvp,
    /// Additive coupling
    Nice,
    /// Actnorm, an invertible matrix and affine coupling; with --image of convolutions, at several scales
    Glow,
    /// Planar bends
    Planar,
    /// Radial bends
    Radial,
    /// A velocity field, learnt by matching straight lines, followed in --ode-steps
    Rectified,
    /// A velocity field, learnt by the likelihood
    Continuous,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum SolverFlag {
    /// One velocity a step
    Euler,
    /// Two a step
    Midpoint,
    /// Four a step
    Rk4,
    /// As many steps as --tolerance asks for
    Rk45,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum BaseFlag {
    /// Independent standard normal columns
    Gaussian,
    /// Independent columns with heavy tails
    StudentT,
    /// Gaussians with learnt means and deviations
    Mixture,
    /// Independent columns uniform in (0, 1)
    Uniform,
}

impl Shape {
    pub(super) fn config(&self, image: Option<ImageShape>) -> Result<FlowConfig, Failure> {
        let images = match self.preset {
            PresetFlag::Glow => Some(ImagePreset::Glow),
            PresetFlag::Realnvp => Some(ImagePreset::RealNvp),
            _ => None,
        };
        if let (Some(shape), Some(preset)) = (image, images) {
            if shape.squeezed().is_none() {
                return Err(Failure::request(format!(
                    "images of {shape} cannot be halved; make their sides even"
                )));
            }
            let hidden = self.hidden.as_ref().and_then(|hidden| hidden.first()).copied().unwrap_or(64);
            return Ok(FlowConfig::images(preset, shape, self.steps.unwrap_or(8), hidden));
        }
        let bends = matches!(self.preset, PresetFlag::Planar | PresetFlag::Radial);
        let base = match self.base {
            BaseFlag::Gaussian => BaseConfig::Gaussian,
            BaseFlag::StudentT => BaseConfig::StudentT { degrees: self.degrees },
            BaseFlag::Mixture => BaseConfig::Mixture { parts: self.parts },
            BaseFlag::Uniform => BaseConfig::Uniform,
        };
        let steps = self.steps.unwrap_or(if bends { 32 } else { 3 });
        let config = FlowConfig::preset(self.preset(), steps, &self.hidden(), self.bins, base);
        let config = if self.batch_norm { config.with_batch_norm() } else { config };
        Ok(if image.is_some() { config.of_unit_interval() } else { config })
    }

    /// Units of each hidden layer.
    pub(super) fn hidden(&self) -> Vec<usize> {
        let own = match self.preset {
            // A velocity field is one network for the whole way.
            PresetFlag::Rectified => vec![256; 3],
            PresetFlag::Continuous => vec![64; 2],
            _ => vec![128; 2],
        };
        self.hidden.clone().unwrap_or(own)
    }

    fn preset(&self) -> Preset {
        match self.preset {
            PresetFlag::Nsf => Preset::Nsf,
            PresetFlag::NsfLinear => Preset::NsfLinear,
            PresetFlag::NsfCoupling => Preset::NsfCoupling,
            PresetFlag::Maf => Preset::Maf,
            PresetFlag::Iaf => Preset::Iaf,
            PresetFlag::Realnvp => Preset::RealNvp,
            PresetFlag::Nice => Preset::Nice,
            PresetFlag::Glow => Preset::Glow,
            PresetFlag::Planar => Preset::Planar,
            PresetFlag::Radial => Preset::Radial,
            PresetFlag::Rectified => Preset::Rectified(self.solver(24)),
            PresetFlag::Continuous => Preset::Continuous(self.solver(8), self.trace),
        }
    }

    fn solver(&self, steps: usize) -> Solver {
        let steps = self.ode_steps.unwrap_or(steps);
        match self.solver {
            SolverFlag::Euler => Solver::Euler { steps },
            SolverFlag::Midpoint => Solver::Midpoint { steps },
            SolverFlag::Rk4 => Solver::Rk4 { steps },
            SolverFlag::Rk45 => Solver::Adaptive { tolerance: self.tolerance },
        }
    }
}
