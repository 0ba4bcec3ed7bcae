//! Reading what recurrent networks learn from: texts, labelled texts, tagged words, tables of numbers.

use dozen::data::{ReadOptions, Table, Values, read_table, split_rows};
use dozen::sequence::{Example, Sequence, Target, Units};

use crate::data::{numbers, rows_of};
use crate::output::Failure;
use crate::texts::{Texts, as_text, read_all};

/// All texts of some files, one after the other.
pub(super) fn read_text(files: &[String], column: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let texts = Texts::of(files.to_vec(), column);
    for file in texts.files()? {
        texts.each_of(&file, &mut |bytes| {
            text.push_str(as_text(&file, bytes)?);
            Ok(())
        })?;
    }
    Ok(text)
}

/// A text's parts by fractions, each from where the one before ends; cuts fall where `between` allows.
pub(super) fn split_text<'t>(text: &'t str, fractions: &[f64], words: bool) -> Vec<&'t str> {
    let whole: f64 = fractions.iter().sum();
    let (mut parts, mut start, mut share) = (Vec::new(), 0, 0.0);
    for fraction in fractions {
        share += fraction / whole;
        let mut end = ((text.len() as f64 * share).round() as usize).min(text.len());
        let may_end = |end: usize| {
            text.is_char_boundary(end)
                && (!words || end == text.len() || text[..end].ends_with(char::is_whitespace))
        };
        while !may_end(end) {
            end += 1;
        }
        parts.push(&text[start..end.max(start)]);
        start = end.max(start);
    }
    parts
}

/// Bytes of a text that are predicted: all but those of its first unit.
pub(super) fn predicted_bytes(units: &Units, text: &str, ids: &[u32]) -> usize {
    let mut stream = units.stream();
    let first: String = ids.first().map(|&id| stream.push(id)).unwrap_or_default();
    text.len() - first.len().min(text.len())
}

/// Texts with labels: the rows of a table.
pub(super) struct Labelled {
    pub(super) texts: Vec<String>,
    pub(super) labels: Vec<String>,
    file: String,
}

impl Labelled {
    /// Reads two columns of a table.
    pub(super) fn read(file: &str, text: &str, label: &str) -> Result<Self, Failure> {
        let table = read_columns(file, &[text, label])?;
        let column = |name: &str| -> Result<Vec<String>, Failure> {
            let missing = || Failure::request(format!("{file} has no column `{name}`"));
            let column = table.column(name).ok_or_else(missing)?;
            Ok((0..table.rows()).map(|row| column.values.text(row)).collect())
        };
        Ok(Self { texts: column(text)?, labels: column(label)?, file: file.to_owned() })
    }

    /// Some of the rows.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        let of = |values: &[String]| rows.iter().map(|&row| values[row].clone()).collect();
        Self { texts: of(&self.texts), labels: of(&self.labels), file: self.file.clone() }
    }

    /// As sequences with labels.
    pub(super) fn examples(&self, units: &Units, labels: &[String]) -> Result<Vec<Example>, Failure> {
        let rows = self.texts.iter().zip(&self.labels).enumerate();
        rows.map(|(row, (text, label))| {
            let place = format!("{}, text {}", self.file, row + 1);
            let input = sequence(units, text, &place)?;
            Ok(Example { input, target: Target::Label(number(labels, label, &place)?) })
        })
        .collect()
    }
}

/// A text as a sequence that is not empty.
pub(super) fn sequence(units: &Units, text: &str, place: &str) -> Result<Sequence, Failure> {
    let ids = units.encode(text, place)?;
    if ids.is_empty() {
        return Err(Failure::request(format!("{place}: the text has no {}; take it out", units.name())));
    }
    Ok(Sequence::Tokens(ids))
}

fn number(labels: &[String], label: &str, place: &str) -> Result<u32, Failure> {
    labels.iter().position(|known| known == label).map(|place| place as u32).ok_or_else(|| {
        let known: Vec<&str> = labels.iter().take(10).map(String::as_str).collect();
        Failure::request(format!(
            "{place}: the label `{label}` was not seen in training, which knew {}{}",
            known.join(", "),
            if labels.len() > known.len() { " and others" } else { "" }
        ))
    })
}

/// The different labels, in their alphabetical order.
pub(super) fn distinct<'l>(labels: impl Iterator<Item = &'l String>) -> Vec<String> {
    let distinct: std::collections::BTreeSet<&String> = labels.collect();
    distinct.into_iter().cloned().collect()
}

