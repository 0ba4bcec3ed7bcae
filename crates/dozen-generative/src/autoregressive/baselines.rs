//! What a model must beat: independent columns, and the Chow-Liu tree.

use std::path::Path;

use dozen_data::{Matrix, Schema};
use dozen_nn::Error;
use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::tree::Tree;

/// The file of the baselines in a model folder.
pub(super) const BASELINES: &str = "baselines.json";

/// Both baselines, fitted to the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    independent: Tree,
    chow_liu: Tree,
    /// What standardisation adds to the log-density of a row.
    log_scale: f64,
}

impl Baselines {
    /// Fits them to encoded training rows.
    pub fn fit(cells: &Matrix, schema: &Schema) -> Self {
        let layout = Layout::new(schema, &(0..schema.columns.len()).collect::<Vec<_>>(), 1);
        Self {
            independent: Tree::independent(cells, &layout.variables),
            chow_liu: Tree::fit(cells, &layout.variables),
            log_scale: layout.log_scale.iter().sum(),
        }
    }

    /// The log-probability of an encoded row under independent columns and under the tree, in nats.
    pub fn log_prob(&self, row: &[f32]) -> [f64; 2] {
        [&self.independent, &self.chow_liu].map(|tree| tree.log_prob(row) - self.log_scale)
    }

    /// Reads them from a model folder.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(BASELINES);
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        serde_json::from_str(&text)
            .map_err(|e| Error::Folder { folder: path, problem: format!("cannot be understood: {e}") })
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.chow_liu
    }
}
