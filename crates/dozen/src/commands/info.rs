//! `dozen info MODEL`.

use std::path::PathBuf;

use clap::Args;
use dozen::nn::ModelFolder;
use serde_json::{Value, json};

use crate::context::Context;
use crate::output::{Failure, Results};

/// Which model.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A model folder
    model: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let folder = ModelFolder::open(&arguments.model)?;
    let config = folder.config();
    let bytes = std::fs::metadata(folder.weights()).map_or(0, |file| file.len());
    let mut json = json!({ "folder": arguments.model.display().to_string(), "weights_bytes": bytes });
    if let (Value::Object(json), Value::Object(config)) = (&mut json, config.clone()) {
        json.extend(config);
    }
    let mut results = Results::new(json)
        .line(format!(
            "{}: {} model, format {}",
            arguments.model.display(),
            folder.family(),
            config["format"]
        ))
        .line(format!("weights   {bytes} bytes"))
        .line(format!("model     {}", config["model"]))
        .line(format!("training  {}", config["training"]))
        .line(format!(
            "written by dozen {} on burn {}",
            text(&config["written_by"]["dozen"]),
            text(&config["written_by"]["burn"])
        ));
    if let Some(columns) = config["columns"].as_array() {
        results = results.line(format!("columns   {}", columns.len()));
    }
    for file in config["data"].as_array().into_iter().flatten() {
        results =
            results.line(format!("data      {} (sha256 {})", text(&file["file"]), text(&file["sha256"])));
    }
    results.print(context.json())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}
