//! How others name the tensors of the same network, and in which order they keep their values.

use std::collections::BTreeSet;

use burn::tensor::TensorData;
use dozen_nn::{Error, named_tensors};
use serde::{Deserialize, Serialize};

use super::{EfficientNet, VariantConfig};
use crate::weights::Tensors;

/// Whose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// timm: `blocks.1.0.conv_pw.weight`.
    Timm,
    /// torchvision: `features.2.0.block.0.0.weight`.
    Torchvision,
    /// Keras: `block2a_expand_conv/kernel`, with channels last.
    Keras,
}

/// A tensor of the network by its place in it.
struct Place<'a> {
    /// Stage, and the number of the block in it.
    block: Option<(usize, usize)>,
    /// `stem`, `expand`, `depthwise`, `reduce`, `excite`, `project`, `head` or `classifier`.
    part: &'a str,
    /// `weight`, `bias`, or what batch normalisation has.
    tensor: &'a str,
    /// Whether the block has an expansion.
    expands: bool,
}

impl Naming {
    /// Whose names a file has.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        names.into_iter().find_map(|name| match name {
            "conv_stem.weight" => Some(Self::Timm),
            "features.0.0.weight" => Some(Self::Torchvision),
            name if name.starts_with("stem_conv") => Some(Self::Keras),
            _ => None,
        })
    }

    fn name(self, place: &Place<'_>) -> String {
        match self {
            Self::Timm => timm(place),
            Self::Torchvision => torchvision(place),
            Self::Keras => keras(place),
        }
    }
}

/// `weight` and so on as PyTorch calls them.
fn of_pytorch(tensor: &str) -> &str {
    match tensor {
        "gamma" => "weight",
        "beta" => "bias",
        "running_variance" => "running_var",
        other => other,
    }
}

fn is_norm(tensor: &str) -> bool {
    ["gamma", "beta", "running_mean", "running_variance"].contains(&tensor)
}

fn timm(place: &Place<'_>) -> String {
    let norm = is_norm(place.tensor);
    let tensor = of_pytorch(place.tensor);
    let Some((stage, block)) = place.block else {
        let part = match (place.part, norm) {
            ("stem", false) => "conv_stem",
            ("stem", true) => "bn1",
            ("head", false) => "conv_head",
            ("head", true) => "bn2",
            (part, _) => part,
        };
        return format!("{part}.{tensor}");
    };
    let part = match (place.part, place.expands, norm) {
        ("expand", _, false) | ("project", false, false) => "conv_pw",
        ("expand", _, true) | ("depthwise", false, true) => "bn1",
        ("depthwise", _, false) => "conv_dw",
        ("depthwise", true, true) | ("project", false, true) => "bn2",
        ("reduce", ..) => "se.conv_reduce",
        ("excite", ..) => "se.conv_expand",
        ("project", true, false) => "conv_pwl",
        (_, _, _) => "bn3",
    };
    format!("blocks.{stage}.{block}.{part}.{tensor}")
}

fn torchvision(place: &Place<'_>) -> String {
    let norm = usize::from(is_norm(place.tensor));
    let tensor = of_pytorch(place.tensor);
    let Some((stage, block)) = place.block else {
        return match place.part {
            "stem" => format!("features.0.{norm}.{tensor}"),
            "head" => format!("features.8.{norm}.{tensor}"),
            _ => format!("classifier.1.{tensor}"),
        };
    };
    let first = usize::from(place.expands);
    let part = match place.part {
        "expand" => format!("0.{norm}"),
        "depthwise" => format!("{first}.{norm}"),
        "reduce" => format!("{}.fc1", first + 1),
        "excite" => format!("{}.fc2", first + 1),
        _ => format!("{}.{norm}", first + 2),
    };
    format!("features.{}.{block}.block.{part}.{tensor}", stage + 1)
}

