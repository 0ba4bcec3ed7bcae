//! Reading text and binary files of word vectors.

use std::io::{BufRead, Read};

use crate::Error;
use crate::word2vec::{Dictionary, Matrix, WordVectors};

/// Vectors from a file.
#[derive(Clone, Debug)]
pub struct ReadVectors {
    /// The vectors. Their counts are zeros: these files have none.
    pub vectors: WordVectors,
    /// Words that came a second time and were left out.
    pub repeated: Vec<String>,
}

/// No file of vectors has longer words or vectors than this; a larger number in a header is damage.
const MOST_DIM: usize = 1 << 20;

/// Reads word2vec's text and binary files, gensim's variants of both, fastText's `.vec` and GloVe's files, told apart by what
/// is in them. A word that is not UTF-8 is kept with its bad bytes replaced.
///
/// # Errors
/// With the line or word where the file is not what it should be, or ends too early.
pub fn read_vectors(file: &str, mut from: impl BufRead) -> Result<ReadVectors, Error> {
    let failed = |source| Error::Io { file: file.into(), source };
    let mut first = Vec::new();
    from.read_until(b'\n', &mut first).map_err(failed)?;
    let header = text_of(&first).and_then(header);
    let Some((words, dim)) = header else {
        let rest = first.chain(from);
        return read_text(file, rest, None, 1);
    };
    if dim == 0 || dim > MOST_DIM {
        return Err(wrong(file, format!("line 1 says that vectors have {dim} values")));
    }
    let mut beginning = Vec::new();
    from.by_ref().take(1 << 17).read_to_end(&mut beginning).map_err(failed)?;
    let rest = beginning.chain(from);
    if words == 0 || is_text(&beginning, dim) {
        read_text(file, rest, Some((words, dim)), 2)
    } else {
        read_binary(file, rest, words, dim)
    }
}

/// Whether what follows the header is lines of text. The first line alone does not tell: the bytes of a binary value may
/// read as a digit and a line's end. So nothing that no text holds may follow, and where the line has not a word and `dim`
/// numbers, and is damaged if it is text, not even a byte that is not UTF-8.
fn is_text(beginning: &[u8], dim: usize) -> bool {
    let control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    if beginning.iter().any(control) {
        return false;
    }
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let numbers = (line.trim_ascii_end().rsplit(|byte| is_blank(*byte)))
        .take_while(|field| text_of(field).is_some_and(|field| field.parse::<f32>().is_ok()))
        .count();
    let utf8 = std::str::from_utf8(beginning).map_or_else(|error| error.error_len().is_none(), |_| true);
    numbers >= dim || (numbers > 0 && utf8)
}

fn wrong(file: &str, problem: String) -> Error {
    Error::Format { file: file.into(), problem }
}

fn text_of(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()
}

/// How many words and how long their vectors are.
fn header(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_whitespace();
    let numbers = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    fields.next().is_none().then_some(numbers)
}

/// Words and values as they come.
#[derive(Default)]
struct Growing {
    dictionary: Dictionary,
    values: Vec<f32>,
    repeated: Vec<String>,
}

impl Growing {
    fn push(&mut self, word: &[u8], values: impl IntoIterator<Item = f32>) {
        let word = String::from_utf8_lossy(word);
        match self.dictionary.push(&word, 0) {
            Ok(()) => self.values.extend(values),
            Err(_) => self.repeated.push(word.into_owned()),
        }
    }

    fn finish(self, file: &str, dim: usize) -> Result<ReadVectors, Error> {
        let matrix = Matrix::from_values(dim, &self.values);
        let vectors =
            WordVectors::new(self.dictionary, matrix).map_err(|error| wrong(file, error.to_string()))?;
        Ok(ReadVectors { vectors, repeated: self.repeated })
    }
}

fn read_text(
    file: &str,
    mut from: impl BufRead,
    header: Option<(usize, usize)>,
    first_line: usize,
) -> Result<ReadVectors, Error> {
    let mut growing = Growing::default();
    let mut dim = header.map(|(_, dim)| dim);
    let mut line = Vec::new();
    let mut entries = 0;
    for number in first_line.. {
        line.clear();
        let read = from.read_until(b'\n', &mut line);
        if read.map_err(|source| Error::Io { file: file.into(), source })? == 0 {
            break;
        }
        let line = line.trim_ascii_end();
        if line.is_empty() {
            continue;
        }
        entries += 1;
        // Words may hold blanks: where the length is known, the values are the last fields.
        let count = dim.unwrap_or_else(|| line.iter().filter(|byte| is_blank(**byte)).count());
        let mut end = line.len();
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let start = line[..end].iter().rposition(|byte| is_blank(*byte)).map_or(0, |at| at + 1);
            let value = text_of(&line[start..end]).and_then(|text| text.parse::<f32>().ok());
            let Some(value) = value.filter(|_| start > 0) else {
                return Err(wrong(file, format!("line {number} is not a word and {count} numbers")));
            };
            values.push(value);
            end = start - 1;
        }
        let word = &line[..end];
        // One value more than there should be would be taken for a part of the word.
        let looks_like_a_number = |word: &[u8]| {
            let last = word.rsplit(|byte| is_blank(*byte)).next().and_then(text_of);
            word.iter().any(|byte| is_blank(*byte)) && last.is_some_and(|last| last.parse::<f32>().is_ok())
        };
        if count == 0 || looks_like_a_number(word) {
            return Err(wrong(file, format!("line {number} is not a word and {count} numbers")));
        }
        dim = Some(count);
        growing.push(word, values.into_iter().rev());
    }
    if let Some((words, _)) = header
        && words != entries
    {
        return Err(wrong(file, format!("line 1 says {words} words, but the file has {entries}")));
    }
    match dim {
        Some(dim) if entries > 0 => growing.finish(file, dim),
        _ => Err(wrong(file, "the file holds no vectors".into())),
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn read_binary(file: &str, mut from: impl BufRead, words: usize, dim: usize) -> Result<ReadVectors, Error> {
    let mut growing = Growing::default();
    let mut bytes = vec![0; 4 * dim];
    let mut word = Vec::new();
    for number in 1..=words {
        let ends = || wrong(file, format!("the file ends in word {number} of {words}; it is not whole"));
        word.clear();
        from.read_until(b' ', &mut word).map_err(|source| Error::Io { file: file.into(), source })?;
        if word.pop() != Some(b' ') {
            return Err(ends());
        }
        from.read_exact(&mut bytes).map_err(|_| ends())?;
        // word2vec.c ends a vector with a line's end, which then stands before the next word.
        let own = word.strip_prefix(b"\n").unwrap_or(&word);
        let value = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap_or_default());
        growing.push(own, bytes.chunks_exact(4).map(value));
    }
    growing.finish(file, dim)
}
