//! Symmetric matrices, row by row: their eigenvalues, and the triangular root of those without negative ones.

/// L with `L L' = a`, lower triangular, of a matrix without negative eigenvalues; where nothing is left of a column it is zero.
pub(super) fn cholesky(a: &[f64], n: usize) -> Vec<f64> {
    let mut l = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let (row_i, row_j) = (&l[i * n..][..j], &l[j * n..][..j]);
            let rest = a[i * n + j] - row_i.iter().zip(row_j).map(|(x, y)| x * y).sum::<f64>();
            l[i * n + j] = if i == j {
                // Of a pivot that rounding has left, nothing is told.
                if rest > 1e-12 * a[i * n + i] { rest.sqrt() } else { 0.0 }
            } else if l[j * n + j] > 0.0 {
                rest / l[j * n + j]
            } else {
                0.0
            };
        }
    }
    l
}

/// The eigenvalues, in no order: Householder's reflections make the matrix tridiagonal, and then QL steps with implicit shifts make it diagonal (Golub and
/// Van Loan 2013, algorithms 8.3.1 and 8.3.3).
pub(super) fn eigenvalues(a: Vec<f64>, n: usize) -> Vec<f64> {
    let (diagonal, beside) = tridiagonal(a, n);
    diagonalized(diagonal, beside)
}

/// The diagonal, and what is beside it: element `i` stands between `i` and `i + 1`.
fn tridiagonal(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut beside, mut p) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n.saturating_sub(2) {
        // The reflection that leaves of column k only its first element below the diagonal; v is kept in row k, right of the diagonal.
        let norm = a[k * n + k + 1..(k + 1) * n].iter().map(|x| x * x).sum::<f64>().sqrt();
        let first = a[k * n + k + 1];
        let alpha = if first > 0.0 { -norm } else { norm };
        beside[k] = alpha;
        let (upper, lower) = a.split_at_mut((k + 1) * n);
        let v = &mut upper[k * n + k + 1..];
        v[0] -= alpha;
        let squared = v.iter().map(|x| x * x).sum::<f64>();
        if squared == 0.0 {
            continue;
        }
        // a - v w' - w v' with w = 2 (a v - v (v' a v) / |v|^2) / |v|^2.
        let m = n - k - 1;
        let row = |i: usize| &lower[i * n + k + 1..(i + 1) * n];
        for i in 0..m {
            p[i] = row(i).iter().zip(v.iter()).map(|(x, y)| x * y).sum::<f64>() * 2.0 / squared;
        }
        let along = p[..m].iter().zip(v.iter()).map(|(x, y)| x * y).sum::<f64>() / squared;
        p[..m].iter_mut().zip(v.iter()).for_each(|(w, v)| *w -= along * v);
        for (i, line) in lower.chunks_exact_mut(n).enumerate() {
            let (v_i, w_i) = (v[i], p[i]);
            for ((x, v), w) in line[k + 1..].iter_mut().zip(v.iter()).zip(&p[..m]) {
                *x -= v_i * w + w_i * v;
            }
        }
    }
    if n > 1 {
        beside[n - 2] = a[(n - 2) * n + n - 1];
    }
    ((0..n).map(|k| a[k * n + k]).collect(), beside)
}

/// Steps for one eigenvalue, at most; three are usual.
const STEPS: usize = 60;

fn diagonalized(mut d: Vec<f64>, mut e: Vec<f64>) -> Vec<f64> {
    let n = d.len();
    for l in 0..n {
        for _ in 0..STEPS {
            let small = |m: &usize| {
                let scale = d[*m].abs() + d[*m + 1].abs();
                e[*m].abs() <= f64::EPSILON * scale
            };
            let m = (l..n - 1).find(small).unwrap_or(n - 1);
            if m == l {
                break;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let r = g.hypot(1.0);
            g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut whole = true;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    whole = false;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let t = (d[i] - g) * s + 2.0 * c * b;
                p = s * t;
                d[i + 1] = g + p;
                g = c * t - b;
            }
            if whole {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_are_those_of_a_known_matrix() {
        // Of 2 on the diagonal and -1 beside it: 2 - 2 cos(k pi / (n + 1)), after a reflection that fills the matrix.
        let n = 9;
        let v: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin() + 0.3).collect();
        let squared: f64 = v.iter().map(|x| x * x).sum();
        let reflect = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / squared;
        let band = |i: usize, j: usize| match i.abs_diff(j) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        };
        let entry = |i: usize, j: usize| -> f64 {
            (0..n * n).map(|at| reflect(i, at / n) * band(at / n, at % n) * reflect(at % n, j)).sum()
        };
        let a: Vec<f64> = (0..n * n).map(|at| entry(at / n, at % n)).collect();
        let mut found = eigenvalues(a.clone(), n);
        found.sort_by(f64::total_cmp);
        for (k, value) in found.iter().enumerate() {
            let expected = 2.0 - 2.0 * (std::f64::consts::PI * (k + 1) as f64 / (n + 1) as f64).cos();
            assert!((value - expected).abs() < 1e-12, "{value} {expected}");
        }
        let l = cholesky(&a, n);
        for i in 0..n {
            for j in 0..n {
                let made: f64 = (0..n).map(|k| l[i * n + k] * l[j * n + k]).sum();
                assert!((made - a[i * n + j]).abs() < 1e-12);
            }
        }
        assert_eq!(eigenvalues(vec![3.0], 1), [3.0]);
        let flat = cholesky(&[4.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 1.0], 3);
        assert_eq!(flat, [2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }
}