fn keras(place: &Place<'_>) -> String {
    let norm = is_norm(place.tensor);
    let tensor = match (place.tensor, place.part) {
        ("weight", "depthwise") => "depthwise_kernel",
        ("weight", _) => "kernel",
        ("running_mean", _) => "moving_mean",
        ("running_variance", _) => "moving_variance",
        (other, _) => other,
    };
    let layer = match (place.part, norm) {
        ("stem", false) => "stem_conv",
        ("stem", true) => "stem_bn",
        ("head", false) => "top_conv",
        ("head", true) => "top_bn",
        ("classifier", _) => "predictions",
        ("expand", false) => "expand_conv",
        ("expand", true) => "expand_bn",
        ("depthwise", false) => "dwconv",
        ("depthwise", true) => "bn",
        ("reduce", _) => "se_reduce",
        ("excite", _) => "se_expand",
        (_, false) => "project_conv",
        (_, true) => "project_bn",
    };
    match place.block {
        Some((stage, block)) => {
            let letter = char::from(b'a' + block as u8);
            format!("block{}{letter}_{layer}/{tensor}", stage + 1)
        }
        None => format!("{layer}/{tensor}"),
    }
}

/// Every tensor: its own path and values, its foreign name.
fn places(network: &EfficientNet, naming: Naming) -> Vec<(String, String, TensorData)> {
    let of_block = stage_of_block(network.config());
    let name = |path: &str| {
        let words: Vec<&str> = path.split('.').collect();
        let (block, part) = match words[..] {
            ["blocks", number, part, ..] => (number.parse::<usize>().ok(), part),
            _ => (None, words[0]),
        };
        let expands = block.is_some_and(|block| network.blocks[block].expand.is_some());
        let tensor = words[words.len() - 1];
        naming.name(&Place { block: block.map(|block| of_block[block]), part, tensor, expands })
    };
    named_tensors(network)
        .into_iter()
        .map(|(path, data)| {
            let foreign = name(&path);
            (path, foreign, data)
        })
        .collect()
}

/// The stage of each block, and its number there.
fn stage_of_block(config: &VariantConfig) -> Vec<(usize, usize)> {
    let stages = config.stages();
    let of = |(stage, repeats): (usize, usize)| (0..repeats).map(move |block| (stage, block));
    stages.iter().map(|stage| stage.repeats).enumerate().flat_map(of).collect()
}

/// The shape in a foreign file, and the order of axes that turns its values into ours.
fn foreign_shape(naming: Naming, path: &str, shape: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let linear = path.starts_with("classifier") || path.contains(".reduce.") || path.contains(".excite.");
    let squeeze = linear && !path.starts_with("classifier");
    let depthwise = path.contains(".depthwise.");
    match (naming, shape) {
        // A linear layer is kept the other way round, that of squeeze-and-excite as a convolution of one tap.
        (Naming::Timm | Naming::Torchvision, &[inputs, outputs]) if squeeze => {
            (vec![outputs, inputs, 1, 1], vec![1, 0])
        }
        (Naming::Timm | Naming::Torchvision, &[inputs, outputs]) => (vec![outputs, inputs], vec![1, 0]),
        (Naming::Keras, &[inputs, outputs]) if squeeze => (vec![1, 1, inputs, outputs], vec![0, 1]),
        (Naming::Keras, &[outputs, one, height, width]) if depthwise => {
            (vec![height, width, outputs, one], vec![2, 3, 0, 1])
        }
        (Naming::Keras, &[outputs, inputs, height, width]) => {
            (vec![height, width, inputs, outputs], vec![3, 2, 0, 1])
        }
        _ => (shape.to_vec(), (0..shape.len()).collect()),
    }
}

/// Values with their axes in another order: axis `k` of the result is axis `order[k]` of what is given.
fn permuted(values: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
    if order.is_sorted() {
        return values.to_vec();
    }
    let mut strides = vec![1; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * shape[axis + 1];
    }
    let sizes: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
    let place = |mut index: usize| {
        let mut at = 0;
        for (axis, size) in order.iter().zip(&sizes).rev() {
            at += index % size * strides[*axis];
            index /= size;
        }
        values[at]
    };
    (0..values.len()).map(place).collect()
}

