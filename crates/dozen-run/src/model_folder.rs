//! The model folder: everything needed to use a model, in one place.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, RunFolder, read_json};

/// The version of the folder's layout that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u64 = 1;

/// The versions that wrote a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenBy {
    /// Of this program.
    pub dozen: String,
    /// Of the tensor library that neural families are written on.
    pub burn: String,
}

/// The version of Burn that is pinned in Cargo.toml; a test of dozen-nn compares them.
const BURN: &str = "0.22.1";

impl Default for WrittenBy {
    fn default() -> Self {
        Self { dozen: env!("CARGO_PKG_VERSION").into(), burn: BURN.into() }
    }
}

#[derive(Serialize)]
struct Envelope<'a, C> {
    format: u64,
    family: &'a str,
    #[serde(flatten)]
    config: &'a C,
    written_by: WrittenBy,
}

/// An opened model folder.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    path: PathBuf,
    config: Value,
}

impl ModelFolder {
    /// Opens a folder and checks that it is whole and not newer than this program.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            let mut partial = path.as_os_str().to_owned();
            partial.push(".partial");
            let hint = if Path::new(&partial).exists() {
                format!("does not exist, but an unfinished run does; go on with --resume {}", path.display())
            } else {
                "does not exist; name a folder that `train --out` wrote".into()
            };
            return Err(Error::folder(path, hint));
        }
        if !path.join("config.json").exists() {
            return Err(Error::folder(path, "is no model folder: it has no config.json"));
        }
        let config: Value = read_json(&path.join("config.json"))?;
        let folder = Self { path: path.to_owned(), config };
        match folder.config["format"].as_u64() {
            Some(version) if version <= FORMAT_VERSION => {}
            Some(version) => {
                return Err(Error::folder(
                    path,
                    format!(
                        "was written in format {version}, this program reads up to {FORMAT_VERSION}; use a newer dozen"
                    ),
                ));
            }
            None => return Err(Error::folder(path, "is no model folder: its config.json names no format")),
        }
        // Folders of older versions do not list their files; their weights they have.
        let listed = folder.config["files"].as_array();
        let files = listed.map_or_else(
            || vec!["model.safetensors"],
            |files| files.iter().filter_map(Value::as_str).collect(),
        );
        match files.into_iter().find(|file| !path.join(file).exists()) {
            Some(missing) => Err(Error::folder(path, format!("is not whole: it has no {missing}"))),
            None => Ok(folder),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of weights.
    pub fn weights(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The family of the model.
    pub fn family(&self) -> &str {
        self.config["family"].as_str().unwrap_or("unknown")
    }

    /// The whole of `config.json`.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The configuration of a model of this family.
    ///
    /// # Errors
    /// When the model is of another family, or its configuration does not fit.
    pub fn config_of<C: DeserializeOwned>(&self, family: &str) -> Result<C, Error> {
        if self.family() != family {
            return Err(Error::folder(
                &self.path,
                format!(
                    "holds a model of the family {}, not {family}; use `dozen {} ...`",
                    self.family(),
                    self.family()
                ),
            ));
        }
        serde_json::from_value(self.config.clone())
            .map_err(|e| self.of_config(format!("cannot be understood: {e}")))
    }

    /// What a check of the configuration found, as a fault of this folder.
    ///
    /// # Errors
    /// Those of the check, with the name of the file.
    pub fn checked<E: std::fmt::Display>(&self, found: Result<(), E>) -> Result<(), Error> {
        found.map_err(|fault| self.of_config(format!("holds what no model can have: {fault}")))
    }

    /// Checks that the files of weights can hold as many numbers as the configuration says at the least, so that sizes which belong to no file are
    /// refused before memory is asked for.
    ///
    /// # Errors
    /// When they are too short for that, at two bytes for a number.
    pub fn holds(&self, numbers: f64) -> Result<(), Error> {
        let failed = |source| Error::io("read", &self.path, source);
        let mut bytes = 0;
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.path().extension().is_some_and(|ending| ending == "safetensors") {
                bytes += std::fs::metadata(entry.path()).map_err(failed)?.len();
            }
        }
        if 2.0 * numbers <= bytes as f64 {
            return Ok(());
        }
        Err(self.of_config(format!(
            "says of networks of at least {numbers:.0} numbers, but the weights beside it have {bytes} bytes; they belong to different models"
        )))
    }

    fn of_config(&self, problem: String) -> Error {
        Error::folder(&self.path.join("config.json"), problem)
    }

    /// Writes the `config.json` of a run.
    pub fn write_config<C: Serialize>(run: &RunFolder, family: &str, config: &C) -> Result<(), Error> {
        let envelope = Envelope { format: FORMAT_VERSION, family, config, written_by: WrittenBy::default() };
        run.write_json("config.json", &envelope)
    }
}
