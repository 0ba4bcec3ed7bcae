//! Prim's algorithm.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::EdgeSet;
use crate::adjacency::Adjacency;
use crate::{Graph, Weight};

/// Trees of all components.
pub(super) fn prim<W: Weight>(graph: Graph<'_, W>) -> EdgeSet {
    let (n, m) = (graph.nodes(), graph.edges());
    // A row of distances is quicker than a heap where a node's edges are as many as a good part of all nodes.
    if n > 1 && m / n >= n / 8 { with_row(graph) } else { with_heap(graph) }
}

fn adjacency<W: Weight>(graph: Graph<'_, W>) -> Adjacency {
    Adjacency::new(graph.nodes(), (0..graph.edges()).map(|edge| graph.ends(edge)))
}

/// `O(m log m)`: edges that leave the tree lie in a heap.
fn with_heap<W: Weight>(graph: Graph<'_, W>) -> EdgeSet {
    let adjacency = adjacency(graph);
    let mut inside = vec![false; graph.nodes()];
    let taken = EdgeSet::new(graph.edges());
    let mut heap = BinaryHeap::new();
    for start in 0..graph.nodes() as u32 {
        if inside[start as usize] {
            continue;
        }
        let mut node = start;
        loop {
            inside[node as usize] = true;
            for &(to, edge) in adjacency.of(node) {
                if !inside[to as usize] {
                    heap.push(Reverse((graph.key(edge as usize), edge, to)));
                }
            }
            let next = loop {
                match heap.pop() {
                    Some(Reverse((_, edge, to))) if !inside[to as usize] => break Some((edge, to)),
                    Some(_) => {}
                    None => break None,
                }
            };
            let Some((edge, to)) = next else { break };
            taken.insert(edge);
            node = to;
        }
    }
    taken
}

/// `O(n^2 + m)`: each node's best edge into the tree lies in a row, which is looked through for the least.
fn with_row<W: Weight>(graph: Graph<'_, W>) -> EdgeSet {
    let adjacency = adjacency(graph);
    let n = graph.nodes();
    const NONE: (u64, u32) = (u64::MAX, u32::MAX);
    let mut best = vec![NONE; n];
    // Nodes outside of the tree.
    let mut outside: Vec<u32> = (0..n as u32).rev().collect();
    let mut inside = vec![false; n];
    let taken = EdgeSet::new(graph.edges());
    while !outside.is_empty() {
        let mut place = 0;
        for (candidate, &node) in outside.iter().enumerate() {
            if best[node as usize] < best[outside[place] as usize] {
                place = candidate;
            }
        }
        let node = outside.swap_remove(place);
        inside[node as usize] = true;
        if best[node as usize] != NONE {
            taken.insert(best[node as usize].1);
        }
        for &(to, edge) in adjacency.of(node) {
            let to = to as usize;
            let offer = (graph.key(edge as usize), edge);
            if !inside[to] && offer < best[to] {
                best[to] = offer;
            }
        }
    }
    taken
}
