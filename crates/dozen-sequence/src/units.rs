//! What a text is a sequence of: characters, bytes, words, or the tokens of a byte-pair tokenizer.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use dozen_nn::Error;
use dozen_text::Tokenizer;
use serde::{Deserialize, Serialize};

/// The word that stands for all unknown ones.
pub const UNKNOWN: &str = "<unk>";
/// The word that ends a line.
pub const END_OF_LINE: &str = "<eos>";

/// How to cut a text.
#[derive(Clone, Debug)]
pub enum UnitKind {
    /// Unicode characters.
    Characters,
    /// Bytes, 256 of them.
    Bytes,
    /// What white space parts; lines end in [`END_OF_LINE`].
    Words {
        /// Rarer words are unknown.
        min_count: u64,
    },
    /// Tokens of this tokenizer.
    Tokenizer(Arc<Tokenizer>),
}

/// A vocabulary: texts to numbers and back.
#[derive(Clone, Debug)]
pub struct Units(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Symbols { symbols: Vec<String>, places: HashMap<String, u32>, words: bool },
    Bytes,
    Tokenizer(Arc<Tokenizer>),
}

/// The form in the model folder; a tokenizer is a file of its own.
#[derive(Serialize, Deserialize)]
#[serde(tag = "units", content = "symbols", rename_all = "snake_case")]
enum Stored {
    Characters(Vec<String>),
    Words(Vec<String>),
    Bytes,
    Tokenizer,
}

const FILE: &str = "vocabulary.json";
const TOKENIZER: &str = "tokenizer.json";

impl Units {
    /// The vocabulary of texts: their characters in the order of their code points, or their words, the most frequent first.
    pub fn of_texts<'t>(kind: &UnitKind, texts: impl IntoIterator<Item = &'t str>) -> Self {
        match kind {
            UnitKind::Bytes => Self(Kind::Bytes),
            UnitKind::Tokenizer(tokenizer) => Self(Kind::Tokenizer(tokenizer.clone())),
            UnitKind::Characters => {
                let mut characters: Vec<char> = texts
                    .into_iter()
                    .flat_map(str::chars)
                    .collect::<std::collections::HashSet<_>>()
                    .into_iter()
                    .collect();
                characters.sort_unstable();
                Self::of_characters(characters.into_iter().map(String::from))
            }
            UnitKind::Words { min_count } => {
                let mut counts: HashMap<&str, u64> = HashMap::new();
                texts.into_iter().flat_map(words).for_each(|word| *counts.entry(word).or_default() += 1);
                for special in [UNKNOWN, END_OF_LINE] {
                    counts.remove(special);
                }
                let mut counts: Vec<_> = counts.into_iter().filter(|(_, count)| count >= min_count).collect();
                counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
                Self::of_words(counts.into_iter().map(|(word, _)| word.to_owned()))
            }
        }
    }

    /// Of these characters, in this order.
    pub fn of_characters(characters: impl IntoIterator<Item = String>) -> Self {
        Self::of_symbols(characters.into_iter().collect(), false)
    }

    /// Of these words, after [`UNKNOWN`] and [`END_OF_LINE`] where they are not among them.
    pub fn of_words(words: impl IntoIterator<Item = String>) -> Self {
        let mut symbols: Vec<String> = words.into_iter().collect();
        for special in [END_OF_LINE, UNKNOWN] {
            if !symbols.iter().any(|word| word == special) {
                symbols.insert(0, special.to_owned());
            }
        }
        Self::of_symbols(symbols, true)
    }

    fn of_symbols(symbols: Vec<String>, words: bool) -> Self {
        let places =
            symbols.iter().enumerate().map(|(place, symbol)| (symbol.clone(), place as u32)).collect();
        Self(Kind::Symbols { symbols, places, words })
    }

    /// How many units there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Symbols { symbols, .. } => symbols.len(),
            Kind::Bytes => 256,
            // Numbers may have gaps.
            Kind::Tokenizer(tokenizer) => {
                let known = tokenizer
                    .tokens()
                    .map(|(_, id)| id)
                    .chain(tokenizer.specials().iter().map(|(_, id)| *id));
                known.max().map_or(0, |last| last as usize + 1)
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of what units are, for people.
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Kind::Symbols { words: false, .. } => "characters",
            Kind::Symbols { words: true, .. } => "words",
            Kind::Bytes => "bytes",
            Kind::Tokenizer(_) => "tokens",
        }
    }

    /// A unit's text; `None` for a byte or token that is no text by itself.
    pub fn symbol(&self, id: u32) -> Option<String> {
        match &self.0 {
            Kind::Symbols { symbols, .. } => symbols.get(id as usize).cloned(),
            Kind::Bytes => {
                u8::try_from(id).ok().filter(u8::is_ascii).map(|byte| char::from(byte).to_string())
            }
            Kind::Tokenizer(tokenizer) => {
                tokenizer.token(id).and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
            }
        }
    }

    /// The unit of a symbol, where symbols are whole units: a word or a character; an unknown word is [`UNKNOWN`].
    pub fn unit(&self, symbol: &str) -> Option<u32> {
        match &self.0 {
            Kind::Symbols { places, words, .. } => {
                places.get(symbol).or_else(|| places.get(UNKNOWN).filter(|_| *words)).copied()
            }
            Kind::Bytes | Kind::Tokenizer(_) => None,
        }
    }

    /// A text in units. `what` names the text, as in "the prompt".
    ///
    /// # Errors
    /// When the text has a character that the vocabulary lacks.
    pub fn encode(&self, text: &str, what: &str) -> Result<Vec<u32>, Error> {
        match &self.0 {
            Kind::Bytes => Ok(text.bytes().map(u32::from).collect()),
            Kind::Tokenizer(tokenizer) => tokenizer
                .encode_ordinary(text)
                .map_err(|error| Error::Request(format!("{what} cannot be cut into tokens: {error}"))),
            Kind::Symbols { words: true, .. } => {
                Ok(words(text).map(|word| self.unit(word).unwrap_or(0)).collect())
            }
            Kind::Symbols { places, .. } => {
                let mut buffer = [0; 4];
                let encoded = text.char_indices().map(|(at, character)| {
                    places.get(&*character.encode_utf8(&mut buffer)).copied().ok_or((at, character))
                });
                encoded.collect::<Result<_, _>>().map_err(|(at, character)| {
                    Error::Request(format!(
                        "{what} has the character {character:?} at byte {at}, which the model has never seen; \
                         a model trained with --tokens bytes takes any text"
                    ))
                })
            }
        }
    }

    /// Writes the vocabulary into a folder.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let stored = match &self.0 {
            Kind::Symbols { symbols, words: false, .. } => Stored::Characters(symbols.clone()),
            Kind::Symbols { symbols, .. } => Stored::Words(symbols.clone()),
            Kind::Bytes => Stored::Bytes,
            Kind::Tokenizer(tokenizer) => {
                let text = tokenizer.to_hugging_face().map_err(|error| Error::Request(error.to_string()))?;
                write(&folder.join(TOKENIZER), &text)?;
                Stored::Tokenizer
            }
        };
        let text = serde_json::to_string(&stored).map_err(|error| Error::Request(error.to_string()))?;
        write(&folder.join(FILE), &text)
    }

    /// Reads back what [`Units::save`] wrote.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let stored = serde_json::from_str(&text)
            .map_err(|error| Error::Request(format!("`{}` is not understood: {error}", path.display())))?;
        Ok(match stored {
            Stored::Characters(symbols) => Self::of_symbols(symbols, false),
            Stored::Words(symbols) => Self::of_symbols(symbols, true),
            Stored::Bytes => Self(Kind::Bytes),
            Stored::Tokenizer => {
                let tokenizer = Tokenizer::open(&folder.join(TOKENIZER), None)
                    .map_err(|error| Error::Request(error.to_string()))?;
                Self(Kind::Tokenizer(Arc::new(tokenizer)))
            }
        })
    }

    /// Turns units into text as they come.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream { units: self, bytes: Vec::new(), line_start: true }
    }
}

