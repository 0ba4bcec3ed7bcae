//! The network.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_kernels::{Activation, Dropout, Prefix, dropout, global_mean};
use dozen_nn::PrefixLinear;

use super::block::Block;
use super::{Numerics, VariantConfig};
use crate::unit::{Shape, Unit};

/// An EfficientNet: `[batch, 3, height, width]` to `[batch, classes]`.
#[derive(Module, Debug)]
pub struct EfficientNet {
    /// The first convolution.
    pub stem: Unit,
    /// Of all stages, one after the other.
    pub blocks: Vec<Block>,
    /// The last convolution.
    pub head: Unit,
    /// From the means of its channels.
    pub classifier: PrefixLinear,
    #[module(skip)]
    config: VariantConfig,
}

impl EfficientNet {
    /// With starting weights.
    pub fn new(config: &VariantConfig, device: &Device) -> Self {
        let [stem, head] = config.ends();
        let shape = Shape {
            inputs: 3,
            outputs: stem,
            taps: 3,
            stride: config.stem_stride,
            groups: 1,
            dilation: 1,
            activation: Some(Activation::Silu),
            same: config.numerics == Numerics::Tf,
            norm: config.norm(),
        };
        let stages = config.stages();
        let count: usize = stages.iter().map(|stage| stage.repeats).sum();
        let mut channels = stem;
        let mut blocks = Vec::with_capacity(count);
        for stage in stages {
            for repeat in 0..stage.repeats {
                let stride = if repeat == 0 { stage.stride } else { 1 };
                let drop_path = config.drop_path * blocks.len() as f64 / count as f64;
                let shape = Shape { taps: stage.taps, stride, ..shape };
                let ends = [channels, stage.outputs];
                blocks.push(Block::new(ends, stage.expansion, shape, drop_path, device));
                channels = stage.outputs;
            }
        }
        let last = Shape { inputs: channels, outputs: head, taps: 1, stride: 1, ..shape };
        Self {
            stem: Unit::new(shape, device),
            blocks,
            head: Unit::new(last, device),
            classifier: PrefixLinear::new(Prefix::dense(head, config.classes), 0.1, device),
            config: *config,
        }
    }

    /// The shape.
    pub fn config(&self) -> &VariantConfig {
        &self.config
    }

    /// Logits: `[batch, 3, height, width]` to `[batch, classes]`. In training batch normalisation goes by the batch, blocks are left out, and features
    /// dropped, by the device's random numbers and the seed.
    pub fn forward(&self, x: Tensor<4>, training: Option<u64>) -> Tensor<2> {
        let mut means = self.pooled(x, training.is_some());
        if let Some(seed) = training {
            means = dropout(means, Dropout { probability: self.config.scaling.dropout, seed });
        }
        self.classifier.forward(means)
    }

    /// The means of the last convolution's channels in evaluation: `[batch, channels]`.
    pub fn means(&self, x: Tensor<4>) -> Tensor<2> {
        self.pooled(x, false)
    }

    /// What the last convolution gives in evaluation: `[batch, channels, height, width]`.
    pub fn maps(&self, x: Tensor<4>) -> Tensor<4> {
        self.head.forward(self.body(x, false), false)
    }

    fn pooled(&self, x: Tensor<4>, training: bool) -> Tensor<2> {
        global_mean(self.head.forward(self.body(x, training), training))
    }

    /// What the last block gives.
    fn body(&self, x: Tensor<4>, training: bool) -> Tensor<4> {
        let stem = self.stem.forward(x, training);
        self.blocks.iter().fold(stem, |x, block| block.forward(x, training))
    }

    /// The last output of each scale: strides 2, 4, 8, 16 and 32, as a detector's backbone gives them.
    pub fn features(&self, x: Tensor<4>, training: bool) -> Vec<Tensor<4>> {
        let mut x = self.stem.forward(x, training);
        let mut scales = Vec::new();
        for block in &self.blocks {
            if block.depthwise.stride() > 1 {
                scales.push(x.clone());
            }
            x = block.forward(x, training);
        }
        scales.push(x);
        scales
    }
}
