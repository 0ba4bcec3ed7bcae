//! Made data whose truth is known.

use std::f64::consts::{PI, TAU};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

use crate::{Column, Table, Values};

pub use crate::make_graph::{GraphKind, graph};
pub use crate::make_sequence::{Reber, is_reber, parity, reber, series, tagged};
pub use crate::make_text::{MadeText, text};

/// A made table and what is exactly true of the distribution that it was drawn from.
#[derive(Clone, Debug)]
pub struct Made {
    /// The rows.
    pub table: Table,
    /// Named exact quantities, such as the entropy in nats.
    pub truth: Vec<(&'static str, f64)>,
}

/// `bits` binary columns of a Bayesian network shaped as a binary tree: bit `i` copies its parent `(i - 1) / 2` with
/// a probability between 0.75 and 0.95 that grows with `i`, bit 0 is one with probability 0.6.
///
/// The truth is the exact entropy in nats of a row,
/// `H = sum_i sum_v P(x_parent(i) = v) h(P(x_i = 1 | v))`, which no model's mean negative log-likelihood can beat.
pub fn binary_tree(rows: usize, bits: usize, seed: u64) -> Made {
    let copies: Vec<f64> = (0..bits).map(|i| 0.75 + 0.2 * i as f64 / bits as f64).collect();
    let entropy_of = |p: f64| -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
    let entropy = entropy_of(0.6) + copies.iter().skip(1).map(|&p| entropy_of(p)).sum::<f64>();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut columns = vec![Vec::with_capacity(rows); bits];
    for row in 0..rows {
        for bit in 0..bits {
            let value = if bit == 0 {
                rng.random_bool(0.6)
            } else {
                let parent = columns[(bit - 1) / 2][row] == 1;
                parent == rng.random_bool(copies[bit])
            };
            columns[bit].push(u8::from(value));
        }
    }
    let columns =
        columns.into_iter().enumerate().map(|(i, bits)| Column::new(format!("bit_{i}"), Values::Byte(bits)));
    made(columns.collect(), vec![("entropy_nats_per_row", entropy)])
}

/// Two interleaved half circles of radius one with Gaussian noise of deviation 0.1, and the half as a label.
///
/// The truth is the entropy of x and y, by quadrature of their density to six digits.
pub fn two_moons(rows: usize, seed: u64) -> Made {
    let mut made = points(rows, seed, |rng| {
        let label = usize::from(rng.random_bool(0.5));
        let angle = rng.random::<f64>() * PI;
        let side = if label == 0 { 1.0 } else { -1.0 };
        let shift = label as f64;
        let noise = |rng: &mut StdRng| 0.1 * normal(rng);
        let x = shift + side * angle.cos() + noise(rng);
        let y = 0.5 * shift + side * angle.sin() + noise(rng);
        (x, y, label)
    });
    let arc = |label: f64, step: f64| {
        let (angle, side) = ((step + 0.5) * PI / ARC, 1.0 - 2.0 * label);
        (label + side * angle.cos(), 0.5 * label + side * angle.sin())
    };
    let centres: Vec<(f64, f64)> = (0..2)
        .flat_map(|label| (0..ARC as usize).map(move |step| arc(f64::from(label), step as f64)))
        .collect();
    made.truth.push(("entropy_nats_per_row", entropy_of_parts(&centres, 0.1)));
    made
}

/// Points that stand for an arc: so near each other that their Gaussians make a smooth one.
const ARC: f64 = 200.0;

/// The entropy in nats of equal parts of round Gaussians, by the sum over a grid.
fn entropy_of_parts(centres: &[(f64, f64)], deviation: f64) -> f64 {
    let (reach, step) = (6.0 * deviation, deviation / 4.0);
    let span = |of: fn(&(f64, f64)) -> f64| {
        let values = || centres.iter().map(of);
        let low = values().fold(f64::INFINITY, f64::min) - reach;
        (low, ((values().fold(f64::NEG_INFINITY, f64::max) + reach - low) / step).ceil() as usize)
    };
    let ((left, columns), (low, lines)) = (span(|c| c.0), span(|c| c.1));
    let scale = 1.0 / (TAU * deviation * deviation * centres.len() as f64);
    let mut entropy = 0.0;
    for place in 0..columns * lines {
        let (x, y) = (left + (place % columns) as f64 * step, low + (place / columns) as f64 * step);
        let near =
            centres.iter().map(|(a, b)| (x - a).powi(2) + (y - b).powi(2)).filter(|d| *d < reach * reach);
        let density = scale * near.map(|d| (-d / (2.0 * deviation * deviation)).exp()).sum::<f64>();
        if density > 0.0 {
            entropy -= density * density.ln() * step * step;
        }
    }
    entropy
}

/// Uniform on the eight dark squares of a 4 x 4 board over [-2, 2] squared.
///
/// The truth is the entropy, the logarithm of the dark area: `ln 8`.
pub fn checkerboard(rows: usize, seed: u64) -> Made {
    let mut made = points(rows, seed, |rng| {
        let x = rng.random_range(-2.0..2.0_f64);
        let column = x.floor() as i64;
        let row = 2 * rng.random_range(-1..1_i64) + column.rem_euclid(2);
        (x, row as f64 + rng.random::<f64>(), (column + 2) as usize)
    });
    made.truth.push(("entropy_nats_per_row", 8.0_f64.ln()));
    made
}

/// Equal parts of eight Gaussians of deviation 0.2 in so many dimensions, and the part as a label: their centres stand on a circle of radius two in
/// the first two columns, `2 (cos t, sin t)`, and further round it in each two after, `2 (cos 2t, sin 2t)` and so on.
///
/// The truth is the entropy of a row but for the label: in two dimensions by quadrature to six digits, in more
/// `ln 8 + d/2 ln(2 pi e s^2)` less what the parts overlap, which is less than 0.001 and known to a tenth of that by 200,000 draws.
pub fn gaussian_mixture(rows: usize, dimensions: usize, seed: u64) -> Made {
    const PARTS: usize = 8;
    const DEVIATION: f64 = 0.2;
    let centre = |label: usize, dimension: usize| {
        let angle = TAU * label as f64 / PARTS as f64 * (dimension / 2 + 1) as f64;
        2.0 * if dimension.is_multiple_of(2) { angle.cos() } else { angle.sin() }
    };
    let mut rng = StdRng::seed_from_u64(seed);
    let mut columns = vec![Vec::with_capacity(rows); dimensions];
    let mut labels = Vec::with_capacity(rows);
    for _ in 0..rows {
        let label = rng.random_range(0..PARTS);
        for (dimension, column) in columns.iter_mut().enumerate() {
            column.push(centre(label, dimension) + DEVIATION * normal(&mut rng));
        }
        labels.push(format!("part_{label}"));
    }
    let entropy = if dimensions == 2 {
        let centres: Vec<(f64, f64)> = (0..PARTS).map(|label| (centre(label, 0), centre(label, 1))).collect();
        entropy_of_parts(&centres, DEVIATION)
    } else {
        let one = 0.5 * dimensions as f64 * (TAU * std::f64::consts::E * DEVIATION * DEVIATION).ln();
        (PARTS as f64).ln() + one - overlap(PARTS, dimensions, centre, DEVIATION)
    };
    let names = |dimension: usize| match dimension {
        0 => "x".to_owned(),
        1 => "y".to_owned(),
        _ => format!("x{}", dimension + 1),
    };
    let columns = columns.into_iter().enumerate();
    let mut columns: Vec<Column> =
        columns.map(|(at, values)| Column::new(names(at), Values::Number(values))).collect();
    columns.push(Column::new("label", Values::Text(labels)));
    made(columns, vec![("entropy_nats_per_row", entropy)])
}

/// `E[ln sum_j p_j(x) / p_k(x)]` with x of part k: what equal parts of round Gaussians lose of the logarithm of their number.
fn overlap(parts: usize, dimensions: usize, centre: impl Fn(usize, usize) -> f64, deviation: f64) -> f64 {
    const DRAWS: usize = 200_000;
    let mut rng = StdRng::seed_from_u64(0);
    let mut sum = 0.0;
    for draw in 0..DRAWS {
        let own = draw % parts;
        let x: Vec<f64> = (0..dimensions).map(|d| centre(own, d) + deviation * normal(&mut rng)).collect();
        let distance = |part: usize| {
            x.iter().enumerate().map(|(d, x)| (x - centre(part, d)).powi(2)).sum::<f64>()
                / (2.0 * deviation * deviation)
        };
        let nearest = distance(own);
        let others = (0..parts).filter(|part| *part != own);
        sum += others.map(|part| (nearest - distance(part)).exp()).sum::<f64>().ln_1p();
    }
    sum / DRAWS as f64
}

/// Equal parts of four concentric rings of radius 0.5, 1, 1.5 and 2 with radial noise of deviation 0.05.
///
/// The truth is the entropy of x and y: with `p(r)` the density of the radius, `-int p(r) ln (p(r) / 2 pi r) dr`.
pub fn rings(rows: usize, seed: u64) -> Made {
    const WIDTH: f64 = 0.05;
    let mut made = points(rows, seed, |rng| {
        let label = rng.random_range(0..4_usize);
        let radius = 0.5 * (label + 1) as f64 + WIDTH * normal(rng);
        let angle = TAU * rng.random::<f64>();
        (radius * angle.cos(), radius * angle.sin(), label)
    });
    let step = 1e-4;
    let part = |r: f64, radius: f64| (-0.5 * ((r - radius) / WIDTH).powi(2)).exp() / (WIDTH * TAU.sqrt());
    let entropy = (1..25_000).map(|place| {
        let r = f64::from(place) * step;
        let p = (1..5).map(|ring| 0.25 * part(r, 0.5 * f64::from(ring))).sum::<f64>();
        if p > 0.0 { -p * (p / (TAU * r)).ln() * step } else { 0.0 }
    });
    made.truth.push(("entropy_nats_per_row", entropy.sum()));
    made
}

/// Three well separated Gaussian clusters in the plane, and the cluster as a label.
pub fn blobs(rows: usize, seed: u64) -> Made {
    const CENTRES: [(f64, f64); 3] = [(-4.0, -2.0), (0.0, 4.0), (4.0, -2.0)];
    points(rows, seed, |rng| {
        let label = rng.random_range(0..CENTRES.len());
        let (x, y) = CENTRES[label];
        (x + normal(rng), y + normal(rng), label)
    })
}

/// Eight narrow Gaussians of deviation 0.02 on a circle of radius 2, and which of them as a label: the ring on which generators lose modes (Metz et al. 2017).
///
/// The truth is the entropy of x and y; the Gaussians do not overlap.
pub fn gaussian_ring(rows: usize, seed: u64) -> Made {
    narrow(
        rows,
        0.02,
        seed,
        &(0..8)
            .map(|k| {
                let angle = TAU * f64::from(k) / 8.0;
                (2.0 * angle.cos(), 2.0 * angle.sin())
            })
            .collect::<Vec<_>>(),
    )
}

/// Twenty-five narrow Gaussians of deviation 0.05 on a grid of five by five with steps of 2, and which of them as a label (Srivastava et al. 2017).
///
/// The truth is the entropy of x and y; the Gaussians do not overlap.
pub fn gaussian_grid(rows: usize, seed: u64) -> Made {
    let place = |at: i32| 2.0 * f64::from(at) - 4.0;
    narrow(rows, 0.05, seed, &(0..25).map(|k| (place(k / 5), place(k % 5))).collect::<Vec<_>>())
}

/// Gaussians of one deviation that do not overlap, equally many rows of each.
fn narrow(rows: usize, deviation: f64, seed: u64, centres: &[(f64, f64)]) -> Made {
    let mut made = points(rows, seed, |rng| {
        let label = rng.random_range(0..centres.len());
        let (x, y) = centres[label];
        (x + deviation * normal(rng), y + deviation * normal(rng), label)
    });
    let entropy = (centres.len() as f64).ln() + (TAU * deviation * deviation).ln() + 1.0;
    made.truth.push(("entropy_nats_per_row", entropy));
    made
}

/// A table with about this share of its cells left out, each by itself. What is missing tells nothing of what it was.
#[must_use]
pub fn holes(table: &Table, share: f64, seed: u64) -> Table {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x401e);
    let columns = table.columns().iter().map(|column| {
        let mut is_left_out = || rng.random_bool(share.clamp(0.0, 1.0));
        let values = match &column.values {
            Values::Text(values) => {
                let kept = |text: &String| if is_left_out() { String::new() } else { text.clone() };
                Values::Text(values.iter().map(kept).collect())
            }
            values => {
                let number = |row| values.number(row).unwrap_or(f64::NAN);
                let kept = |row| if is_left_out() { f64::NAN } else { number(row) };
                Values::Number((0..values.len()).map(kept).collect())
            }
        };
        Column::new(column.name.clone(), values)
    });
    Table::new(columns.collect()).expect("the columns of a table, as long as they were")
}

