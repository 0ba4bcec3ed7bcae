//! Writing tables: CSV, TSV, Parquet and NPY, by the name of the file.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt8Array};
use dozen_run::NewFile;
use parquet::arrow::ArrowWriter;

use crate::{DataError, Table, Values};

/// Writes tables of one shape, one after another, to a file whose ending says the format.
///
/// The file is whole when it appears: what was there stays until all is written, and stays after a failure. `.csv` and `.tsv` are text with a header line, `.parquet` keeps types and names, `.npy` holds `f64` numbers.
pub fn write_table(
    path: &Path,
    tables: impl IntoIterator<Item = Result<Table, DataError>>,
) -> Result<usize, DataError> {
    let mut tables = tables.into_iter();
    match path.extension().and_then(|e| e.to_str()) {
        Some("parquet") => write_parquet(path, &mut tables),
        Some("npy") => write_npy(path, &mut tables),
        Some("tsv") => write_delimited(path, b'\t', &mut tables),
        Some("csv") => write_delimited(path, b',', &mut tables),
        _ => Err(DataError::Request(format!(
            "cannot tell the format of `{}` from its name; end it in .csv, .tsv, .parquet or .npy",
            path.display()
        ))),
    }
}

type Tables<'a> = &'a mut dyn Iterator<Item = Result<Table, DataError>>;

fn create(path: &Path) -> Result<BufWriter<NewFile>, DataError> {
    let file = NewFile::create(path).map_err(|e| DataError::write(path, e))?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

/// Gives a written file its name.
fn commit(path: &Path, out: BufWriter<NewFile>) -> Result<(), DataError> {
    let written = out.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(NewFile::commit);
    written.map_err(|e| DataError::write(path, e))
}

/// Writes a whole file; what was there stays until all is written.
pub fn write_file(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), DataError> {
    dozen_run::write_file(path, bytes).map_err(|e| DataError::write(path, e))
}

/// Writes a file by way of a function; what was there stays until all is written.
pub fn write_with<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<NewFile>) -> std::io::Result<T>,
) -> Result<T, DataError> {
    let mut out = create(path)?;
    let written = write(&mut out).map_err(|e| DataError::write(path, e))?;
    commit(path, out)?;
    Ok(written)
}

/// Writes a table as lines of text with a header, to standard output for one; fields are quoted where they must be.
pub fn write_csv(table: &Table, to: impl Write) -> std::io::Result<()> {
    let mut writer = csv::WriterBuilder::new().from_writer(to);
    write_rows(&mut writer, table, true)
        .and_then(|()| writer.flush().map_err(csv::Error::from))
        .map_err(io_error)
}

/// The system's reason, where there is one.
fn io_error(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

fn write_rows<W: Write>(writer: &mut csv::Writer<W>, table: &Table, header: bool) -> csv::Result<()> {
    if header {
        writer.write_record(table.columns().iter().map(|c| &c.name))?;
    }
    for row in 0..table.rows() {
        for column in table.columns() {
            writer.write_field(column.values.text(row))?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(())
}

fn write_delimited(path: &Path, delimiter: u8, tables: Tables) -> Result<usize, DataError> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(create(path)?);
    let mut rows = 0;
    for table in tables {
        let table = table?;
        write_rows(&mut writer, &table, rows == 0).map_err(|e| DataError::write(path, io_error(e)))?;
        rows += table.rows();
    }
    let out = writer.into_inner().map_err(|e| DataError::write(path, e.into_error()))?;
    commit(path, out)?;
    Ok(rows)
}

fn write_parquet(path: &Path, tables: Tables) -> Result<usize, DataError> {
    let mut writer: Option<ArrowWriter<BufWriter<NewFile>>> = None;
    let failed = |e: &dyn std::fmt::Display| DataError::write(path, std::io::Error::other(e.to_string()));
    let mut rows = 0;
    for table in tables {
        let table = table?;
        let arrays = table.columns().iter().map(|column| (column.name.as_str(), array(&column.values)));
        let batch = RecordBatch::try_from_iter(arrays).map_err(|e| failed(&e))?;
        if writer.is_none() {
            writer = Some(ArrowWriter::try_new(create(path)?, batch.schema(), None).map_err(|e| failed(&e))?);
        }
        if let Some(writer) = &mut writer {
            writer.write(&batch).map_err(|e| failed(&e))?;
        }
        rows += table.rows();
    }
    if let Some(writer) = writer {
        commit(path, writer.into_inner().map_err(|e| failed(&e))?)?;
    }
    Ok(rows)
}

fn array(values: &Values) -> ArrayRef {
    match values {
        Values::Byte(bytes) => Arc::new(UInt8Array::from(bytes.clone())),
        Values::Number(numbers) => Arc::new(Float64Array::from(numbers.clone())),
        Values::Text(texts) => Arc::new(StringArray::from_iter_values(texts)),
    }
}

fn write_npy(path: &Path, tables: Tables) -> Result<usize, DataError> {
    let tables: Vec<Table> = tables.collect::<Result<_, _>>()?;
    let rows = tables.iter().map(Table::rows).sum();
    let width = tables.first().map_or(0, |table| table.columns().len());
    let texts =
        tables.iter().flat_map(Table::columns).find(|column| matches!(column.values, Values::Text(_)));
    if let Some(column) = texts {
        return Err(DataError::Request(format!(
            "column `{}` holds text, which .npy cannot; write .csv or .parquet",
            column.name
        )));
    }
    let numbers = tables.iter().flat_map(|table| {
        (0..table.rows()).flat_map(|row| {
            table.columns().iter().map(move |column| column.values.number(row).unwrap_or(f64::NAN))
        })
    });
    write_array(path, "<f8", &[rows, width], numbers.map(f64::to_le_bytes))?;
    Ok(rows)
}

/// Writes a NumPy array: its kind (`<f4`), its shape, and its values one after another, the last axis fastest.
pub fn write_array<const N: usize>(
    path: &Path,
    kind: &str,
    shape: &[usize],
    values: impl IntoIterator<Item = [u8; N]>,
) -> Result<(), DataError> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
    // The format wants the data to begin at a multiple of 64, after 10 bytes of preamble and a final newline.
    header.push_str(&" ".repeat((64 - (10 + header.len() + 1) % 64) % 64));
    header.push('\n');
    let mut out = create(path)?;
    let mut write = |bytes: &[u8]| out.write_all(bytes).map_err(|e| DataError::write(path, e));
    write(b"\x93NUMPY\x01\x00")?;
    write(&(header.len() as u16).to_le_bytes())?;
    write(header.as_bytes())?;
    for value in values {
        write(&value)?;
    }
    commit(path, out)
}
