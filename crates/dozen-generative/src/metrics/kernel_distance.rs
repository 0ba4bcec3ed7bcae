//! The kernel distance.

use dozen_data::Matrix;
use rayon::prelude::*;

/// The unbiased squared mean discrepancy under `k(x, y) = (x . y / columns + 1)^3` (Bińkowski et al. 2018, eq. 4): the KID where rows are Inception's
/// features. It may be below zero by chance.
///
/// # Panics
/// When widths differ or a side has fewer than two rows.
pub fn kernel_distance(a: &Matrix, b: &Matrix) -> f64 {
    assert_eq!(a.columns(), b.columns(), "rows of one width");
    assert!(a.rows() > 1 && b.rows() > 1, "pairs of rows on each side");
    let within = |x: &Matrix| {
        let rows = x.rows() as f64;
        (total(x, x) - diagonal(x)) / (rows * (rows - 1.0))
    };
    within(a) + within(b) - 2.0 * total(a, b) / (a.rows() as f64 * b.rows() as f64)
}

fn kernel(x: &[f32], y: &[f32]) -> f64 {
    let dot: f64 = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    (dot / x.len() as f64 + 1.0).powi(3)
}

fn total(a: &Matrix, b: &Matrix) -> f64 {
    let sum = |row: usize| -> f64 { (0..b.rows()).map(|other| kernel(a.row(row), b.row(other))).sum() };
    // In order, so that the sum does not depend on the threads.
    let sums: Vec<f64> = (0..a.rows()).into_par_iter().map(sum).collect();
    sums.into_iter().sum()
}

fn diagonal(a: &Matrix) -> f64 {
    (0..a.rows()).map(|row| kernel(a.row(row), a.row(row))).sum()
}
