//! `dozen transport`: the cheapest way to move one distribution onto another.

use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use dozen::data::{Column, Table, Values, read_table, write_table};
use dozen::transport::{Cost, Distance, Flow, Matrix, Plan, PointCost, Points, exact, wasserstein_1d};
use serde_json::{Value, json};

use crate::args::Context;
use crate::data::ReadArguments;
use crate::output::{Failure, Results};

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// The Wasserstein distance between two tables, exact and with its certificate
    Distance(DistanceArguments),
    /// The plan itself: which rows go where, and how much of them
    Plan(PlanArguments),
}

/// Which problem.
#[derive(Args, Debug)]
struct Problem {
    /// Two tables with a row for each point
    #[arg(value_name = "FILE", num_args = 0..=2)]
    files: Vec<String>,
    /// A matrix of costs instead, a row for each point of the first side
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    cost_matrix: Option<String>,
    /// How far apart two rows are
    #[arg(long, value_enum, default_value_t = CostFlag::Euclidean, value_name = "COST")]
    cost: CostFlag,
    /// The order of the Minkowski distance
    #[arg(long, default_value_t = 3.0, value_name = "P")]
    order: f64,
    /// W_p: the distance to this power, and the root of the mean
    #[arg(long, default_value_t = 1.0, value_name = "P")]
    power: f64,
    /// The columns that are coordinates [default: all but the weights]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    columns: Vec<String>,
    /// The column of both tables that holds the weights of their rows [default: all equal]
    #[arg(long, value_name = "COLUMN")]
    weights_column: Option<String>,
    /// A table of one column: the weights of the first side
    #[arg(long, value_name = "FILE", conflicts_with = "weights_column")]
    weights_a: Option<String>,
    /// A table of one column: the weights of the second side
    #[arg(long, value_name = "FILE", conflicts_with = "weights_column")]
    weights_b: Option<String>,
    #[command(flatten)]
    read: ReadArguments,
}

#[derive(Args, Debug)]
pub(crate) struct DistanceArguments {
    #[command(flatten)]
    problem: Problem,
    /// Auto takes the closed form where there is one column, else the exact plan
    #[arg(long, value_enum, default_value_t = Method::Auto, value_name = "METHOD")]
    method: Method,
}

