//! `dozen detector import`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dozen::data::Fingerprint;
use dozen::nn::{ModelFolder, load_weights, write_tensors};
use dozen::vision::detector::{Config, Detector, FAMILY, Input, import_torchvision, parameters};
use serde_json::json;

use crate::context::Context;
use crate::output::{Failure, Results};
use crate::training::Out;

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// torchvision's fasterrcnn_resnet50_fpn, or the same on another ResNet: a .pth or safetensors file of its state
    weights: PathBuf,
    /// A file with the names of the categories, one a line, without the background [default: category_1 and so on]
    #[arg(long, value_name = "FILE")]
    categories: Option<PathBuf>,
    /// What batch normalisation adds to variances; torchvision's COCO_V1 weights want 0
    #[arg(long, default_value_t = 1e-5, value_name = "E")]
    epsilon: f64,
    /// Pixels of the shorter side
    #[arg(long, default_value_t = 800, value_name = "N")]
    image_size: usize,
    /// The most pixels of the longer side
    #[arg(long, default_value_t = 1333, value_name = "N")]
    longest: usize,
    #[command(flatten)]
    out: Out,
}

pub(super) fn run(arguments: &Import, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let device = context.device()?;
    let (model, own) = import_torchvision(&arguments.weights, arguments.epsilon, &device)?;
    let names = match &arguments.categories {
        None => (1..=model.categories).map(|category| format!("category_{category}")).collect(),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::request(format!("cannot read `{}`: {error}", file.display())))?;
            text.lines().map(str::to_owned).collect::<Vec<String>>()
        }
    };
    if names.len() != model.categories {
        return Err(Failure::request(format!(
            "{} categories are named, and the weights tell {}",
            names.len(),
            model.categories
        )));
    }
    let input = Input { antialias: false, ..Input::imagenet(arguments.image_size, arguments.longest) };
    let config = Config {
        model,
        input,
        categories: names,
        settings: None,
        record: None,
        data: vec![Fingerprint::of(&arguments.weights.display().to_string())?],
    };
    let run = arguments.out.begin()?;
    ModelFolder::write_config(&run, FAMILY, &config)?;
    let weights = run.path().join("model.safetensors");
    write_tensors(&weights, &own)?;
    let network = load_weights(Detector::new(&config.model, &device), &weights)?;
    let (count, categories) = (parameters(&network), config.categories.len());
    let out = run.finish()?.display().to_string();
    let json = json!({
        "parameters": count,
        "categories": categories,
        "tensors": own.len(),
        "out": out,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let line = format!("{count} parameters, {categories} categories, in {out}");
    Results::new(json).line(line).print(context.json())
}
