//! Which transport problem: the tables or costs, the weights and the cost.

use clap::{Args, ValueEnum};
use dozen::data::{Table, read_table};
use dozen::transport::{Cost, Distance, Matrix, Plan, PointCost, Points, Route, exact, exact_sparse};
use serde_json::{Value, json};

use crate::context::Context;
use crate::data::{ReadArguments, numbers, rows_of};
use crate::output::Failure;

/// The flags that say it.
#[derive(Args, Debug)]
pub(super) struct Problem {
    /// Two tables with a row for each point
    #[arg(value_name = "FILE", num_args = 0..=2)]
    files: Vec<String>,
    /// A matrix of costs instead, a row for each point of the first side
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "routes"])]
    cost_matrix: Option<String>,
    /// A table of routes instead, with the columns from, to (counted from 0) and cost: mass takes no others
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    routes: Option<String>,
    #[command(flatten)]
    pub(super) cost: CostArguments,
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

/// The flags of the cost of a pair of points.
#[derive(Args, Debug)]
pub(super) struct CostArguments {
    /// How far apart two rows are
    #[arg(long, value_enum, default_value_t = CostFlag::Euclidean, value_name = "COST")]
    cost: CostFlag,
    /// The order of the Minkowski distance
    #[arg(long, default_value_t = 3.0, value_name = "P")]
    order: f64,
    /// W_p: the distance to this power, and the root of the mean
    #[arg(long, default_value_t = 1.0, value_name = "P")]
    pub(super) power: f64,
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

impl CostArguments {
    pub(super) fn distance(&self) -> Distance {
        match self.cost {
            CostFlag::Euclidean => Distance::Euclidean,
            CostFlag::Sqeuclidean => Distance::SquaredEuclidean,
            CostFlag::Cityblock => Distance::Cityblock,
            CostFlag::Chebyshev => Distance::Chebyshev,
            CostFlag::Minkowski => Distance::Minkowski(self.order),
            CostFlag::Cosine => Distance::Cosine,
        }
    }

    /// The power of `|x - y|` that the cost of two numbers is, if it is one.
    pub(super) fn line_power(&self) -> Option<f64> {
        match self.cost {
            CostFlag::Cosine => None,
            CostFlag::Sqeuclidean => Some(2.0 * self.power),
            _ => Some(self.power),
        }
    }

    /// `W_p` of `W_p^p`.
    pub(super) fn root(&self, value: f64) -> f64 {
        if self.power == 1.0 { value } else { value.max(0.0).powf(self.power.recip()) }
    }
}

/// One side: coordinates row by row, and weights.
pub(super) struct Side {
    pub(super) values: Vec<f64>,
    pub(super) dimension: usize,
    pub(super) weights: Vec<f64>,
}

impl Side {
    pub(super) fn points(&self) -> Result<Points<'_>, Failure> {
        Ok(Points::new(&self.values, self.dimension)?)
    }
}

/// What the sides are.
pub(super) enum Sides {
    Points([Side; 2]),
    Costs { values: Vec<f64>, columns: usize, weights: [Vec<f64>; 2] },
    Routes { routes: Vec<Route>, weights: [Vec<f64>; 2] },
}

impl Sides {
    pub(super) fn weights(&self) -> [&[f64]; 2] {
        match self {
            Self::Points([a, b]) => [&a.weights, &b.weights],
            Self::Costs { weights: [a, b], .. } | Self::Routes { weights: [a, b], .. } => [a, b],
        }
    }
}

