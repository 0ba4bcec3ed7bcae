//! Training: counting pieces, then merging the most frequent pair, again and again.

mod inventory;
mod merges;

pub use inventory::Inventory;
pub use merges::{TieBreak, TrainConfig, Trained, train};
