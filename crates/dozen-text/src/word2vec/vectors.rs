//! Word vectors in use: what is near what.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::OnceLock;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::kernel::dots;
use super::matrix::{Matrix, Rows};
use super::subword::{Bags, n_gram_buckets};
use super::{Dictionary, Parameters, Subwords};
use crate::Error;

/// Words and their vectors, which are finite.
#[derive(Clone, Debug)]
pub struct WordVectors {
    dictionary: Dictionary,
    vectors: Matrix,
    /// The same of length 1, once they are asked for.
    unit: OnceLock<Matrix>,
    subwords: Option<(Subwords, Matrix)>,
}

/// A word's row and a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The row of the word.
    pub word: u32,
    /// Its cosine, or 3CosMul's score.
    pub score: f32,
}

/// How an analogy is scored (Levy and Goldberg, CoNLL 2014).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum AnalogyScore {
    /// The cosine with the mean of the unit vectors, the negative ones negated: their equation 3.
    #[cfg_attr(feature = "clap", value(name = "add"))]
    CosAdd,
    /// The product of the cosines with the positive ones over that with the negative ones, each moved into [0, 1]: their
    /// equation 4.
    #[cfg_attr(feature = "clap", value(name = "mul"))]
    CosMul,
}

/// Rows of unit vectors that one step of a search compares.
const BLOCK: usize = 256;
/// Queries that one thread compares with a block at a time.
const QUERIES: usize = 32;

impl WordVectors {
    /// From a vector for each word.
    ///
    /// # Errors
    /// When there is not one for each word, or one has a value that is not finite.
    pub fn new(dictionary: Dictionary, vectors: Matrix) -> Result<Self, Error> {
        if dictionary.len() != vectors.rows() {
            return Err(Error::Request(format!(
                "there are {} words and {} vectors",
                dictionary.len(),
                vectors.rows()
            )));
        }
        let wrong =
            (0..dictionary.len() as u32).find(|row| !vectors.row(*row).iter().all(|value| value.is_finite()));
        if let Some(row) = wrong {
            return Err(Error::Request(format!(
                "the vector of `{}`, row {}, has a value that is not finite",
                dictionary.word(row),
                row + 1
            )));
        }
        Ok(Self { dictionary, vectors, unit: OnceLock::new(), subwords: None })
    }

    /// What was learnt: the input rows; with subwords each word's mean of its own row and those of its n-grams.
    ///
    /// # Errors
    /// As [`WordVectors::new`].
    pub fn from_parameters(
        dictionary: Dictionary,
        parameters: &Parameters,
        subwords: Option<Subwords>,
    ) -> Result<Self, Error> {
        let input = &parameters.input;
        let mut vectors = Matrix::zeros(dictionary.len(), input.columns());
        let Some(subwords) = subwords else {
            for row in 0..dictionary.len() as u32 {
                vectors.row_mut(row).copy_from_slice(input.row(row));
            }
            return Self::new(dictionary, vectors);
        };
        let bags = Bags::new(&dictionary, subwords);
        for row in 0..dictionary.len() as u32 {
            add_mean(vectors.row_mut(row), input, bags.of(row));
        }
        let mut buckets = Matrix::zeros(subwords.buckets, input.columns());
        for bucket in 0..subwords.buckets as u32 {
            buckets.row_mut(bucket).copy_from_slice(input.row(dictionary.len() as u32 + bucket));
        }
        let mut all = Self::new(dictionary, vectors)?;
        all.subwords = Some((subwords, buckets));
        Ok(all)
    }

    /// The words.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// The vectors, in the order of the words.
    pub fn vectors(&self) -> &Matrix {
        &self.vectors
    }

    /// The vectors over their lengths; one of zeros stays so.
    pub fn unit(&self) -> &Matrix {
        self.unit.get_or_init(|| {
            let mut unit = self.vectors.clone();
            (0..unit.rows() as u32).for_each(|row| normalize(unit.row_mut(row)));
            unit
        })
    }

    /// Length of the vectors.
    pub fn dim(&self) -> usize {
        self.vectors.columns()
    }

    /// The row of a word.
    ///
    /// # Errors
    /// When there is none; with the words that are spelt most alike.
    pub fn row(&self, word: &str) -> Result<u32, Error> {
        self.dictionary.find(word).ok_or_else(|| {
            let near = self.dictionary.closest_spellings(word, 3);
            let hint =
                if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
            Error::Request(format!(
                "the word `{word}` is not among the {} words of the vocabulary{hint}",
                self.dictionary.len()
            ))
        })
    }

