//! Inference: batch normalisation folded into the convolutions, and on a CPU all weights packed for its vectors.

use std::sync::Mutex;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use dozen_kernels::mbconv::{Depthwise, MbConv, Part, Pointwise, Stem, Workspace};
use dozen_kernels::{fold_batch_norm, has_kernels};
use dozen_nn::PrefixLinear;
use rayon::prelude::*;

use super::EfficientNet;
use super::block::Block;
use crate::unit::Unit;

/// A network whose weights stay as they are.
#[derive(Debug)]
pub struct Engine {
    network: EfficientNet,
    /// On a CPU; other devices run the network as it is.
    packed: Option<Packed>,
}

impl Engine {
    /// Of a network as it is now.
    pub fn new(network: &EfficientNet) -> Self {
        let network = network.valid();
        let device = network.classifier.weight.val().device();
        Self { packed: has_kernels(&device).then(|| Packed::new(&network)), network }
    }

    /// Logits: `[batch, 3, height, width]` to `[batch, classes]`.
    pub fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        match &self.packed {
            Some(packed) => {
                let (batch, device) = (x.dims()[0], x.device());
                let features = packed.features(&self.network, x);
                rows(packed.classifier.of_rows(&features, rayon::current_num_threads()), batch, &device)
            }
            None => self.network.classifier.forward(self.features(x)),
        }
    }

    /// The seconds of each layer for one image, `[1, 3, height, width]`, on a CPU with all threads; empty on other devices.
    pub fn layer_seconds(&self, x: Tensor<4>) -> Vec<(Layer, f64)> {
        let Some(packed) = &self.packed else { return Vec::new() };
        let [_, _, height, width] = x.dims();
        let (image, threads) = (floats(x), rayon::current_num_threads());
        let (mut layers, mut last) = (Vec::new(), Instant::now());
        let mut done = |layer| {
            layers.push((layer, last.elapsed().as_secs_f64()));
            last = Instant::now();
        };
        rayon::scope(|_| {
            let features = packed.of_image(&self.network, &image, [height, width], threads, &mut done);
            packed.classifier.of_rows(&features, threads);
            done(Layer::Classifier);
        });
        layers
    }

    /// The means of the last convolution's channels, `[batch, channels]`: what the classifier sees.
    pub fn features(&self, x: Tensor<4>) -> Tensor<2> {
        let (batch, device) = (x.dims()[0], x.device());
        match &self.packed {
            Some(packed) => rows(packed.features(&self.network, x), batch, &device),
            None => self.network.means(x),
        }
    }
}

/// A part of the network that is done before the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The first convolution.
    Stem,
    /// A part of a block by its number.
    Block(usize, Part),
    /// The last convolution and the means of its channels.
    Head,
    /// From the means.
    Classifier,
}

fn rows(values: Vec<f32>, batch: usize, device: &Device) -> Tensor<2> {
    let columns = values.len() / batch.max(1);
    Tensor::from_data(TensorData::new(values, [batch, columns]), device)
}

/// The weights as the CPU's kernels read them.
#[derive(Debug)]
struct Packed {
    stem: Stem,
    blocks: Vec<MbConv>,
    head: Pointwise,
    classifier: Pointwise,
    /// Memory between calls, one for each thread that was busy at once.
    spare: Mutex<Vec<Workspace>>,
}

impl Packed {
    fn new(network: &EfficientNet) -> Self {
        let (weights, bias) = folded(&network.stem);
        Self {
            stem: Stem::new(&weights, &bias, network.stem.taps(), network.stem.stride()),
            blocks: network.blocks.iter().map(packed_block).collect(),
            head: pointwise(&network.head),
            classifier: linear(&network.classifier),
            spare: Mutex::default(),
        }
    }

    /// Of each image one row after the other: images side by side, and where there are more threads than images several threads to each.
    fn features(&self, network: &EfficientNet, x: Tensor<4>) -> Vec<f32> {
        let [batch, channels, height, width] = x.dims();
        let values = floats(x);
        let images: Vec<&[f32]> = values.chunks_exact((channels * height * width).max(1)).collect();
        let threads = rayon::current_num_threads();
        let of_images = |images: &[&[f32]], threads: usize| -> Vec<Vec<f32>> {
            images
                .par_iter()
                .map(|image| self.of_image(network, image, [height, width], threads, &mut |_| {}))
                .collect()
        };
        let even = batch / threads * threads;
        // In the pool from the start, so that its threads need not be woken for each layer.
        rayon::scope(|_| {
            let mut features = of_images(&images[..even], 1);
            if even < batch {
                features.extend(of_images(&images[even..], threads / (batch - even)));
            }
            features.concat()
        })
    }

    fn of_image(
        &self,
        network: &EfficientNet,
        image: &[f32],
        sides: [usize; 2],
        threads: usize,
        done: &mut dyn FnMut(Layer),
    ) -> Vec<f32> {
        let mut workspace = self.spare.lock().expect("nothing panics with it").pop().unwrap_or_default();
        let padding = network.stem.geometry(sides).padding;
        let mut x = self.stem.forward(image, sides, padding, threads, &mut workspace);
        done(Layer::Stem);
        for (number, (block, packed)) in network.blocks.iter().zip(&self.blocks).enumerate() {
            let padding = block.depthwise.geometry(x.sides()).padding;
            let mut part = |part| done(Layer::Block(number, part));
            x = packed.forward(x, padding, threads, &mut workspace, &mut part);
        }
        let x = self.head.forward(x, true, threads, &mut workspace);
        let means = x.means();
        done(Layer::Head);
        workspace.give(x);
        self.spare.lock().expect("nothing panics with it").push(workspace);
        means
    }
}

/// A unit's weights and bias with its batch normalisation in them.
pub(super) fn folded(unit: &Unit) -> (Vec<f32>, Vec<f32>) {
    let norm = &unit.norm;
    let moments =
        [norm.gamma.val(), norm.beta.val(), norm.running_mean.value(), norm.running_variance.value()];
    let (weight, bias) = fold_batch_norm(unit.weight.val(), moments, norm.epsilon());
    (floats(weight), floats(bias))
}

fn pointwise(unit: &Unit) -> Pointwise {
    let (weights, bias) = folded(unit);
    Pointwise::new(&weights, &bias)
}

fn linear(layer: &PrefixLinear) -> Pointwise {
    Pointwise::new(&floats(layer.weight.val().transpose()), &floats(layer.bias.val()))
}

fn packed_block(block: &Block) -> MbConv {
    let (weights, bias) = folded(&block.depthwise);
    MbConv {
        expand: block.expand.as_ref().map(pointwise),
        depthwise: Depthwise::new(&weights, &bias, block.depthwise.taps(), block.depthwise.stride()),
        reduce: linear(&block.reduce),
        excite: linear(&block.excite),
        project: pointwise(&block.project),
        skip: block.skip,
    }
}

pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let values = tensor.into_data().convert::<f32>().try_to_vec::<f32>();
    values.expect("a float tensor holds floats")
}
