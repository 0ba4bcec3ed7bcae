//! Models by name, opened when a query first asks for them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::{DataFusionError, Result};
use dozen_data::{Column, Table, open_stream};
use dozen_generative::{autoregressive, flow};
use dozen_nn::{Device, ModelFolder};
use dozen_text::Tokenizer;
use dozen_text::word2vec::formats::{read_matrices, read_vectors};
use dozen_text::word2vec::{Config, Dictionary, Parameters, WordVectors};
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

/// A model that says how likely a row is.
pub(crate) enum Density {
    Flow(Box<flow::Model>),
    Autoregressive(Box<autoregressive::Model>),
}

impl Density {
    fn open(path: &Path) -> Result<Self, String> {
        let sentence = |error: dozen_nn::Error| error.to_string();
        let folder = ModelFolder::open(path).map_err(sentence)?;
        let device = Device::default();
        match folder.family() {
            "flow" => Ok(Self::Flow(Box::new(flow::Model::open(path, &device).map_err(sentence)?))),
            "autoregressive" => {
                let model = autoregressive::Model::open(path, &device).map_err(sentence)?;
                Ok(Self::Autoregressive(Box::new(model)))
            }
            other => Err(format!(
                "`{}` is a model of the family `{other}`; log_prob takes a flow or an autoregressive model",
                path.display()
            )),
        }
    }

    /// The columns that it takes, in their order: its own, then those of its condition.
    pub(crate) fn columns(&self) -> Vec<String> {
        let (own, condition) = match self {
            Self::Flow(model) => (&model.config().columns, model.config().condition.columns.as_slice()),
            Self::Autoregressive(model) => (&model.config().columns, [].as_slice()),
        };
        own.columns.iter().chain(condition).map(|column| column.name.clone()).collect()
    }

    /// Log-probabilities of rows, in nats.
    pub(crate) fn log_prob(&self, columns: Vec<Column>) -> Result<Vec<f64>, String> {
        let table = Table::new(columns).map_err(|error| error.to_string())?;
        match self {
            Self::Flow(model) => {
                let (cells, condition) = model.cells(&table).map_err(|error| error.to_string())?;
                Ok(model.log_prob(&cells, &condition))
            }
            Self::Autoregressive(model) => {
                let cells = model.config().columns.encode(&table).map_err(|error| error.to_string())?;
                Ok(model.log_prob(&cells))
            }
        }
    }
}

/// Word vectors: a model folder, or a file of word2vec's or GloVe's formats.
fn open_words(path: &Path) -> Result<WordVectors, String> {
    if path.is_file() {
        let file = path.display().to_string();
        let stream = open_stream(&file).map_err(|error| error.to_string())?;
        return read_vectors(&file, stream).map(|read| read.vectors).map_err(|error| error.to_string());
    }
    let folder = ModelFolder::open(path).map_err(|error| error.to_string())?;
    let saved: serde_json::Value = folder.config_of("word2vec").map_err(|error| error.to_string())?;
    let config: Config = serde_json::from_value(saved["model"].clone()).map_err(|error| error.to_string())?;
    let words = path.join("vocabulary.txt");
    let file = File::open(&words).map_err(|error| format!("cannot read `{}`: {error}", words.display()))?;
    let dictionary = Dictionary::read(&words.display().to_string(), BufReader::new(file));
    let dictionary = dictionary.map_err(|error| error.to_string())?;
    let matrices = read_matrices(&folder.weights(), ["input", "output"]);
    let [input, output] = matrices.map_err(|error| error.to_string())?;
    let parameters = Parameters { input, output };
    WordVectors::from_parameters(dictionary, &parameters, config.subwords).map_err(|error| error.to_string())
}
