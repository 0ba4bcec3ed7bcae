//! The report of a comparison.

use dozen::data::{Table, Values};
use dozen::report::{BarPlot, LinePlot, Report, ScatterPlot, Table as Cells};

use super::points::{Encoded, EncodedColumn};
use super::{Comparison, Tested};

/// Columns that are drawn.
const DRAWN: usize = 6;
/// Categories of a column that are drawn.
const CATEGORIES: usize = 12;
/// Flows that are drawn.
const FLOWS: usize = 600;

pub(super) fn report(found: &Comparison, tables: &[Table; 2], encoded: &Encoded, command: String) -> Report {
    let [a, b] = [tables[0].file(), tables[1].file()];
    let lead = format!("{} rows of {a} against {} rows of {b}.", encoded.rows[0], encoded.rows[1]);
    let mut report = Report::new("Are these two tables from one distribution?", lead, command);
    let row = |name: &str, tested: &Tested| {
        let mean = tested.permuted_mean();
        [
            name.into(),
            format!("{:.6}", tested.statistic),
            format!("{mean:.6}"),
            format!("{:.4}", tested.p_value),
        ]
    };
    let distance = format!("{} Wasserstein distance", found.method);
    let mut verdict = found.verdict();
    verdict[..1].make_ascii_uppercase();
    report
        .section("The answer")
        .text(&format!("{verdict}."))
        .table(
            Cells::new(["", "value", "mean of shuffled rows", "p"])
                .row(row(&distance, &found.distance))
                .row(row("energy distance", &found.energy))
                .row(row("squared MMD", &found.mmd)),
        )
        .text(&format!(
            "Numbers are in units of their common standard deviation, and two different categories are one apart. The \
             p-value is the part of {} shuffled labellings, the true one counted in, whose value is at least as large. \
             Energy distance, MMD and the plan below are of {} and {} rows.",
            found.distance.permuted.len(),
            found.paired[0],
            found.paired[1]
        ))
        .plot(null_plot(&found.distance), "The distance beside those of shuffled rows.");
    columns_section(&mut report, found, tables, encoded);
    plan_section(&mut report, found, tables, encoded);
    let mut rows = Cells::new(["row", "distance to its match", "mostly in"]);
    for far in &found.evidence.rows {
        let name = format!("{}, row {}", tables[far.side].file(), tables[far.side].row_in_file(far.row));
        rows = rows.row([name, format!("{:.4}", far.distance), encoded.columns[far.column].name.clone()]);
    }
    report
        .section("Rows")
        .text("The rows that are furthest from what the cheapest plan matches them with.")
        .table(rows);
    report
}

/// A histogram of the shuffled values as a line, and the true one.
fn null_plot(tested: &Tested) -> String {
    let histogram = histogram(&tested.permuted, range(&tested.permuted, &[]), 24);
    let top = histogram.iter().fold(0.0_f64, |most, point| most.max(point.1));
    LinePlot::new("", "distance", "share of the values")
        .line("shuffled rows", histogram)
        .line("these tables", vec![(tested.statistic, 0.0), (tested.statistic, top)])
        .svg()
}

fn columns_section(report: &mut Report, found: &Comparison, tables: &[Table; 2], encoded: &Encoded) {
    let head = ["column", "share of the cost", "distance", "p", "p among all columns"];
    let mut cells = Cells::new(head);
    for column in &found.columns {
        cells = cells.row([
            column.name.clone(),
            format!("{:.1} %", 100.0 * column.share),
            format!("{:.4}", column.distance),
            format!("{:.4}", column.p_value),
            format!("{:.4}", column.adjusted),
        ]);
    }
    let drawn = found.columns.iter().take(DRAWN).filter_map(|result| {
        let column = encoded.columns.iter().find(|column| column.name == result.name)?;
        Some((column_plot(column, tables), format!("{}: distance {:.4}.", column.name, result.distance)))
    });
    let drawn: Vec<(String, String)> = drawn.collect();
    report
        .section("Columns")
        .text(
            "The share is the column's part of what the cheapest plan between the tables pays. The distance is the \
             column's own: of numbers in standard deviations, of categories the part of rows that would have to change.",
        )
        .table(cells)
        .plots(drawn);
}

