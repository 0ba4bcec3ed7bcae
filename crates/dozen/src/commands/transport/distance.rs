//! `dozen transport distance`.

use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::transport::{
    Cost, Entropic, Line, Matrix, PointCost, Points, Sinkhorn, max_sliced, random_directions, single_price,
    sinkhorn_divergence, sliced,
};
use serde_json::{Value, json};

use super::problem::{Problem, Side, Sides};
use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Auto takes the closed form where there is one column, else the exact plan
    #[arg(long, value_enum, default_value_t = Method::Auto, value_name = "METHOD")]
    method: Method,
    /// One column lies on a circle of this circumference, such as hours of the day with 24
    #[arg(long, value_name = "LENGTH")]
    period: Option<f64>,
    #[command(flatten)]
    problem: Problem,
    #[command(flatten)]
    entropic: EntropicArguments,
    /// Directions of the sliced distances
    #[arg(long, default_value_t = 200, value_name = "N", help_heading = "Sliced")]
    directions: usize,
}

/// The flags of Sinkhorn's method.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sinkhorn")]
struct EntropicArguments {
    /// The weight of the entropy, in units of the cost [default: a hundredth of the mean cost]
    #[arg(long, value_name = "E")]
    epsilon: Option<f64>,
    /// Weights need not be kept: mass that is made or lost is paid for with this factor
    #[arg(long, value_name = "RHO")]
    reach: Option<f64>,
    /// The Sinkhorn divergence, which is zero for equal sides
    #[arg(long)]
    debias: bool,
    /// How far the plan's sums may be from the weights, in all
    #[arg(long, default_value_t = 1e-9, value_name = "T")]
    tolerance: f64,
    /// At most so many iterations
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    iterations: usize,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum Method {
    Auto,
    /// Network simplex, with prices that prove the answer
    Exact,
    /// The closed form on the line, for one column
    Line,
    /// Entropic, with bounds on the exact value
    Sinkhorn,
    /// The mean over directions
    Sliced,
    /// The direction along which the sides are furthest apart
    MaxSliced,
    /// One price for both sides, as critics of Wasserstein GANs have it: a lower bound unless the cost is a metric
    OnePrice,
}

/// What a method found: for programs, and for people.
type Answer = (Value, Vec<String>);

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let problem = &arguments.problem;
    let sides = problem.sides(context)?;
    let line = one_column(&sides).filter(|_| problem.cost.line_power().is_some());
    let (mut json, lines) = match (arguments.method, line) {
        (Method::Auto | Method::Line, Some(sides)) => arguments.on_the_line(sides)?,
        (Method::Line, None) => {
            return Err(Failure::request(
                "--method line is for tables of one column and a cost that is a length there",
            ));
        }
        _ if arguments.period.is_some() => {
            return Err(Failure::request("--period is for tables of one column, and their closed form"));
        }
        (Method::Auto | Method::Exact, _) => problem.describe(&problem.solve(&sides)?),
        (Method::Sinkhorn, _) => arguments.sinkhorn(&sides)?,
        (Method::Sliced, _) => arguments.sliced(points_of(&sides, "sliced")?, context.seed())?,
        (Method::MaxSliced, _) => arguments.max_sliced(points_of(&sides, "max-sliced")?, context.seed())?,
        (Method::OnePrice, _) => arguments.one_price(&sides)?,
    };
    let [a, b] = sides.weights();
    (json["n"], json["m"]) = (a.len().into(), b.len().into());
    json["seconds"] = started.elapsed().as_secs_f64().into();
    let value = json["value"].as_f64().unwrap_or(f64::NAN);
    Results::new(json).line(format!("{value:.12}")).lines(lines).print(context.json())
}

/// The sides, where they are tables of one column.
fn one_column(sides: &Sides) -> Option<[&Side; 2]> {
    match sides {
        Sides::Points([a, b]) if a.dimension == 1 && b.dimension == 1 => Some([a, b]),
        _ => None,
    }
}

