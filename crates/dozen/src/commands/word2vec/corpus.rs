//! From files to words.

use std::path::PathBuf;

use clap::Args;
use dozen::data::ending;
use dozen::text::Tokenizer;
use dozen::text::word2vec::CorpusReader;

use crate::commands::tokenizer::shown;
use crate::output::Failure;
use crate::texts::{Texts, read_ids};

#[derive(Args, Debug)]
pub(super) struct CorpusArguments {
    #[command(flatten)]
    pub(super) texts: Texts,
    /// Write all words in small letters
    #[arg(long)]
    lowercase: bool,
    /// Words are runs of letters, digits and apostrophes; everything else parts them
    #[arg(long)]
    letters: bool,
    /// The words are tokens of this tokenizer; .npy files hold their ids
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["lowercase", "letters"])]
    tokenizer: Option<PathBuf>,
}

impl CorpusArguments {
    pub(super) fn read(&self) -> Result<CorpusReader, Failure> {
        let mut reader = CorpusReader::new();
        let tokenizer = self.tokenizer.as_ref().map(|path| Tokenizer::open(path, None)).transpose()?;
        for file in self.texts.files()? {
            if ending(&file) == "npy" {
                read_tokens(&mut reader, tokenizer.as_ref(), &read_ids(&file)?);
                continue;
            }
            self.texts.each_of(&file, &mut |text| {
                if let Some(tokenizer) = &tokenizer {
                    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                        read_tokens(&mut reader, Some(tokenizer), &tokenizer.encode_bytes(line)?);
                    }
                } else if self.letters || self.lowercase {
                    reader.read(self.plain(&String::from_utf8_lossy(text)).as_bytes());
                } else {
                    reader.read(text);
                }
                Ok(())
            })?;
        }
        Ok(reader)
    }

    /// A text of plain words between blanks.
    fn plain(&self, text: &str) -> String {
        let lower = if self.lowercase { text.to_lowercase() } else { text.to_owned() };
        if !self.letters {
            return lower;
        }
        let kept = |c: char| if c.is_alphanumeric() || "'’\n".contains(c) { c } else { ' ' };
        let lines = lower.lines().map(|line| {
            let words = line.chars().map(kept).collect::<String>();
            let words = words.split(' ').map(|word| word.trim_matches(['\'', '’']));
            words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ") + "\n"
        });
        lines.collect()
    }
}

/// Tokens as words: their text, with blanks as `▁`, or their ids where there is no tokenizer.
fn read_tokens(reader: &mut CorpusReader, tokenizer: Option<&Tokenizer>, ids: &[u32]) {
    let word = |id: &u32| match tokenizer.and_then(|tokenizer| tokenizer.token(*id)) {
        Some(token) => shown(token).replace(' ', "▁").into_bytes(),
        None => id.to_string().into_bytes(),
    };
    let words: Vec<Vec<u8>> = ids.iter().map(word).collect();
    reader.read_words(words.iter().map(Vec::as_slice));
}
