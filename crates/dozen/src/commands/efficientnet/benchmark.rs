//! `dozen efficientnet benchmark`.

use std::time::Instant;

use clap::Args;
use dozen::kernels::mbconv::multiply_adds_per_second;
use dozen::vision::efficientnet::{
    EfficientNet, Engine, LayerTime, Numerics, Scaling, VariantConfig, inference_seconds, layer_times,
    training_seconds,
};
use serde_json::json;

use super::scale::number;
use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct Benchmark {
    /// Which network, b0 to b7, with random weights
    #[arg(long, default_value = "b0", value_name = "B")]
    variant: String,
    /// Sides of the pictures in pixels [default: the variant's]
    #[arg(long, value_name = "N")]
    image_size: Option<usize>,
    /// Pictures at once
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch_size: usize,
    /// Calls that are timed
    #[arg(long, default_value_t = 20, value_name = "N")]
    rounds: usize,
    /// Time training steps instead
    #[arg(long)]
    training: bool,
    /// Time each layer, too, for one picture
    #[arg(long)]
    layers: bool,
}

pub(super) fn run(arguments: &Benchmark, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let device = context.device()?;
    if arguments.batch_size == 0 || arguments.rounds == 0 {
        return Err(Failure::request("--batch-size and --rounds must be at least 1"));
    }
    let scaling = Scaling::of_variant(number(&arguments.variant)?)?;
    let (numerics, size) = (Numerics::Timm, arguments.image_size.unwrap_or(scaling.resolution));
    let model = VariantConfig { scaling, numerics, classes: 1000, stem_stride: 2, drop_path: 0.0 };
    let shape = [arguments.batch_size, 3, size, size];
    let mut seconds = if arguments.training {
        let network = EfficientNet::new(&model, &device.clone().autodiff());
        training_seconds(network, shape, arguments.rounds, &device)
    } else {
        let engine = Engine::new(&EfficientNet::new(&model, &device));
        inference_seconds(&engine, shape, arguments.rounds, &device)
    };
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let layers = if arguments.layers {
        layer_times(&EfficientNet::new(&model, &device), size, arguments.rounds, &device)
    } else {
        Vec::new()
    };
    let peak = (!layers.is_empty()).then(|| multiply_adds_per_second() * rayon::current_num_threads() as f64);
    let share = |layer: &LayerTime| peak.map(|peak| layer.multiply_adds as f64 / layer.seconds / peak);
    let rows: Vec<_> = layers
        .iter()
        .map(|layer| {
            json!({
                "name": layer.name,
                "milliseconds": 1e3 * layer.seconds,
                "multiply_adds": layer.multiply_adds,
                "share_of_peak": share(layer),
            })
        })
        .collect();
    let json = json!({
        "milliseconds": 1e3 * median,
        "fastest_milliseconds": 1e3 * seconds[0],
        "images_per_second": arguments.batch_size as f64 / median,
        "rounds": seconds.len(),
        "peak_multiply_adds_per_second": peak,
        "layers": rows,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let what = if arguments.training { "a training step on" } else { "inference of" };
    let mut lines = vec![format!(
        "{what} {} pictures of {size} x {size}: {:.2} ms, {:.1} pictures a second (median of {})",
        arguments.batch_size,
        1e3 * median,
        arguments.batch_size as f64 / median,
        seconds.len()
    )];
    lines.extend(layers.iter().map(|layer| {
        let share = 100.0 * share(layer).unwrap_or(0.0);
        format!(
            "  {:20} {:8.3} ms {:8.2} million multiply-adds, {share:3.0} % of the peak",
            layer.name,
            1e3 * layer.seconds,
            layer.multiply_adds as f64 / 1e6
        )
    }));
    Results::new(json).lines(lines).print(context.json())
}
