//! Boruvka's algorithm, on all threads.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rayon::prelude::*;

use crate::{Graph, Weight};

/// Rounds in which each tree takes the lightest edge that leaves it; each at least halves the trees.
pub(super) fn boruvka<W: Weight>(graph: Graph<'_, W>) -> Vec<u32> {
    let n = graph.nodes();
    let mut trees: Vec<u32> = (0..n as u32).collect();
    let mut left: Vec<u32> = (0..graph.edges() as u32)
        .into_par_iter()
        .filter(|&edge| {
            let (a, b) = graph.ends(edge as usize);
            a != b
        })
        .collect();
    let mut tree = Vec::with_capacity(n.saturating_sub(1));
    // The least key that leaves each tree, then the least index of those.
    let keys: Vec<AtomicU64> = (0..n).map(|_| AtomicU64::new(u64::MAX)).collect();
    let picks: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(u32::MAX)).collect();
    while !left.is_empty() {
        let of = |edge: u32| {
            let (a, b) = graph.ends(edge as usize);
            [trees[a as usize], trees[b as usize]].map(|tree| tree as usize)
        };
        left.par_iter().for_each(|&edge| {
            let key = graph.key(edge as usize);
            for tree in of(edge) {
                // Most edges are not the least, and reading is cheaper than writing.
                if key < keys[tree].load(Ordering::Relaxed) {
                    keys[tree].fetch_min(key, Ordering::Relaxed);
                }
            }
        });
        left.par_iter().for_each(|&edge| {
            let key = graph.key(edge as usize);
            for tree in of(edge) {
                if key == keys[tree].load(Ordering::Relaxed) {
                    picks[tree].fetch_min(edge, Ordering::Relaxed);
                }
            }
        });
        // Each tree hangs itself onto the one at the other end of its pick. Picks of two trees that are the same edge are the
        // only circles, since edges are in one order; the first of the two stays.
        let mut above: Vec<u32> = (0..n as u32).collect();
        for tree_index in 0..n {
            let pick = picks[tree_index].swap(u32::MAX, Ordering::Relaxed);
            keys[tree_index].store(u64::MAX, Ordering::Relaxed);
            if pick == u32::MAX {
                continue;
            }
            let [a, b] = of(pick);
            let other = if a == tree_index { b } else { a };
            if other > tree_index && picks[other].load(Ordering::Relaxed) == pick {
                continue;
            }
            above[tree_index] = other as u32;
            tree.push(pick);
        }
        flatten(&mut above);
        trees.par_iter_mut().for_each(|tree| *tree = above[*tree as usize]);
        let trees = &trees;
        left = left
            .into_par_iter()
            .filter(|&edge| {
                let (a, b) = graph.ends(edge as usize);
                trees[a as usize] != trees[b as usize]
            })
            .collect();
    }
    tree.par_sort_unstable_by_key(|&edge| (graph.key(edge as usize), edge));
    tree
}

/// Makes each element point to the end of its chain.
fn flatten(above: &mut [u32]) {
    for start in 0..above.len() {
        let mut root = above[start];
        while above[root as usize] != root {
            root = above[root as usize];
        }
        let mut node = start as u32;
        while above[node as usize] != root {
            node = std::mem::replace(&mut above[node as usize], root);
        }
    }
}
