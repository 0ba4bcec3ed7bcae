//! Delimited text: commas, tabs, semicolons, bars, or runs of blanks.

use std::collections::HashSet;

use crate::error::quoted;
use crate::limits::{Records, check_columns, read_line};
use crate::source::Stream;
use crate::unnamed::unnamed;
use crate::{Column, DataError, Header, ReadOptions, Table, Values};

/// Opens a delimited stream as chunks of `chunk_rows` rows.
pub(crate) fn open(
    file: &str,
    mut stream: Stream,
    options: &ReadOptions,
    chunk_rows: usize,
) -> Result<Delimited, DataError> {
    let first_line = peek_line(file, &mut stream)?;
    let lines = match delimiter(&first_line) {
        Some(delimiter) => Lines::Separated(
            csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(delimiter)
                .buffer_capacity(1 << 18)
                .from_reader(Records::new(stream)),
        ),
        None => Lines::Blank { stream, line: 0 },
    };
    let mut reader = Delimited {
        file: file.to_owned(),
        lines,
        record: Record::default(),
        pending: false,
        names: Vec::new(),
        text: Vec::new(),
        chunk_rows,
        rows_read: 0,
        missing: options.missing,
    };
    reader.read_names(options)?;
    Ok(reader)
}

/// The first line as far as the buffer holds it, left unread.
fn peek_line(file: &str, stream: &mut Stream) -> Result<Vec<u8>, DataError> {
    let buffer = stream.fill_buf().map_err(|e| DataError::read(file, e))?;
    let end = buffer.iter().position(|&b| b == b'\n').unwrap_or(buffer.len());
    Ok(buffer[..end].to_vec())
}

/// The separator of a line; `None` for runs of blanks.
fn delimiter(line: &[u8]) -> Option<u8> {
    let blanks = line.contains(&b' ');
    let found = b"\t,;|".iter().copied().find(|separator| line.contains(separator));
    match found {
        None if blanks => None,
        None => Some(b','),
        found => found,
    }
}

/// One row's fields as ranges of its bytes, and the line that it began on.
#[derive(Default)]
struct Record {
    fields: csv::ByteRecord,
    line: u64,
}

enum Lines {
    Separated(csv::Reader<Records>),
    Blank { stream: Stream, line: u64 },
}

impl Lines {
    fn next(&mut self, file: &str, record: &mut Record) -> Result<bool, DataError> {
        match self {
            Self::Separated(reader) => {
                let more = reader
                    .read_byte_record(&mut record.fields)
                    .map_err(|e| DataError::content(file, "", e.to_string()))?;
                reader.get_mut().next();
                record.line = record.fields.position().map_or(0, csv::Position::line);
                Ok(more)
            }
            Self::Blank { stream, line } => loop {
                let mut bytes = Vec::new();
                let count = read_line(stream, &mut bytes).map_err(|e| DataError::read(file, e))?;
                *line += 1;
                if count == 0 {
                    return Ok(false);
                }
                record.fields.clear();
                bytes
                    .split(u8::is_ascii_whitespace)
                    .filter(|field| !field.is_empty())
                    .for_each(|field| record.fields.push_field(field));
                if !record.fields.is_empty() {
                    record.line = *line;
                    return Ok(true);
                }
            },
        }
    }
}

/// A delimited file as an iterator of chunks.
pub(crate) struct Delimited {
    file: String,
    lines: Lines,
    record: Record,
    /// `record` holds a row that no chunk has taken yet.
    pending: bool,
    names: Vec<String>,
    /// For each column, whether it is read as text whatever it holds.
    text: Vec<bool>,
    chunk_rows: usize,
    rows_read: usize,
    /// Whether cells may be missing.
    missing: bool,
}

impl Delimited {
    fn read_names(&mut self, options: &ReadOptions) -> Result<(), DataError> {
        if !self.lines.next(&self.file, &mut self.record)? {
            return Err(DataError::content(&self.file, "", "there are no rows"));
        }
        let fields = &self.record.fields;
        check_columns(&self.file, fields.len())?;
        let has_header = match options.header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => {
                fields.iter().any(|field| number(field).is_none() && !(options.missing && is_missing(field)))
            }
        };
        if has_header {
            for (index, field) in fields.iter().enumerate() {
                let field =
                    if index == 0 { field.strip_prefix(b"\xef\xbb\xbf").unwrap_or(field) } else { field };
                let name = utf8(field).map_err(|problem| {
                    DataError::content(&self.file, format!("line 1, column {}", index + 1), problem)
                })?;
                self.names.push(name.trim().to_owned());
            }
        } else {
            self.names = unnamed("column", fields.len());
        }
        self.pending = !has_header;
        let known: HashSet<&String> = self.names.iter().collect();
        for name in &options.text {
            if !known.contains(name) {
                return Err(DataError::content(
                    &self.file,
                    "",
                    format!("there is no column `{name}`; the columns are {}", self.names.join(", ")),
                ));
            }
        }
        let text: HashSet<&String> = options.text.iter().collect();
        self.text = self.names.iter().map(|name| text.contains(name)).collect();
        Ok(())
    }

    fn chunk(&mut self) -> Result<Option<Table>, DataError> {
        let mut builders: Vec<Builder> = self.text.iter().map(|&text| Builder::new(text)).collect();
        let mut rows = 0;
        while rows < self.chunk_rows {
            if !self.pending && !self.lines.next(&self.file, &mut self.record)? {
                break;
            }
            self.pending = false;
            self.take_record(&mut builders)?;
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns = self
            .names
            .iter()
            .zip(builders)
            .map(|(name, builder)| Column::new(name.clone(), builder.values))
            .collect();
        let first_row = self.rows_read + 1;
        self.rows_read += rows;
        let table =
            Table::new(columns).map_err(|e| DataError::content(&self.file, "line 1", e.to_string()))?;
        Ok(Some(table.from_file(&self.file, first_row)))
    }

    fn take_record(&self, builders: &mut [Builder]) -> Result<(), DataError> {
        let Record { fields, line } = &self.record;
        if fields.len() != self.names.len() {
            return Err(DataError::content(
                &self.file,
                format!("line {line}"),
                format!("this row has {} cells where the first row has {}", fields.len(), self.names.len()),
            ));
        }
        for (index, (builder, field)) in builders.iter_mut().zip(fields.iter()).enumerate() {
            if self.missing && is_missing(field) {
                builder.push_missing();
                continue;
            }
            builder.push(field).map_err(|problem| {
                DataError::content(
                    &self.file,
                    format!("line {line}, column `{}`", self.names[index]),
                    problem,
                )
            })?;
        }
        Ok(())
    }
}

