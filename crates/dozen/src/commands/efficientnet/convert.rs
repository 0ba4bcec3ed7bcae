//! `dozen efficientnet import` and `export`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::{Fingerprint, write_file};
use dozen::nn::{ModelFolder, load_weights, read_tensors, write_tensors};
use dozen::vision::efficientnet::{
    Config, EfficientNet, FAMILY, Model, Naming, Numerics, Scaling, Source, VariantConfig,
    export as export_tensors, import as import_tensors, onnx,
};
use serde_json::json;

use super::scale::number;
use crate::context::Context;
use crate::output::{Failure, Results};
use crate::training::Out;

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// Weights with the names of timm, torchvision or Keras: a safetensors file, PyTorch's .pth, Keras' .h5, or hf:OWNER/NAME of the Hugging Face Hub
    #[arg(value_name = "FILE|hf:NAME")]
    weights: String,
    /// Which network, b0 to b7 [default: what a timm config.json beside the weights says]
    #[arg(long, value_name = "B")]
    variant: Option<String>,
    /// Whose numerics the weights were trained with [default: what config.json says, torchvision with its names, tf with Keras', else timm]
    #[arg(long, value_enum, value_name = "WHOSE")]
    numerics: Option<Numerics>,
    /// A file with the names of the classes, one a line [default: class_0 and so on]
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Sides of the pictures in pixels [default: those that the weights were published with]
    #[arg(long, value_name = "N")]
    image_size: Option<usize>,
    /// A safetensors file with `input` and `logits`: prints the largest difference of the imported network's logits
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// A model folder
    model: PathBuf,
    /// Whose names in a safetensors file, or an ONNX graph
    #[arg(long, value_enum, value_name = "FORM")]
    to: Form,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Form {
    Timm,
    Torchvision,
    Keras,
    Onnx,
}

/// Names of classes, one a line.
fn names(file: Option<&Path>, count: usize) -> Result<Vec<String>, Failure> {
    let Some(file) = file else { return Ok((0..count).map(|class| format!("class_{class}")).collect()) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::request(format!("cannot read `{}`: {error}", file.display())))?;
    let names: Vec<String> = text.lines().map(str::to_owned).collect();
    if names.len() == count {
        return Ok(names);
    }
    Err(Failure::request(format!(
        "`{}` names {} classes, and the weights tell {count}",
        file.display(),
        names.len()
    )))
}

pub(super) fn import(arguments: &Import, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let device = context.device()?;
    let source = Source::open(&arguments.weights)?;
    let variant = match (&arguments.variant, source.variant) {
        (Some(given), _) => number(given)?,
        (None, Some(told)) => told,
        (None, None) => {
            return Err(Failure::request(
                "which network the weights are of is not told beside them; say --variant b0",
            ));
        }
    };
    let numerics = arguments.numerics.unwrap_or(source.numerics);
    let scaling = Scaling::of_variant(variant)?;
    let classes = source.classes().unwrap_or(1000);
    let model = VariantConfig { scaling, numerics, classes, stem_stride: 2, drop_path: 0.0 };
    let network = EfficientNet::new(&model, &device);
    let own = import_tensors(&network, &source.tensors, source.naming)?;
    let mut preprocessing = source.preprocessing(variant);
    if let Some(size) = arguments.image_size {
        preprocessing = preprocessing.of_size(size);
    }
    let config = Config {
        model,
        classes: names(arguments.classes.as_deref(), classes)?,
        preprocessing,
        augmentation: None,
        settings: None,
        record: None,
        data: vec![Fingerprint::of(&source.path.display().to_string())?],
    };
    let run = arguments.out.begin()?;
    ModelFolder::write_config(&run, FAMILY, &config)?;
    let weights = run.path().join("model.safetensors");
    write_tensors(&weights, &own)?;
    let network = load_weights(network, &weights)?;
    let parameters: usize = own
        .iter()
        .filter(|(name, _)| !name.contains("running"))
        .map(|(_, data)| data.shape().to_vec().iter().product::<usize>())
        .sum();
    let model = Model::new(config, network, &device);
    let difference = arguments.verify.as_deref().map(|file| verified(&model, file)).transpose()?;
    let out = run.finish()?.display().to_string();
    let mut json = json!({ "parameters": parameters, "classes": classes, "tensors": own.len(), "out": out });
    let mut lines = vec![format!("{parameters} parameters, {classes} classes, in {out}")];
    if let Some(difference) = difference {
        json["largest_logit_difference"] = difference.into();
        lines.push(format!("largest difference of logits {difference:.3e}"));
    }
    json["seconds"] = started.elapsed().as_secs_f64().into();
    Results::new(json).lines(lines).print(context.json())
}

/// The largest difference of logits from those in a file.
fn verified(model: &Model, file: &Path) -> Result<f64, Failure> {
    let mut tensors = read_tensors(file)?;
    let mut take = |name: &str| {
        let lacking = || {
            Failure::request(format!(
                "`{}` lacks the tensor `{name}`; it needs `input` and `logits`",
                file.display()
            ))
        };
        tensors.remove(name).ok_or_else(lacking)
    };
    let (input, logits) = (take("input")?, take("logits")?);
    if input.shape().to_vec().len() != 4 {
        return Err(Failure::request(format!("`input` in `{}` is no batch of images", file.display())));
    }
    Ok(model.logits_difference(input, &logits))
}

pub(super) fn export(arguments: &Export, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let model = Model::open(&arguments.model, &context.device()?)?;
    let out = &arguments.out;
    let naming = match arguments.to {
        Form::Timm => Some(Naming::Timm),
        Form::Torchvision => Some(Naming::Torchvision),
        Form::Keras => Some(Naming::Keras),
        Form::Onnx => None,
    };
    let shown = out.display().to_string();
    let (tensors, line) = if let Some(naming) = naming {
        let tensors = export_tensors(model.network(), naming);
        write_tensors(out, &tensors)?;
        (tensors.len(), format!("{} tensors in {shown}", tensors.len()))
    } else {
        write_file(out, onnx(model.network(), model.config().preprocessing.size))?;
        (0, format!("the graph is in {shown}"))
    };
    let json = json!({ "tensors": tensors, "out": shown, "seconds": started.elapsed().as_secs_f64() });
    Results::new(json).line(line).print(context.json())
}
