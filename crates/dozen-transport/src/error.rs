//! What can be wrong with a transport problem.

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A side without points.
    #[error("the {side} side has no points; there is nothing to transport")]
    Empty {
        /// `first` or `second`.
        side: &'static str,
    },
    /// Weights and points differ in number.
    #[error("the {side} side has {points} points but {weights} weights")]
    Weights {
        /// `first` or `second`.
        side: &'static str,
        /// Of the cost.
        points: usize,
        /// Given.
        weights: usize,
    },
    /// A weight that is no mass.
    #[error("weight {position} of the {side} side is {value}; weights are finite and not negative")]
    BadWeight {
        /// `first` or `second`.
        side: &'static str,
        /// From 0.
        position: usize,
        /// The weight.
        value: f64,
    },
    /// Weights that are all zero, or whose sum is not finite.
    #[error("the weights of the {side} side sum to {sum}; they must sum to a positive number")]
    BadSum {
        /// `first` or `second`.
        side: &'static str,
        /// Of the weights.
        sum: f64,
    },
    /// A coordinate or cost that is no number.
    #[error("{what} {position} is {value}; coordinates, costs and prices are finite numbers")]
    NotFinite {
        /// `coordinate`, `cost` or `price`.
        what: &'static str,
        /// From 0, row by row.
        position: usize,
        /// What stands there.
        value: f64,
    },
    /// Routes that cannot carry all mass.
    #[error("the routes leave {:.4} % of the mass where it is; every point needs routes to enough others", share * 100.0)]
    Stranded {
        /// Of the whole mass.
        share: f64,
    },
    /// A setting out of its range.
    #[error("{what} is {value}; it must be a positive number")]
    Setting {
        /// Which.
        what: &'static str,
        /// What it is.
        value: f64,
    },
    /// Values that are not whole rows, or sides of different dimensions.
    #[error("{0}")]
    Shape(String),
}

impl Error {
    /// A setting must be a positive number.
    pub(crate) fn check_positive(what: &'static str, value: f64) -> Result<(), Self> {
        if value > 0.0 && value.is_finite() { Ok(()) } else { Err(Self::Setting { what, value }) }
    }

    /// A power must be a number from one up.
    pub(crate) fn check_power(power: f64) -> Result<(), Self> {
        if power >= 1.0 && power.is_finite() {
            return Ok(());
        }
        Err(Self::Shape(format!("a power of {power} is not at least 1")))
    }

    /// The same of the second side, where what found it knows one side only.
    #[must_use]
    pub fn of_second(self) -> Self {
        match self {
            Self::Empty { .. } => Self::Empty { side: "second" },
            Self::Weights { points, weights, .. } => Self::Weights { side: "second", points, weights },
            Self::BadWeight { position, value, .. } => Self::BadWeight { side: "second", position, value },
            Self::BadSum { sum, .. } => Self::BadSum { side: "second", sum },
            other => other,
        }
    }
}
