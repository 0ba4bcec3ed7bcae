//! Byte-pair tokenizers: exact, and at the speed of memory.
mod cache;
mod encode;
mod error;
mod formats;
mod merge;
mod pretokenize;
mod tokenizer;
mod train;
mod unicode;
mod vocabulary;

pub use error::Error;
pub use pretokenize::Pattern;
pub use tokenizer::{DecodeStream, Segment, Special, Token, Tokenizer};
pub use train::{Inventory, TieBreak, TrainConfig, Trained, train};
