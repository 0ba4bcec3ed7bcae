//! `dozen graph cluster`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::graph::{Clustering, Convention, HdbscanConfig, Selection, cut, euclidean_tree, hdbscan};
use serde_json::{Value, json};

use super::{PointTable, page, write};
use crate::context::Context;
use crate::data::{ReadArguments, number_column};
use crate::output::{Failure, Results, write_report};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A table with a row for each point, or a TSPLIB .tsp file
    #[arg(value_name = "POINTS")]
    points: String,
    /// How
    #[arg(long, value_enum, default_value_t = Method::Hdbscan, value_name = "METHOD")]
    method: Method,
    /// The columns that are coordinates [default: all]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    columns: Vec<String>,
    /// Put each column in units of its standard deviation first
    #[arg(long)]
    standardize: bool,
    /// The file to write, with the columns label (-1 is noise), membership and outlier_score
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The folder for a report
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    hdbscan: HdbscanArguments,
    /// Clusters to cut the tree into
    #[arg(long, default_value_t = 2, value_name = "K", help_heading = "Cut")]
    clusters: usize,
    #[command(flatten)]
    read: ReadArguments,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "HDBSCAN")]
struct HdbscanArguments {
    /// Points of the smallest cluster
    #[arg(long, default_value_t = 5, value_name = "N")]
    min_cluster_size: usize,
    /// Neighbours that make a place dense [default: the smallest cluster's points]
    #[arg(long, value_name = "N")]
    min_samples: Option<usize>,
    /// Whose count of neighbours: scikit-learn counts the point itself
    #[arg(long = "match", value_enum, default_value_t = MatchFlag::Hdbscan, value_name = "PACKAGE")]
    like: MatchFlag,
    /// How clusters are chosen from the tree
    #[arg(long, value_enum, default_value_t = Selection::ExcessOfMass, value_name = "HOW")]
    selection: Selection,
    /// All points may be one cluster
    #[arg(long)]
    allow_single_cluster: bool,
    /// New points to place among the clusters; --out then holds these
    #[arg(long, value_name = "FILE")]
    predict: Option<String>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum Method {
    /// By density, with noise (Campello, Moulavi and Sander 2013)
    Hdbscan,
    /// The K - 1 heaviest links of the spanning tree are cut: single linkage (Zahn 1971)
    Cut,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum MatchFlag {
    Hdbscan,
    FastHdbscan,
    Sklearn,
}

impl HdbscanArguments {
    fn config(&self) -> HdbscanConfig {
        HdbscanConfig {
            min_cluster_size: self.min_cluster_size,
            min_samples: self.min_samples.unwrap_or(self.min_cluster_size),
            convention: match self.like {
                MatchFlag::Sklearn => Convention::WithSelf,
                MatchFlag::Hdbscan | MatchFlag::FastHdbscan => Convention::Others,
            },
            selection: self.selection,
            allow_single: self.allow_single_cluster,
        }
    }
}

/// Pairs of clusters whose separating link is named.
const SEPARATIONS: usize = 100;

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let mut table = PointTable::read(&arguments.points, &arguments.columns, &arguments.read, context)?;
    if arguments.standardize {
        if arguments.hdbscan.predict.is_some() {
            return Err(Failure::request(
                "--predict places points in the units of the table; leave out --standardize",
            ));
        }
        table.standardise();
    }
    let started = Instant::now();
    match arguments.method {
        Method::Hdbscan => arguments.by_density(&table, started, context),
        Method::Cut => arguments.by_cutting(&table, started, context),
    }
}

impl Arguments {
    fn by_cutting(&self, table: &PointTable, started: Instant, context: &Context) -> Result<(), Failure> {
        let points = table.points()?;
        if !(1..=points.len()).contains(&self.clusters) {
            return Err(Failure::request(format!(
                "--clusters {} is not between 1 and the {} points",
                self.clusters,
                points.len()
            )));
        }
        let tree = euclidean_tree(points);
        let labels = cut(points.len(), &tree.links, self.clusters);
        let seconds = started.elapsed().as_secs_f64();
        if let Some(out) = &self.out {
            write(out, vec![number_column("label", labels.iter().map(|&label| label as f64))])?;
        }
        let mut sizes = vec![0; self.clusters];
        for &label in &labels {
            sizes[label] += 1;
        }
        let json = json!({ "method": "cut", "clusters": self.clusters, "noise": 0, "sizes": sizes, "seconds": seconds });
        let lines = [format!("{} clusters of {} points", self.clusters, listed(&sizes))];
        Results::new(json).lines(lines).print(context.json())
    }

