//! Files of word vectors that other programs read and write.

mod fast_text;
mod read;
mod tensors;
mod write;

pub use fast_text::read_fast_text;
pub use read::{ReadVectors, read_vectors};
pub use tensors::{read_matrices, write_matrices};
pub use write::{TextFormat, write_vectors};
