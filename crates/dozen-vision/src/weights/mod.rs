//! Reading the weights that people have: safetensors, PyTorch's `.pth`, Keras' `.h5`, by what is in the file and not by its ending.

mod hdf5;
mod hub;
mod pickle;
mod torch;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use burn::tensor::TensorData;
use dozen_nn::{Error, read_tensors};

pub use hub::{Hub, Snapshot};

/// Tensors by their names.
pub type Tensors = HashMap<String, TensorData>;

/// Reads the named tensors of a file of any of the three kinds. Nothing in a file is run, whatever it asks for.
///
/// # Errors
/// When it cannot be read, or is of no kind that is known.
pub fn read_weights(path: &Path) -> Result<Tensors, Error> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut start = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(8).read_to_end(&mut start).map_err(failed)?;
    let said = |problem: String| Error::Request(format!("`{}` {problem}", path.display()));
    if start.starts_with(b"PK\x03\x04") {
        torch::read(path).map_err(said)
    } else if start == *b"\x89HDF\r\n\x1a\n" {
        hdf5::read(path).map_err(said)
    } else if start.first() == Some(&0x80) {
        Err(said("is of PyTorch before 1.6; load and save it with a newer one".into()))
    } else {
        read_tensors(path)
    }
}
