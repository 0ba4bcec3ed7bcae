//! How long a network takes.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Int, Tensor};
use dozen_kernels::cross_entropy;
use dozen_kernels::mbconv::Part;
use dozen_nn::{Optimizer, OptimizerConfig, Trained};

use super::count::layers;
use super::engine::Layer;
use super::{EfficientNet, Engine};

/// One layer's share of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerTime {
    /// As in `blocks.3.depthwise`.
    pub name: String,
    /// The median over the rounds.
    pub seconds: f64,
    /// Of the layer for one image.
    pub multiply_adds: u64,
}

/// Seconds of each of `rounds` calls for a batch of random images, after two that do not count.
pub fn inference_seconds(engine: &Engine, shape: [usize; 4], rounds: usize, device: &Device) -> Vec<f64> {
    let x = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), device);
    let call = || {
        let started = Instant::now();
        let _ = engine.logits(x.clone()).into_data();
        started.elapsed().as_secs_f64()
    };
    (0..rounds + 2).map(|_| call()).skip(2).collect()
}

/// Seconds of each of `rounds` training steps (cross-entropy, SGD with momentum) on a batch of random images, after one that does not count.
pub fn training_seconds(
    network: EfficientNet,
    shape: [usize; 4],
    rounds: usize,
    device: &Device,
) -> Vec<f64> {
    let device = device.clone().autodiff();
    let classes = network.config().classes;
    let optimizer = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.9 }, None);
    let mut network = Trained::new(network, optimizer, None);
    let x = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let labels: Vec<i32> = (0..shape[0]).map(|image| (image * 7 % classes) as i32).collect();
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    let mut step = |seed: u64| {
        let started = Instant::now();
        let loss = cross_entropy(network.module().forward(x.clone(), Some(seed)), labels.clone()).mean();
        network.descend(&loss, 1e-3);
        // On a device that works while the program goes on, the loss alone would come too early.
        let _ = network.module().classifier.bias.val().into_data();
        started.elapsed().as_secs_f64()
    };
    step(0);
    (1..=rounds as u64).map(step).collect()
}

/// The median seconds of each layer for one square image on a CPU with all threads; empty on other devices.
pub fn layer_times(network: &EfficientNet, size: usize, rounds: usize, device: &Device) -> Vec<LayerTime> {
    let engine = Engine::new(network);
    let x = Tensor::<4>::random([1, 3, size, size], Distribution::Normal(0.0, 1.0), device);
    engine.layer_seconds(x.clone());
    let rounds: Vec<Vec<(Layer, f64)>> =
        (0..rounds.max(1)).map(|_| engine.layer_seconds(x.clone())).collect();
    let work = layers(network.config(), size);
    let median = |layer: usize| {
        let mut seconds: Vec<f64> = rounds.iter().map(|round| round[layer].1).collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    rounds[0]
        .iter()
        .enumerate()
        .map(|(at, (layer, _))| LayerTime {
            name: name(*layer),
            seconds: median(at),
            multiply_adds: work[at].multiply_adds,
        })
        .collect()
}

fn name(layer: Layer) -> String {
    match layer {
        Layer::Stem => "stem".into(),
        Layer::Block(number, Part::Depthwise) => format!("blocks.{number}.depthwise"),
        Layer::Block(number, Part::Excite) => format!("blocks.{number}.excite"),
        Layer::Block(number, Part::Project) => format!("blocks.{number}.project"),
        Layer::Head => "head".into(),
        Layer::Classifier => "classifier".into(),
    }
}