    /// The vector of a word, and with subwords of any word.
    ///
    /// # Errors
    /// When there is none.
    pub fn vector(&self, word: &str) -> Result<Cow<'_, [f32]>, Error> {
        match (&self.subwords, self.dictionary.find(word)) {
            (_, Some(row)) => Ok(self.vectors.row(row).into()),
            (Some((subwords, buckets)), None) => {
                let bag = n_gram_buckets(word, *subwords);
                let mut vector = vec![0.0; self.dim()];
                add_mean(&mut vector, buckets, &bag);
                Ok(vector.into())
            }
            (None, None) => self.row(word).map(|row| self.vectors.row(row).into()),
        }
    }

    /// The cosine of the angle between two words.
    ///
    /// # Errors
    /// When one is not there.
    pub fn similarity(&self, a: &str, b: &str) -> Result<f32, Error> {
        let (mut a, mut b) = (self.vector(a)?.into_owned(), self.vector(b)?.into_owned());
        normalize(&mut a);
        normalize(&mut b);
        Ok(dot(&a, &b))
    }

    /// The words of the highest cosine with some words, those left out.
    ///
    /// # Errors
    /// When one is not there.
    pub fn nearest(&self, words: &[&str], count: usize) -> Result<Vec<Neighbour>, Error> {
        self.analogy(words, &[], count, AnalogyScore::CosAdd)
    }

    /// The words like the positive ones and unlike the negative ones, those left out: `king - man + woman`.
    ///
    /// # Errors
    /// When one is not there, or none is given.
    pub fn analogy(
        &self,
        positive: &[&str],
        negative: &[&str],
        count: usize,
        score: AnalogyScore,
    ) -> Result<Vec<Neighbour>, Error> {
        if positive.is_empty() {
            return Err(Error::Request("name a word".into()));
        }
        let mut queries = Matrix::zeros(positive.len() + negative.len(), self.dim());
        let mut leave_out = Vec::new();
        for (row, word) in positive.iter().chain(negative).enumerate() {
            let query = queries.row_mut(row as u32);
            query.copy_from_slice(&self.vector(word)?);
            normalize(query);
            leave_out.extend(self.dictionary.find(word));
        }
        match score {
            AnalogyScore::CosAdd => {
                let mut mean = Matrix::zeros(1, self.dim());
                for row in 0..queries.rows() {
                    let sign = if row < positive.len() { 1.0 } else { -1.0 };
                    let values = mean.row_mut(0).iter_mut().zip(queries.row(row as u32));
                    values.for_each(|(mean, value)| *mean += sign * value);
                }
                normalize(mean.row_mut(0));
                let mut found = self.nearest_to(&mean, count, usize::MAX, |_| leave_out.clone());
                Ok(found.pop().unwrap_or_default())
            }
            AnalogyScore::CosMul => {
                let mut scores = vec![1.0; self.dictionary.len()];
                for row in 0..queries.rows() {
                    for (word, score) in scores.iter_mut().enumerate() {
                        let cosine = dot(queries.row(row as u32), self.unit().row(word as u32));
                        let moved = f32::midpoint(1.0, cosine);
                        if row < positive.len() {
                            *score *= moved;
                        } else {
                            // As Levy and Goldberg, and gensim, keep from dividing by zero.
                            *score /= moved + 1e-6;
                        }
                    }
                }
                let mut best = Best::new(count);
                for (word, score) in scores.into_iter().enumerate() {
                    if !leave_out.contains(&(word as u32)) {
                        best.offer(Neighbour { word: word as u32, score });
                    }
                }
                Ok(best.found)
            }
        }
    }

    /// For each row of queries the words of the highest cosine, those of a list left out, among the first `restrict` words.
    /// Queries have length 1. O(queries words dim), on all threads.
    pub fn nearest_to(
        &self,
        queries: &Matrix,
        count: usize,
        restrict: usize,
        leave_out: impl Fn(usize) -> Vec<u32> + Sync,
    ) -> Vec<Vec<Neighbour>> {
        let words = self.dictionary.len().min(restrict);
        let unit = self.unit();
        let groups: Vec<usize> = (0..queries.rows()).step_by(QUERIES).collect();
        let search = |first: usize| {
            let rows: Vec<u32> =
                (first..(first + QUERIES).min(queries.rows())).map(|row| row as u32).collect();
            let mut best: Vec<(Best, Vec<u32>)> =
                rows.iter().map(|row| (Best::new(count), leave_out(*row as usize))).collect();
            let mut scores = vec![0.0; BLOCK * rows.len()];
            for start in (0..words).step_by(BLOCK) {
                let block: Vec<u32> = (start..(start + BLOCK).min(words)).map(|row| row as u32).collect();
                let scores = &mut scores[..block.len() * rows.len()];
                let compare = Compare { a: (unit.view(), &block), b: (queries.view(), &rows), scores };
                pulp::Arch::new().dispatch(compare);
                for ((best, leave_out), scores) in best.iter_mut().zip(scores.chunks(block.len())) {
                    for (word, score) in block.iter().zip(scores) {
                        if best.would_take(*score) && !leave_out.contains(word) {
                            best.offer(Neighbour { word: *word, score: *score });
                        }
                    }
                }
            }
            best.into_iter().map(|(best, _)| best.found).collect::<Vec<_>>()
        };
        groups.into_par_iter().flat_map_iter(search).collect()
    }

    /// The word least like the others: of the lowest cosine with the mean of all.
    ///
    /// # Errors
    /// When fewer than two words are given, or one is not there.
    pub fn doesnt_match<'w>(&self, words: &[&'w str]) -> Result<&'w str, Error> {
        if words.len() < 2 {
            return Err(Error::Request("name at least two words".into()));
        }
        let mut unit = Vec::new();
        let mut mean = vec![0.0; self.dim()];
        for word in words {
            let mut vector = self.vector(word)?.into_owned();
            normalize(&mut vector);
            mean.iter_mut().zip(&vector).for_each(|(mean, value)| *mean += value);
            unit.push(vector);
        }
        let odd = unit.iter().zip(words).min_by(|a, b| dot(a.0, &mean).total_cmp(&dot(b.0, &mean)));
        Ok(odd.map_or(words[0], |(_, word)| *word))
    }
}