/// The tensors of a foreign file under our own names.
///
/// # Errors
/// When tensors are missing, superfluous or of another shape; each is listed, none is guessed.
pub fn import(
    network: &EfficientNet,
    tensors: &Tensors,
    naming: Naming,
) -> Result<Vec<(String, TensorData)>, Error> {
    let mut problems = Vec::new();
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for (path, name, own) in places(network, naming) {
        let (shape, order) = foreign_shape(naming, &path, own.shape());
        known.insert(name.clone());
        match tensors.get(&name) {
            None => problems.push(format!("`{name}` is missing")),
            Some(data) if data.shape().to_vec() != shape => {
                problems.push(format!("`{name}` is {:?} where {shape:?} is needed", data.shape().to_vec()));
            }
            Some(data) => {
                let values: Vec<f32> = data.iter::<f32>().collect();
                // Axes of one element that a convolution of one tap has do not count.
                let mut core = vec![0; order.len()];
                order.iter().zip(own.shape().iter()).for_each(|(axis, size)| core[*axis] = *size);
                let values = permuted(&values, &core, &order);
                found.push((path, TensorData::new(values, own.shape().clone())));
            }
        }
    }
    let counters = |name: &&String| !name.ends_with("num_batches_tracked");
    let others: BTreeSet<&String> =
        tensors.keys().filter(counters).filter(|name| !known.contains(*name)).collect();
    problems.extend(others.into_iter().map(|name| format!("`{name}` is no tensor of this network")));
    if problems.is_empty() { Ok(found) } else { Err(Error::Request(sentence(&problems))) }
}

/// The same for a network that is to tell other classes: a classifier of another shape is left as the network has it.
///
/// # Errors
/// When any other tensor does not fit.
pub fn import_features(
    network: &EfficientNet,
    mut tensors: Tensors,
    naming: Naming,
) -> Result<Vec<(String, TensorData)>, Error> {
    for (name, data) in export(network, naming) {
        let is_classifier = name.starts_with("classifier") || name.starts_with("predictions");
        if is_classifier && tensors.get(&name).is_none_or(|theirs| theirs.shape() != data.shape()) {
            tensors.insert(name, data);
        }
    }
    import(network, &tensors, naming)
}

/// Problems listed, but for very many.
fn sentence(problems: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = match problems.len() {
        count if count > SHOWN => format!(" and {} more", count - SHOWN),
        _ => String::new(),
    };
    let shown = problems[..problems.len().min(SHOWN)].join("; ");
    format!(
        "the weights do not fit: {shown}{more}; check the variant, the number of classes and the numerics"
    )
}

/// The network's tensors under foreign names, their values in the foreign order.
pub fn export(network: &EfficientNet, naming: Naming) -> Vec<(String, TensorData)> {
    let turned = |(path, name, data): (String, String, TensorData)| {
        let (shape, order) = foreign_shape(naming, &path, data.shape());
        let own: Vec<usize> = data.shape().to_vec();
        // The inverse of the order in which they are read.
        let mut inverse = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, axis)| inverse[*axis] = at);
        let values: Vec<f32> = data.iter::<f32>().collect();
        (name, TensorData::new(permuted(&values, &own, &inverse), shape))
    };
    places(network, naming).into_iter().map(turned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use burn::tensor::Device;

    use super::super::{Numerics, Scaling};
    use super::*;

    #[test]
    fn tensors_go_out_and_come_back() {
        let config = VariantConfig {
            scaling: Scaling { width: 0.25, depth: 1.0, resolution: 32, dropout: 0.0 },
            numerics: Numerics::Timm,
            classes: 5,
            stem_stride: 1,
            drop_path: 0.0,
        };
        let network = EfficientNet::new(&config, &Device::flex());
        for naming in [Naming::Timm, Naming::Torchvision, Naming::Keras] {
            let out = export(&network, naming);
            assert_eq!(Naming::of(out.iter().map(|(name, _)| name.as_str())), Some(naming));
            let tensors: HashMap<String, TensorData> = out.into_iter().collect();
            let back: HashMap<String, TensorData> =
                import(&network, &tensors, naming).unwrap().into_iter().collect();
            for (path, _, data) in places(&network, naming) {
                assert_eq!(back[&path], data, "{naming:?} {path}");
            }
            let mut lacking = tensors.clone();
            let name = tensors.keys().max().unwrap().clone();
            lacking.remove(&name);
            lacking.insert("other".into(), TensorData::from([1.0_f32]));
            let error = import(&network, &lacking, naming).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{name}` is missing")) && error.contains("`other` is no tensor")
            );
        }
    }
}
