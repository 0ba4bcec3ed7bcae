//! Kruskal's algorithm, and the filter that spares it most of the sorting.

use rayon::prelude::*;

use super::{EdgeSet, Edges};
use crate::union_find::UnionFind;
use crate::{Graph, Weight};

/// All edges in order, then each that joins two trees.
pub(super) fn kruskal<W: Weight>(graph: Graph<'_, W>) -> EdgeSet {
    let mut trees = Trees::new(graph);
    trees.take(&Edges::of(graph));
    trees.taken
}

/// The lightest edges first, about two for each node; of the rest those alone whose ends those have not joined.
pub(super) fn filter_kruskal<W: Weight>(graph: Graph<'_, W>) -> EdgeSet {
    let mut trees = Trees::new(graph);
    let mut edges = Edges::of(graph);
    if let Some(light) = edges.light(2 * graph.nodes(), |edge| graph.key(edge as usize)) {
        trees.take(&light);
        edges = trees.narrowed(&edges);
    }
    trees.take(&edges);
    trees.taken
}

/// The forest as it grows.
struct Trees<'a, W> {
    graph: Graph<'a, W>,
    sets: UnionFind,
    taken: EdgeSet,
}

impl<'a, W: Weight> Trees<'a, W> {
    fn new(graph: Graph<'a, W>) -> Self {
        Self { graph, sets: UnionFind::new(graph.nodes()), taken: EdgeSet::new(graph.edges()) }
    }

    /// The edges that join two trees.
    fn narrowed(&mut self, edges: &Edges) -> Edges {
        self.sets.flatten();
        edges.filtered(|edge| {
            let (a, b) = self.graph.ends(edge as usize);
            self.sets.flat(a) != self.sets.flat(b)
        })
    }

    /// Kruskal's step on some of the edges: sorted, each that joins two trees is taken.
    fn take(&mut self, edges: &Edges) {
        let graph = self.graph;
        if W::BITS == 32 {
            // Key and index in one number.
            let mut packed = Vec::with_capacity(edges.len());
            packed.extend(edges.iter().map(|edge| (graph.key(edge as usize) << 32) | u64::from(edge)));
            packed.par_sort_unstable();
            for packed in packed {
                self.join(packed as u32);
            }
        } else {
            let mut keyed = Vec::with_capacity(edges.len());
            keyed.extend(edges.iter().map(|edge| (graph.key(edge as usize), edge)));
            keyed.par_sort_unstable();
            for (_, edge) in keyed {
                self.join(edge);
            }
        }
    }

    fn join(&mut self, edge: u32) {
        let (a, b) = self.graph.ends(edge as usize);
        if a != b && self.sets.join(a, b) {
            self.taken.insert(edge);
        }
    }
}
