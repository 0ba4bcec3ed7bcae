//! Minimum spanning forests.
//!
//! Edges are ordered by `(weight, index)`, which no two share. So there is one minimum spanning forest, and each algorithm
//! finds it, on any number of threads.

mod boruvka;
mod edge_set;
mod edges;
mod kruskal;
mod prim;

use edge_set::EdgeSet;
use edges::Edges;

use crate::weight::compensated_sum;
use crate::{Graph, Weight};

/// How to find the forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Algorithm {
    /// The quickest for the graph's size and density.
    Auto,
    /// Sorts all edges (Kruskal 1956).
    Kruskal,
    /// Sorts the light edges, and of the rest only those that still join two trees (Osipov, Sanders and Singler 2009).
    FilterKruskal,
    /// Grows a tree from each component's first node, by a heap or, where edges are many, by a row of distances (Prim 1957).
    Prim,
    /// Each tree takes its lightest edge, all at once (Boruvka 1926); of the light edges first, as in the filter.
    Boruvka,
}

/// A minimum spanning forest.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// The edges, by their index in the graph, in the order of the indices.
    pub edges: Vec<u32>,
    /// The sum of their weights, compensated for rounding; exact for whole numbers before it is a float.
    pub total_weight: f64,
    /// Trees, nodes without edges among them.
    pub components: usize,
    /// What found it.
    pub algorithm: Algorithm,
}

/// The minimum spanning forest: for each component the spanning tree of least weight, and of those the one whose edges come
/// first in the order by `(weight, index)`. Loops are never in it, and of several edges between two nodes the first lightest.
///
/// Time `O(m log m)` at worst; the filter makes it nearly linear in `m` where edges are many. Memory beyond the graph is at
/// most 24 bytes an edge.
pub fn minimum_spanning_forest<W: Weight>(graph: Graph<'_, W>, algorithm: Algorithm) -> Forest {
    let algorithm = match algorithm {
        Algorithm::Auto => Algorithm::Boruvka,
        chosen => chosen,
    };
    let edges = match algorithm {
        Algorithm::Kruskal => kruskal::kruskal(graph),
        Algorithm::FilterKruskal => kruskal::filter_kruskal(graph),
        Algorithm::Prim => prim::prim(graph),
        Algorithm::Boruvka | Algorithm::Auto => boruvka::boruvka(graph),
    }
    .to_vec();
    Forest {
        total_weight: W::total(edges.iter().map(|&edge| graph.weight(edge as usize))),
        components: graph.nodes() - edges.len(),
        edges,
        algorithm,
    }
}

/// The maximum spanning forest, by the same algorithms: of equal weights the first index is still taken.
pub fn maximum_spanning_forest<W: Weight>(
    nodes: usize,
    sources: &[u32],
    targets: &[u32],
    weights: &[W],
    algorithm: Algorithm,
) -> Result<Forest, crate::Error> {
    // Checked as they are, then turned round.
    Graph::new(nodes, sources, targets, weights)?;
    let turned: Vec<Turned<W>> = weights.iter().map(|&weight| Turned(weight)).collect();
    let mut forest = minimum_spanning_forest(Graph::new(nodes, sources, targets, &turned)?, algorithm);
    forest.total_weight = compensated_sum(forest.edges.iter().map(|&edge| weights[edge as usize].value()));
    Ok(forest)
}

/// A weight whose order is turned round.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Turned<W>(W);

impl<W: Weight> Weight for Turned<W> {
    const BITS: u32 = W::BITS;

    fn key(self) -> Option<u64> {
        self.0.key().map(|key| (u64::MAX >> (64 - W::BITS)) - key)
    }

    fn value(self) -> f64 {
        -self.0.value()
    }
}
