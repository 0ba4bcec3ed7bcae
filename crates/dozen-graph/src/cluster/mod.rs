//! Clusters from spanning trees.

mod condensed;
mod hdbscan;
mod linkage;

pub use condensed::{CondensedTree, Fall, Selection};
pub use hdbscan::{Clustering, Convention, HdbscanConfig, Prediction, Separation, hdbscan};
pub use linkage::{Merge, cut, single_linkage};