/// A table in which these columns are read as text.
fn read_columns(file: &str, text: &[&str]) -> Result<Table, Failure> {
    let text = text.iter().map(|name| (*name).to_owned()).collect();
    Ok(read_table(file, &ReadOptions { text, ..ReadOptions::default() })?)
}

/// A sentence: its words and their labels.
pub(super) type Tagged = (Vec<String>, Vec<String>);

/// Sentences of words with labels, a word a line, its label in the last column; empty lines part sentences, as CoNLL has it.
pub(super) fn read_tagged(file: &str) -> Result<Vec<Tagged>, Failure> {
    let bytes = read_all(file)?;
    let mut sentences = vec![Tagged::default()];
    for (number, line) in (1..).zip(as_text(file, &bytes)?.lines()) {
        let mut fields = line.split_whitespace();
        match (fields.next(), fields.next_back()) {
            (None, _) => sentences.push(Tagged::default()),
            (Some("-DOCSTART-"), _) => {}
            (Some(word), Some(label)) => {
                let sentence = sentences.last_mut().expect("there is one");
                sentence.0.push(word.to_owned());
                sentence.1.push(label.to_owned());
            }
            (Some(word), None) => {
                return Err(Failure::request(format!(
                    "{file}, line {number}: the word `{word}` has no label; a line is a word, white space, and its label"
                )));
            }
        }
    }
    sentences.retain(|(words, _)| !words.is_empty());
    if sentences.is_empty() {
        return Err(Failure::request(format!("{file} holds no words with labels")));
    }
    Ok(sentences)
}

/// Sentences as sequences with a label a step.
pub(super) fn tagged_examples(
    sentences: &[Tagged],
    units: &Units,
    labels: &[String],
    file: &str,
) -> Result<Vec<Example>, Failure> {
    let example = |(at, (words, own)): (usize, &Tagged)| {
        let place = format!("{file}, sentence {}", at + 1);
        let numbers: Result<Vec<u32>, Failure> =
            own.iter().map(|label| number(labels, label, &place)).collect();
        Ok(Example { input: word_sequence(units, words)?, target: Target::Labels(numbers?) })
    };
    sentences.iter().enumerate().map(example).collect()
}

/// Each word as one unit.
pub(super) fn word_sequence(units: &Units, words: &[String]) -> Result<Sequence, Failure> {
    let ids = words.iter().map(|word| {
        units.unit(word).ok_or_else(|| Failure::request("tags are for --tokens words, one unit a word"))
    });
    Ok(Sequence::Tokens(ids.collect::<Result<_, _>>()?))
}

/// Columns of a table of numbers, row by row, and their names: all columns of numbers, or those named.
pub(super) fn read_series(file: &str, columns: &[String]) -> Result<(Vec<String>, Vec<f64>), Failure> {
    let table = read_table(file, &ReadOptions::default())?;
    let is_number = |values: &Values| !matches!(values, Values::Text(_));
    let names: Vec<String> = if columns.is_empty() {
        let numeric = table.columns().iter().filter(|column| is_number(&column.values));
        numeric.map(|column| column.name.clone()).collect()
    } else {
        columns.to_vec()
    };
    if names.is_empty() {
        return Err(Failure::request(format!("{file} has no column of numbers")));
    }
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &wanted {
        let values = numbers(&table, name, file)?;
        if let Some(row) = values.iter().position(|value| !value.is_finite()) {
            return Err(Failure::request(format!(
                "{file}, row {}: column `{name}` is {}; fill the gap or leave the row out",
                row + 1,
                values[row]
            )));
        }
    }
    let (values, _) = rows_of(&table, file, &wanted)?;
    Ok((names, values))
}

/// Rows for training, validation and testing.
pub(super) fn rows_by_fractions(
    rows: usize,
    fractions: &[f64],
    seed: u64,
) -> Result<Vec<Vec<usize>>, Failure> {
    // Zero is allowed, for a part that is not wanted.
    let wanted: Vec<f64> = fractions.iter().copied().filter(|fraction| *fraction > 0.0).collect();
    let mut parts = split_rows(rows, &wanted, seed)?.into_iter();
    let part = |fraction: &f64| if *fraction > 0.0 { parts.next().unwrap_or_default() } else { Vec::new() };
    Ok(fractions.iter().map(part).collect())
}
