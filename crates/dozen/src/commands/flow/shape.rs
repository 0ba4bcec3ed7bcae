//! The flags of a flow's shape.

use clap::{Args, ValueEnum};
use dozen::generative::flow::{BaseConfig, FlowConfig, Preset, Solver};

/// The flow's shape.
#[derive(Args, Debug)]
#[command(next_help_heading = "Flow")]
pub(super) struct Shape {
    /// Steps that work together
    #[arg(long, value_enum, default_value_t = PresetFlag::Nsf, value_name = "PRESET")]
    preset: PresetFlag,
    /// How often the preset's steps are repeated [default: 3; for planar and radial 32]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Units of each hidden layer of the steps' networks [default: 128,128; for rectified 256,256,256]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    hidden: Option<Vec<usize>>,
    /// Bins of a spline
    #[arg(long, default_value_t = 8, value_name = "N")]
    bins: usize,
    /// How a rectified flow is followed
    #[arg(long, value_enum, default_value_t = SolverFlag::Rk4, value_name = "RULE")]
    solver: SolverFlag,
    /// In how many steps
    #[arg(long, default_value_t = 24, value_name = "N")]
    ode_steps: usize,
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
    /// Neural splines by coupling: as fast to draw from as to train
    NsfCoupling,
    /// Masked autoregressive flow
    Maf,
    /// Inverse autoregressive flow: fast to draw from, slow to train
    Iaf,
    /// Affine coupling
    Realnvp,
    /// Additive coupling
    Nice,
    /// Actnorm, an invertible matrix and affine coupling
    Glow,
    /// Planar bends
    Planar,
    /// Radial bends
    Radial,
    /// A velocity field, learnt by matching straight lines, followed in --ode-steps
    Rectified,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum SolverFlag {
    /// One velocity a step
    Euler,
    /// Two a step
    Midpoint,
    /// Four a step
    Rk4,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum BaseFlag {
    /// Independent standard normal columns
    Gaussian,
    /// Independent columns with heavy tails
    StudentT,
    /// Gaussians with learnt means and deviations
    Mixture,
}

impl Shape {
    pub(super) fn config(&self) -> FlowConfig {
        let preset = match self.preset {
            PresetFlag::Nsf => Preset::Nsf,
            PresetFlag::NsfCoupling => Preset::NsfCoupling,
            PresetFlag::Maf => Preset::Maf,
            PresetFlag::Iaf => Preset::Iaf,
            PresetFlag::Realnvp => Preset::RealNvp,
            PresetFlag::Nice => Preset::Nice,
            PresetFlag::Glow => Preset::Glow,
            PresetFlag::Planar => Preset::Planar,
            PresetFlag::Radial => Preset::Radial,
            PresetFlag::Rectified => {
                let steps = self.ode_steps;
                Preset::Rectified(match self.solver {
                    SolverFlag::Euler => Solver::Euler { steps },
                    SolverFlag::Midpoint => Solver::Midpoint { steps },
                    SolverFlag::Rk4 => Solver::Rk4 { steps },
                })
            }
        };
        let bends = matches!(self.preset, PresetFlag::Planar | PresetFlag::Radial);
        let base = match self.base {
            BaseFlag::Gaussian => BaseConfig::Gaussian,
            BaseFlag::StudentT => BaseConfig::StudentT { degrees: self.degrees },
            BaseFlag::Mixture => BaseConfig::Mixture { parts: self.parts },
        };
        let steps = self.steps.unwrap_or(if bends { 32 } else { 3 });
        // A velocity field is one network for the whole way.
        let own = if self.preset == PresetFlag::Rectified { vec![256; 3] } else { vec![128; 2] };
        let hidden = self.hidden.as_ref().unwrap_or(&own);
        FlowConfig::preset(preset, steps, hidden, self.bins, base)
    }
}
