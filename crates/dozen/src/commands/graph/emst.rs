//! `dozen graph emst`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::graph::{core_distances, mutual_reachability_tree};
use serde_json::json;

use super::{PointTable, write};
use crate::context::Context;
use crate::data::{ReadArguments, number_column};
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A table with a row for each point, or a TSPLIB .tsp file
    #[arg(value_name = "POINTS")]
    points: String,
    /// The columns that are coordinates [default: all]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    columns: Vec<String>,
    /// No distance is less than those of its ends to their N-th nearest other point: mutual reachability
    #[arg(long, default_value_t = 0, value_name = "N")]
    neighbours: usize,
    /// The file to write, with the columns u, v, weight: .csv, .tsv, .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArguments,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let table = PointTable::read(&arguments.points, &arguments.columns, &arguments.read, context)?;
    let points = table.points()?;
    let read_seconds = started.elapsed().as_secs_f64();
    let solved = Instant::now();
    let core = core_distances(points, arguments.neighbours);
    let tree = mutual_reachability_tree(points, &core);
    let seconds = solved.elapsed().as_secs_f64();
    let mut lines = vec![
        format!("total weight {}", tree.total_weight),
        format!(
            "{} links between {} points of {} coordinates",
            tree.links.len(),
            points.len(),
            points.dimension()
        ),
        format!("{seconds:.3} s after reading for {read_seconds:.3} s"),
    ];
    let mut json = json!({
        "points": points.len(),
        "dimensions": points.dimension(),
        "total_weight": tree.total_weight,
        "seconds": seconds,
        "read_seconds": read_seconds,
    });
    if let Some(out) = &arguments.out {
        let columns = vec![
            number_column("u", tree.links.iter().map(|link| f64::from(link.a))),
            number_column("v", tree.links.iter().map(|link| f64::from(link.b))),
            number_column("weight", tree.links.iter().map(|link| link.weight)),
        ];
        write(out, columns)?;
        json["out"] = out.display().to_string().into();
        lines.push(format!("the tree is {}", out.display()));
    }
    Results::new(json).lines(lines).print(context.json())
}
