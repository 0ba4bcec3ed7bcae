//! `dozen transport barycenter`.

use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::{Column, Table, Values, read_table, write_table};
use dozen::transport::{
    Cost, Distance, Measure, PointCost, Points, fixed_barycenter, free_barycenter, random_directions,
};
use serde_json::{Value, json};

use crate::context::Context;
use crate::data::{ReadArguments, numbers, rows_of};
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Tables with a row for each point, all with the same columns
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// The part of each table in the mean [default: all equal]
    #[arg(long, value_delimiter = ',', value_name = "SHARE,...")]
    shares: Vec<f64>,
    /// The file to write: the points, and with --support their weights
    #[arg(long, value_name = "FILE")]
    out: std::path::PathBuf,
    /// How many points, all of one weight, free to move [default: as many as the smallest table has]
    #[arg(long, value_name = "N")]
    points: Option<usize>,
    /// Give weights to these points instead of moving points: a table, or `union` for all points of the tables
    #[arg(long, value_name = "FILE", conflicts_with = "points")]
    support: Option<String>,
    /// The weight of the entropy with --support, in units of the squared distance [default: a thousandth of the largest]
    #[arg(long, value_name = "E", requires = "support")]
    epsilon: Option<f64>,
    /// At most so many rounds [default: 100 for moving points, 10000 for weights]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Where to start
    #[arg(long, value_enum, default_value_t = Start::Sample, value_name = "HOW")]
    start: Start,
    /// The columns that are coordinates [default: all but the weights]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    columns: Vec<String>,
    /// The column of all tables that holds the weights of their rows [default: all equal]
    #[arg(long, value_name = "COLUMN")]
    weights_column: Option<String>,
    #[command(flatten)]
    read: ReadArguments,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Start {
    /// Points of the tables, drawn by the seed
    Sample,
    /// Points close around the common mean
    Mean,
}

/// One table's points and weights.
struct Side {
    values: Vec<f64>,
    weights: Vec<f64>,
}

impl Side {
    fn measure(&self, dimension: usize, share: f64) -> Result<Measure<'_>, Failure> {
        let points = Points::new(&self.values, dimension)?;
        Ok(Measure { points, weights: &self.weights, share })
    }
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let (names, sides) = arguments.sides(context)?;
    let shares = if arguments.shares.is_empty() { vec![1.0; sides.len()] } else { arguments.shares.clone() };
    if shares.len() != sides.len() {
        return Err(Failure::request(format!("{} shares do not fit {} tables", shares.len(), sides.len())));
    }
    let (table, mut json, line) = match &arguments.support {
        Some(support) => arguments.fixed(support, &names, &sides, &shares, context)?,
        None => arguments.free(&names, &sides, &shares, context)?,
    };
    write_table(&arguments.out, [Ok(table)])?;
    json["out"] = arguments.out.display().to_string().into();
    json["seconds"] = started.elapsed().as_secs_f64().into();
    let first = format!("the barycentre of {} tables is {}", sides.len(), arguments.out.display());
    Results::new(json).line(first).line(line).print(context.json())
}

impl Arguments {
    /// The names of the coordinates, and each table.
    fn sides(&self, context: &Context) -> Result<(Vec<String>, Vec<Side>), Failure> {
        let mut names = self.columns.clone();
        let mut sides = Vec::with_capacity(self.files.len());
        for path in &self.files {
            let table = read_table(path, &self.read.options(context.seed(), Vec::new()))?;
            if names.is_empty() {
                let all = table.columns().iter().map(|column| column.name.clone());
                names = all.filter(|name| Some(name) != self.weights_column.as_ref()).collect();
            }
            let chosen: Vec<&str> = names.iter().map(String::as_str).collect();
            let (values, _) = rows_of(&table, path, &chosen)?;
            let weights = match &self.weights_column {
                Some(name) => numbers(&table, name, path)?,
                None => vec![1.0; table.rows()],
            };
            sides.push(Side { values, weights });
        }
        Ok((names, sides))
    }

    fn free(
        &self,
        names: &[String],
        sides: &[Side],
        shares: &[f64],
        context: &Context,
    ) -> Result<(Table, Value, String), Failure> {
        let dimension = names.len();
        let smallest = sides.iter().map(|side| side.weights.len()).min().unwrap_or(0);
        let count = self.points.unwrap_or(smallest);
        if count == 0 {
            return Err(Failure::request("a barycentre has at least one point, and so has each table"));
        }
        let start = self.start_points(dimension, sides, count, context.seed());
        let measures = sides.iter().zip(shares).map(|(side, share)| side.measure(dimension, *share));
        let measures = measures.collect::<Result<Vec<_>, _>>()?;
        let start = Points::new(&start, dimension)?;
        let found = free_barycenter(&measures, start, self.rounds.unwrap_or(100), 1e-14)?;
        let table = table_of(names, &found.points, None)?;
        let how = if found.converged { "at rest" } else { "still moving" };
        let line = format!(
            "{count} points, {how} after {} rounds; the mean W_2^2 to the tables is {:.9}",
            found.rounds, found.cost
        );
        let json = json!({
            "support": "free",
            "points": count,
            "cost": found.cost,
            "rounds": found.rounds,
            "converged": found.converged,
        });
        Ok((table, json, line))
    }