/// Words of a text, each line's end among them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
        .flat_map(|line| line.split_whitespace().chain(line.ends_with('\n').then_some(END_OF_LINE)))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    dozen_run::write_file(path, text).map_err(|source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// Units that become text one by one, a character only once all its bytes are there.
#[derive(Clone, Debug)]
pub struct TextStream<'u> {
    units: &'u Units,
    bytes: Vec<u8>,
    line_start: bool,
}

impl TextStream<'_> {
    /// The text that is whole with this unit.
    pub fn push(&mut self, id: u32) -> String {
        match &self.units.0 {
            Kind::Symbols { symbols, words: false, .. } => symbols[id as usize].clone(),
            Kind::Symbols { symbols, .. } => self.word(&symbols[id as usize]),
            Kind::Bytes => self.add(&[id as u8]),
            Kind::Tokenizer(tokenizer) => match tokenizer.token(id) {
                Some(bytes) => self.add(bytes),
                None => String::new(),
            },
        }
    }

    fn word(&mut self, word: &str) -> String {
        let before = if self.line_start { "" } else { " " };
        self.line_start = word == END_OF_LINE;
        if self.line_start { "\n".into() } else { format!("{before}{word}") }
    }

    fn add(&mut self, bytes: &[u8]) -> String {
        self.bytes.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.bytes) {
            Ok(_) => self.bytes.len(),
            // A character's first bytes wait for the others; what can be no character is shown as such.
            Err(error) => error.error_len().map_or(error.valid_up_to(), |_| self.bytes.len()),
        };
        let rest = self.bytes.split_off(whole);
        String::from_utf8_lossy(&std::mem::replace(&mut self.bytes, rest)).into_owned()
    }

    /// What is left.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(units: &Units, ids: &[u32]) -> String {
        let mut stream = units.stream();
        let mut text: String = ids.iter().map(|id| stream.push(*id)).collect();
        text += &stream.finish();
        text
    }

    #[test]
    fn texts_come_back() {
        let text = "to be, or\nnot to bé\n";
        for kind in [UnitKind::Characters, UnitKind::Bytes, UnitKind::Words { min_count: 1 }] {
            let units = Units::of_texts(&kind, [text]);
            let folder = tempfile::tempdir().unwrap();
            units.save(folder.path()).unwrap();
            let units = Units::open(folder.path()).unwrap();
            let ids = units.encode(text, "the text").unwrap();
            assert_eq!(text_of(&units, &ids), text, "{kind:?}");
            assert!(ids.iter().all(|id| (*id as usize) < units.len()));
        }
    }

    #[test]
    fn words_are_counted_and_the_rest_unknown() {
        let units = Units::of_texts(&UnitKind::Words { min_count: 2 }, ["b a a b a c\n"]);
        assert_eq!(units.len(), 4);
        assert_eq!(units.encode("a b c\n", "the text").unwrap(), [2, 3, 0, 1]);
    }

    #[test]
    fn an_unknown_character_is_named() {
        let units = Units::of_texts(&UnitKind::Characters, ["abc"]);
        let error = units.encode("abä", "the prompt").unwrap_err().to_string();
        assert!(error.contains("the prompt has the character 'ä' at byte 2"), "{error}");
    }
}
