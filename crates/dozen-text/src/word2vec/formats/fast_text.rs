//! fastText's `.bin` models.

use std::io::{BufRead, Read};

use crate::Error;
use crate::word2vec::{Dictionary, Matrix, Parameters, Subwords, WordVectors};

const MAGIC: i32 = 793_712_314;
const VERSION: i32 = 12;

/// Reads the vectors of a fastText model, with its n-grams: unknown words have vectors, too.
///
/// # Errors
/// When the file is no such model, of another version, quantized, or ends too early.
pub fn read_fast_text(file: &str, from: impl BufRead) -> Result<WordVectors, Error> {
    let mut from = Fields { file, from };
    if from.i32()? != MAGIC {
        return Err(from.wrong("the file is no fastText model: its first four bytes say so"));
    }
    let version = from.i32()?;
    if version != VERSION {
        return Err(from.wrong(format!("fastText's version {version}; this program reads {VERSION}")));
    }
    // dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate; then t.
    let mut settings = [0; 12];
    for setting in &mut settings {
        *setting = from.i32()?;
    }
    from.bytes::<8>()?;
    let [dim, _, _, _, _, _, _, _, buckets, min, max, _] = settings.map(|setting| setting.max(0) as usize);
    let dictionary = from.dictionary()?;
    if from.bytes::<1>()? != [0] {
        return Err(from.wrong("the model is quantized (.ftz), which loses its vectors; take the .bin"));
    }
    let (rows, columns) = (from.i64()?, from.i64()?);
    let buckets = if max > 0 { buckets } else { 0 };
    if rows != (dictionary.len() + buckets) as i64 || columns != dim as i64 || dim == 0 {
        return Err(from.wrong(format!(
            "a matrix of {rows} by {columns} does not fit {} words and {buckets} buckets of {dim} values",
            dictionary.len()
        )));
    }
    let input = from.matrix(rows as usize, dim)?;
    let subwords = (max > 0 && buckets > 0).then_some(Subwords { min: min.max(1), max, buckets });
    let parameters = Parameters { input, output: Matrix::zeros(0, dim) };
    WordVectors::from_parameters(dictionary, &parameters, subwords)
        .map_err(|error| from.wrong(error.to_string()))
}

struct Fields<'f, R> {
    file: &'f str,
    from: R,
}

impl<R: BufRead> Fields<'_, R> {
    fn wrong(&self, problem: impl Into<String>) -> Error {
        Error::Format { file: self.file.into(), problem: problem.into() }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.from
            .read_exact(&mut bytes)
            .map_err(|_| self.wrong("the file ends too early; it is not whole"))?;
        Ok(bytes)
    }

    fn i32(&mut self) -> Result<i32, Error> {
        self.bytes().map(i32::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, Error> {
        self.bytes().map(i64::from_le_bytes)
    }

    fn dictionary(&mut self) -> Result<Dictionary, Error> {
        let (entries, words, labels) = (self.i32()?, self.i32()?, self.i32()?);
        let (_tokens, pruned) = (self.i64()?, self.i64()?);
        if labels > 0 {
            return Err(self.wrong("the model is a classifier with labels, not a model of words"));
        }
        if pruned > 0 || entries != words {
            return Err(self.wrong("the model's dictionary is pruned, which only quantized models' is"));
        }
        let mut dictionary = Dictionary::default();
        for _ in 0..words {
            let mut word = Vec::new();
            let limit = 1 << 20;
            let read = self.from.by_ref().take(limit).read_until(0, &mut word);
            if read.is_err() || word.pop() != Some(0) {
                return Err(self.wrong("the file ends in a word; it is not whole"));
            }
            let count = self.i64()?.max(0) as u64;
            self.bytes::<1>()?;
            dictionary
                .push(&String::from_utf8_lossy(&word), count)
                .map_err(|error| self.wrong(error.to_string()))?;
        }
        Ok(dictionary)
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Result<Matrix, Error> {
        let mut matrix = Matrix::zeros(0, columns);
        let mut bytes = vec![0; 4 * columns];
        for row in 0..rows {
            self.from.read_exact(&mut bytes).map_err(|_| {
                self.wrong(format!("the file ends in row {} of {rows}; it is not whole", row + 1))
            })?;
            // Grown as it is read, so that a header that lies takes no memory.
            matrix.resize(row + 1);
            for (value, bytes) in matrix.row_mut(row as u32).iter_mut().zip(bytes.chunks_exact(4)) {
                *value = f32::from_le_bytes(bytes.try_into().unwrap_or_default());
            }
        }
        Ok(matrix)
    }
}
