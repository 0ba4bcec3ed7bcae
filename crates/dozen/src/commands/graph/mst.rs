//! `dozen graph mst`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::{Column, EdgeList, Values, read_edge_list};
use dozen::graph::{
    Algorithm, Forest, Graph, Membership, Weight, maximum_spanning_forest, membership,
    minimum_spanning_forest, second_best, verify,
};
use serde_json::json;

use super::write;
use crate::context::Context;
use crate::data::{ReadArguments, number_column};
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A graph: a table with the columns u, v, weight; DIMACS .gr; Matrix Market .mtx; METIS .metis; SciPy's sparse .npz
    #[arg(value_name = "EDGES")]
    edges: String,
    /// How to find the forest; all find the same one
    #[arg(long, value_enum, default_value_t = Algorithm::Auto, value_name = "ALGORITHM")]
    algorithm: Algorithm,
    /// The heaviest forest instead
    #[arg(long)]
    maximum: bool,
    /// Prove the forest, say whether it is the only one, and name the second best
    #[arg(long, conflicts_with = "maximum")]
    check: bool,
    /// The file to write, with the columns u, v, weight, edge: .csv, .tsv, .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArguments,
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Auto => "auto",
        Algorithm::Kruskal => "kruskal",
        Algorithm::FilterKruskal => "filter-kruskal",
        Algorithm::Prim => "prim",
        Algorithm::Boruvka => "boruvka",
    }
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let list = read_edge_list(&arguments.edges, &arguments.read.options(context.seed(), Vec::new()))?;
    let read_seconds = started.elapsed().as_secs_f64();
    // Weights that 32 bits hold exactly are sorted as such, in half the time.
    let narrow: Vec<f32> = list.weights.iter().map(|&weight| weight as f32).collect();
    let exact = narrow.iter().zip(&list.weights).all(|(&narrow, &weight)| f64::from(narrow) == weight);
    let solved = Instant::now();
    let forest =
        if exact { arguments.solve(&list, &narrow)? } else { arguments.solve(&list, &list.weights)? };
    let seconds = solved.elapsed().as_secs_f64();
    if let Some(out) = &arguments.out {
        let end = |of: &[u32]| {
            let nodes = forest.edges.iter().map(|&edge| of[edge as usize]);
            if list.names.is_empty() {
                Values::Number(nodes.map(f64::from).collect())
            } else {
                Values::Text(nodes.map(|node| list.name(node)).collect())
            }
        };
        let columns = vec![
            Column::new("u", end(&list.sources)),
            Column::new("v", end(&list.targets)),
            number_column("weight", forest.edges.iter().map(|&edge| list.weights[edge as usize])),
            number_column("edge", forest.edges.iter().map(|&edge| f64::from(edge))),
        ];
        write(out, columns)?;
    }
    let mut json = json!({
        "algorithm": name(forest.algorithm),
        "nodes": list.nodes,
        "edges": list.weights.len(),
        "tree_edges": forest.edges.len(),
        "components": forest.components,
        "total_weight": forest.total_weight,
        "seconds": seconds,
        "read_seconds": read_seconds,
    });
    let mut lines = vec![
        format!("total weight {}", forest.total_weight),
        format!(
            "{} edges of {} join {} nodes in {} {}",
            forest.edges.len(),
            list.weights.len(),
            list.nodes,
            forest.components,
            if forest.components == 1 { "tree" } else { "trees" }
        ),
        format!("{}, {seconds:.3} s after reading for {read_seconds:.3} s", name(forest.algorithm)),
    ];
    if arguments.check {
        let graph = Graph::new(list.nodes, &list.sources, &list.targets, &list.weights)?;
        verify(graph, &forest.edges)
            .map_err(|flaw| Failure::Run(format!("the forest is not minimal: {flaw:?}")))?;
        let unique = membership(graph).iter().all(|member| *member != Membership::Some);
        json["unique"] = unique.into();
        lines
            .push("proved: no edge left out is lighter than the heaviest on the way between its ends".into());
        lines.push(if unique { "it is the only one".into() } else { "others weigh the same".into() });
        if let Some(second) = second_best(graph, &forest) {
            let edge = |edge: u32| {
                let (u, v) = graph.ends(edge as usize);
                format!("{} - {}", list.name(u), list.name(v))
            };
            json["second_best_increase"] = second.increase.into();
            lines.push(format!(
                "the second best is {} heavier: {} in place of {}",
                second.increase,
                edge(second.enters),
                edge(second.leaves)
            ));
        }
    }
    if let Some(out) = &arguments.out {
        json["out"] = out.display().to_string().into();
        lines.push(format!("the forest is {}", out.display()));
    }
    Results::new(json).lines(lines).print(context.json())
}

impl Arguments {
    fn solve<W: Weight>(&self, list: &EdgeList, weights: &[W]) -> Result<Forest, Failure> {
        let EdgeList { nodes, sources, targets, .. } = list;
        let algorithm = self.algorithm;
        if self.maximum {
            return Ok(maximum_spanning_forest(*nodes, sources, targets, weights, algorithm)?);
        }
        let graph = Graph::new(*nodes, sources, targets, weights)?;
        Ok(minimum_spanning_forest(graph, algorithm))
    }
}
