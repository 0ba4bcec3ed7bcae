//! Weights that others have trained: torchvision's detectors, and ResNets under torchvision's and timm's names.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::TensorData;
use dozen_nn::{Error, ModelFolder, named_tensors, read_tensors};

use super::resnet::TRIDENT_STAGE;
use super::{Backbone, BoxesConfig, Detector, DetectorConfig, Head, Neck, ResNetConfig};
use crate::efficientnet::{self, Numerics, Source, import_features};
use crate::weights::{Tensors, read_weights};

/// How many numbers a detector learns.
pub fn parameters(network: &Detector) -> usize {
    let learnt = |(path, data): &(String, TensorData)| {
        if path.contains("running_") { 0 } else { data.shape().to_vec().iter().product() }
    };
    named_tensors(network).iter().map(learnt).sum()
}

/// torchvision's name of a tensor, within the backbone for that.
fn foreign(path: &str) -> Option<String> {
    let words: Vec<&str> = path.split('.').collect();
    let norm = |tensor: &str| match tensor {
        "gamma" => "weight".to_owned(),
        "beta" => "bias".to_owned(),
        "running_variance" => "running_var".to_owned(),
        other => other.to_owned(),
    };
    // `weight` of a convolution, or what its normalisation has.
    let of_unit = |rest: &[&str], convolution: &str, batch_norm: &str| match rest {
        ["norm", tensor] => Some(format!("{batch_norm}.{}", norm(tensor))),
        [tensor] => Some(format!("{convolution}.{tensor}")),
        _ => None,
    };
    let after = |number: &str| number.parse::<usize>().ok().map(|number| number + 1);
    match words.as_slice() {
        ["resnet", "stem", rest @ ..] => of_unit(rest, "conv1", "bn1"),
        ["resnet", "stages", stage, unit, "convolutions", convolution, rest @ ..] => {
            let (layer, number) = (after(stage)?, after(convolution)?);
            let within = format!("layer{layer}.{unit}");
            of_unit(rest, &format!("{within}.conv{number}"), &format!("{within}.bn{number}"))
        }
        ["resnet", "stages", stage, unit, "shortcut", rest @ ..] => {
            let within = format!("layer{}.{unit}.downsample", after(stage)?);
            of_unit(rest, &format!("{within}.0"), &format!("{within}.1"))
        }
        ["pyramid", "lateral", level, tensor] => {
            Some(format!("backbone.fpn.inner_blocks.{level}.0.{tensor}"))
        }
        ["pyramid", "smooth", level, tensor] => Some(format!("backbone.fpn.layer_blocks.{level}.0.{tensor}")),
        ["proposals", "convolution", tensor] => Some(format!("rpn.head.conv.0.0.{tensor}")),
        ["proposals", "objectness", tensor] => Some(format!("rpn.head.cls_logits.{tensor}")),
        ["proposals", "corrections", tensor] => Some(format!("rpn.head.bbox_pred.{tensor}")),
        ["second", "hidden", "0", tensor] => Some(format!("roi_heads.box_head.fc6.{tensor}")),
        ["second", "hidden", _, tensor] => Some(format!("roi_heads.box_head.fc7.{tensor}")),
        ["second", "linear", "0", tensor] => Some(format!("roi_heads.box_predictor.cls_score.{tensor}")),
        ["second", "linear", _, tensor] => Some(format!("roi_heads.box_predictor.bbox_pred.{tensor}")),
        _ => None,
    }
}

/// A tensor for ours of this shape: a linear layer's weights are kept the other way round.
fn fitted(name: &str, own: &TensorData, theirs: &TensorData) -> Result<TensorData, String> {
    let (wanted, found) = (own.shape().to_vec(), theirs.shape().to_vec());
    let values: Vec<f32> = theirs.iter::<f32>().collect();
    match (wanted.as_slice(), found.as_slice()) {
        (&[inputs, outputs], &[rows, columns]) if rows == outputs && columns == inputs => {
            let turned =
                (0..inputs * outputs).map(|at| values[at % outputs * inputs + at / outputs]).collect();
            Ok(TensorData::new::<f32, _>(turned, wanted))
        }
        _ if wanted == found && wanted.len() != 2 => Ok(TensorData::new(values, wanted)),
        _ => Err(format!("`{name}` is {found:?} where {wanted:?} is needed")),
    }
}

