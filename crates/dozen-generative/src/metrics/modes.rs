//! Which known modes samples find.

use dozen_data::Matrix;

use super::distances::squared_to;

/// How samples fall to the modes of data.
#[derive(Clone, Debug, PartialEq)]
pub struct ModeCount {
    /// Samples of high quality at each mode.
    pub counts: Vec<usize>,
    /// Samples within three deviations of the nearest mode, as a share of all: high quality.
    pub high_quality: f64,
    /// Modes that have at least a twentieth of the samples of high quality that their share of data promises.
    pub found: usize,
    /// `KL(samples || data)` over the modes, of the samples of high quality, in nats; infinite where there are none.
    pub divergence: f64,
}

/// Deviations from a mode within which a sample is of high quality (Srivastava et al. 2017, section 4.1).
const DEVIATIONS: f64 = 3.0;

/// Of the promised samples, fewer than this share, and a mode is not found.
const LEAST_SHARE: f64 = 0.05;

/// Of samples, given rows of data and the mode that each is of, from 0 up. A mode lies at the mean of its rows, and its deviation is that of one of
/// their columns: the root of the mean squared distance over the number of columns.
///
/// # Panics
/// When widths differ, or there is not a mode for each row.
pub fn modes(real: &Matrix, labels: &[usize], fake: &Matrix) -> ModeCount {
    assert_eq!(
        (real.columns(), real.rows()),
        (fake.columns(), labels.len()),
        "a mode for each row of one width"
    );
    let count = labels.iter().max().map_or(0, |label| label + 1);
    let width = real.columns();
    let mut sizes = vec![0_usize; count];
    let mut centres = vec![0.0_f64; count * width];
    for (row, &label) in labels.iter().enumerate() {
        sizes[label] += 1;
        let centre = centres[label * width..].iter_mut();
        centre.zip(real.row(row)).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    for (centre, size) in centres.chunks_exact_mut(width).zip(&sizes) {
        for sum in centre {
            *sum /= (*size).max(1) as f64;
        }
    }
    let centres = Matrix::new(centres.into_iter().map(|x| x as f32).collect(), width);
    let mut variances = vec![0.0_f64; count];
    for (row, &label) in labels.iter().enumerate() {
        variances[label] += squared_to(real, row, &centres)[label] / (sizes[label] * width) as f64;
    }
    let mut counts = vec![0; count];
    for row in 0..fake.rows() {
        let distances = squared_to(fake, row, &centres);
        let nearest = (0..count).min_by(|a, b| f64::total_cmp(&distances[*a], &distances[*b]));
        if let Some(mode) = nearest
            && distances[mode] <= DEVIATIONS.powi(2) * variances[mode]
        {
            counts[mode] += 1;
        }
    }
    let good: usize = counts.iter().sum();
    let share = |mode: usize| sizes[mode] as f64 / labels.len() as f64;
    let promised = |mode: &usize| share(*mode) * fake.rows() as f64 * LEAST_SHARE;
    let divergence = |mode: usize| match counts[mode] {
        0 => 0.0,
        own => (own as f64 / good as f64) * (own as f64 / good as f64 / share(mode)).ln(),
    };
    ModeCount {
        high_quality: good as f64 / fake.rows().max(1) as f64,
        found: (0..count).filter(|mode| counts[*mode] > 0 && counts[*mode] as f64 >= promised(mode)).count(),
        divergence: if good == 0 { f64::INFINITY } else { (0..count).map(divergence).sum() },
        counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_mode_is_missed() {
        let row = |i: usize| [(i % 4) as f32 * 10.0 + (i % 7) as f32 * 0.1, (i % 5) as f32 * 0.1];
        let labels: Vec<usize> = (0..400).map(|i| i % 4).collect();
        let real = Matrix::new((0..400).flat_map(row).collect(), 2);
        let all = modes(&real, &labels, &real);
        assert!(all.found == 4 && all.high_quality > 0.99 && all.divergence.abs() < 1e-3);
        let some = Matrix::new((0..400).filter(|i| i % 4 < 2).flat_map(row).collect(), 2);
        let some = modes(&real, &labels, &some);
        assert!(some.found == 2 && (some.divergence - 2.0_f64.ln()).abs() < 1e-2, "{some:?}");
        let none = modes(&real, &labels, &Matrix::new(vec![500.0; 20], 2));
        assert!(none.found == 0 && none.high_quality == 0.0 && none.divergence.is_infinite());
    }
}