impl Iterator for Delimited {
    type Item = Result<Table, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.chunk().transpose()
    }
}

/// A column under construction. It starts as bytes and widens to numbers or to text as its cells demand.
struct Builder {
    values: Values,
    text: bool,
}

impl Builder {
    fn new(text: bool) -> Self {
        let values = if text { Values::Text(Vec::new()) } else { Values::Byte(Vec::new()) };
        Self { values, text }
    }

    fn push(&mut self, field: &[u8]) -> Result<(), String> {
        if let (Values::Byte(bytes), [digit @ b'0'..=b'9']) = (&mut self.values, field) {
            bytes.push(digit - b'0');
            return Ok(());
        }
        let trimmed = field.trim_ascii();
        if !self.text && trimmed.is_empty() {
            return Err("this cell is empty; fill it in or leave the row out".into());
        }
        if matches!(self.values, Values::Byte(_)) {
            if let Some(byte) = byte(trimmed) {
                let Values::Byte(bytes) = &mut self.values else { unreachable!() };
                bytes.push(byte);
                return Ok(());
            }
            self.widen(trimmed);
        }
        if let Values::Number(numbers) = &self.values
            && numbers.iter().all(|number| number.is_nan())
            && number(trimmed).is_none()
        {
            // Only missing cells so far: they were texts.
            self.values = Values::Text(vec![String::new(); numbers.len()]);
        }
        match &mut self.values {
            Values::Byte(_) => unreachable!("widened above"),
            Values::Number(numbers) => numbers.push(finite(trimmed, numbers.len())?),
            Values::Text(texts) => texts.push(utf8(trimmed)?.to_owned()),
        }
        Ok(())
    }

    /// A cell that is missing: NaN, or an empty text.
    fn push_missing(&mut self) {
        if let Values::Byte(bytes) = &self.values {
            self.values = Values::Number(bytes.iter().map(|&byte| f64::from(byte)).collect());
        }
        match &mut self.values {
            Values::Byte(_) => unreachable!("widened above"),
            Values::Number(numbers) => numbers.push(f64::NAN),
            Values::Text(texts) => texts.push(String::new()),
        }
    }

    /// From bytes, which are written back exactly, to what `field` needs.
    fn widen(&mut self, field: &[u8]) {
        let Values::Byte(bytes) = &self.values else { return };
        self.values = if number(field).is_some() {
            Values::Number(bytes.iter().map(|&byte| f64::from(byte)).collect())
        } else {
            Values::Text(bytes.iter().map(u8::to_string).collect())
        };
    }
}

/// Whether a cell stands for what is not known.
fn is_missing(field: &[u8]) -> bool {
    let field = field.trim_ascii();
    field.is_empty()
        || [&b"na"[..], b"nan", b"null", b"?"].iter().any(|word| field.eq_ignore_ascii_case(word))
}

/// A whole number up to 255 in its shortest form, so that it can be written back as it was.
fn byte(field: &[u8]) -> Option<u8> {
    if field.len() > 3 || !field.iter().all(u8::is_ascii_digit) || (field.len() > 1 && field[0] == b'0') {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Any number, `nan` and `inf` among them.
fn number(field: &[u8]) -> Option<f64> {
    let field = field.trim_ascii();
    fast_float2::parse(field.strip_prefix(b"+").unwrap_or(field)).ok()
}

fn finite(field: &[u8], rows_before: usize) -> Result<f64, String> {
    let shown = quoted(field);
    match number(field) {
        Some(value) if value.is_finite() => Ok(value),
        Some(_) => Err(format!("{shown} is not a finite number; fill it in or leave the row out")),
        None => Err(format!(
            "{shown} is not a number, while the {rows_before} rows before it are; \
             correct it, or name the column in --categorical to read it as text"
        )),
    }
}

fn utf8(field: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(field)
        .map_err(|_| format!("{} is not valid UTF-8; convert the file to UTF-8", quoted(field)))
}
