//! Byte-pair tokenizers: training, encoding and decoding, exactly as tiktoken, Hugging Face's tokenizers and SentencePiece do,
//! and their files.
//!
//! A text is cut into pieces by a [`Pattern`]; a piece's bytes are merged in the order in which tokens were learnt.
//!
//! ```
//! use dozen_text::{Inventory, Pattern, Special, TrainConfig, train};
//!
//! let pattern = Pattern::new("cl100k")?;
//! let mut inventory = Inventory::new();
//! inventory.count(&pattern, "low low low lower lowest".as_bytes())?;
//! let config = TrainConfig { vocabulary: 259, ..TrainConfig::default() };
//! let tokenizer = train(&inventory, pattern, &config, |_| true)?.tokenizer;
//! let ids = tokenizer.encode(" lower", Special::Refuse)?;
//! assert_eq!(tokenizer.decode(&ids)?, " lower");
//! assert_eq!(tokenizer.token(ids[0]), Some(&b" low"[..]));
//! # Ok::<(), dozen_text::Error>(())
//! ```

mod cache;
mod encode;
mod error;
mod formats;
mod merge;
mod pretokenize;
mod reduce;
mod tokenizer;
mod train;
mod unicode;
mod vocabulary;
pub mod word2vec;
mod words;

pub use error::Error;
pub use pretokenize::Pattern;
pub use tokenizer::{DecodeStream, Segment, Special, Token, Tokenizer};
pub use train::{Inventory, TieBreak, TrainConfig, Trained, train};
