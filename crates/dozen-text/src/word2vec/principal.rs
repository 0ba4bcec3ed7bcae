//! Principal components of rows.

use super::matrix::Matrix;

/// Directions of the most variance.
#[derive(Clone, Debug)]
pub struct PrincipalComponents {
    /// Unit vectors, that of the most variance first.
    pub directions: Vec<Vec<f32>>,
    /// The share of the variance along each.
    pub shares: Vec<f64>,
}

/// The first principal components of the rows, about their mean or about zero: eigenvectors of the matrix of second moments,
/// by orthogonal iteration to a relative change of 1e-10. O(rows columns^2).
pub fn principal_components(rows: &Matrix, count: usize, about_mean: bool) -> PrincipalComponents {
    let columns = rows.columns();
    let moments = moments(rows, about_mean);
    let variance: f64 = (0..columns).map(|at| moments[at * columns + at]).sum();
    // Begun on all axes a little, so that none is orthogonal to what is sought.
    let mut directions: Vec<Vec<f64>> = (0..count.min(columns))
        .map(|k| (0..columns).map(|at| 1.0 + ((at * (k + 1) * 7919) % 101) as f64).collect())
        .collect();
    orthonormalize(&mut directions);
    let mut values = vec![0.0; directions.len()];
    for _ in 0..10_000 {
        let before = values.clone();
        let multiplied: Vec<Vec<f64>> = directions.iter().map(|v| multiply(&moments, v)).collect();
        for (value, (v, mv)) in values.iter_mut().zip(directions.iter().zip(&multiplied)) {
            *value = product(v, mv);
        }
        directions = multiplied;
        orthonormalize(&mut directions);
        if values.iter().zip(&before).all(|(new, old)| (new - old).abs() <= 1e-10 * values[0].abs()) {
            break;
        }
    }
    PrincipalComponents {
        directions: directions.into_iter().map(|v| v.into_iter().map(|x| x as f32).collect()).collect(),
        shares: values.into_iter().map(|value| if variance > 0.0 { value / variance } else { 0.0 }).collect(),
    }
}

/// The mean of `x x'` over the rows, less their mean if asked.
fn moments(rows: &Matrix, about_mean: bool) -> Vec<f64> {
    let (n, columns) = (rows.rows(), rows.columns());
    let mut mean = vec![0.0; columns];
    if about_mean {
        for row in 0..n as u32 {
            mean.iter_mut().zip(rows.row(row)).for_each(|(sum, x)| *sum += f64::from(*x) / n as f64);
        }
    }
    let mut moments = vec![0.0; columns * columns];
    for row in 0..n as u32 {
        let x: Vec<f64> = rows.row(row).iter().zip(&mean).map(|(x, mean)| f64::from(*x) - mean).collect();
        for (at, line) in moments.chunks_exact_mut(columns).enumerate() {
            line.iter_mut().zip(&x).for_each(|(sum, y)| *sum += x[at] * y);
        }
    }
    moments
}

fn multiply(matrix: &[f64], v: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(v.len()).map(|line| product(line, v)).collect()
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Gram and Schmidt; a vector that the ones before span becomes zero.
fn orthonormalize(vectors: &mut [Vec<f64>]) {
    for at in 0..vectors.len() {
        let (before, from) = vectors.split_at_mut(at);
        let v = &mut from[0];
        for other in before {
            let along = product(other, v);
            for (x, y) in v.iter_mut().zip(other.iter()) {
                *x -= along * y;
            }
        }
        let length = product(v, v).sqrt();
        if length > 0.0 {
            for x in v {
                *x /= length;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, principal_components};

    #[test]
    fn the_long_axes_of_a_cloud_are_found() {
        let values: Vec<f32> = (0..200)
            .flat_map(|n| {
                let (a, b) = ((n as f32 * 0.37).sin() * 5.0, (n as f32 * 1.7).cos());
                // Along (3, 4) / 5 and (-4, 3) / 5, about (10, 20).
                [10.0 + 0.6 * a - 0.8 * b, 20.0 + 0.8 * a + 0.6 * b]
            })
            .collect();
        let found = principal_components(&Matrix::from_values(2, &values), 2, true);
        let first = &found.directions[0];
        assert!((first[0].abs() - 0.6).abs() < 0.01 && (first[1].abs() - 0.8).abs() < 0.01);
        assert!((found.shares[0] + found.shares[1] - 1.0).abs() < 1e-9 && found.shares[0] > 0.9);
    }
}