/// The best so far, the best first; of equals the one that came first.
struct Best {
    count: usize,
    found: Vec<Neighbour>,
}

impl Best {
    fn new(count: usize) -> Self {
        Self { count, found: Vec::new() }
    }

    #[inline(always)]
    fn would_take(&self, score: f32) -> bool {
        self.found.len() < self.count || self.found.last().is_some_and(|last| score > last.score)
    }

    fn offer(&mut self, new: Neighbour) {
        if self.would_take(new.score) {
            let place = self.found.partition_point(|old| old.score.total_cmp(&new.score) != Ordering::Less);
            self.found.insert(place, new);
            self.found.truncate(self.count);
        }
    }
}

struct Compare<'a> {
    a: (Rows<'a>, &'a [u32]),
    b: (Rows<'a>, &'a [u32]),
    scores: &'a mut [f32],
}

impl WithSimd for Compare<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        dots(simd, self.a, self.b, self.scores);
    }
}

/// Divides a vector by its length, unless it is zero.
pub(crate) fn normalize(vector: &mut [f32]) {
    let length = dot(vector, vector).sqrt();
    if length > 0.0 {
        for value in vector {
            *value /= length;
        }
    }
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Sums of f32 products in f64 keep the last digit of a cosine.
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>() as f32
}

/// Adds the mean of some rows of a matrix.
fn add_mean(vector: &mut [f32], matrix: &Matrix, rows: &[u32]) {
    for row in rows {
        let share = 1.0 / rows.len() as f32;
        vector.iter_mut().zip(matrix.row(*row)).for_each(|(sum, value)| *sum += share * value);
    }
}

#[cfg(test)]
mod tests {
    use super::{AnalogyScore, Matrix, WordVectors};
    use crate::word2vec::Dictionary;

    fn royal() -> WordVectors {
        let words = ["king", "queen", "man", "woman", "apple"];
        let vectors = [[2.0, 0.0, 2.0], [2.0, 2.0, 2.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]];
        let dictionary = Dictionary::new(words.into_iter().zip(1..)).unwrap();
        WordVectors::new(dictionary, Matrix::from_values(3, vectors.as_flattened())).unwrap()
    }

    #[test]
    fn analogies_and_neighbours_are_found() {
        let vectors = royal();
        for score in [AnalogyScore::CosAdd, AnalogyScore::CosMul] {
            let found = vectors.analogy(&["king", "woman"], &["man"], 2, score).unwrap();
            assert_eq!(vectors.dictionary().word(found[0].word), "queen");
            assert_eq!(found.len(), 2);
        }
        let near = vectors.nearest(&["king"], 10).unwrap();
        assert_eq!(near.len(), 4);
        assert!(near.windows(2).all(|two| two[0].score >= two[1].score));
        assert!((vectors.similarity("king", "man").unwrap() - 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(vectors.doesnt_match(&["king", "queen", "woman", "apple"]).unwrap(), "apple");
    }

    #[test]
    fn an_unknown_word_is_answered_with_close_spellings() {
        let error = royal().nearest(&["kong"], 1).unwrap_err().to_string();
        assert_eq!(error, "the word `kong` is not among the 5 words of the vocabulary; did you mean king?");
    }

    #[test]
    fn vectors_that_are_not_finite_or_too_few_are_refused() {
        let dictionary = || Dictionary::new([("a", 1), ("b", 1)]).unwrap();
        let error = WordVectors::new(dictionary(), Matrix::from_values(2, &[1.0, 2.0, 3.0, f32::NAN]));
        assert_eq!(
            error.unwrap_err().to_string(),
            "the vector of `b`, row 2, has a value that is not finite"
        );
        assert!(WordVectors::new(dictionary(), Matrix::zeros(1, 2)).is_err());
    }
}
