//! A set of edges, a bit for each of the graph.

use std::sync::atomic::{AtomicU64, Ordering};

/// Edges that many threads can put in.
pub(super) struct EdgeSet(Vec<AtomicU64>);

impl EdgeSet {
    pub(super) fn new(edges: usize) -> Self {
        Self((0..edges.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn insert(&self, edge: u32) {
        self.0[edge as usize / 64].fetch_or(1 << (edge % 64), Ordering::Relaxed);
    }

    /// The edges in order.
    pub(super) fn to_vec(&self) -> Vec<u32> {
        let words = || self.0.iter().map(|word| word.load(Ordering::Relaxed));
        let mut edges = Vec::with_capacity(words().map(|word| word.count_ones() as usize).sum());
        for (first, mut word) in (0..).step_by(64).zip(words()) {
            while word != 0 {
                edges.push(first + word.trailing_zeros());
                word &= word - 1;
            }
        }
        edges
    }
}
