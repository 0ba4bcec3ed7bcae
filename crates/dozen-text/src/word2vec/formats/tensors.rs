//! Matrices as safetensors.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::Error;
use crate::word2vec::Matrix;

fn wrong(path: &Path, problem: impl Into<String>) -> Error {
    Error::Format { file: path.display().to_string(), problem: problem.into() }
}

/// Writes matrices by their names.
///
/// # Errors
/// When writing fails.
pub fn write_matrices(path: &Path, matrices: &[(&str, &Matrix)]) -> Result<(), Error> {
    let bytes: Vec<Vec<u8>> =
        matrices.iter().map(|(_, matrix)| matrix.values().flat_map(f32::to_le_bytes).collect()).collect();
    let views: Vec<(&str, TensorView)> = matrices
        .iter()
        .zip(&bytes)
        .map(|((name, matrix), bytes)| {
            TensorView::new(Dtype::F32, vec![matrix.rows(), matrix.columns()], bytes)
                .map(|view| (*name, view))
                .map_err(|error| wrong(path, error.to_string()))
        })
        .collect::<Result<_, _>>()?;
    let bytes = serialize(views, None).map_err(|error| wrong(path, format!("cannot be written: {error}")))?;
    dozen_run::write_file(path, bytes)
        .map_err(|source| Error::Write { file: path.display().to_string(), source })
}

/// Reads matrices by their names.
///
/// # Errors
/// When one is missing, or is no matrix of 32-bit numbers.
pub fn read_matrices<const N: usize>(path: &Path, names: [&str; N]) -> Result<[Matrix; N], Error> {
    let bytes =
        std::fs::read(path).map_err(|source| Error::Io { file: path.display().to_string(), source })?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|error| wrong(path, format!("the file cannot be understood: {error}")))?;
    let mut matrices = [const { None }; N];
    for (matrix, name) in matrices.iter_mut().zip(names) {
        let view = tensors.tensor(name).map_err(|_| wrong(path, format!("there is no tensor `{name}`")))?;
        let [_, columns] = view.shape() else {
            return Err(wrong(path, format!("the tensor `{name}` is no matrix")));
        };
        if view.dtype() != Dtype::F32 {
            return Err(wrong(path, format!("the tensor `{name}` is of {:?}, not F32", view.dtype())));
        }
        let value = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap_or_default());
        let values: Vec<f32> = view.data().chunks_exact(4).map(value).collect();
        *matrix = Some(Matrix::from_values(*columns, &values));
    }
    Ok(matrices.map(|matrix| matrix.unwrap_or_else(|| Matrix::zeros(0, 1))))
}
