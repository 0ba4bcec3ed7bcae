//! Boruvka's algorithm, on all threads, the light edges first.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rayon::prelude::*;

use super::{EdgeSet, Edges};
use crate::{Graph, Weight};

/// Rounds in which each tree takes the lightest edge that leaves it. Where edges are many, first those of the light ones
/// alone, and then those of the rest that still join two trees, which are few.
pub(super) fn boruvka<W: Weight>(graph: Graph<'_, W>) -> EdgeSet {
    let mut forest = Forest::new(graph);
    forest.grow(Edges::of(graph), graph.nodes());
    forest.taken
}

/// Trees as they grow together.
struct Forest<'a, W> {
    graph: Graph<'a, W>,
    /// The tree of each node; none before the first round, when nodes are trees.
    trees: Vec<u32>,
    count: usize,
    taken: EdgeSet,
    /// For each tree the least `order` of the edges that leave it.
    least: Vec<AtomicU64>,
    /// For each tree the first of those edges, where their order alone does not say which it is.
    first: Vec<AtomicU32>,
    /// Whether no other thread looks on.
    alone: bool,
}

const NONE: u32 = u32::MAX;

impl<'a, W: Weight> Forest<'a, W> {
    fn new(graph: Graph<'a, W>) -> Self {
        let count = graph.nodes();
        let first = if Self::ORDER_NAMES_EDGE { 0 } else { count };
        Self {
            graph,
            trees: Vec::new(),
            count,
            taken: EdgeSet::new(graph.edges()),
            least: (0..count).map(|_| AtomicU64::new(u64::MAX)).collect(),
            first: (0..first).map(|_| AtomicU32::new(NONE)).collect(),
            alone: rayon::current_num_threads() == 1,
        }
    }

    /// Whether key and index fit one number.
    const ORDER_NAMES_EDGE: bool = W::BITS == 32;

    /// A number that is less for lighter edges.
    fn order(&self, edge: u32) -> u64 {
        let key = self.graph.key(edge as usize);
        if Self::ORDER_NAMES_EDGE { (key << 32) | u64::from(edge) } else { key }
    }

    /// The trees that an edge's ends are in.
    fn ends(&self, edge: u32) -> [usize; 2] {
        let (a, b) = self.graph.ends(edge as usize);
        let tree = |node: u32| self.trees.get(node as usize).map_or(node, |tree| *tree) as usize;
        [tree(a), tree(b)]
    }

    /// Rounds until none of the edges, which are between so many trees, joins two.
    fn grow(&mut self, mut edges: Edges, mut between: usize) {
        while !edges.is_empty() {
            if let Some(light) = edges.light(2 * between, |edge| self.order(edge)) {
                self.grow(light, between);
                edges = self.narrowed(&edges);
            }
            between = self.round(&edges);
            // A list of nearly all edges would only cost its memory.
            if edges.is_list() || 8 * between <= self.graph.nodes() {
                edges = self.narrowed(&edges);
            }
        }
    }

    /// The edges that join two trees.
    fn narrowed(&self, edges: &Edges) -> Edges {
        edges.filtered(|edge| {
            let [a, b] = self.ends(edge);
            a != b
        })
    }

    /// Each tree takes its lightest of the edges, and those that they join become one. How many trees had such an
    /// edge and are left.
    fn round(&mut self, edges: &Edges) -> usize {
        edges.each(|edge| {
            let [a, b] = self.ends(edge);
            if a != b {
                let order = self.order(edge);
                for tree in [a, b] {
                    let least = &self.least[tree];
                    let known = least.load(Relaxed);
                    if self.alone {
                        least.store(known.min(order), Relaxed);
                    } else if order < known {
                        // Most edges are not the least, and reading is cheaper than writing.
                        least.fetch_min(order, Relaxed);
                    }
                }
            }
        });
        if !Self::ORDER_NAMES_EDGE {
            edges.each(|edge| {
                let [a, b] = self.ends(edge);
                if a != b {
                    let order = self.order(edge);
                    for tree in [a, b] {
                        if order == self.least[tree].load(Relaxed) {
                            self.first[tree].fetch_min(edge, Relaxed);
                        }
                    }
                }
            });
        }
        self.join()
    }

    /// The edge that a tree takes, or [`NONE`].
    fn pick(&self, tree: usize) -> u32 {
        // The low bits of no order at all are all ones, too.
        if Self::ORDER_NAMES_EDGE {
            self.least[tree].load(Relaxed) as u32
        } else {
            self.first[tree].load(Relaxed)
        }
    }

    /// Each tree is hung onto the one at the other end of its pick. Picks of two trees that are the same edge are the only
    /// circles, since edges are in one order; the first of the two stays.
    fn join(&mut self) -> usize {
        let above = |tree: usize| {
            let pick = self.pick(tree);
            if pick == NONE {
                return AtomicU32::new(tree as u32);
            }
            self.taken.insert(pick);
            let [a, b] = self.ends(pick);
            let other = if a == tree { b } else { a };
            let stays = tree < other && self.pick(other) == pick;
            AtomicU32::new(if stays { tree } else { other } as u32)
        };
        let above: Vec<AtomicU32> = (0..self.count).into_par_iter().map(above).collect();
        // To the end of each chain; chains of others may be shorter by then, with the same end.
        above.par_iter().for_each(|tree| {
            let mut root = tree.load(Relaxed);
            loop {
                let next = above[root as usize].load(Relaxed);
                if next == root {
                    break;
                }
                root = next;
            }
            tree.store(root, Relaxed);
        });
        // Roots are numbered in their order, so that near ones stay near.
        self.count = 0;
        let mut joined = 0;
        for (root, least) in self.least.iter_mut().enumerate() {
            if above[root].load(Relaxed) as usize == root {
                joined += usize::from(*least.get_mut() != u64::MAX);
                *least.get_mut() = self.count as u64;
                self.count += 1;
            }
        }
        let mut above: Vec<u32> = above.into_iter().map(AtomicU32::into_inner).collect();
        above.par_iter_mut().for_each(|tree| *tree = self.least[*tree as usize].load(Relaxed) as u32);
        if self.trees.is_empty() {
            self.trees = above;
        } else {
            self.trees.par_iter_mut().for_each(|tree| *tree = above[*tree as usize]);
        }
        self.least.truncate(self.count);
        self.least.par_iter_mut().for_each(|least| *least.get_mut() = u64::MAX);
        self.first.truncate(self.count);
        self.first.par_iter_mut().for_each(|first| *first.get_mut() = NONE);
        joined
    }
}
