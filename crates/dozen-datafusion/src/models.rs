//! Models by name, opened when a query first asks for them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::{DataFusionError, Result};
use dozen_data::{Column, Table, open_stream};
use dozen_generative::{Measure, TableModel};
use dozen_nn::Device;
use dozen_text::Tokenizer;
use dozen_text::word2vec::WordVectors;
use dozen_text::word2vec::formats::read_vectors;
use dozen_vision::efficientnet;

/// Names and where their models are. Each is opened once, when it is first used.
#[derive(Debug, Default)]
pub struct Models {
    paths: BTreeMap<String, PathBuf>,
    tokenizers: Opened<Tokenizer>,
    words: Opened<WordVectors>,
    densities: Opened<Mutex<Density>>,
    classifiers: Opened<Mutex<efficientnet::Model>>,
}

type Shelf<T> = HashMap<String, Arc<T>>;

/// What was opened so far.
struct Opened<T>(Mutex<Shelf<T>>);

impl<T> Default for Opened<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> std::fmt::Debug for Opened<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

/// Which folders they are is all that tells two apart.
impl PartialEq for Models {
    fn eq(&self, other: &Self) -> bool {
        self.paths == other.paths
    }
}

impl Eq for Models {}

impl Hash for Models {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.paths.hash(state);
    }
}

impl Models {
    /// From names and paths.
    pub fn new(paths: impl IntoIterator<Item = (String, PathBuf)>) -> Self {
        Self { paths: paths.into_iter().collect(), ..Self::default() }
    }

    fn open<T>(
        &self,
        opened: &Opened<T>,
        name: &str,
        open: impl FnOnce(&Path) -> Result<T, String>,
    ) -> Result<Arc<T>> {
        let path = self.paths.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.paths.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "there is none".into() } else { names.join(", ") };
            DataFusionError::Execution(format!(
                "no model has the name `{name}` ({known}); name one with --model"
            ))
        })?;
        let mut shelf = opened.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = shelf.get(name) {
            return Ok(Arc::clone(model));
        }
        let model = Arc::new(open(path).map_err(DataFusionError::Execution)?);
        shelf.insert(name.to_owned(), Arc::clone(&model));
        Ok(model)
    }

    pub(crate) fn tokenizer(&self, name: &str) -> Result<Arc<Tokenizer>> {
        self.open(&self.tokenizers, name, |path| {
            Tokenizer::open(path, None).map_err(|error| error.to_string())
        })
    }

    pub(crate) fn words(&self, name: &str) -> Result<Arc<WordVectors>> {
        self.open(&self.words, name, open_words)
    }

    pub(crate) fn density(&self, name: &str) -> Result<Arc<Mutex<Density>>> {
        self.open(&self.densities, name, |path| Density::open(path).map(Mutex::new))
    }

    pub(crate) fn classifier(&self, name: &str) -> Result<Arc<Mutex<efficientnet::Model>>> {
        self.open(&self.classifiers, name, |path| {
            let model = efficientnet::Model::open(path, &Device::default());
            model.map(Mutex::new).map_err(|error| error.to_string())
        })
    }
}

/// A model of tables that says how likely a row is.
pub(crate) struct Density(Box<dyn TableModel>);

impl Density {
    fn open(path: &Path) -> Result<Self, String> {
        let model = dozen_generative::open(path, &Device::default()).map_err(|error| error.to_string())?;
        match model.measure() {
            Measure::LogProb => Ok(Self(model)),
            _ => Err(format!(
                "`{}` is a model of the family `{}`, which has no log-probability of a row; log_prob takes a flow or an \
                 autoregressive model",
                path.display(),
                model.family()
            )),
        }
    }

    /// The columns that it takes, in their order: its own, then those of its condition.
    pub(crate) fn columns(&self) -> Vec<String> {
        let all = self.0.columns().columns.iter().chain(&self.0.condition().columns);
        all.map(|column| column.name.clone()).collect()
    }

    /// Log-probabilities of rows, in nats.
    pub(crate) fn log_prob(&self, columns: Vec<Column>) -> Result<Vec<f64>, String> {
        let table = Table::new(columns).map_err(|error| error.to_string())?;
        self.0.score(&table).map_err(|error| error.to_string())
    }
}

/// Word vectors: a model folder, or a file of word2vec's or GloVe's formats.
fn open_words(path: &Path) -> Result<WordVectors, String> {
    if path.is_file() {
        let file = path.display().to_string();
        let stream = open_stream(&file).map_err(|error| error.to_string())?;
        return read_vectors(&file, stream).map(|read| read.vectors).map_err(|error| error.to_string());
    }
    let model = dozen_text::word2vec::Model::open(path).map_err(|error| error.to_string())?;
    model.vectors().map_err(|error| error.to_string())
}
