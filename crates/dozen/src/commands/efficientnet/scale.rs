//! `dozen efficientnet scale`.

use clap::Args;
use dozen::vision::efficientnet::{Numerics, Scaling, VariantConfig, cost};
use serde_json::json;

use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Scale {
    /// The compound coefficient: work grows by two to it
    #[arg(long, value_name = "PHI", conflicts_with = "variant")]
    phi: Option<f64>,
    /// Depth is it to the power of phi
    #[arg(long, default_value_t = 1.2, value_name = "F")]
    alpha: f64,
    /// Width is it to the power of phi
    #[arg(long, default_value_t = 1.1, value_name = "F")]
    beta: f64,
    /// Resolution is 224 times it to the power of phi
    #[arg(long, default_value_t = 1.15, value_name = "F")]
    gamma: f64,
    /// One of the published networks, b0 to b7
    #[arg(long, value_name = "B")]
    variant: Option<String>,
    /// Classes to tell
    #[arg(long, default_value_t = 1000, value_name = "N")]
    classes: usize,
}

/// The number of a variant named `b0` to `b7`.
pub(super) fn number(variant: &str) -> Result<usize, Failure> {
    let digits = variant.trim_start_matches(['b', 'B']);
    digits
        .parse()
        .map_err(|_| Failure::request(format!("there is no EfficientNet `{variant}`; they are b0 to b7")))
}

pub(super) fn run(arguments: &Scale, context: &Context) -> Result<(), Failure> {
    let scaling = if let Some(variant) = &arguments.variant {
        Scaling::of_variant(number(variant)?)?
    } else {
        let factors = [arguments.alpha, arguments.beta, arguments.gamma];
        Scaling::compound(arguments.phi.unwrap_or(0.0), factors)
    };
    let config = VariantConfig {
        scaling,
        numerics: Numerics::Timm,
        classes: arguments.classes,
        stem_stride: 2,
        drop_path: 0.0,
    };
    config.validate()?;
    let found = cost(&config);
    let stages = config.stages();
    let [stem, head] = config.ends();
    let (channels, repeats): (Vec<usize>, Vec<usize>) =
        stages.iter().map(|stage| (stage.outputs, stage.repeats)).unzip();
    let json = json!({
        "depth": scaling.depth,
        "width": scaling.width,
        "resolution": scaling.resolution,
        "stem_channels": stem,
        "stage_channels": channels,
        "stage_repeats": repeats,
        "head_channels": head,
        "parameters": found.parameters,
        "multiply_adds": found.multiply_adds,
        "seconds": 0.0,
    });
    let lines = [
        format!(
            "depth {:.3}, width {:.3}, {} x {} pixels",
            scaling.depth, scaling.width, scaling.resolution, scaling.resolution
        ),
        format!("channels {stem}, {channels:?}, {head}; blocks {repeats:?}"),
        format!(
            "{} parameters, {:.3} billion multiply-adds",
            found.parameters,
            found.multiply_adds as f64 / 1e9
        ),
    ];
    Results::new(json).lines(lines).print(context.json())
}
