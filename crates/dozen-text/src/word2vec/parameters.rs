//! The two matrices that are learnt.

use super::matrix::Matrix;
use super::random::Random;
use super::{Config, Dictionary, Loss};
use crate::Error;

/// The two matrices.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// A row for each word, then one for each bucket of n-grams: the word vectors.
    pub input: Matrix,
    /// A row for each word, or for each node of the tree: what hidden vectors are compared with.
    pub output: Matrix,
}

impl Parameters {
    /// Input rows between -1/2 and 1/2 of a dim-th, output rows of zeros, as word2vec.c begins.
    pub fn new(config: &Config, dictionary: &Dictionary) -> Self {
        let (inputs, outputs) = shape(config, dictionary);
        let mut parameters =
            Self { input: Matrix::zeros(0, config.dim), output: Matrix::zeros(outputs, config.dim) };
        parameters.grow(config, inputs);
        parameters
    }

    /// Room for new words, whose rows begin as all begin. With subwords the rows of buckets stay after those of words.
    pub fn make_room(&mut self, config: &Config, dictionary: &Dictionary) {
        let (inputs, outputs) = shape(config, dictionary);
        let buckets = config.subwords.map_or(0, |subwords| subwords.buckets);
        let words = self.input.rows().saturating_sub(buckets);
        let moved: Vec<f32> =
            (words..self.input.rows()).flat_map(|row| self.input.row(row as u32).to_vec()).collect();
        self.input.resize(words);
        self.grow(config, inputs - buckets);
        let first = self.input.rows();
        self.input.resize(inputs);
        for (row, values) in moved.chunks_exact(config.dim).enumerate() {
            self.input.row_mut((first + row) as u32).copy_from_slice(values);
        }
        self.output.resize(outputs);
    }

    fn grow(&mut self, config: &Config, rows: usize) {
        let first = self.input.rows();
        self.input.resize(rows);
        for row in first..rows {
            let mut random = Random::at(config.seed, [0, row as u64]);
            for value in self.input.row_mut(row as u32) {
                *value = (random.unit() - 0.5) / config.dim as f32;
            }
        }
    }

    pub(crate) fn check(&self, config: &Config, dictionary: &Dictionary) -> Result<(), Error> {
        let have = (self.input.rows(), self.output.rows());
        let need = shape(config, dictionary);
        let dims = (self.input.columns(), self.output.columns());
        if have == need && dims == (config.dim, config.dim) {
            return Ok(());
        }
        Err(Error::Request(format!(
            "the model has {} and {} rows of {}, this training needs {} and {} rows of {}",
            have.0, have.1, dims.0, need.0, need.1, config.dim
        )))
    }
}

/// Rows of the input and of the output matrix.
fn shape(config: &Config, dictionary: &Dictionary) -> (usize, usize) {
    let outputs = match config.loss {
        Loss::Hierarchical => dictionary.len().saturating_sub(1),
        _ => dictionary.len(),
    };
    (dictionary.len() + config.subwords.map_or(0, |subwords| subwords.buckets), outputs)
}
