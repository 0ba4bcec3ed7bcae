//! Minimum spanning trees of graphs and of points, and what they are for.
//!
//! Edges are ordered by `(weight, index)`, so that there is one minimum spanning forest, the same from every algorithm on any
//! number of threads.
//!
//! ```
//! use dozen_graph::{Algorithm, Graph, minimum_spanning_forest};
//!
//! let graph = Graph::new(4, &[0, 1, 2, 0], &[1, 2, 0, 0], &[3.0, 1.0, 2.0, -5.0])?;
//! let forest = minimum_spanning_forest(graph, Algorithm::Auto);
//! assert_eq!((&forest.edges[..], forest.total_weight, forest.components), (&[1, 2][..], 3.0, 2));
//! # Ok::<(), dozen_graph::Error>(())
//! ```

mod adjacency;
mod cluster;
mod error;
mod graph;
#[cfg(feature = "petgraph")]
mod interop;
mod points;
mod properties;
mod segment;
mod tree;
mod union_find;
mod weight;

pub use cluster::{
    Clustering, CondensedTree, Convention, Fall, HdbscanConfig, Merge, Prediction, Selection, Separation,
    cut, hdbscan, single_linkage,
};
pub use error::Error;
pub use graph::Graph;
#[cfg(feature = "petgraph")]
pub use interop::Edges;
pub use points::{Link, PointTree, Points, core_distances, euclidean_tree, mutual_reachability_tree};
pub use properties::{Between, Bottlenecks, Flaw, Membership, SecondBest, membership, second_best, verify};
pub use segment::{Image, Neighbourhood, Segmentation, felzenszwalb, tree_filter};
pub use tree::{Algorithm, Forest, maximum_spanning_forest, minimum_spanning_forest};
pub use weight::Weight;
