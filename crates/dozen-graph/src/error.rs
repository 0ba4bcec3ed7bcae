//! What can be wrong with a graph or with points.

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// An edge that ends outside the graph.
    #[error("edge {edge}, counted from 0, joins node {node}, and there are {nodes} nodes, counted from 0")]
    NoSuchNode {
        /// From 0.
        edge: usize,
        /// Where it ends.
        node: u64,
        /// In the graph.
        nodes: usize,
    },
    /// A weight that cannot be compared.
    #[error("edge {edge}, counted from 0, weighs NaN, which is neither more nor less than any weight")]
    NotANumber {
        /// From 0.
        edge: usize,
    },
    /// A coordinate that is no number.
    #[error(
        "point {point}, counted from 0, has {value} as coordinate {coordinate}; coordinates are finite and at most 1e150"
    )]
    NotFinite {
        /// From 0.
        point: usize,
        /// From 0.
        coordinate: usize,
        /// What stands there.
        value: f64,
    },
    /// Slices that do not fit together, or too much for 32-bit numbers.
    #[error("{0}")]
    Shape(String),
}
