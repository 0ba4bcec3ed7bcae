//! Pictures of pairs of columns, for reports.

use dozen_data::{ColumnSchema, Matrix};
use dozen_report::{ScatterPlot, Section};

/// Columns whose pairs are drawn.
const MOST_PAIRED: usize = 4;

/// Held-out rows beside drawn ones, a picture for each pair of the first columns; of one column nothing.
pub(crate) fn pairs(section: &mut Section, columns: &[ColumnSchema], held_out: &Matrix, drawn: &Matrix) {
    let width = columns.len().min(MOST_PAIRED);
    let points = |cells: &Matrix, a: usize, b: usize| -> Vec<(f64, f64)> {
        let rows = (0..cells.rows()).map(|row| (f64::from(cells.row(row)[a]), f64::from(cells.row(row)[b])));
        rows.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    let mut plots = Vec::new();
    for a in 0..width {
        for b in a + 1..width {
            let (x, y) = (&columns[a].name, &columns[b].name);
            let plot = ScatterPlot::new(format!("{x}, {y}"), x.clone(), y.clone())
                .group("held out", points(held_out, a, b))
                .group("drawn", points(drawn, a, b));
            plots.push((plot.svg(), String::new()));
        }
    }
    section
        .text("Numbers are standardised, categories are the places of their levels. Where the model fits, both colours fill the same places.")
        .plots(plots);
}