#[derive(Args, Debug)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    problem: Problem,
    /// The file to write, with the columns from, to, mass: .csv, .tsv, .parquet or .npy
    #[arg(long, value_name = "FILE")]
    out: std::path::PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum Method {
    Auto,
    /// Network simplex, with prices that prove the answer
    Exact,
    /// The closed form on the line, for one column
    Line,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum CostFlag {
    Euclidean,
    Sqeuclidean,
    Cityblock,
    Chebyshev,
    Minkowski,
    Cosine,
}

/// One side: coordinates row by row, and weights.
struct Side {
    values: Vec<f64>,
    dimension: usize,
    weights: Vec<f64>,
}

impl Side {
    fn rows(&self) -> usize {
        self.weights.len()
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Distance(arguments) => distance(&arguments, context),
        Command::Plan(arguments) => plan(&arguments, context),
    }
}

fn distance(arguments: &DistanceArguments, context: &Context) -> Result<(), Failure> {
    let problem = &arguments.problem;
    let started = Instant::now();
    let sides = problem.sides(context)?;
    let on_the_line = matches!(&sides, Sides::Points([a, b]) if a.dimension == 1 && b.dimension == 1)
        && problem.is_length_on_the_line();
    let line = match arguments.method {
        Method::Auto => on_the_line,
        Method::Exact => false,
        Method::Line if on_the_line => true,
        Method::Line => {
            return Err(Failure::request(
                "--method line is for tables of one column and a cost that is a length there",
            ));
        }
    };
    if let (true, Sides::Points([a, b])) = (line, &sides) {
        let power = problem.line_power();
        let found = wasserstein_1d(&a.values, &a.weights, &b.values, &b.weights, power).map_err(refuse)?;
        let value = found.cost.powf(problem.power.recip());
        let seconds = started.elapsed().as_secs_f64();
        let json =
            json!({ "method": "line", "value": value, "n": a.rows(), "m": b.rows(), "seconds": seconds });
        Results::new(json)
            .line(format!("{value:.12}"))
            .line(format!("by the closed form on the line, {} against {} points", a.rows(), b.rows()))
            .print(context.json());
        return Ok(());
    }
    let plan = problem.solve(&sides)?;
    let (mut json, mut results) = problem.describe(&plan, &sides);
    json["method"] = "exact".into();
    json["seconds"] = started.elapsed().as_secs_f64().into();
    results.insert(0, format!("{:.12}", problem.root(plan.value)));
    results.into_iter().fold(Results::new(json), Results::line).print(context.json());
    Ok(())
}

fn plan(arguments: &PlanArguments, context: &Context) -> Result<(), Failure> {
    let problem = &arguments.problem;
    let started = Instant::now();
    let sides = problem.sides(context)?;
    let plan = problem.solve(&sides)?;
    let column = |name: &str, values: Vec<f64>| Column::new(name, Values::Number(values));
    let of = |value: fn(&Flow) -> f64| plan.flows.iter().map(value).collect::<Vec<f64>>();
    let table = Table::new(vec![
        column("from", of(|flow| flow.from as f64)),
        column("to", of(|flow| flow.to as f64)),
        column("mass", of(|flow| flow.mass)),
    ])?;
    write_table(&arguments.out, [Ok(table)])?;
    let (mut json, mut results) = problem.describe(&plan, &sides);
    json["method"] = "exact".into();
    json["out"] = arguments.out.display().to_string().into();
    json["flows"] = plan.flows.len().into();
    json["seconds"] = started.elapsed().as_secs_f64().into();
    results.insert(0, format!("{} flows in {}", plan.flows.len(), arguments.out.display()));
    results.into_iter().fold(Results::new(json), Results::line).print(context.json());
    Ok(())
}

/// What the sides are.
enum Sides {
    Points([Side; 2]),
    Costs { values: Vec<f64>, columns: usize, weights: [Vec<f64>; 2] },
}

fn refuse(error: dozen::transport::Error) -> Failure {
    Failure::request(error.to_string())
}

impl Problem {
    fn sides(&self, context: &Context) -> Result<Sides, Failure> {
        if let Some(path) = &self.cost_matrix {
            let (values, columns) = rows_of(&self.read(path, context)?, path)?;
            let rows = values.len() / columns;
            let weights = |file: &Option<String>, count: usize| match file {
                Some(file) => self.weights(file, context),
                None => Ok(vec![1.0; count]),
            };
            let weights = [weights(&self.weights_a, rows)?, weights(&self.weights_b, columns)?];
            return Ok(Sides::Costs { values, columns, weights });
        }
        let [first, second] = &self.files[..] else {
            return Err(Failure::request("name two tables, or a matrix with --cost-matrix FILE"));
        };
        let side = |path: &String, weights: &Option<String>| -> Result<Side, Failure> {
            let table = self.read(path, context)?;
            let (values, dimension) = self.coordinates(&table, path)?;
            let weights = match (&self.weights_column, weights) {
                (Some(name), _) => numbers(&table, name, path)?,
                (None, Some(file)) => self.weights(file, context)?,
                (None, None) => vec![1.0; values.len() / dimension],
            };
            Ok(Side { values, dimension, weights })
        };
        Ok(Sides::Points([side(first, &self.weights_a)?, side(second, &self.weights_b)?]))
    }

    /// The rows of the chosen columns, and how many columns those are.
    fn coordinates(&self, table: &Table, path: &str) -> Result<(Vec<f64>, usize), Failure> {
        let all = table.columns().iter().map(|column| column.name.as_str());
        let names: Vec<&str> = if self.columns.is_empty() {
            all.filter(|name| Some(*name) != self.weights_column.as_deref()).collect()
        } else {
            self.columns.iter().map(String::as_str).collect()
        };
        if names.is_empty() {
            return Err(Failure::request(format!("{path} has no columns besides the weights")));
        }
        rows_of_columns(table, path, &names)
    }

    fn read(&self, path: &str, context: &Context) -> Result<Table, Failure> {
        Ok(read_table(path, &self.read.options(context.seed(), Vec::new()))?)
    }

    fn weights(&self, path: &str, context: &Context) -> Result<Vec<f64>, Failure> {
        let (values, columns) = rows_of(&self.read(path, context)?, path)?;
        if columns == 1 {
            Ok(values)
        } else {
            Err(Failure::request(format!("{path}: weights are one column, and there are {columns}")))
        }
    }

    fn distance(&self) -> Distance {
        match self.cost {
            CostFlag::Euclidean => Distance::Euclidean,
            CostFlag::Sqeuclidean => Distance::SquaredEuclidean,
            CostFlag::Cityblock => Distance::Cityblock,
            CostFlag::Chebyshev => Distance::Chebyshev,
            CostFlag::Minkowski => Distance::Minkowski(self.order),
            CostFlag::Cosine => Distance::Cosine,
        }
    }

    /// Whether the cost of two numbers is a power of their distance.
    fn is_length_on_the_line(&self) -> bool {
        !matches!(self.cost, CostFlag::Cosine)
    }

    fn line_power(&self) -> f64 {
        if matches!(self.cost, CostFlag::Sqeuclidean) { 2.0 * self.power } else { self.power }
    }

    fn root(&self, value: f64) -> f64 {
        if self.power == 1.0 { value } else { value.max(0.0).powf(self.power.recip()) }
    }

    fn solve(&self, sides: &Sides) -> Result<Plan, Failure> {
        fn run<C: Cost>(weights: [&[f64]; 2], cost: &C) -> Result<Plan, Failure> {
            exact(weights[0], weights[1], cost).map_err(refuse)
        }
        match sides {
            Sides::Costs { values, columns, weights: [a, b] } => {
                run([a, b], &Matrix::new(values, *columns).map_err(refuse)?)
            }
            Sides::Points([a, b]) => {
                let first = Points::new(&a.values, a.dimension).map_err(refuse)?;
                let second = Points::new(&b.values, b.dimension).map_err(refuse)?;
                let cost = PointCost::new(first, second, self.distance(), self.power).map_err(refuse)?;
                run([&a.weights, &b.weights], &cost)
            }
        }
    }

    /// What is said of every exact answer, for programs and for people.
    fn describe(&self, plan: &Plan, sides: &Sides) -> (Value, Vec<String>) {
        let (n, m) = match sides {
            Sides::Points([a, b]) => (a.rows(), b.rows()),
            Sides::Costs { weights: [a, b], .. } => (a.len(), b.len()),
        };
        let certificate = plan.certificate;
        let json = json!({
            "value": self.root(plan.value),
            "dual_value": certificate.dual,
            "primal_value": certificate.primal,
            "gap": certificate.gap,
            "infeasibility": certificate.infeasibility,
            "n": n,
            "m": m,
            "pivots": plan.pivots,
        });
        let lines = vec![
            format!(
                "exact: the plan costs {:.12}, its prices prove at least {:.12}",
                certificate.primal, certificate.dual
            ),
            format!("gap {:.1e}, largest infeasibility {:.1e}", certificate.gap, certificate.infeasibility),
            format!("{n} against {m} points, {} pivots", plan.pivots),
        ];
        (json, lines)
    }
}

/// A column as numbers.
fn numbers(table: &Table, name: &str, path: &str) -> Result<Vec<f64>, Failure> {
    let column = table.column(name);
    let column = column.ok_or_else(|| Failure::request(format!("{path} has no column `{name}`")))?;
    match &column.values {
        Values::Byte(values) => Ok(values.iter().map(|&value| f64::from(value)).collect()),
        Values::Number(values) => Ok(values.clone()),
        Values::Text(_) => Err(Failure::request(format!(
            "{path}: column `{name}` holds text; coordinates and weights are numbers (--columns names those to take)"
        ))),
    }
}

/// All columns as rows, and how many there are.
fn rows_of(table: &Table, path: &str) -> Result<(Vec<f64>, usize), Failure> {
    let names = table.columns().iter().map(|column| column.name.as_str());
    rows_of_columns(table, path, &names.collect::<Vec<_>>())
}

/// Some columns as rows, and how many there are.
fn rows_of_columns(table: &Table, path: &str, names: &[&str]) -> Result<(Vec<f64>, usize), Failure> {
    let columns = names.iter().map(|name| numbers(table, name, path)).collect::<Result<Vec<_>, _>>()?;
    let rows = (0..table.rows()).flat_map(|row| columns.iter().map(move |column| column[row]));
    Ok((rows.collect(), columns.len()))
}
