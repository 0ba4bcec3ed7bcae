//! Graphs of the crate petgraph.

use petgraph::graph::{IndexType, UnGraph};
use petgraph::visit::EdgeRef;

use crate::{Error, Graph, Weight};

/// A petgraph graph's edges, in the order of its indices.
#[derive(Clone, Debug)]
pub struct Edges<W> {
    nodes: usize,
    sources: Vec<u32>,
    targets: Vec<u32>,
    weights: Vec<W>,
}

impl<N, W: Copy, Ix: IndexType> From<&UnGraph<N, W, Ix>> for Edges<W> {
    fn from(graph: &UnGraph<N, W, Ix>) -> Self {
        let edges = || graph.edge_references();
        Self {
            nodes: graph.node_count(),
            sources: edges().map(|edge| edge.source().index() as u32).collect(),
            targets: edges().map(|edge| edge.target().index() as u32).collect(),
            weights: edges().map(|edge| *edge.weight()).collect(),
        }
    }
}

impl<W: Weight> Edges<W> {
    /// The graph; an edge of a forest is the petgraph edge of that index.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn graph(&self) -> Result<Graph<'_, W>, Error> {
        Graph::new(self.nodes, &self.sources, &self.targets, &self.weights)
    }
}