    fn by_density(&self, table: &PointTable, started: Instant, context: &Context) -> Result<(), Failure> {
        let points = table.points()?;
        let found = hdbscan(points, &self.hdbscan.config())?;
        let seconds = started.elapsed().as_secs_f64();
        let mut sizes = vec![0; found.chosen.len()];
        found.labels.iter().flatten().for_each(|&label| sizes[label as usize] += 1);
        let noise = found.labels.iter().filter(|label| label.is_none()).count();
        let mut json = json!({
            "method": "hdbscan",
            "clusters": found.chosen.len(),
            "noise": noise,
            "sizes": sizes,
            "seconds": seconds,
        });
        let mut lines = vec![
            format!("{} clusters of {} points, and {noise} points of noise", sizes.len(), listed(&sizes)),
            format!("{seconds:.3} s for {} points of {} coordinates", points.len(), points.dimension()),
        ];
        let label = |label: Option<u32>| label.map_or(-1.0, f64::from);
        if let Some(new) = &self.hdbscan.predict {
            let new = PointTable::read(new, &table.names, &self.read, context)?;
            let placed = found.predict(points, new.points()?)?;
            let noise = placed.iter().filter(|prediction| prediction.label.is_none()).count();
            json["predicted"] = placed.len().into();
            json["predicted_noise"] = noise.into();
            lines.push(format!("{} new points placed, {noise} of them noise", placed.len()));
            if let Some(out) = &self.out {
                let columns = vec![
                    number_column("label", placed.iter().map(|prediction| label(prediction.label))),
                    number_column("membership", placed.iter().map(|prediction| prediction.membership)),
                ];
                write(out, columns)?;
            }
        } else if let Some(out) = &self.out {
            let columns = vec![
                number_column("label", found.labels.iter().copied().map(label)),
                number_column("membership", found.memberships.iter().copied()),
                number_column("outlier_score", found.outlier_scores.iter().copied()),
            ];
            write(out, columns)?;
        }
        json["separations"] = separations(&found);
        if let Some(out) = &self.report {
            let report = page::report(&found, table, &self.points, context.command_line());
            let page = write_report(out, &report)?;
            lines.push(format!("the report is {page}"));
            json["report"] = page.into();
        }
        Results::new(json).lines(lines).print(context.json())
    }
}

/// What lies between each two clusters: the link at which they first meet.
fn separations(found: &Clustering) -> Value {
    if found.chosen.len() * found.chosen.len().saturating_sub(1) / 2 > SEPARATIONS {
        return json!([]);
    }
    let separation = |separation: &dozen::graph::Separation| {
        let link = found.tree.links[separation.link as usize];
        json!({
            "clusters": [separation.first, separation.second],
            "points": [link.a, link.b],
            "distance": link.weight,
        })
    };
    found.separations().iter().map(separation).collect()
}

/// A few numbers, and how many more.
fn listed(sizes: &[usize]) -> String {
    let shown: Vec<String> = sizes.iter().take(10).map(usize::to_string).collect();
    let more = if sizes.len() > 10 { ", ..." } else { "" };
    if sizes.is_empty() { "no".into() } else { format!("{}{more}", shown.join(", ")) }
}
