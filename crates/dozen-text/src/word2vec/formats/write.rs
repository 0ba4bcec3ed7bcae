//! Writing text and binary files of word vectors.

use std::io::Write;

use crate::word2vec::WordVectors;

/// A file with a line or an entry for each word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// word2vec.c's text: a header `words dim`, then the word and its values to six decimals, each before a blank.
    Word2vecText,
    /// word2vec.c's binary: the header, then the word, a blank, the values in 32 bits and a line's end.
    Word2vecBinary,
    /// gensim's text: as many digits as give the same number back. fastText reads it as its `.vec`.
    GensimText,
    /// gensim's binary: as word2vec.c's, without the lines' ends.
    GensimBinary,
    /// GloVe's text: gensim's without the header.
    Glove,
}

/// Writes vectors. All but [`TextFormat::Word2vecText`] give the same bits back when they are read.
///
/// # Errors
/// When writing fails.
pub fn write_vectors(vectors: &WordVectors, format: TextFormat, mut to: impl Write) -> std::io::Result<()> {
    if format != TextFormat::Glove {
        writeln!(to, "{} {}", vectors.dictionary().len(), vectors.dim())?;
    }
    for (row, word) in vectors.dictionary().words().enumerate() {
        to.write_all(word.as_bytes())?;
        let values = vectors.vectors().row(row as u32);
        match format {
            TextFormat::Word2vecText => {
                to.write_all(b" ")?;
                for value in values {
                    write!(to, "{value:.6} ")?;
                }
                to.write_all(b"\n")?;
            }
            TextFormat::GensimText | TextFormat::Glove => {
                for value in values {
                    write!(to, " {}", shortest(*value))?;
                }
                to.write_all(b"\n")?;
            }
            TextFormat::Word2vecBinary | TextFormat::GensimBinary => {
                to.write_all(b" ")?;
                for value in values {
                    to.write_all(&value.to_le_bytes())?;
                }
                if format == TextFormat::Word2vecBinary {
                    to.write_all(b"\n")?;
                }
            }
        }
    }
    to.flush()
}

/// As NumPy prints a `float32`: the fewest digits that give it back, with an exponent below 1e-4 and from 1e16 on.
fn shortest(value: f32) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::shortest;

    #[test]
    fn numbers_are_printed_as_numpy_prints_them() {
        let values = [0.1, -2.5e-3, 1e-5, -1.234_567_9e-7, 0.0, 3.0, 1e16, 1e-4, 0.333_333_34];
        let texts = values.map(shortest);
        let expected =
            ["0.1", "-0.0025", "1e-05", "-1.2345679e-07", "0.0", "3.0", "1e+16", "0.0001", "0.33333334"];
        assert_eq!(texts, expected);
    }
}
