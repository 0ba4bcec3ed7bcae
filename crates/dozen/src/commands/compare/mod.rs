//! `dozen compare`: are two tables from one distribution, and if not, where do they differ?

mod evidence;
mod page;
mod points;

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::{Table, read_table};
use dozen::transport::{Labellings, Samples, Tested, holm, random_directions};
use serde_json::{Value, json};

use crate::context::Context;
use crate::data::ReadArguments;
use crate::output::{Failure, Results, write_report};
use evidence::Evidence;
use points::Encoded;

/// Of `--help`; each stands in the docs, where it is run.
pub(crate) const EXAMPLES: &str = concat!(
    "Examples:",
    "\n  dozen compare moons.csv new.csv --out report",
    "\n  dozen compare moons.csv new.csv --fail-above 0.5 --json",
);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A table
    #[arg(value_name = "A")]
    first: String,
    /// A table with the same columns
    #[arg(value_name = "B")]
    second: String,
    /// The folder for the report
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How the distance is found; auto takes exact for up to 1000 rows in all
    #[arg(long, value_enum, default_value_t = Method::Auto, value_name = "METHOD")]
    method: Method,
    /// The columns to compare [default: all]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    columns: Vec<String>,
    /// Columns of numbers that are categories
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,...")]
    categorical: Vec<String>,
    /// Shuffled labellings that the p-values come from
    #[arg(long, default_value_t = 199, value_name = "N")]
    permutations: usize,
    /// Directions of the sliced distance
    #[arg(long, default_value_t = 100, value_name = "N")]
    directions: usize,
    /// Fail, with exit code 1, where the distance is above this
    #[arg(long, value_name = "DISTANCE")]
    fail_above: Option<f64>,
    /// Fail, with exit code 1, where the p-value is below this
    #[arg(long, value_name = "P")]
    fail_below_p: Option<f64>,
    #[command(flatten)]
    read: ReadArguments,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
enum Method {
    Auto,
    /// The Wasserstein distance W_1 by network simplex
    Exact,
    /// The mean of W_1 over random directions
    Sliced,
}

/// Up to so many rows in all, every labelling's exact distance is quick.
const EXACT_ROWS: usize = 1000;
/// At most so many rows of each table for what takes all pairs: the plan, the energy distance and MMD.
const PAIRED_ROWS: usize = 2000;

/// Everything that was found.
struct Comparison {
    method: &'static str,
    distance: Tested,
    energy: Tested,
    mmd: Tested,
    /// Rows of each table that energy distance, MMD and plan are of.
    paired: [usize; 2],
    columns: Vec<ColumnResult>,
    evidence: Evidence,
}

/// How one column differs.
struct ColumnResult {
    name: String,
    /// `W_1` in pooled standard deviations; of categories, half the sum of the absolute differences of their parts.
    distance: f64,
    p_value: f64,
    /// Adjusted for the number of columns.
    adjusted: f64,
    /// Its part of what the plan pays.
    share: f64,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let tables = [&arguments.first, &arguments.second].map(|file| arguments.read_table(file, context));
    let [first, second] = tables;
    let tables = [first?, second?];
    let encoded = Encoded::new(&tables, &arguments.columns)?;
    let found = arguments.compare(&encoded, context.seed())?;
    let seconds = started.elapsed().as_secs_f64();
    let (mut json, mut lines) = found.describe(&tables, &encoded);
    json["seconds"] = seconds.into();
    if let Some(out) = &arguments.out {
        let report = page::report(&found, &tables, &encoded, context.command_line());
        let page = write_report(out, &report)?;
        lines.push(format!("the report is {page}"));
        json["report"] = page.into();
    }
    Results::new(json).lines(lines).print(context.json())?;
    let Tested { statistic, p_value, .. } = found.distance;
    match (arguments.fail_above, arguments.fail_below_p) {
        (Some(limit), _) if statistic > limit => Err(Failure::Run(format!(
            "the distance {statistic:.6} is above {limit}, the limit of --fail-above"
        ))),
        (_, Some(limit)) if p_value < limit => Err(Failure::Run(format!(
            "the p-value {p_value:.4} is below {limit}, the limit of --fail-below-p"
        ))),
        _ => Ok(()),
    }
}

impl Arguments {
    fn read_table(&self, file: &str, context: &Context) -> Result<Table, Failure> {
        Ok(read_table(file, &self.read.options(context.seed(), self.categorical.clone()))?)
    }