    fn start_points(&self, dimension: usize, sides: &[Side], count: usize, seed: u64) -> Vec<f64> {
        let all: Vec<&[f64]> = sides.iter().flat_map(|side| side.values.chunks_exact(dimension)).collect();
        match self.start {
            // Every so many of all points, the first by the seed.
            Start::Sample => (0..count)
                .flat_map(|k| all[(k * all.len() / count + seed as usize) % all.len()].to_vec())
                .collect(),
            Start::Mean => {
                let mean = |d: usize| all.iter().map(|point| point[d]).sum::<f64>() / all.len() as f64;
                let mean: Vec<f64> = (0..dimension).map(mean).collect();
                let spread =
                    all.iter().flat_map(|point| point.iter().zip(&mean).map(|(x, m)| (x - m) * (x - m)));
                let scale = 1e-3 * (spread.sum::<f64>() / all.len() as f64).sqrt();
                let directions = random_directions(dimension, count, seed);
                directions.iter().zip(mean.iter().cycle()).map(|(d, m)| m + scale * d).collect()
            }
        }
    }

    fn fixed(
        &self,
        support: &str,
        names: &[String],
        sides: &[Side],
        shares: &[f64],
        context: &Context,
    ) -> Result<(Table, Value, String), Failure> {
        let dimension = names.len();
        let mut support = if support == "union" {
            sides.iter().flat_map(|side| side.values.clone()).collect()
        } else {
            let table = read_table(support, &self.read.options(context.seed(), Vec::new()))?;
            rows_of(&table, support, &names.iter().map(String::as_str).collect::<Vec<_>>())?.0
        };
        support = distinct(&support, dimension);
        let points = Points::new(&support, dimension)?;
        let n = points.len();
        let cost = PointCost::new(points, points, Distance::SquaredEuclidean, 1.0)?;
        let costs = cost.to_matrix();
        let measures = sides
            .iter()
            .zip(&self.files)
            .map(|(side, path)| weights_on(&support, side, dimension, path))
            .collect::<Result<Vec<_>, _>>()?;
        let largest = costs.iter().copied().fold(0.0, f64::max);
        let epsilon = self.epsilon.unwrap_or(if largest > 0.0 { 1e-3 * largest } else { 1.0 });
        let weights: Vec<(&[f64], f64)> =
            measures.iter().map(Vec::as_slice).zip(shares.iter().copied()).collect();
        let rounds = self.rounds.unwrap_or(10_000);
        let found = fixed_barycenter(&costs, &weights, epsilon, rounds, 1e-9)?;
        let table = table_of(names, &support, Some(&found.weights))?;
        let how = if found.converged { "converged" } else { "NOT converged" };
        let line = format!(
            "weights on {n} points, entropic with epsilon {epsilon:.6}, {how} after {} rounds",
            found.rounds
        );
        let json = json!({
            "support": "fixed",
            "points": n,
            "epsilon": epsilon,
            "rounds": found.rounds,
            "converged": found.converged,
        });
        Ok((table, json, line))
    }
}

/// Each point once, in order of appearance.
fn distinct(values: &[f64], dimension: usize) -> Vec<f64> {
    let mut seen = std::collections::HashSet::new();
    let new = |point: &&[f64]| seen.insert(key(point));
    values.chunks_exact(dimension).filter(new).flatten().copied().collect()
}

/// What tells points apart; zero is zero with either sign.
fn key(point: &[f64]) -> Vec<u64> {
    point.iter().map(|value| (value + 0.0).to_bits()).collect()
}

/// A table's weights as those of the support's points.
fn weights_on(support: &[f64], side: &Side, dimension: usize, path: &str) -> Result<Vec<f64>, Failure> {
    let places: std::collections::HashMap<Vec<u64>, usize> =
        support.chunks_exact(dimension).enumerate().map(|(place, point)| (key(point), place)).collect();
    let mut weights = vec![0.0; places.len()];
    for (row, (point, weight)) in side.values.chunks_exact(dimension).zip(&side.weights).enumerate() {
        let place = places.get(&key(point)).ok_or_else(|| {
            Failure::request(format!(
                "{path}: the point of row {row}, counted from 0, is not among the support; --support union takes all"
            ))
        })?;
        weights[*place] += weight;
    }
    Ok(weights)
}

fn table_of(names: &[String], values: &[f64], weights: Option<&[f64]>) -> Result<Table, Failure> {
    let column = |(index, name): (usize, &String)| {
        Column::new(
            name.clone(),
            Values::Number(values.iter().skip(index).step_by(names.len()).copied().collect()),
        )
    };
    let mut columns: Vec<Column> = names.iter().enumerate().map(column).collect();
    if let Some(weights) = weights {
        columns.push(Column::new("weight", Values::Number(weights.to_vec())));
    }
    Ok(Table::new(columns)?)
}
