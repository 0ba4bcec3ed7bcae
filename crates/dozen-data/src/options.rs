//! How a table is to be read.

use crate::Binarize;

/// Whether a delimited file's first line holds the names of the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Header {
    /// It does if any of its cells is not a number.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It does not; columns are named `column_1`, `column_2` and so on.
    No,
}

/// How to read a table.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// About the first line of a delimited file.
    pub header: Header,
    /// Columns to read as text even where they look like numbers.
    pub text: Vec<String>,
    /// Turn grey levels or probabilities into bits.
    pub binarize: Option<Binarize>,
    /// Read at most this many rows in all.
    pub limit: Option<usize>,
    /// Let cells of delimited text be missing: empty, `NA`, `NaN`, `null` or `?`.
    pub missing: bool,
}
