//! One way in for every table format: whole, or in chunks.

use crate::source::{self, Format};
use crate::{Binarize, DataError, Matrix, ReadOptions, Table};
use crate::{delimited, idx, image_folder, npy, parquet_table};

type Chunks = Box<dyn Iterator<Item = Result<Table, DataError>> + Send>;

/// A table as a stream of chunks, in order.
pub struct TableReader {
    chunks: Chunks,
    binarize: Option<Binarize>,
    left: usize,
}

impl TableReader {
    fn new(chunks: Chunks, options: &ReadOptions) -> Self {
        Self { chunks, binarize: options.binarize, left: options.limit.unwrap_or(usize::MAX) }
    }
}

impl Iterator for TableReader {
    type Item = Result<Table, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let chunk = self.chunks.next()?.and_then(|table| {
            let table = if table.rows() > self.left {
                table.select(&(0..self.left).collect::<Vec<_>>())
            } else {
                table
            };
            self.left -= table.rows();
            match self.binarize {
                Some(binarize) => binarize.apply(table),
                None => Ok(table),
            }
        });
        Some(chunk)
    }
}

/// Opens a table for reading `chunk_rows` rows at a time.
///
/// Formats are told by content, not by name: delimited text (comma, tab, semicolon, bar or blanks), Parquet, NPY,
/// NPZ (`file.npz:key`), IDX, and tar archives of images (`file.tar:folder`); all but Parquet and NPZ may be compressed with gzip, bzip2 or zstd.
/// A folder is read as the images in it. `-` is standard input.
pub fn open_table(path: &str, options: &ReadOptions, chunk_rows: usize) -> Result<TableReader, DataError> {
    let (file, _) = source::split_key(path);
    if std::path::Path::new(file).is_dir() {
        let table = image_folder::read_folder(file)?;
        return Ok(TableReader::new(pieces(table, chunk_rows), options));
    }
    let mut stream = source::open(file)?;
    let chunks: Chunks = match source::format(path, &mut stream)? {
        Format::Delimited => Box::new(delimited::open(file, stream, options, chunk_rows)?),
        Format::Parquet => Box::new(parquet_table::open(file, chunk_rows)?),
        Format::Npy => Box::new(npy::open(file, stream, chunk_rows)?),
        Format::Npz { key } => Box::new(npy::open_npz(file, key.as_deref(), chunk_rows)?),
        Format::Idx => Box::new(idx::open(file, stream, chunk_rows)?),
        Format::Tar { under } => pieces(image_folder::read_tar(file, stream, under.as_deref())?, chunk_rows),
    };
    Ok(TableReader::new(chunks, options))
}

/// A table that is in memory already.
fn pieces(table: Table, rows: usize) -> Chunks {
    if rows >= table.rows() {
        return Box::new(std::iter::once(Ok(table)));
    }
    let starts = (0..table.rows()).step_by(rows);
    Box::new(starts.map(move |start| {
        let piece: Vec<usize> = (start..table.rows().min(start + rows)).collect();
        Ok(table.select(&piece))
    }))
}

/// Reads a whole table.
///
/// # Errors
/// As [`open_table`], and when the file holds no rows.
pub fn read_table(path: &str, options: &ReadOptions) -> Result<Table, DataError> {
    match open_table(path, options, usize::MAX)?.next() {
        Some(table) => table,
        None => Err(DataError::content(path, "", "there are no rows")),
    }
}

impl Table {
    /// All columns as numbers.
    ///
    /// # Errors
    /// When a column holds text.
    pub fn to_matrix(&self) -> Result<Matrix, DataError> {
        let width = self.columns().len();
        let mut values = vec![0.0; self.rows() * width];
        for (j, column) in self.columns().iter().enumerate() {
            for row in 0..self.rows() {
                values[row * width + j] = column.values.number(row).ok_or_else(|| {
                    DataError::content(
                        self.file(),
                        format!("column `{}`", column.name),
                        "this column holds text, where numbers are needed",
                    )
                })? as f32;
            }
        }
        Ok(Matrix::new(values, width))
    }
}