/// Both tables' values of a column, side by side.
fn column_plot(column: &EncodedColumn, tables: &[Table; 2]) -> String {
    let name = |side: usize| tables[side].file().to_owned();
    if column.categories.is_empty() {
        let numbers = tables.each_ref().map(|table| numbers(table, &column.name));
        let range = range(&numbers[0], &numbers[1]);
        let [a, b] = numbers.map(|numbers| histogram(&numbers, range, 30));
        return LinePlot::new("", &column.name, "share of the rows")
            .line(name(0), a)
            .line(name(1), b)
            .small()
            .svg();
    }
    let values =
        tables.each_ref().map(|table| &table.column(&column.name).expect("the column was encoded").values);
    let share = |values: &Values, text: &str| {
        (0..values.len()).filter(|&row| values.text(row) == text).count() as f64 / values.len() as f64
    };
    let plot = BarPlot::new([name(0), name(1)]);
    let add =
        |plot: BarPlot, text: &String| plot.category(text, values.map(|values| share(values, text)).to_vec());
    column.categories.iter().take(CATEGORIES).fold(plot, add).svg()
}

/// The plan in the plane of the two columns of numbers that carry most of the cost.
fn plan_section(report: &mut Report, found: &Comparison, tables: &[Table; 2], encoded: &Encoded) {
    let is_number = |name: &str| encoded.columns.iter().any(|c| c.name == name && c.categories.is_empty());
    let names: Vec<&str> = found
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .filter(|name| is_number(name))
        .take(2)
        .collect();
    let [x, y] = names[..] else { return };
    let [a, b] = tables
        .each_ref()
        .map(|table| -> Vec<(f64, f64)> { numbers(table, x).into_iter().zip(numbers(table, y)).collect() });
    let flows = &found.evidence.flows;
    let every = flows.len().div_ceil(FLOWS);
    let shown: Vec<_> = flows.iter().step_by(every).collect();
    let segments = shown.iter().map(|flow| [a[flow.from], b[flow.to]]).collect();
    let plot = ScatterPlot::new("", x, y)
        .segments(segments)
        .group(tables[0].file(), shown.iter().map(|flow| a[flow.from]).collect())
        .group(tables[1].file(), shown.iter().map(|flow| b[flow.to]).collect());
    let part = if every > 1 { format!("One flow of {every}: ") } else { String::new() };
    report
        .section("The plan")
        .text("Each line is mass on its way from a row of the first table to its match in the second.")
        .plot(plot.svg(), &format!("{part}the plan over all columns, seen in {x} and {y}."));
}

fn numbers(table: &Table, name: &str) -> Vec<f64> {
    let values = &table.column(name).expect("the column was encoded").values;
    (0..values.len()).filter_map(|row| values.number(row)).collect()
}

/// The least and greatest of all.
fn range(a: &[f64], b: &[f64]) -> (f64, f64) {
    a.iter().chain(b).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}

/// The share of the values in each bin, as the outline of bars.
fn histogram(values: &[f64], (low, high): (f64, f64), bins: usize) -> Vec<(f64, f64)> {
    if values.is_empty() {
        return Vec::new();
    }
    let width = if high > low { (high - low) / bins as f64 } else { 1.0 };
    let mut counts = vec![0.0; bins];
    for value in values {
        counts[(((value - low) / width) as usize).min(bins - 1)] += 1.0 / values.len() as f64;
    }
    let edges = counts.iter().enumerate().flat_map(|(bin, count)| {
        [(low + bin as f64 * width, *count), (low + (bin + 1) as f64 * width, *count)]
    });
    let end = low + bins as f64 * width;
    [(low, 0.0)].into_iter().chain(edges).chain([(end, 0.0)]).collect()
}
