//! The vector of a text from those of its words.

use super::WordVectors;
use super::matrix::Matrix;
use super::principal::principal_components;
use super::vectors::dot;

/// How words become a text's vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pooling {
    /// The mean.
    Mean,
    /// Smooth inverse frequency (Arora, Liang and Ma, ICLR 2017): each word weighs `a / (a + p)` for its relative frequency
    /// p, and all texts lose their projection onto their common principal direction.
    Sif {
        /// a; the paper takes 1e-3.
        a: f64,
    },
}

/// A vector for each text: lists of words; and how many words of each are known. A text of unknown words has zeros.
pub fn text_vectors<'t>(
    vectors: &WordVectors,
    texts: impl IntoIterator<Item = Vec<&'t str>>,
    pooling: Pooling,
) -> (Matrix, Vec<usize>) {
    let counts = vectors.dictionary().counts();
    let total = vectors.dictionary().total() as f64;
    let mut pooled = Matrix::zeros(0, vectors.dim());
    let mut known = Vec::new();
    for (row, text) in texts.into_iter().enumerate() {
        pooled.resize(row + 1);
        let values = pooled.row_mut(row as u32);
        let mut found = 0;
        for word in text {
            let Ok(vector) = vectors.vector(word) else { continue };
            found += 1;
            let count = vectors.dictionary().find(word).map_or(0, |row| counts[row as usize]);
            let weight = match pooling {
                Pooling::Mean => 1.0,
                Pooling::Sif { a } => a / (a + count as f64 / total),
            };
            values.iter_mut().zip(vector.iter()).for_each(|(sum, value)| *sum += weight as f32 * value);
        }
        for value in values {
            *value /= found.max(1) as f32;
        }
        known.push(found);
    }
    if let Pooling::Sif { .. } = pooling
        && pooled.rows() > 1
    {
        let common = &principal_components(&pooled, 1, false).directions[0];
        for row in 0..pooled.rows() as u32 {
            let along = dot(pooled.row(row), common);
            pooled.row_mut(row).iter_mut().zip(common).for_each(|(value, axis)| *value -= along * axis);
        }
    }
    (pooled, known)
}

#[cfg(test)]
mod tests {
    use super::{Matrix, Pooling, WordVectors, text_vectors};
    use crate::word2vec::Dictionary;

    #[test]
    fn frequent_words_weigh_less_and_the_common_direction_goes() {
        let dictionary = Dictionary::new([("the", 999), ("cat", 1)]).unwrap();
        let vectors = WordVectors::new(dictionary, Matrix::from_values(2, &[1.0, 0.0, 0.0, 1.0])).unwrap();
        let texts = || [vec!["the", "cat", "zebra"], vec!["zebra"], vec!["the"]];
        let (mean, known) = text_vectors(&vectors, texts(), Pooling::Mean);
        assert_eq!(known, [2, 0, 1]);
        assert_eq!((mean.row(0), mean.row(1)), (&[0.5, 0.5][..], &[0.0, 0.0][..]));
        let (sif, _) = text_vectors(&vectors, texts(), Pooling::Sif { a: 1e-3 });
        // The only large vector is that of the first text, 0.25 of "cat": its direction is the common one.
        assert!(sif.row(0).iter().chain(sif.row(2)).all(|value| value.abs() < 2e-3));
    }
}
