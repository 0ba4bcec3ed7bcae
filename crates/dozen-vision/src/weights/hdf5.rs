//! Keras' `.h5`: a group for each layer, and in it the layer's tensors by their paths.

use std::path::Path;

use burn::tensor::TensorData;
use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Hdf5File, OpenOptions};

use super::Tensors;

/// Groups in groups may not go deeper.
const DEEPEST: usize = 16;

/// Reads all tensors of floats, named by their last two parts, `layer/tensor`, without Keras' `:0`.
pub(super) fn read(path: &Path) -> Result<Tensors, String> {
    dozen_run::guarded(|| tensors(path)).unwrap_or_else(|panic| Err(format!("is damaged ({panic})")))
}

fn tensors(path: &Path) -> Result<Tensors, String> {
    let failed = |error: Error| format!("is no whole HDF5 file: {error}");
    let largest = std::fs::metadata(path).map_or(0, |data| data.len() as usize);
    let mut options = OpenOptions::default();
    options = options.with_max_read_bytes(largest);
    let file = Hdf5File::open_with_options(path, options).map_err(failed)?;
    let mut tensors = Tensors::new();
    walk(&file.root_group().map_err(failed)?, &mut Vec::new(), &mut tensors)?;
    if tensors.is_empty() {
        return Err("holds no tensors of floats".into());
    }
    Ok(tensors)
}

fn walk(group: &Group, path: &mut Vec<String>, tensors: &mut Tensors) -> Result<(), String> {
    let failed = |error: Error| format!("has a broken group `{}`: {error}", path.join("/"));
    if path.len() > DEEPEST {
        return Err("has groups in groups without end".into());
    }
    let (groups, datasets) = group.members().map_err(failed)?;
    for dataset in datasets {
        let layer = path.last().map(|layer| format!("{layer}/")).unwrap_or_default();
        let name = dataset.name().rsplit('/').next().unwrap_or_default();
        let name = format!("{layer}{}", name.split(':').next().unwrap_or(name));
        if let Some(tensor) =
            floats(&dataset).map_err(|problem| format!("has a broken `{name}`: {problem}"))?
        {
            tensors.insert(name, tensor);
        }
    }
    for group in groups {
        path.push(group.name().rsplit('/').next().unwrap_or_default().to_owned());
        walk(&group, path, tensors)?;
        path.pop();
    }
    Ok(())
}

/// A dataset of floats; `None` for one of anything else.
fn floats(dataset: &Dataset) -> Result<Option<TensorData>, Error> {
    let shape: Vec<usize> = dataset.shape().iter().map(|size| *size as usize).collect();
    if !matches!(dataset.dtype(), hdf5_reader::Datatype::FloatingPoint { size: 4, .. }) {
        return Ok(None);
    }
    let array = dataset.read_array::<f32>()?;
    Ok(Some(TensorData::new(array.iter().copied().collect::<Vec<f32>>(), shape)))
}
