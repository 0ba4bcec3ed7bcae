//! `dozen graph`: minimum spanning trees, and what they are for.

mod cluster;
mod emst;
mod mst;
mod page;
mod picture;
mod tour;

use std::path::Path;

use clap::Subcommand;
use dozen::data::{Column, Table, read_table, read_tsplib, write_table};
use dozen::graph::Points;

use crate::context::Context;
use crate::data::{ReadArguments, rows_of};
use crate::output::Failure;

pub(crate) use tour::tour;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen graph mst roads.csv --out tree.csv",
    "\n  dozen graph emst moons.csv --columns x,y --out emst.csv",
    "\n  dozen graph cluster moons.csv --columns x,y --out clusters.csv",
);

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// The minimum spanning forest of a graph
    Mst(mst::Arguments),
    /// The minimum spanning tree of points
    Emst(emst::Arguments),
    /// Clusters of points: HDBSCAN, or the heaviest links cut
    Cluster(cluster::Arguments),
    /// Segments of a picture, after Felzenszwalb and Huttenlocher
    Segment(picture::SegmentArguments),
    /// A picture smoothed along its spanning tree, which keeps its edges
    Smooth(picture::SmoothArguments),
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Mst(arguments) => mst::run(&arguments, context),
        Command::Emst(arguments) => emst::run(&arguments, context),
        Command::Cluster(arguments) => cluster::run(&arguments, context),
        Command::Segment(arguments) => picture::segment(&arguments, context),
        Command::Smooth(arguments) => picture::smooth(&arguments, context),
    }
}

/// Points as they were read.
struct PointTable {
    values: Vec<f64>,
    names: Vec<String>,
}

impl PointTable {
    /// A table, or a TSPLIB file by its ending `.tsp`.
    fn read(
        path: &str,
        columns: &[String],
        read: &ReadArguments,
        context: &Context,
    ) -> Result<Self, Failure> {
        let table = if path.to_ascii_lowercase().ends_with(".tsp") {
            read_tsplib(path)?
        } else {
            read_table(path, &read.options(context.seed(), Vec::new()))?
        };
        let all = || table.columns().iter().map(|column| column.name.clone()).collect();
        let names: Vec<String> = if columns.is_empty() { all() } else { columns.to_vec() };
        let (values, _) = rows_of(&table, path, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(Self { values, names })
    }

    fn points(&self) -> Result<Points<'_>, Failure> {
        Ok(Points::new(&self.values, self.names.len())?)
    }

    /// Each column less its mean, in units of its standard deviation.
    fn standardise(&mut self) {
        let width = self.names.len();
        let rows = (self.values.len() / width) as f64;
        for column in 0..width {
            let values = || self.values.iter().skip(column).step_by(width);
            let mean = values().sum::<f64>() / rows;
            let deviation = (values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / rows).sqrt();
            let scale = if deviation > 0.0 { deviation.recip() } else { 1.0 };
            for value in self.values.iter_mut().skip(column).step_by(width) {
                *value = (*value - mean) * scale;
            }
        }
    }
}

fn write(path: &Path, columns: Vec<Column>) -> Result<(), Failure> {
    write_table(path, [Ok(Table::new(columns)?)])?;
    Ok(())
}
