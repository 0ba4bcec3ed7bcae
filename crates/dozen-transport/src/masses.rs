//! Masses as whole numbers, so that flows add up exactly.

use crate::Error;

/// Masses of both sides in units of which each side has the same number.
pub(crate) struct Masses {
    pub(crate) first: Vec<i64>,
    pub(crate) second: Vec<i64>,
    /// Units in a mass of one.
    pub(crate) total: i64,
}

/// Units of a mass of one where weights are not all equal: rounding moves less than 1e-18 of the mass.
const UNITS: i64 = 1 << 60;

impl Masses {
    /// Of weights, each side divided by its sum.
    pub(crate) fn new(a: &[f64], b: &[f64]) -> Result<Self, Error> {
        let (first_sum, second_sum) = (checked_sum(a, "first")?, checked_sum(b, "second")?);
        let uniform = |weights: &[f64]| weights.iter().all(|&weight| weight == weights[0]);
        if uniform(a) && uniform(b) {
            // The least number that both counts divide: a problem of equal masses stays one.
            let (n, m) = (a.len() as i64, b.len() as i64);
            let total = n / greatest_common_divisor(n, m) * m;
            return Ok(Self { first: vec![total / n; a.len()], second: vec![total / m; b.len()], total });
        }
        Ok(Self { first: units(a, first_sum), second: units(b, second_sum), total: UNITS })
    }
}

fn greatest_common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Weights must be as many as the points of each side.
pub(crate) fn check_counts((n, m): (usize, usize), a: &[f64], b: &[f64]) -> Result<(), Error> {
    for (side, points, weights) in [("first", n, a.len()), ("second", m, b.len())] {
        if points != weights {
            return Err(Error::Weights { side, points, weights });
        }
    }
    Ok(())
}

pub(crate) fn checked_sum(weights: &[f64], side: &'static str) -> Result<f64, Error> {
    if weights.is_empty() {
        return Err(Error::Empty { side });
    }
    if let Some(position) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
        return Err(Error::BadWeight { side, position, value: weights[position] });
    }
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 && sum.is_finite() { Ok(sum) } else { Err(Error::BadSum { side, sum }) }
}

/// Each weight's share of all units, rounded so that the running sum is as near as can be.
fn units(weights: &[f64], sum: f64) -> Vec<i64> {
    let mut running = 0.0;
    let mut given = 0;
    let last = weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0);
    let share = |(index, &weight): (usize, &f64)| {
        running += weight;
        let upto = if index >= last { UNITS } else { ((running / sum * UNITS as f64) as i64).min(UNITS) };
        // A zero weight stays zero, and rounding never takes back what was given.
        let mass = if weight > 0.0 { (upto - given).max(0) } else { 0 };
        given += mass;
        mass
    };
    weights.iter().enumerate().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_stay_equal_and_others_add_up() {
        let masses = Masses::new(&[0.1; 4], &[7.0; 6]).unwrap();
        assert_eq!((masses.total, &masses.first[..], &masses.second[..]), (12, &[3; 4][..], &[2; 6][..]));
        let masses = Masses::new(&[0.1, 0.0, 0.7, 1e-30, 0.0], &[1.0]).unwrap();
        assert_eq!(masses.first.iter().sum::<i64>(), masses.total);
        assert_eq!((masses.first[1], masses.first[4]), (0, 0));
        assert!((masses.first[0] as f64 / masses.total as f64 - 0.125).abs() < 1e-15);
    }

    #[test]
    fn bad_weights_are_named() {
        let error = |a: &[f64]| Masses::new(a, &[1.0]).err().unwrap().to_string();
        assert_eq!(error(&[]), "the first side has no points; there is nothing to transport");
        assert_eq!(
            error(&[1.0, -1.0]),
            "weight 1 of the first side is -1; weights are finite and not negative"
        );
        assert_eq!(
            error(&[0.0]),
            "the weights of the first side sum to 0; they must sum to a positive number"
        );
    }
}