/// Problems listed, but for very many.
fn refused(path: &Path, problems: &[String]) -> Error {
    const SHOWN: usize = 20;
    let more = match problems.len() {
        count if count > SHOWN => format!(" and {} more", count - SHOWN),
        _ => String::new(),
    };
    let shown = problems[..problems.len().min(SHOWN)].join("; ");
    Error::Request(format!("`{}` does not fit: {shown}{more}", path.display()))
}

/// A detector's tensors, those of its backbone from elsewhere: of a ResNet from a file with the names of torchvision or timm, of
/// an EfficientNet from a file with those of timm, torchvision or Keras, or the model folder of `dozen efficientnet`; of
/// either from another detector's model folder. Classifiers are left.
///
/// # Errors
/// When there are no such weights, or they are of another backbone; each tensor is listed, none is guessed.
pub fn import_backbone(network: &Detector, path: &Path) -> Result<Vec<(String, TensorData)>, Error> {
    let folder = if path.is_dir() { Some(ModelFolder::open(path)?) } else { None };
    let of_classifier = folder.as_ref().is_some_and(|folder| folder.family() == efficientnet::FAMILY);
    let (tensors, names): (Tensors, NameOf) = match (&network.efficientnet, folder) {
        (Some(backbone), None) => {
            let source = Source::open(&path.display().to_string())?;
            let own = import_features(backbone, source.tensors, source.naming)?;
            (own.into_iter().collect(), within_efficientnet)
        }
        (Some(_), Some(folder)) if of_classifier => (read_tensors(&folder.weights())?, within_efficientnet),
        (None, None) => (read_weights(path)?, |path| foreign(path).filter(|_| path.starts_with("resnet."))),
        (_, Some(folder)) => (read_tensors(&folder.weights())?, of_backbone),
    };
    let mut problems = Vec::new();
    let mut all = Vec::new();
    for (path, own) in named_tensors(network) {
        let begun = match names(&path) {
            Some(name) if tensors.contains_key(&name) => path.clone(),
            _ => of_stage(&path, network.config()).unwrap_or_else(|| path.clone()),
        };
        // A classifier's own layer has the shape of its classes, and is not used.
        let Some(name) = names(&begun).filter(|name| !name.starts_with("classifier")) else {
            all.push((path, own));
            continue;
        };
        // As they stand, or as the backbone of a detector.
        let theirs = tensors.get(&name).or_else(|| tensors.get(&format!("backbone.body.{name}")));
        let ours = name == begun || of_classifier || network.efficientnet.is_some();
        let fit =
            |theirs: &TensorData| if ours { same(&name, &own, theirs) } else { fitted(&name, &own, theirs) };
        match theirs.map(fit) {
            None => problems.push(format!("`{name}` is missing")),
            Some(Err(problem)) => problems.push(problem),
            Some(Ok(data)) => all.push((path, data)),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(refused(path, &problems)) }
}

/// The numerics that the weights of an EfficientNet were trained with.
///
/// # Errors
/// When there are no such weights.
pub fn numerics_of(path: &Path) -> Result<Numerics, Error> {
    if !path.is_dir() {
        return Ok(Source::open(&path.display().to_string())?.numerics);
    }
    let folder = ModelFolder::open(path)?;
    if folder.family() == efficientnet::FAMILY {
        return Ok(folder.config_of::<efficientnet::Config>(efficientnet::FAMILY)?.model.numerics);
    }
    match folder.config_of::<super::Config>(super::FAMILY)?.model.backbone {
        Backbone::Efficientnet(variant) => Ok(variant.numerics),
        Backbone::Resnet(_) => {
            Err(Error::Request(format!("the detector in `{}` has a ResNet", path.display())))
        }
    }
}

/// The name elsewhere of a tensor of the backbone; none of others.
type NameOf = fn(&str) -> Option<String>;

fn of_backbone(path: &str) -> Option<String> {
    let is_backbone = path.starts_with("resnet.") || path.starts_with("efficientnet.");
    is_backbone.then(|| path.to_owned())
}

/// Of a tensor of a branch with weights of its own, that of the stage, at which it begins where there are no others for it.
fn of_stage(path: &str, config: &DetectorConfig) -> Option<String> {
    let (_branch, rest) = path.strip_prefix("resnet.others.")?.split_once('.')?;
    let (unit, rest) = rest.split_once('.')?;
    let unit = unit.parse::<usize>().ok()? + config.branches.as_ref()?.first();
    Some(format!("resnet.stages.{TRIDENT_STAGE}.{unit}.{rest}"))
}

/// The path in an EfficientNet by itself.
fn within_efficientnet(path: &str) -> Option<String> {
    path.strip_prefix("efficientnet.").map(str::to_owned)
}

/// A tensor for ours of this shape, as it stands.
fn same(name: &str, own: &TensorData, theirs: &TensorData) -> Result<TensorData, String> {
    if own.shape() == theirs.shape() {
        return Ok(theirs.clone());
    }
    Err(format!("`{name}` is {:?} where {:?} is needed", theirs.shape().to_vec(), own.shape().to_vec()))
}

/// torchvision's Faster R-CNN with a pyramid on a ResNet: its configuration, with its tensors under our paths.
///
/// # Errors
/// When the file holds no such detector; each tensor that does not fit is listed.
pub fn import_torchvision(
    path: &Path,
    epsilon: f64,
    device: &burn::tensor::Device,
) -> Result<(DetectorConfig, Vec<(String, TensorData)>), Error> {
    let mut tensors = renamed(read_weights(path)?);
    let shape = |name: &str| tensors.get(name).map(|data| data.shape().to_vec());
    let (Some(classes), Some(_), Some(anchors)) = (
        shape("roi_heads.box_predictor.cls_score.bias"),
        shape("backbone.fpn.inner_blocks.0.0.weight"),
        shape("rpn.head.cls_logits.bias"),
    ) else {
        return Err(Error::Request(format!(
            "`{}` holds no Faster R-CNN of torchvision with a pyramid on a ResNet: it lacks `roi_heads.box_predictor.cls_score.bias` or `backbone.fpn.inner_blocks.0.0.weight`",
            path.display()
        )));
    };
    if anchors != [3] {
        return Err(Error::Request(format!(
            "`{}` has {anchors:?} anchors at each place of a map, and torchvision's three ratios are known",
            path.display()
        )));
    }
    let has = |name: &str| tensors.contains_key(name);
    let layers =
        match (has("backbone.body.layer1.0.conv3.weight"), has("backbone.body.layer3.22.conv1.weight")) {
            (true, true) => 101,
            (true, false) => 50,
            (false, _) if has("backbone.body.layer1.2.conv1.weight") => 34,
            (false, _) => 18,
        };
    let units = shape("roi_heads.box_head.fc6.bias").map_or(1024, |shape| shape[0]);
    let config = DetectorConfig {
        backbone: Backbone::Resnet(ResNetConfig { epsilon, ..ResNetConfig::of_layers(layers) }),
        neck: Neck::Fpn,
        head: Head::Linear { units },
        branches: None,
        scales: vec![32.0, 64.0, 128.0, 256.0, 512.0],
        ratios: vec![0.5, 1.0, 2.0],
        categories: classes[0].saturating_sub(1),
        boxes: BoxesConfig::TORCHVISION,
    };
    config.validate()?;
    let mut problems = Vec::new();
    let mut all = Vec::new();
    for (path, own) in named_tensors(&Detector::new(&config, device)) {
        let Some(name) = foreign(&path) else { continue };
        let name = if path.starts_with("resnet.") { format!("backbone.body.{name}") } else { name };
        match tensors.remove(&name).map(|theirs| fitted(&name, &own, &theirs)) {
            None => problems.push(format!("`{name}` is missing")),
            Some(Err(problem)) => problems.push(problem),
            Some(Ok(data)) => all.push((path, data)),
        }
    }
    let counters = |name: &&String| !name.ends_with("num_batches_tracked");
    let others: BTreeSet<&String> = tensors.keys().filter(counters).collect();
    problems.extend(others.into_iter().map(|name| format!("`{name}` is no tensor of this detector")));
    if problems.is_empty() { Ok((config, all)) } else { Err(refused(path, &problems)) }
}

/// Names of older files as newer ones have them.
fn renamed(tensors: Tensors) -> Tensors {
    let newer = |name: String| {
        for level in 0..4 {
            for block in ["inner_blocks", "layer_blocks"] {
                for tensor in ["weight", "bias"] {
                    if name == format!("backbone.fpn.{block}.{level}.{tensor}") {
                        return format!("backbone.fpn.{block}.{level}.0.{tensor}");
                    }
                }
            }
        }
        match name.as_str() {
            "rpn.head.conv.weight" => "rpn.head.conv.0.0.weight".to_owned(),
            "rpn.head.conv.bias" => "rpn.head.conv.0.0.bias".to_owned(),
            _ => name,
        }
    };
    tensors.into_iter().map(|(name, data)| (newer(name), data)).collect()
}