    fn compare(&self, encoded: &Encoded, seed: u64) -> Result<Comparison, Failure> {
        if self.directions == 0 {
            return Err(Failure::request("--directions must be at least 1"));
        }
        let [a, b] = encoded.sides()?;
        let samples = Samples::new(a, b)?;
        let labellings = Labellings { count: self.permutations, seed };
        let exact = match self.method {
            Method::Auto => a.len() + b.len() <= EXACT_ROWS,
            method => method == Method::Exact,
        };
        let distance = if exact {
            samples.exact(labellings)?
        } else {
            samples.sliced(&random_directions(a.dimension(), self.directions, seed), labellings)
        };
        let some = encoded.some_rows(PAIRED_ROWS, seed);
        let [few_a, few_b] = some.sides()?;
        let few = Samples::new(few_a, few_b)?;
        let evidence = Evidence::new(&some)?;
        Ok(Comparison {
            method: if exact { "exact" } else { "sliced" },
            distance,
            energy: few.energy(labellings)?,
            mmd: few.mmd(labellings)?,
            paired: [few_a.len(), few_b.len()],
            columns: column_results(encoded, &samples, labellings, &evidence),
            evidence,
        })
    }
}

/// Each column by itself, the one that carries most of the plan's cost first.
fn column_results(
    encoded: &Encoded,
    samples: &Samples,
    labellings: Labellings,
    evidence: &Evidence,
) -> Vec<ColumnResult> {
    let tested = encoded.columns.iter().map(|column| {
        // A category's coordinates together have the total variation as the mean over them, up to this factor.
        let tested = samples.sliced(&column.axes(encoded.dimension), labellings);
        (column, column.scale() * tested.statistic, tested.p_value)
    });
    let tested: Vec<_> = tested.collect();
    let adjusted = holm(&tested.iter().map(|(.., p_value)| *p_value).collect::<Vec<_>>());
    let mut results: Vec<ColumnResult> = tested
        .into_iter()
        .zip(adjusted)
        .zip(&evidence.shares)
        .map(|(((column, distance, p_value), adjusted), share)| ColumnResult {
            name: column.name.clone(),
            distance,
            p_value,
            adjusted,
            share: *share,
        })
        .collect();
    results.sort_by(|a, b| b.share.total_cmp(&a.share));
    results
}

impl Comparison {
    /// Whether chance explains the distance, in words.
    fn verdict(&self) -> String {
        let Tested { statistic, p_value, .. } = &self.distance;
        let mean = self.distance.permuted_mean();
        let said = if *p_value <= 0.01 {
            "the tables differ"
        } else if *p_value <= 0.05 {
            "the tables probably differ"
        } else {
            "chance explains the difference"
        };
        format!(
            "{said}: p = {p_value:.4}; the {} distance is {statistic:.6}, that of shuffled rows {mean:.6} in the mean",
            self.method
        )
    }

    fn describe(&self, tables: &[Table; 2], encoded: &Encoded) -> (Value, Vec<String>) {
        let columns = |column: &ColumnResult| {
            json!({
                "name": column.name,
                "distance": column.distance,
                "p_value": column.p_value,
                "adjusted_p_value": column.adjusted,
                "share": column.share,
            })
        };
        let rows = self.evidence.rows.iter().map(|row| {
            json!({
                "table": if row.side == 0 { "A" } else { "B" },
                "row": tables[row.side].row_in_file(row.row),
                "distance": row.distance,
                "column": encoded.columns[row.column].name,
            })
        });
        let json = json!({
            "distance": self.distance.statistic,
            "p_value": self.distance.p_value,
            "method": self.method,
            "n": encoded.rows[0],
            "m": encoded.rows[1],
            "permutations": self.distance.permuted.len(),
            "energy_distance": self.energy.statistic,
            "energy_p_value": self.energy.p_value,
            "mmd_squared": self.mmd.statistic,
            "mmd_p_value": self.mmd.p_value,
            "paired_rows": self.paired,
            "columns": self.columns.iter().map(columns).collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        });
        let mut lines = vec![
            self.verdict(),
            format!(
                "energy distance {:.6} (p = {:.4}), squared MMD {:.6} (p = {:.4}), of {} and {} rows",
                self.energy.statistic,
                self.energy.p_value,
                self.mmd.statistic,
                self.mmd.p_value,
                self.paired[0],
                self.paired[1]
            ),
        ];
        let width = self.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0).min(24);
        for column in self.columns.iter().take(8) {
            lines.push(format!(
                "  {:width$}  {:5.1} % of the cost, distance {:.4}, p = {:.4} ({:.4} among {})",
                column.name,
                100.0 * column.share,
                column.distance,
                column.p_value,
                column.adjusted,
                self.columns.len()
            ));
        }
        lines.extend(
            encoded
                .left_out
                .iter()
                .map(|name| format!("column `{name}` is the same everywhere, and left out")),
        );
        (json, lines)
    }
}