fn points_of<'a>(sides: &'a Sides, method: &str) -> Result<[&'a Side; 2], Failure> {
    match sides {
        Sides::Points([a, b]) => Ok([a, b]),
        _ => Err(Failure::request(format!("--method {method} needs points, not costs or routes"))),
    }
}

impl Arguments {
    fn on_the_line(&self, [a, b]: [&Side; 2]) -> Result<Answer, Failure> {
        let cost = &self.problem.cost;
        let power = cost.line_power().unwrap_or(1.0);
        let first = Line::new(&a.values, &a.weights)?;
        let second = Line::new(&b.values, &b.weights).map_err(dozen::transport::Error::of_second)?;
        if let Some(period) = self.period {
            let found = first.circle_cost(&second, power, period)?;
            let json = json!({ "method": "circle", "value": cost.root(found), "period": period });
            return Ok((json, vec![format!("by the closed form on a circle of circumference {period}")]));
        }
        let (primal, dual) = first.certified_cost(&second, power)?;
        let gap = primal - dual;
        let json = json!({
            "method": "line",
            "value": cost.root(primal),
            "primal_value": primal,
            "dual_value": dual,
            "gap": gap,
        });
        let lines = vec![
            format!(
                "by the closed form on the line: the plan costs {primal:.12}, its prices prove at least {dual:.12}"
            ),
            format!("gap {gap:.1e}"),
        ];
        Ok((json, lines))
    }

