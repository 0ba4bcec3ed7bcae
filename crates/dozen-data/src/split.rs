//! Train, valid and test out of one table.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::DataError;

/// Deals `rows` row numbers, shuffled by `seed`, into parts of the given fractions.
///
/// Fractions need not sum to one: they are taken relative to their sum. Each part keeps its rows in file order.
///
/// # Errors
/// When a fraction is not positive, or a part would be empty.
pub fn split_rows(rows: usize, fractions: &[f64], seed: u64) -> Result<Vec<Vec<usize>>, DataError> {
    let sum: f64 = fractions.iter().sum();
    if fractions.is_empty() || !fractions.iter().all(|&f| f > 0.0) || !sum.is_finite() {
        return Err(DataError::Request(format!(
            "the fractions of a split must be positive numbers, not {fractions:?}"
        )));
    }
    let mut order: Vec<usize> = (0..rows).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    let mut parts = Vec::with_capacity(fractions.len());
    let (mut start, mut cumulated) = (0, 0.0);
    for fraction in fractions {
        cumulated += fraction / sum;
        let end = (cumulated * rows as f64).round() as usize;
        let mut part = order[start..end.min(rows)].to_vec();
        if part.is_empty() {
            return Err(DataError::Request(format!(
                "{rows} rows split by {fractions:?} leave a part empty; give it a larger fraction or more rows"
            )));
        }
        part.sort_unstable();
        parts.push(part);
        start = end;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_cover_all_rows() {
        let parts = split_rows(1003, &[0.8, 0.1, 0.1], 7).unwrap();
        let mut all = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..1003).collect::<Vec<_>>());
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [802, 101, 100]);
    }

    #[test]
    fn a_part_without_rows_is_refused() {
        let error = split_rows(3, &[0.98, 0.01, 0.01], 0).unwrap_err().to_string();
        assert!(error.contains("leave a part empty"), "{error}");
        assert!(split_rows(3, &[1.0, -1.0], 0).is_err());
    }
}
