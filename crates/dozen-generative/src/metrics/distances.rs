//! Distances between rows.

use dozen_data::Matrix;
use dozen_transport::{Distance, Error, PointCost, Points, exact};
use rayon::prelude::*;

/// The exact Wasserstein distance of order 1 between two sets of equally heavy rows.
///
/// # Errors
/// When a side has no rows, widths differ or a value is not finite.
pub fn wasserstein(a: &Matrix, b: &Matrix) -> Result<f64, Error> {
    let numbers =
        |matrix: &Matrix| matrix.values().iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
    let (a_values, b_values) = (numbers(a), numbers(b));
    let (x, y) = (Points::new(&a_values, a.columns())?, Points::new(&b_values, b.columns())?);
    let cost = PointCost::new(x, y, Distance::Euclidean, 1.0)?;
    Ok(exact(&vec![1.0; a.rows()], &vec![1.0; b.rows()], &cost)?.value)
}

/// Squared Euclidean distances from row `row` of `a` to all rows of `b`.
pub(super) fn squared_to(a: &Matrix, row: usize, b: &Matrix) -> Vec<f64> {
    let own = a.row(row);
    let distance = |other: &[f32]| own.iter().zip(other).map(|(x, y)| f64::from((x - y) * (x - y))).sum();
    b.values().chunks_exact(b.columns()).map(distance).collect()
}

/// What a function makes of each row of `a` and its squared distances to all rows of `b`, on all threads.
pub(super) fn for_each_row<T: Send>(a: &Matrix, b: &Matrix, f: impl Fn(usize, &[f64]) -> T + Sync) -> Vec<T> {
    (0..a.rows()).into_par_iter().map(|row| f(row, &squared_to(a, row, b))).collect()
}