    fn sinkhorn(&self, sides: &Sides) -> Result<Answer, Failure> {
        let [a, b] = sides.weights();
        let debias = self.entropic.debias;
        match sides {
            Sides::Routes { .. } => {
                Err(Failure::request("--method sinkhorn needs points or a matrix, not routes"))
            }
            Sides::Costs { .. } if debias => {
                Err(Failure::request("--debias needs points: it asks for the costs within each side too"))
            }
            Sides::Costs { values, columns, .. } => {
                let cost = Matrix::new(values, *columns)?;
                let settings = self.entropic.settings(&cost);
                Ok(self.describe_entropic(&settings, &settings.solve(a, b, &cost)?))
            }
            Sides::Points([first, second]) => {
                let cost = self.problem.point_cost(first, second)?;
                let settings = self.entropic.settings(&cost);
                if !debias {
                    return Ok(self.describe_entropic(&settings, &settings.solve(a, b, &cost)?));
                }
                let within =
                    [self.problem.point_cost(first, first)?, self.problem.point_cost(second, second)?];
                let costs: [&PointCost<'_>; 3] = [&cost, &within[0], &within[1]];
                let (divergence, solved) = sinkhorn_divergence(&settings, a, b, costs)?;
                let (mut json, mut lines) = self.describe_entropic(&settings, &solved[0]);
                json["value"] = self.problem.cost.root(divergence).into();
                json["divergence"] = divergence.into();
                json["converged"] = solved.iter().all(|solved| solved.converged).into();
                lines.insert(0, "the Sinkhorn divergence; between both sides:".into());
                Ok((json, lines))
            }
        }
    }

    fn describe_entropic(&self, settings: &Sinkhorn, solved: &Entropic) -> Answer {
        let root = |value| self.problem.cost.root(value);
        let mut json = json!({
            "method": "sinkhorn",
            "value": root(solved.cost),
            "epsilon": settings.epsilon,
            "entropic_value": solved.value,
            "mass": solved.mass,
            "converged": solved.converged,
            "marginal_error": solved.error,
            "iterations": solved.iterations,
        });
        let mut lines = vec![format!(
            "entropic, with epsilon {:.6}: the plan costs {:.12}",
            settings.epsilon, solved.cost
        )];
        if let Some((lower, upper)) = solved.exact_between {
            (json["exact_at_least"], json["exact_at_most"]) = (root(lower).into(), root(upper).into());
            lines.push(format!("the exact value lies between {:.12} and {:.12}", root(lower), root(upper)));
        } else {
            lines.push(format!("it moves a mass of {:.6}", solved.mass));
        }
        let how = if solved.converged { "converged" } else { "NOT converged" };
        lines.push(format!(
            "{how} after {} iterations, {:.1e} from its weights",
            solved.iterations, solved.error
        ));
        (json, lines)
    }

    fn sliced(&self, [a, b]: [&Side; 2], seed: u64) -> Result<Answer, Failure> {
        let directions = random_directions(a.dimension, self.directions, seed);
        let power = self.slicing_power()?;
        let found = sliced(a.points()?, &a.weights, b.points()?, &b.weights, &directions, power)?;
        let json = json!({
            "method": "sliced",
            "value": found.distance,
            "standard_error": found.standard_error,
            "directions": self.directions,
        });
        let line = format!(
            "the mean over {} directions, with a standard error of {:.1e} for their draw",
            self.directions, found.standard_error
        );
        Ok((json, vec![line]))
    }

    fn max_sliced(&self, [a, b]: [&Side; 2], seed: u64) -> Result<Answer, Failure> {
        let directions = random_directions(a.dimension, self.directions, seed);
        let power = self.slicing_power()?;
        let found = max_sliced(a.points()?, &a.weights, b.points()?, &b.weights, &directions, power)?;
        let shown: Vec<String> = found.direction.iter().map(|part| format!("{part:.3}")).collect();
        let line = format!("along ({}), the best of {} climbed from", shown.join(", "), self.directions);
        Ok((
            json!({ "method": "max-sliced", "value": found.distance, "direction": found.direction }),
            vec![line],
        ))
    }

    /// Along a direction all lengths are the same, but squares are W_2's.
    fn slicing_power(&self) -> Result<f64, Failure> {
        let power = self.problem.cost.line_power();
        power.ok_or_else(|| Failure::request("sliced distances are of lengths, not of the cosine"))
    }

    fn one_price(&self, sides: &Sides) -> Result<Answer, Failure> {
        let found = match sides {
            Sides::Routes { .. } => {
                return Err(Failure::request("--method one-price needs points or a matrix, not routes"));
            }
            Sides::Costs { values, columns, weights: [a, b] } => {
                single_price(a, b, &Matrix::new(values, *columns)?)
            }
            Sides::Points([a, b]) => {
                // The points of both sides on each; those of the other have no mass.
                let together = [&a.values[..], &b.values].concat();
                let points = Points::new(&together, a.dimension)?;
                let cost = self.problem.cost.distance();
                let cost = PointCost::new(points, points, cost, self.problem.cost.power)?;
                let p = [&a.weights[..], &vec![0.0; b.weights.len()]].concat();
                let q = [&vec![0.0; a.weights.len()], &b.weights[..]].concat();
                single_price(&p, &q, &cost)
            }
        };
        let found = found?;
        let said = if found.metric {
            "one price for both sides; the cost is a metric, and it loses nothing"
        } else {
            "one price for both sides: a LOWER BOUND only, for this cost is no metric; --method exact has the value"
        };
        let json = json!({
            "method": "one-price",
            "value": self.problem.cost.root(found.value),
            "lower_bound_only": !found.metric,
        });
        Ok((json, vec![said.into()]))
    }
}

impl EntropicArguments {
    fn settings<C: Cost>(&self, cost: &C) -> Sinkhorn {
        Sinkhorn {
            epsilon: self.epsilon.unwrap_or_else(|| 0.01 * mean_cost(cost)),
            reach: self.reach,
            tolerance: self.tolerance,
            iterations: self.iterations,
        }
    }
}

/// Of up to a hundred rows.
fn mean_cost<C: Cost>(cost: &C) -> f64 {
    let (n, m) = cost.sizes();
    let mut buffer = vec![0.0; m];
    let rows = (0..n).step_by(n.div_ceil(100).max(1));
    let mut mean = |i| cost.row(i, &mut buffer).iter().map(|c| c.abs()).sum::<f64>() / m as f64;
    let count = rows.len();
    let mean = rows.map(&mut mean).sum::<f64>() / count as f64;
    if mean > 0.0 { mean } else { 1.0 }
}