impl Problem {
    pub(super) fn sides(&self, context: &Context) -> Result<Sides, Failure> {
        if let Some(path) = &self.cost_matrix {
            let (values, columns) = rows_of(&self.read(path, context)?, path, &[])?;
            let rows = values.len() / columns;
            return Ok(Sides::Costs {
                values,
                columns,
                weights: self.both_weights([rows, columns], context)?,
            });
        }
        if let Some(path) = &self.routes {
            let table = self.read(path, context)?;
            let column = |name| numbers(&table, name, path);
            let (from, to, cost) = (column("from")?, column("to")?, column("cost")?);
            let ends = from.iter().chain(&to);
            if let Some(bad) = ends.clone().find(|end| !(end.fract() == 0.0 && (0.0..1e9).contains(*end))) {
                return Err(Failure::request(format!(
                    "{path}: a route ends at {bad}; points are counted 0, 1, 2 ..."
                )));
            }
            let sizes =
                [&from, &to].map(|ends| ends.iter().fold(0.0_f64, |most, end| most.max(end + 1.0)) as usize);
            let routes = from.iter().zip(&to).zip(cost);
            let routes =
                routes.map(|((from, to), cost)| Route { from: *from as usize, to: *to as usize, cost });
            let routes = routes.collect();
            return Ok(Sides::Routes { routes, weights: self.both_weights(sizes, context)? });
        }
        let [first, second] = &self.files[..] else {
            return Err(Failure::request("name two tables, or --cost-matrix FILE, or --routes FILE"));
        };
        let side = |path: &String, weights: &Option<String>| -> Result<Side, Failure> {
            let table = self.read(path, context)?;
            let (values, dimension) = self.coordinates(&table, path)?;
            let weights = match (&self.weights_column, weights) {
                (Some(name), _) => numbers(&table, name, path)?,
                (None, Some(file)) => self.weights(file, context)?,
                (None, None) => equal_weights(values.len() / dimension),
            };
            Ok(Side { values, dimension, weights })
        };
        Ok(Sides::Points([side(first, &self.weights_a)?, side(second, &self.weights_b)?]))
    }

    /// Those of the files, or equal ones.
    fn both_weights(&self, sizes: [usize; 2], context: &Context) -> Result<[Vec<f64>; 2], Failure> {
        let weights = |file: &Option<String>, count: usize| match file {
            Some(file) => self.weights(file, context),
            None => Ok(equal_weights(count)),
        };
        Ok([weights(&self.weights_a, sizes[0])?, weights(&self.weights_b, sizes[1])?])
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
        rows_of(table, path, &names)
    }

    fn read(&self, path: &str, context: &Context) -> Result<Table, Failure> {
        Ok(read_table(path, &self.read.options(context.seed(), Vec::new()))?)
    }

    fn weights(&self, path: &str, context: &Context) -> Result<Vec<f64>, Failure> {
        let (values, columns) = rows_of(&self.read(path, context)?, path, &[])?;
        if columns == 1 {
            Ok(values)
        } else {
            Err(Failure::request(format!("{path}: weights are one column, and there are {columns}")))
        }
    }

    /// The cost between two sides of points.
    pub(super) fn point_cost<'a>(&self, a: &'a Side, b: &'a Side) -> Result<PointCost<'a>, Failure> {
        Ok(PointCost::new(a.points()?, b.points()?, self.cost.distance(), self.cost.power)?)
    }

    /// The exact plan.
    pub(super) fn solve(&self, sides: &Sides) -> Result<Plan, Failure> {
        fn run<C: Cost>(weights: [&[f64]; 2], cost: &C) -> Result<Plan, Failure> {
            Ok(exact(weights[0], weights[1], cost)?)
        }
        let weights = sides.weights();
        match sides {
            Sides::Routes { routes, .. } => Ok(exact_sparse(weights[0], weights[1], routes)?),
            Sides::Costs { values, columns, .. } => run(weights, &Matrix::new(values, *columns)?),
            Sides::Points([a, b]) => run(weights, &self.point_cost(a, b)?),
        }
    }

    /// What is said of every exact answer, for programs and for people.
    pub(super) fn describe(&self, plan: &Plan) -> (Value, Vec<String>) {
        let certificate = plan.certificate;
        let (n, m) = (plan.f.len(), plan.g.len());
        let json = json!({
            "method": "exact",
            "value": self.cost.root(plan.value),
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

/// One in all.
fn equal_weights(count: usize) -> Vec<f64> {
    vec![(count as f64).recip(); count]
}
