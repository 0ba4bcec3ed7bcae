//! Files that tokenizers are kept in.

mod hugging_face;
mod sentence_piece;
mod tiktoken;

pub(crate) use hugging_face::alphabet;

use std::io::Read;
use std::path::Path;

use crate::{Error, Pattern, Tokenizer};

impl Tokenizer {
    /// Opens a tokenizer: a `.tiktoken` file, a `tokenizer.json` of Hugging Face's, a `merges.txt` or `vocab.json` with the
    /// other beside it, a `.model` of SentencePiece's, or a folder that holds one; compressed with gzip or not. Names of
    /// OpenAI's files say their patterns; for any other `.tiktoken` file, and for `merges.txt` where it is not GPT-2's, a
    /// pattern must be given. It replaces the one that a file says.
    ///
    /// # Errors
    /// When the file cannot be read, is broken, or asks for what this crate does not do exactly.
    pub fn open(path: &Path, pattern: Option<&str>) -> Result<Self, Error> {
        if path.is_dir() {
            let names = ["tokenizer.json", "merges.txt", "tokenizer.model"];
            let inside = names.iter().map(|name| path.join(name)).find(|file| file.exists());
            return match inside {
                Some(file) => Self::open(&file, pattern),
                None => Err(format(path, format!("the folder holds none of {}", names.join(", ")))),
            };
        }
        let pattern = pattern.map(Pattern::new).transpose()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let bytes = read(path)?;
        let wrong = |error: Error| match error {
            Error::Vocabulary(problem) => format(path, problem),
            other => other,
        };
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("model") => sentence_piece::parse(&bytes).map_err(wrong),
            Some("json") if name != "vocab.json" => hugging_face::parse(&bytes, pattern).map_err(wrong),
            Some("json" | "txt") => {
                let (vocabulary, merges) =
                    (path.with_file_name("vocab.json"), path.with_file_name("merges.txt"));
                hugging_face::parse_pair(&read(&vocabulary)?, &read(&merges)?, pattern).map_err(wrong)
            }
            _ => {
                let stem = name.strip_suffix(".tiktoken").unwrap_or(name);
                let (known, specials) = tiktoken::known(stem);
                let pattern = match (pattern, known) {
                    (Some(pattern), _) => pattern,
                    (None, Some(known)) => Pattern::new(known)?,
                    (None, None) => {
                        let problem =
                            "the file does not say how its texts are cut into pieces; name the pattern";
                        return Err(format(path, problem.into()));
                    }
                };
                tiktoken::parse(&bytes, pattern, &specials).map_err(wrong)
            }
        }
    }

    /// The tokenizer as a `.tiktoken` file has it: `base64(token) rank`. It holds neither pattern nor special tokens.
    ///
    /// # Errors
    /// When ids are not in the order of the merges, or it is of SentencePiece.
    pub fn to_tiktoken(&self) -> Result<String, Error> {
        tiktoken::write(self)
    }

    /// The tokenizer as a `tokenizer.json` of Hugging Face's.
    ///
    /// # Errors
    /// When it is of SentencePiece.
    pub fn to_hugging_face(&self) -> Result<String, Error> {
        hugging_face::write(self)
    }

    /// The tokenizer as `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// When it is of SentencePiece.
    pub fn to_merges(&self) -> Result<(String, String), Error> {
        hugging_face::write_pair(self)
    }
}

fn format(path: &Path, problem: String) -> Error {
    Error::Format { file: path.display().to_string(), problem }
}

/// Bytes of an unpacked file of a tokenizer.
const LARGEST: u64 = 1 << 30;

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let wrong = |source| Error::Io { file: path.display().to_string(), source };
    let bytes = std::fs::read(path).map_err(wrong)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        let packed = flate2::read::MultiGzDecoder::new(&bytes[..]);
        packed.take(LARGEST + 1).read_to_end(&mut plain).map_err(wrong)?;
        if plain.len() as u64 > LARGEST {
            return Err(format(path, format!("it unpacks to more than {} GiB", LARGEST >> 30)));
        }
        return Ok(plain);
    }
    Ok(bytes)
}
