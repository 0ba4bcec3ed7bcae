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
    #[error("{what} {position} is {value}; coordinates and costs are finite numbers")]
    NotFinite {
        /// `coordinate` or `cost`.
        what: &'static str,
        /// From 0, row by row.
        position: usize,
        /// What stands there.
        value: f64,
    },
    /// Values that are not whole rows, or sides of different dimensions.
    #[error("{0}")]
    Shape(String),
}
