//! Kruskal's algorithm, and the filter that spares it most of the sorting.

use rayon::prelude::*;

use crate::union_find::UnionFind;
use crate::{Graph, Weight};

/// An edge to sort: its key above its index, so that one comparison orders both.
pub(super) type Ordered = (u64, u32);

/// All edges in order, then each that joins two trees.
pub(super) fn kruskal<W: Weight>(graph: Graph<'_, W>) -> Vec<u32> {
    let mut sets = UnionFind::new(graph.nodes());
    let mut tree = Vec::with_capacity(graph.nodes().saturating_sub(1));
    let all: Vec<u32> = (0..graph.edges() as u32).collect();
    take(graph, all, &mut sets, &mut tree);
    tree
}

/// A batch has about this many edges for each node.
const BATCH: usize = 2;
/// Fewer edges for each node than this are sorted at once.
const FEW: usize = 3;

/// The lightest edges first, about two for each node; of the rest those alone whose ends those have not joined, and so on.
pub(super) fn filter_kruskal<W: Weight>(graph: Graph<'_, W>) -> Vec<u32> {
    let mut sets = UnionFind::new(graph.nodes());
    let mut tree = Vec::with_capacity(graph.nodes().saturating_sub(1));
    let batch = BATCH * graph.nodes().max(1 << 10);
    let mut left: Vec<u32> = Vec::new();
    let mut first = true;
    loop {
        let count = if first { graph.edges() } else { left.len() };
        if count <= batch / BATCH * FEW {
            let rest = if first { (0..count as u32).collect() } else { left };
            take(graph, rest, &mut sets, &mut tree);
            return tree;
        }
        // The key that about `batch` of the edges are below, from a sample at even steps.
        let sample = 1 << 12;
        let at = |i: usize| {
            let place = (i as u64 * count as u64 / sample as u64) as usize;
            graph.key(if first { place } else { left[place] as usize })
        };
        let mut keys: Vec<u64> = (0..sample).map(at).collect();
        let rank = (batch as u64 * sample as u64 / count as u64) as usize;
        let (_, &mut limit, _) = keys.select_nth_unstable(rank);
        let is_light = |edge: &u32| graph.key(*edge as usize) <= limit;
        let light: Vec<u32> = if first {
            (0..count as u32).into_par_iter().filter(is_light).collect()
        } else {
            left.par_iter().copied().filter(is_light).collect()
        };
        take(graph, light, &mut sets, &mut tree);
        sets.flatten();
        let joins = |edge: &u32| {
            let (a, b) = graph.ends(*edge as usize);
            graph.key(*edge as usize) > limit && sets.root(a) != sets.root(b)
        };
        left = if first {
            (0..count as u32).into_par_iter().filter(joins).collect()
        } else {
            left.into_par_iter().filter(joins).collect()
        };
        first = false;
        if tree.len() + 1 == graph.nodes() || left.is_empty() {
            return tree;
        }
    }
}

/// Kruskal's step on some of the edges: sorted, each that joins two trees is taken.
fn take<W: Weight>(graph: Graph<'_, W>, edges: Vec<u32>, sets: &mut UnionFind, tree: &mut Vec<u32>) {
    let mut join = |edge: u32| {
        let (a, b) = graph.ends(edge as usize);
        if a != b && sets.join(a, b) {
            tree.push(edge);
        }
    };
    if W::BITS == 32 {
        let packed = |edge: u32| (graph.key(edge as usize) << 32) | u64::from(edge);
        let mut packed: Vec<u64> = edges.into_par_iter().map(packed).collect();
        packed.par_sort_unstable();
        for packed in packed {
            join(packed as u32);
        }
    } else {
        let mut keyed: Vec<Ordered> =
            edges.into_par_iter().map(|edge| (graph.key(edge as usize), edge)).collect();
        keyed.par_sort_unstable();
        for (_, edge) in keyed {
            join(edge);
        }
    }
}
