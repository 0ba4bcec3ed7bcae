//! Word vectors: skip-gram and continuous bag of words, with negative sampling, hierarchical softmax or the full softmax.
//!
//! Mikolov, Chen, Corrado and Dean, [arXiv 1301.3781](https://arxiv.org/abs/1301.3781); Mikolov, Sutskever, Chen, Corrado and
//! Dean, [arXiv 1310.4546](https://arxiv.org/abs/1310.4546).

mod config;
mod corpus;
mod dictionary;
mod evaluate;
pub mod formats;
mod gradient;
#[cfg(test)]
mod gradient_check;
mod huffman;
mod kernel;
mod matrix;
mod model;
mod noise;
mod parameters;
mod phrases;
mod plan;
mod principal;
mod random;
mod subword;
mod task;
mod text_vector;
mod train;
mod update;
mod vectors;

pub use config::{Architecture, Config, Loss, Subsampling, Subwords};
pub use corpus::{Corpus, CorpusReader};
pub use dictionary::Dictionary;
pub use evaluate::{Analogies, Section, Similarity, analogies, read_analogies, read_pairs, similarity};
pub use matrix::Matrix;
pub use model::{FAMILY, Learnt, Model, Saved};
pub use parameters::Parameters;
pub use phrases::{Phrase, PhraseConfig, PhraseScore, PhraseText};
pub use principal::{PrincipalComponents, principal_components};
pub use text_vector::{Pooling, text_vectors};
pub use train::{Done, Step, Summary, train};
pub use vectors::{AnalogyScore, Neighbour, WordVectors};
