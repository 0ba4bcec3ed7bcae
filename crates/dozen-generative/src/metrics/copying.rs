//! Whether samples are copies of training rows.

use dozen_data::Matrix;

use super::distances::for_each_row;

/// How near samples lie to training rows, beside how near held-out rows do.
#[derive(Clone, Debug, PartialEq)]
pub struct Copying {
    /// The probability that a sample is nearer to training than a held-out row is; 0.5 where nothing is copied (Meehan et al. 2020, section 3.1).
    pub nearer_than_held_out: f64,
    /// The nearest training row of each sample.
    pub nearest: Vec<usize>,
    /// How far it is.
    pub distances: Vec<f64>,
}

/// Of samples, training rows and held-out rows.
///
/// # Panics
/// When widths differ or a set is empty.
pub fn copying(train: &Matrix, held_out: &Matrix, samples: &Matrix) -> Copying {
    assert!(train.rows() > 0 && held_out.rows() > 0 && samples.rows() > 0, "rows in each set");
    let nearest = |rows: &Matrix| {
        for_each_row(rows, train, |_, distances| {
            let least = (0..distances.len()).min_by(|a, b| f64::total_cmp(&distances[*a], &distances[*b]));
            let least = least.unwrap_or(0);
            (least, distances[least].sqrt())
        })
    };
    let (of_samples, of_held_out) = (nearest(samples), nearest(held_out));
    let mut sorted: Vec<f64> = of_held_out.into_iter().map(|(_, distance)| distance).collect();
    sorted.sort_by(f64::total_cmp);
    let further = |distance: f64| {
        let (below, up_to) =
            (sorted.partition_point(|d| *d < distance), sorted.partition_point(|d| *d <= distance));
        // Ties count half.
        1.0 - (below + up_to) as f64 / (2 * sorted.len()) as f64
    };
    let (nearest, distances): (Vec<usize>, Vec<f64>) = of_samples.into_iter().unzip();
    let nearer = distances.iter().map(|distance| further(*distance)).sum::<f64>() / distances.len() as f64;
    Copying { nearer_than_held_out: nearer, nearest, distances }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_nearer_than_held_out_rows() {
        let row = |i: usize, shift: f32| [(i * 37 % 101) as f32 + shift, (i * 53 % 97) as f32];
        let set = |from: usize, shift: f32| {
            Matrix::new((from..from + 100).flat_map(|i| row(i, shift)).collect(), 2)
        };
        let (train, held_out) = (set(0, 0.0), set(1000, 0.4));
        assert!(copying(&train, &held_out, &set(0, 0.001)).nearer_than_held_out > 0.95);
        let fair = copying(&train, &held_out, &set(1000, 0.4)).nearer_than_held_out;
        assert!((fair - 0.5).abs() < 1e-9, "{fair}");
    }
}
