//! What is learnt and how.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Everything that decides the vectors beside the corpus. The defaults are word2vec.c's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Which word is predicted from which.
    pub architecture: Architecture,
    /// How a prediction is judged.
    pub loss: Loss,
    /// Length of the vectors.
    pub dim: usize,
    /// The most words to either side of a word that are its context.
    pub window: usize,
    /// Whether each word's own window is drawn from 1 to `window`, so that near words count more.
    pub dynamic_window: bool,
    /// How frequent words are left out.
    pub subsampling: Subsampling,
    /// Character n-grams as parts of words.
    pub subwords: Option<Subwords>,
    /// Passes over the corpus.
    pub epochs: usize,
    /// Learning rate at the start.
    pub rate: f32,
    /// Learning rate at the end.
    pub min_rate: f32,
    /// Whether one draw of negatives serves all pairs of a window (skip-gram) or of four words (CBOW), as a product of
    /// matrices: HogBatch, [arXiv 1611.06172](https://arxiv.org/abs/1611.06172).
    pub shared_negatives: bool,
    /// Whether the vectors are the same to the bit for any number of threads.
    pub deterministic: bool,
    /// Fixes everything random.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            architecture: Architecture::SkipGram,
            loss: Loss::Negative { count: 5, exponent: 0.75 },
            dim: 100,
            window: 5,
            dynamic_window: true,
            subsampling: Subsampling::Word2vec { threshold: 1e-3 },
            subwords: None,
            epochs: 5,
            rate: 0.025,
            min_rate: 2.5e-6,
            shared_negatives: false,
            deterministic: false,
            seed: 0,
        }
    }
}

/// Mikolov et al., [arXiv 1301.3781](https://arxiv.org/abs/1301.3781), section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// A word from each word of its context.
    #[serde(rename = "skipgram")]
    SkipGram,
    /// A word from the mean of its context. Each context word moves by the whole gradient of the mean, as in word2vec.c and
    /// gensim: its own share times the number of context words.
    CbowMean,
    /// A word from the sum of its context.
    CbowSum,
}

/// Of a hidden vector `h` and a word `w`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `-log s(h.o_w) - sum_k log s(-h.o_k)` over drawn words `k` (Mikolov et al., [arXiv
    /// 1310.4546](https://arxiv.org/abs/1310.4546), equation 4).
    Negative {
        /// How many words are drawn for each pair.
        count: usize,
        /// They are drawn by their counts to this power.
        exponent: f64,
    },
    /// `-sum log s(+-h.o_n)` over the nodes on the way to the word in a Huffman tree (the same, equation 3).
    Hierarchical,
    /// `-log softmax(h.o)_w` over all words: what the other two stand in for.
    Softmax,
}

/// With what probability an occurrence of a word of relative frequency `f` is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subsampling {
    /// All are.
    None,
    /// `(sqrt(f / t) + 1) t / f`, the rule of word2vec.c and gensim; t = 1e-3.
    Word2vec {
        /// t
        threshold: f64,
    },
    /// `sqrt(t / f)`, the rule of the paper (arXiv 1310.4546, equation 5); t = 1e-5.
    Paper {
        /// t
        threshold: f64,
    },
}

impl Subsampling {
    /// The probability that an occurrence is kept.
    pub fn keep_probability(self, frequency: f64) -> f64 {
        match self {
            Self::Word2vec { threshold } if threshold > 0.0 => {
                (((frequency / threshold).sqrt() + 1.0) * threshold / frequency).min(1.0)
            }
            Self::Paper { threshold } if threshold > 0.0 => (threshold / frequency).sqrt().min(1.0),
            _ => 1.0,
        }
    }
}

/// A word's vector is the mean of its own row and the rows of its n-grams: Bojanowski et al., [arXiv
/// 1607.04606](https://arxiv.org/abs/1607.04606), with fastText's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subwords {
    /// The fewest characters of an n-gram.
    pub min: usize,
    /// The most characters of an n-gram.
    pub max: usize,
    /// Rows that n-grams share by their hash.
    pub buckets: usize,
}

impl Default for Subwords {
    fn default() -> Self {
        Self { min: 3, max: 6, buckets: 2_000_000 }
    }
}

impl Config {
    /// Checks that all numbers make sense together.
    ///
    /// # Errors
    /// With the one that does not.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |problem: String| Err(Error::Request(problem));
        for (name, value) in [("dim", self.dim), ("window", self.window), ("epochs", self.epochs)] {
            if value == 0 {
                return wrong(format!("{name} must be at least 1"));
            }
        }
        if !(self.rate > 0.0 && self.rate.is_finite() && (0.0..=self.rate).contains(&self.min_rate)) {
            return wrong(format!(
                "the learning rate must fall from a positive number to one below it, not from {} to {}",
                self.rate, self.min_rate
            ));
        }
        match self.loss {
            Loss::Negative { count: 0, .. } => return wrong("negative must be at least 1".into()),
            Loss::Negative { exponent, .. } if !exponent.is_finite() => {
                return wrong(format!("the exponent of the noise must be a number, not {exponent}"));
            }
            _ => {}
        }
        if let Subsampling::Word2vec { threshold } | Subsampling::Paper { threshold } = self.subsampling
            && !(threshold >= 0.0 && threshold.is_finite())
        {
            return wrong(format!(
                "the threshold of subsampling must be zero or a positive number, not {threshold}"
            ));
        }
        if let Some(Subwords { min, max, buckets }) = self.subwords
            && (min == 0 || max < min || buckets == 0 || buckets > 1 << 31)
        {
            return wrong(format!(
                "n-grams of {min} to {max} characters in {buckets} buckets are none: give 1 <= min <= max, and buckets up to 2^31"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Subsampling;

    /// The figures of Chris McCormick's tutorial, which the C code's rule gives.
    #[test]
    fn keep_probabilities_follow_their_formulas() {
        let rule = Subsampling::Word2vec { threshold: 1e-3 };
        assert_eq!(rule.keep_probability(0.0026), 1.0);
        assert!((rule.keep_probability(0.00746) - 0.5).abs() < 2e-4);
        assert!((rule.keep_probability(1.0) - 0.033).abs() < 4e-4);
        let paper = Subsampling::Paper { threshold: 1e-5 };
        assert!((paper.keep_probability(1e-3) - 0.1).abs() < 1e-12);
        assert_eq!(paper.keep_probability(1e-6), 1.0);
    }
}
