//! Forests beside petgraph's, in one process and alternating: `petgraph_times NODES EDGES ROUNDS`, for `bench/run graph`.

#![expect(clippy::print_stdout, reason = "it prints its result")]

use std::time::Instant;

use dozen_graph::{Algorithm, Edges, minimum_spanning_forest};
use petgraph::algo::min_spanning_tree;
use petgraph::data::Element;
use petgraph::graph::UnGraph;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [nodes, edges, rounds] = numbers[..] else {
        println!("usage: petgraph_times NODES EDGES ROUNDS");
        return;
    };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    };
    let mut graph = UnGraph::<(), f32>::with_capacity(nodes, edges);
    for _ in 0..nodes {
        graph.add_node(());
    }
    for _ in 0..edges {
        let mut end = || ((next() * nodes as u64) >> 32) as u32;
        let (a, b) = (end(), end());
        graph.add_edge(a.into(), b.into(), next() as f32 / 4_294_967_296.0);
    }
    let ours = Edges::from(&graph);
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let started = Instant::now();
        let forest = minimum_spanning_forest(ours.graph().expect("made edges are edges"), Algorithm::Auto);
        mine.push(started.elapsed().as_secs_f64());
        let started = Instant::now();
        let total: f64 = min_spanning_tree(&graph)
            .map(|element| if let Element::Edge { weight, .. } = element { f64::from(weight) } else { 0.0 })
            .sum();
        theirs.push(started.elapsed().as_secs_f64());
        assert!((total / forest.total_weight - 1.0).abs() < 1e-9, "{total} and {}", forest.total_weight);
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    println!("{{\"dozen\":{},\"petgraph\":{}}}", median(&mut mine), median(&mut theirs));
}
