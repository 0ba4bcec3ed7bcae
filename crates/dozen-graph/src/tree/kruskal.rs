//! Kruskal's algorithm, and the filter that spares it most of the sorting.

use rayon::prelude::*;

use crate::union_find::UnionFind;
use crate::{Graph, Weight};

/// All edges in order, then each that joins two trees.
pub(super) fn kruskal<W: Weight>(graph: Graph<'_, W>) -> Vec<u32> {
    let mut trees = Trees::new(graph);
    trees.take((0..graph.edges() as u32).into_par_iter(), u64::MAX);
    trees.edges
}

/// A batch has about this many edges for each node.
const BATCH: usize = 2;
/// Fewer edges for each node than this are sorted at once.
const FEW: usize = 3;

/// The lightest edges first, about two for each node; of the rest those alone whose ends those have not joined, and so on.
pub(super) fn filter_kruskal<W: Weight>(graph: Graph<'_, W>) -> Vec<u32> {
    let mut trees = Trees::new(graph);
    let batch = BATCH * graph.nodes().max(1 << 10);
    if graph.edges() <= batch / BATCH * FEW {
        return kruskal(graph);
    }
    let all = || (0..graph.edges() as u32).into_par_iter();
    let limit = limit(graph, batch, graph.edges(), |place| place as u32);
    trees.take(all(), limit);
    let mut left = trees.left(all(), limit);
    while trees.edges.len() + 1 < graph.nodes() && !left.is_empty() {
        if left.len() <= batch / BATCH * FEW {
            trees.take(left.into_par_iter(), u64::MAX);
            break;
        }
        let limit = self::limit(graph, batch, left.len(), |place| left[place]);
        trees.take(left.par_iter().copied(), limit);
        left = trees.left(left.into_par_iter(), limit);
    }
    trees.edges
}

/// A key that about `batch` of so many edges are not above, from a sample at even steps.
fn limit<W: Weight>(graph: Graph<'_, W>, batch: usize, count: usize, edge: impl Fn(usize) -> u32) -> u64 {
    const SAMPLE: usize = 1 << 12;
    let place = |i: usize| (i as u64 * count as u64 / SAMPLE as u64) as usize;
    let mut keys: Vec<u64> = (0..SAMPLE).map(|i| graph.key(edge(place(i)) as usize)).collect();
    let rank = (batch as u64 * SAMPLE as u64 / count as u64) as usize;
    *keys.select_nth_unstable(rank.min(SAMPLE - 1)).1
}

/// The forest as it grows.
struct Trees<'a, W> {
    graph: Graph<'a, W>,
    sets: UnionFind,
    edges: Vec<u32>,
}

impl<'a, W: Weight> Trees<'a, W> {
    fn new(graph: Graph<'a, W>) -> Self {
        let edges = Vec::with_capacity(graph.nodes().saturating_sub(1));
        Self { graph, sets: UnionFind::new(graph.nodes()), edges }
    }

    /// Kruskal's step on the edges whose keys are not above a limit: sorted, each that joins two trees is taken.
    fn take(&mut self, edges: impl ParallelIterator<Item = u32>, limit: u64) {
        let graph = self.graph;
        let light = |edge: u32| Some((graph.key(edge as usize), edge)).filter(|(key, _)| *key <= limit);
        if W::BITS == 32 {
            // Key and index in one number.
            let packed = |edge: u32| light(edge).map(|(key, edge)| (key << 32) | u64::from(edge));
            let mut packed: Vec<u64> = edges.filter_map(packed).collect();
            packed.par_sort_unstable();
            for packed in packed {
                self.join(packed as u32);
            }
        } else {
            let mut keyed: Vec<(u64, u32)> = edges.filter_map(light).collect();
            keyed.par_sort_unstable();
            for (_, edge) in keyed {
                self.join(edge);
            }
        }
    }

    fn join(&mut self, edge: u32) {
        let (a, b) = self.graph.ends(edge as usize);
        if a != b && self.sets.join(a, b) {
            self.edges.push(edge);
        }
    }

    /// The edges above a limit that still join two trees.
    fn left(&mut self, edges: impl ParallelIterator<Item = u32>, limit: u64) -> Vec<u32> {
        self.sets.flatten();
        let (graph, sets) = (self.graph, &self.sets);
        let joins = |edge: &u32| {
            let (a, b) = graph.ends(*edge as usize);
            graph.key(*edge as usize) > limit && sets.flat(a) != sets.flat(b)
        };
        edges.filter(joins).collect()
    }
}
