//! Precision and recall, density and coverage, by balls that reach to each row's k-th neighbour.

use dozen_data::Matrix;

use super::distances::for_each_row;

/// Shares of samples and of data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbours {
    /// Samples within the ball of a row of data: how many look like data (Kynkäänniemi et al. 2019, eq. 2).
    pub precision: f64,
    /// Rows of data within the ball of a sample: how much of the data is reached.
    pub recall: f64,
    /// Balls of data around a sample, over k: precision that outliers do not help (Naeem et al. 2020, eq. 4).
    pub density: f64,
    /// Rows of data whose ball has a sample in it (eq. 5).
    pub coverage: f64,
}

/// By balls to the `k`-th neighbour among rows of the same set.
///
/// # Panics
/// When widths differ or a set has no more than `k` rows.
pub fn neighbours(real: &Matrix, fake: &Matrix, k: usize) -> Neighbours {
    assert_eq!(real.columns(), fake.columns(), "rows of one width");
    assert!(k > 0 && real.rows() > k && fake.rows() > k, "more rows than neighbours");
    let radii = |rows: &Matrix| {
        for_each_row(rows, rows, |_, distances| {
            let mut sorted = distances.to_vec();
            // The nearest is the row itself.
            *sorted.select_nth_unstable_by(k, f64::total_cmp).1
        })
    };
    let (real_radii, fake_radii) = (radii(real), radii(fake));
    // For each sample: the balls of data around it.
    let around = for_each_row(fake, real, |_, distances| {
        distances.iter().zip(&real_radii).filter(|(distance, radius)| distance <= radius).count()
    });
    // For each row of data: whether it is in a sample's ball, and whether its own ball has a sample.
    let of_real = for_each_row(real, fake, |row, distances| {
        let reached = distances.iter().zip(&fake_radii).any(|(distance, radius)| distance <= radius);
        let covered = distances.iter().any(|distance| *distance <= real_radii[row]);
        (reached, covered)
    });
    let share = |count: usize, of: usize| count as f64 / of as f64;
    Neighbours {
        precision: share(around.iter().filter(|count| **count > 0).count(), fake.rows()),
        recall: share(of_real.iter().filter(|row| row.0).count(), real.rows()),
        density: share(around.iter().sum(), k * fake.rows()),
        coverage: share(of_real.iter().filter(|row| row.1).count(), real.rows()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collapse_has_precision_without_recall() {
        let grid = |side: usize, step: f32| {
            Matrix::new(
                (0..side * side).flat_map(|i| [(i % side) as f32 * step, (i / side) as f32 * step]).collect(),
                2,
            )
        };
        let real = grid(20, 1.0);
        let same = neighbours(&real, &real, 3);
        assert_eq!((same.precision, same.recall, same.coverage), (1.0, 1.0, 1.0));
        // Samples in one corner only.
        let collapsed = neighbours(&real, &grid(20, 0.05), 3);
        assert!(
            collapsed.precision == 1.0 && collapsed.recall < 0.02 && collapsed.coverage < 0.03,
            "{collapsed:?}"
        );
        let far = Matrix::new(grid(20, 1.0).values().iter().map(|x| x + 100.0).collect(), 2);
        let apart = neighbours(&real, &far, 3);
        assert_eq!((apart.precision, apart.recall, apart.density, apart.coverage), (0.0, 0.0, 0.0, 0.0));
    }
}