fn normal(rng: &mut StdRng) -> f64 {
    StandardNormal.sample(rng)
}

fn points(rows: usize, seed: u64, mut point: impl FnMut(&mut StdRng) -> (f64, f64, usize)) -> Made {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut xs, mut ys, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let (x, y, label) = point(&mut rng);
        xs.push(x);
        ys.push(y);
        labels.push(format!("part_{label}"));
    }
    let columns = vec![
        Column::new("x", Values::Number(xs)),
        Column::new("y", Values::Number(ys)),
        Column::new("label", Values::Text(labels)),
    ];
    made(columns, Vec::new())
}

fn made(columns: Vec<Column>, truth: Vec<(&'static str, f64)>) -> Made {
    let table = Table::new(columns).expect("made columns have equal lengths and different names");
    Made { table, truth }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_tree_rows_have_the_stated_entropy() {
        // The entropy of the empirical distribution of many rows of few bits is close to the truth.
        let Made { table, truth } = binary_tree(200_000, 5, 1);
        let mut counts = [0_u32; 32];
        for row in 0..table.rows() {
            let state = table.columns().iter().fold(0, |s, c| 2 * s + c.values.number(row).unwrap() as usize);
            counts[state] += 1;
        }
        let n = table.rows() as f64;
        let entropy: f64 =
            counts.iter().filter(|&&c| c > 0).map(|&c| -(f64::from(c) / n) * (f64::from(c) / n).ln()).sum();
        assert!((entropy - truth[0].1).abs() < 0.005, "{entropy} against {}", truth[0].1);
    }

    #[test]
    fn checkerboard_points_lie_on_dark_squares() {
        let Made { table, .. } = checkerboard(1000, 3);
        for row in 0..1000 {
            let (x, y) = (
                table.columns()[0].values.number(row).unwrap(),
                table.columns()[1].values.number(row).unwrap(),
            );
            assert!(x.abs() <= 2.0 && y.abs() <= 2.0);
            assert_eq!((x.floor() as i64 + y.floor() as i64).rem_euclid(2), 0);
        }
    }

    #[test]
    fn entropies_are_those_of_the_densities() {
        // One Gaussian: ln(2 pi e s^2). Parts far apart add the logarithm of their number.
        let one = (TAU * std::f64::consts::E * 0.04).ln();
        assert!((entropy_of_parts(&[(1.0, 2.0)], 0.2) - one).abs() < 1e-6);
        assert!((entropy_of_parts(&[(1.0, 2.0), (9.0, -3.0)], 0.2) - one - 2.0_f64.ln()).abs() < 1e-6);
        let truth = |made: Made| made.truth[0].1;
        assert!((truth(gaussian_mixture(1, 2, 0)) - one - 8.0_f64.ln()).abs() < 1e-3);
        // The draws agree with the quadrature, and further dimensions set the parts further apart.
        let centre = |label: usize, d: usize| {
            let angle = TAU * label as f64 / 8.0;
            2.0 * if d == 0 { angle.cos() } else { angle.sin() }
        };
        let drawn = one + 8.0_f64.ln() - overlap(8, 2, centre, 0.2);
        // Three standard errors of the draws.
        assert!((truth(gaussian_mixture(1, 2, 0)) - drawn).abs() < 2e-4, "{drawn}");
        assert!((truth(gaussian_mixture(1, 20, 0)) - 10.0 * one - 8.0_f64.ln()).abs() < 1e-5);
        // A ring of radius r is about as large as a strip of length 2 pi r.
        let strip = |ring: f64| (TAU * 0.5 * ring).ln() + 0.5 * (TAU * std::f64::consts::E * 0.0025).ln();
        let strips = (1..5).map(|ring| 0.25 * strip(f64::from(ring))).sum::<f64>() + 4.0_f64.ln();
        assert!((truth(rings(1, 0)) - strips).abs() < 0.01, "{strips}");
        assert!(
            (truth(two_moons(1, 0)) - ((TAU).ln() + 0.5 * (TAU * std::f64::consts::E * 0.01).ln())).abs()
                < 0.1
        );
    }

    #[test]
    fn the_same_seed_makes_the_same_rows() {
        assert_eq!(rings(50, 9).table.columns(), rings(50, 9).table.columns());
        assert_ne!(rings(50, 9).table.columns(), rings(50, 8).table.columns());
    }
}
