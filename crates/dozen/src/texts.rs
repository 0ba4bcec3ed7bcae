//! Texts from files, folders, standard input, JSON lines and columns of tables.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use dozen::data::{DataError, ReadOptions, ending, open_stream, open_table, read_table};
use serde_json::Value;

use crate::output::Failure;

#[derive(Args, Debug)]
pub(crate) struct Texts {
    /// Files or folders of text, .jsonl, .csv, .tsv or .parquet, compressed or not; - is standard input. In folders, files with
    /// a zero byte at their beginning are taken for no text and passed over
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// The field of JSON lines, or the column of a table, that holds the text
    #[arg(long, default_value = "text", value_name = "NAME")]
    field: String,
}

/// Text is read in blocks of about so many bytes.
const BLOCK: usize = 1 << 25;

impl Texts {
    /// These files, texts in this field or column.
    pub(crate) fn of(files: Vec<String>, field: &str) -> Self {
        Self { files, field: field.to_owned() }
    }

    /// Each file by name: folders are looked through, in the order of their names.
    pub(crate) fn files(&self) -> Result<Vec<String>, Failure> {
        if self.files.is_empty() {
            return Err(Failure::request("name files or folders of text, or - for standard input"));
        }
        let mut files = Vec::new();
        for file in &self.files {
            if file != "-" && Path::new(file).is_dir() {
                add_files(Path::new(file), &mut files)?;
            } else {
                files.push(file.clone());
            }
        }
        if files.is_empty() {
            return Err(Failure::request("the folders hold no files"));
        }
        Ok(files)
    }

    /// Calls a function with each text of all files.
    pub(crate) fn each(&self, mut visit: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        self.files()?.iter().try_for_each(|file| self.each_of(file, &mut visit))
    }

    /// Calls a function with each text of a file: all of a plain one, in blocks that no piece crosses; or line by line,
    /// or row by row.
    pub(crate) fn each_of(
        &self,
        file: &str,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match &ending(file)[..] {
            "jsonl" | "ndjson" => self.each_line(file, visit),
            "parquet" | "csv" | "tsv" => self.each_row(file, visit),
            _ => each_block(file, visit),
        }
    }

    fn each_line(
        &self,
        file: &str,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for (number, line) in (1..).zip(open_stream(file)?.lines()) {
            let wrong = |problem: &str| Failure::request(format!("{file}, line {number}: {problem}"));
            let line = line.map_err(|error| wrong(&error.to_string()))?;
            if line.trim().is_empty() {
                continue;
            }
            let value: Value = serde_json::from_str(&line).map_err(|_| wrong("this is no JSON"))?;
            match value[&self.field].as_str() {
                Some(text) => visit(text.as_bytes())?,
                None => {
                    return Err(wrong(&format!(
                        "there is no text in the field `{}`; name another with --field",
                        self.field
                    )));
                }
            }
        }
        Ok(())
    }

    fn each_row(
        &self,
        file: &str,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let options = ReadOptions { text: vec![self.field.clone()], ..ReadOptions::default() };
        for table in open_table(file, &options, 1 << 12)? {
            let table = table?;
            let column = table.column(&self.field).ok_or_else(|| {
                Failure::request(format!(
                    "{file}: there is no column `{}`; name another with --field",
                    self.field
                ))
            })?;
            (0..table.rows()).try_for_each(|row| visit(column.values.text(row).as_bytes()))?;
        }
        Ok(())
    }
}

fn add_files(folder: &Path, files: &mut Vec<String>) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::request(format!("cannot read `{}`: {error}", folder.display()));
    let mut inside: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    inside.sort();
    for path in inside {
        if path.is_dir() {
            add_files(&path, files)?;
        } else {
            let file = path.display().to_string();
            if is_readable(&file)? {
                files.push(file);
            }
        }
    }
    Ok(())
}

/// Whether a file is one of the known kinds, or has no zero byte at its beginning, as text has none.
fn is_readable(file: &str) -> Result<bool, Failure> {
    if matches!(&ending(file)[..], "parquet" | "npy") {
        return Ok(true);
    }
    let mut beginning = Vec::new();
    let stream = open_stream(file)?;
    stream.take(1 << 13).read_to_end(&mut beginning).map_err(|error| DataError::read(file, error))?;
    Ok(!beginning.contains(&0))
}

/// Blocks end before a letter that follows a line's end, where every pattern written by hand begins a new piece.
fn each_block(file: &str, visit: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut stream = open_stream(file)?;
    let mut text = Vec::new();
    loop {
        let read = stream
            .by_ref()
            .take(BLOCK as u64)
            .read_to_end(&mut text)
            .map_err(|e| DataError::read(file, e))?;
        if read < BLOCK {
            return if text.is_empty() { Ok(()) } else { visit(&text) };
        }
        let ends = text.windows(2).rposition(|two| two[0] == b'\n' && two[1].is_ascii_alphabetic());
        if let Some(end) = ends {
            visit(&text[..=end])?;
            text.drain(..=end);
        }
    }
}

/// All of a file as text.
pub(crate) fn read_all(file: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    open_stream(file)?.read_to_end(&mut bytes).map_err(|e| DataError::read(file, e))?;
    Ok(bytes)
}

/// Bytes that must be text.
pub(crate) fn as_text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Failure> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let line = bytes[..at].split(|byte| *byte == b'\n').count();
        Failure::request(format!(
            "{file}, line {line}: byte {at} is not UTF-8; convert the file, or encode it with --bytes"
        ))
    })
}

/// Ids of tokens: a .npy file, or text with numbers in it.
pub(crate) fn read_ids(path: &str) -> Result<Vec<u32>, Failure> {
    let id = |number: f64| {
        if number.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(&number) {
            Ok(number as u32)
        } else {
            Err(Failure::request(format!("{path}: {number} is no id")))
        }
    };
    if path.to_ascii_lowercase().ends_with(".npy") {
        let table = read_table(path, &ReadOptions::default())?;
        let values = &table.columns()[0].values;
        return (0..values.len()).filter_map(|row| values.number(row)).map(id).collect();
    }
    let bytes = read_all(path)?;
    let words = as_text(path, &bytes)?.split(|c: char| c.is_whitespace() || "[],".contains(c));
    let words = words.filter(|word| !word.is_empty());
    words
        .map(|word| word.parse().map_err(|_| Failure::request(format!("{path}: `{word}` is no id"))))
        .collect()
}
