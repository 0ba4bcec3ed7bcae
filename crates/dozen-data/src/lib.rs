//! Data for dozen's models: reading tables of every common format, checking them, splitting, encoding, making
//! and writing them.
//!
//! The principal type is [`Table`]: named, typed columns of equal length. [`read_table`] reads one whole;
//! [`open_table`] streams it in chunks, so that a file larger than memory can be scored. A [`Schema`] learns each
//! column's kind from the training table and turns later tables into a [`Matrix`] of `f32` the same way.
//!
//! ```
//! use dozen_data::{Made, Schema, make};
//!
//! let Made { table, .. } = make::binary_tree(100, 4, 0);
//! let schema = Schema::infer(&table, &[]).unwrap();
//! let matrix = schema.encode(&table).unwrap();
//! assert_eq!((matrix.rows(), matrix.columns()), (100, 4));
//! ```
//!
//! Every error names the file, the row or line and the column, and says what to do.

mod binarize;
mod delimited;
mod edge_list;
mod error;
mod fingerprint;
mod idx;
mod image_folder;
mod image_shape;
mod limits;
pub mod make;
mod make_graph;
mod make_sequence;
mod make_text;
mod matrix;
mod npy;
mod options;
mod packed;
mod parquet_table;
mod picture;
mod read;
mod schema;
mod source;
mod split;
mod table;
mod unnamed;
mod write;

pub use binarize::Binarize;
pub use edge_list::{EdgeList, read_edge_list, read_tsplib};
pub use error::DataError;
pub use fingerprint::Fingerprint;
pub use image_shape::ImageShape;
pub use limits::{MOST_PIXELS, most_pixels, set_most_pixels};
pub use make::Made;
pub use matrix::Matrix;
pub use options::{Header, ReadOptions};
pub use picture::decode_picture;
pub use read::{TableReader, open_table, read_table};
pub use schema::{ColumnSchema, Kind, Schema};
pub use source::{Stream, ending, open as open_stream};
pub use split::split_rows;
pub use table::{Column, Table, Values};
pub use write::{write_array, write_csv, write_file, write_table, write_with};
