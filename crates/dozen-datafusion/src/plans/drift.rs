//! Drift: how far the columns of two tables lie apart.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;

use super::{one_row, quoted};
use crate::Error;

/// What two tables say of a column of numbers; missing values do not count.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDrift {
    /// Its name.
    pub column: String,
    /// Values in each table.
    pub rows: [i64; 2],
    /// Their means.
    pub means: [f64; 2],
    /// Their standard deviations.
    pub deviations: [f64; 2],
    /// W1 between both, in the column's own unit.
    pub wasserstein1: f64,
}

impl ColumnDrift {
    /// The distance as a share of the first table's standard deviation; none where that is zero.
    pub fn drift(&self) -> Option<f64> {
        (self.deviations[0] > 0.0).then(|| self.wasserstein1 / self.deviations[0])
    }
}

/// The drift of each column of numbers that both tables have, the greatest first.
///
/// On the line, W1 is the integral of |F - G| over both distribution functions (Vallender 1974): a sort and a running sum, which
/// engines do in bounded memory.
///
/// # Errors
/// When a table is not there, or they share no column of numbers.
pub async fn drift(context: &SessionContext, first: &str, second: &str) -> Result<Vec<ColumnDrift>, Error> {
    let [of_first, of_second] = [context.table(first).await?, context.table(second).await?];
    let is_number = |name: &str| {
        let field = of_second.schema().field_with_unqualified_name(name);
        field.is_ok_and(|field| field.data_type().is_numeric())
    };
    let fields = of_first.schema().fields().iter().filter(|field| field.data_type().is_numeric());
    let columns: Vec<String> =
        fields.map(|field| field.name().clone()).filter(|name| is_number(name)).collect();
    if columns.is_empty() {
        return Err(Error::Request(format!("`{first}` and `{second}` share no column of numbers")));
    }
    let summaries = [summary(context, first, &columns).await?, summary(context, second, &columns).await?];
    let mut found = Vec::new();
    for (number, column) in columns.into_iter().enumerate() {
        let [(rows, mean, deviation), (other_rows, other_mean, other_deviation)] =
            [0, 1].map(|side| of_column(&summaries[side], number));
        if rows == 0 || other_rows == 0 {
            continue;
        }
        let query = distance(&column, [(first, rows), (second, other_rows)]);
        let distance = one_row(context, &query).await?;
        found.push(ColumnDrift {
            column,
            rows: [rows, other_rows],
            means: [mean, other_mean],
            deviations: [deviation, other_deviation],
            wasserstein1: distance.column(0).as_primitive::<Float64Type>().value(0),
        });
    }
    let order = |column: &ColumnDrift| {
        column.drift().unwrap_or(if column.wasserstein1 > 0.0 { f64::INFINITY } else { 0.0 })
    };
    found.sort_by(|a, b| order(b).total_cmp(&order(a)));
    Ok(found)
}

/// Count, mean and deviation of each column, in one pass.
async fn summary(context: &SessionContext, table: &str, columns: &[String]) -> Result<RecordBatch, Error> {
    let of = |(number, column): (usize, &String)| {
        let x = format!("CAST({} AS DOUBLE)", quoted(column));
        format!("count({x}) AS n{number}, avg({x}) AS m{number}, stddev_pop({x}) AS d{number}")
    };
    let terms: Vec<String> = columns.iter().enumerate().map(of).collect();
    one_row(context, &format!("SELECT {} FROM {}", terms.join(", "), quoted(table))).await
}

fn of_column(summary: &RecordBatch, number: usize) -> (i64, f64, f64) {
    let float = |column: usize| {
        let column = summary.column(column).as_primitive::<Float64Type>();
        if column.is_valid(0) { column.value(0) } else { f64::NAN }
    };
    let rows = summary.column(3 * number).as_primitive::<Int64Type>().value(0);
    (rows, float(3 * number + 1), float(3 * number + 2))
}

/// The integral of |F - G|: the steps of both in order, the sum of those so far, and the way to the next.
fn distance(column: &str, tables: [(&str, i64); 2]) -> String {
    let x = quoted(column);
    let [steps, others] = [0, 1].map(|side| {
        let (table, rows) = tables[side];
        let sign = if side == 0 { "1.0" } else { "-1.0" };
        format!(
            "SELECT CAST({x} AS DOUBLE) AS x, {sign} / {rows} AS f FROM {} WHERE {x} IS NOT NULL",
            quoted(table)
        )
    });
    format!(
        "SELECT coalesce(sum(abs(f) * width), 0.0) AS w FROM (\
         SELECT sum(f) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS f, \
         lead(x) OVER (ORDER BY x) - x AS width FROM (\
         SELECT x, sum(f) AS f FROM ({steps} UNION ALL {others}) GROUP BY x))"
    )
}
