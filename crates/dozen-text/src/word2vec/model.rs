//! Word vectors in a model folder.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use dozen_run::{ModelFolder, NewFile, RunFolder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::formats::{read_matrices, write_matrices};
use super::{Config, Dictionary, Parameters, WordVectors};
use crate::Error;

/// The family's name in `config.json`.
pub const FAMILY: &str = "word2vec";

/// Words and counts, a line each, in the order of the rows.
const VOCABULARY: &str = "vocabulary.txt";

/// `config.json`, beside the format and the family.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved {
    /// What was learnt, and how.
    pub model: Config,
    /// What it was learnt from.
    pub training: Learnt,
    /// The files that the texts came from.
    pub data: Vec<Value>,
}

/// What vectors were learnt from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learnt {
    /// Words of one pass, of the vocabulary.
    pub words: u64,
    /// Words of one pass, those beyond the vocabulary among them.
    pub words_read: u64,
    /// Words that came less often were left out.
    pub min_count: u64,
}

/// A model that can be used, and that training can go on with.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its `config.json`.
    pub saved: Saved,
    /// Its words.
    pub dictionary: Dictionary,
    /// Its matrices.
    pub parameters: Parameters,
}

impl Model {
    /// Opens a model folder.
    ///
    /// # Errors
    /// When the folder is not there or not whole, or is of another family.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let folder = ModelFolder::open(path)?;
        let saved: Saved = folder.config_of(FAMILY)?;
        folder.checked(saved.model.check())?;
        let words = path.join(VOCABULARY);
        let name = words.display().to_string();
        let file = File::open(&words).map_err(|source| Error::Io { file: name.clone(), source })?;
        let dictionary = Dictionary::read(&name, BufReader::new(file))?;
        let [input, output] = read_matrices(&folder.weights(), ["input", "output"])?;
        Ok(Self { saved, dictionary, parameters: Parameters { input, output } })
    }

    /// Writes all but a report into a run's folder.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write(&self, run: &RunFolder) -> Result<(), Error> {
        ModelFolder::write_config(run, FAMILY, &self.saved)?;
        let words = run.path().join(VOCABULARY);
        let written = || -> std::io::Result<()> {
            let mut file = BufWriter::new(NewFile::create(&words)?);
            self.dictionary.write(&mut file)?;
            file.flush()?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.commit()
        };
        written().map_err(|source| Error::Write { file: words.display().to_string(), source })?;
        self.parameters.write(&run.path().join("model.safetensors"))
    }

    /// The vectors.
    ///
    /// # Errors
    /// When the matrices are not of the words.
    pub fn vectors(self) -> Result<WordVectors, Error> {
        WordVectors::from_parameters(self.dictionary, &self.parameters, self.saved.model.subwords)
    }
}

impl Parameters {
    /// Writes both matrices as safetensors.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        write_matrices(path, &[("input", &self.input), ("output", &self.output)])
    }
}
