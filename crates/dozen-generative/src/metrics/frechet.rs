//! The Fréchet distance.

use dozen_data::Matrix;

use super::symmetric::{cholesky, eigenvalues};

/// `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^{1/2})`, with means m and covariances C (by one less than the number of rows): the squared
/// transport distance of order 2 between normals of these moments (Dowson and Landau 1982), and the FID where rows are Inception's features.
///
/// With `C_a = L L'` the last trace is that of `(L' C_b L)^{1/2}`, of a symmetric matrix with the eigenvalues of `C_a C_b`, so that no complex root can arise.
///
/// # Panics
/// When widths differ or a side has fewer than two rows.
pub fn frechet_distance(a: &Matrix, b: &Matrix) -> f64 {
    assert_eq!(a.columns(), b.columns(), "rows of one width");
    let n = a.columns();
    let ((mean_a, a), (mean_b, b)) = (moments(a), moments(b));
    let trace = |matrix: &[f64]| matrix.iter().step_by(n + 1).sum::<f64>();
    let sides = trace(&a) + trace(&b);
    let root = cholesky(&a, n);
    let middle = product(&product(&transposed(&root, n), &b, n), &root, n);
    let roots: f64 = eigenvalues(middle, n).into_iter().map(|value| value.max(0.0).sqrt()).sum();
    let apart: f64 = mean_a.iter().zip(&mean_b).map(|(x, y)| (x - y).powi(2)).sum();
    apart + sides - 2.0 * roots
}

/// The mean of rows, and their covariance, row by row.
fn moments(rows: &Matrix) -> (Vec<f64>, Vec<f64>) {
    let (count, n) = (rows.rows(), rows.columns());
    assert!(count > 1, "a covariance needs two rows");
    let mut mean = vec![0.0; n];
    for row in rows.values().chunks_exact(n) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) / count as f64);
    }
    let mut covariance = vec![0.0; n * n];
    let mut centred = vec![0.0; n];
    for row in rows.values().chunks_exact(n) {
        centred.iter_mut().zip(row).zip(&mean).for_each(|((c, x), mean)| *c = f64::from(*x) - mean);
        for (line, x) in covariance.chunks_exact_mut(n).zip(&centred) {
            line.iter_mut().zip(&centred).for_each(|(sum, y)| *sum += x * y);
        }
    }
    for sum in &mut covariance {
        *sum /= count as f64 - 1.0;
    }
    (mean, covariance)
}

fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut c = vec![0.0; n * n];
    for (line, row) in c.chunks_exact_mut(n).zip(a.chunks_exact(n)) {
        for (x, other) in row.iter().zip(b.chunks_exact(n)) {
            line.iter_mut().zip(other).for_each(|(sum, y)| *sum += x * y);
        }
    }
    c
}

fn transposed(a: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|at| a[at % n * n + at / n]).collect()
}
