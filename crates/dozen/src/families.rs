//! The families: one row each, and models of any of them.

use std::path::Path;

use dozen_generative::TableModel;
use dozen_nn::{Device, ModelFolder, choose_device};
use dozen_text::Tokenizer;
use dozen_text::word2vec::{self, WordVectors};
use dozen_vision::{detector, efficientnet};

/// What the program knows of a family beside its commands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Family {
    /// The word on the command line, and `family` in `config.json`.
    pub noun: &'static str,
    /// How a model folder is opened; families without models have none.
    open: Option<Open>,
    /// Whether each batch of a training can be shared out to several devices.
    pub shares_batches: bool,
}

/// Opens a model folder of one family.
type Open = fn(&Path, &Device) -> Result<Model, Error>;

const fn of_models(noun: &'static str, open: Open) -> Family {
    Family { noun, open: Some(open), shares_batches: false }
}

const fn sharing(family: Family) -> Family {
    Family { shares_batches: true, ..family }
}

const fn without_models(noun: &'static str) -> Family {
    Family { noun, open: None, shares_batches: false }
}

/// All families, in the order in which they are told of.
pub const FAMILIES: [Family; 11] = [
    sharing(of_models(dozen_generative::autoregressive::FAMILY, table)),
    without_models("transport"),
    without_models("graph"),
    of_models("tokenizer", |folder, _| Ok(Model::Tokenizer(Box::new(Tokenizer::open(folder, None)?)))),
    of_models(word2vec::FAMILY, |folder, _| {
        Ok(Model::Words(Box::new(word2vec::Model::open(folder)?.vectors()?)))
    }),
    of_models(dozen_sequence::FAMILY, |folder, device| {
        Ok(Model::Sequence(Box::new(dozen_sequence::Model::open(folder, device)?)))
    }),
    sharing(of_models(dozen_generative::flow::FAMILY, table)),
    of_models(dozen_generative::vae::FAMILY, table),
    of_models(dozen_generative::gan::FAMILY, table),
    sharing(of_models(efficientnet::FAMILY, |folder, device| {
        Ok(Model::Classifier(Box::new(efficientnet::Model::open(folder, device)?)))
    })),
    of_models(detector::FAMILY, |folder, device| {
        Ok(Model::Detector(Box::new(detector::Model::open(folder, device)?)))
    }),
];

fn table(folder: &Path, device: &Device) -> Result<Model, Error> {
    Ok(Model::Table(dozen_generative::open(folder, device)?))
}

/// A trained model of any family, by what it can do.
#[non_exhaustive]
pub enum Model {
    /// Scores and draws rows of a table: autoregressive models, flows, autoencoders, adversarial networks.
    Table(Box<dyn TableModel>),
    /// Writes, classifies or tags texts, or forecasts.
    Sequence(Box<dozen_sequence::Model>),
    /// Tells the classes of images.
    Classifier(Box<efficientnet::Model>),
    /// Finds boxes in images.
    Detector(Box<detector::Model>),
    /// Word vectors.
    Words(Box<WordVectors>),
    /// Turns texts into ids and back.
    Tokenizer(Box<Tokenizer>),
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Table(model) => model.family(),
            Self::Sequence(_) => dozen_sequence::FAMILY,
            Self::Classifier(_) => efficientnet::FAMILY,
            Self::Detector(_) => detector::FAMILY,
            Self::Words(_) => word2vec::FAMILY,
            Self::Tokenizer(_) => "tokenizer",
        })
    }
}

/// Why a model cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Of a neural family, or of a folder.
    #[error(transparent)]
    Model(#[from] dozen_nn::Error),
    /// Of a model of text.
    #[error(transparent)]
    Text(#[from] dozen_text::Error),
    /// A folder holds a model of a family that this version does not know.
    #[error("`{}` holds a model of the family `{family}`, which dozen {} does not know", folder.display(), env!("CARGO_PKG_VERSION"))]
    Family {
        /// The folder.
        folder: std::path::PathBuf,
        /// What its `config.json` says.
        family: String,
    },
}

/// Opens a model folder of any family on the CPU.
///
/// # Errors
/// When the folder is not there, not whole, or of an unknown family.
///
/// ```no_run
/// let model = dozen::open("runs/moons")?;
/// if let dozen::Model::Table(model) = model {
///     let rows = dozen::data::read_table("moons.csv", &Default::default())?;
///     println!("{}: {:?}", model.measure().name(), model.score(&rows)?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(folder: impl AsRef<Path>) -> Result<Model, Error> {
    open_on(folder.as_ref(), &choose_device("cpu")?)
}

/// The same on a device.
///
/// # Errors
/// As [`open`].
pub fn open_on(folder: &Path, device: &Device) -> Result<Model, Error> {
    let opened = ModelFolder::open(folder).map_err(dozen_nn::Error::from)?;
    let family = opened.family();
    let known = FAMILIES.iter().find(|known| known.noun == family).and_then(|known| known.open);
    match known {
        Some(open) => open(folder, device),
        None => Err(Error::Family { folder: folder.to_owned(), family: family.to_owned() }),
    }
}
