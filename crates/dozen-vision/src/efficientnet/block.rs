//! The inverted bottleneck.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{Activation, Prefix, global_mean, scale_channels};
use dozen_nn::PrefixLinear;

use crate::unit::{Shape, Unit};

/// An inverted bottleneck with squeeze-and-excite (Sandler et al. 2018; Hu et al. 2018).
#[derive(Module, Debug)]
pub struct Block {
    /// To more channels, where there are more.
    pub expand: Option<Unit>,
    /// Each channel by itself.
    pub depthwise: Unit,
    /// From the channels' means.
    pub reduce: PrefixLinear,
    /// To a factor for each channel.
    pub excite: PrefixLinear,
    /// To the channels after the block, without an activation.
    pub project: Unit,
    #[module(skip)]
    pub(super) skip: bool,
    /// The probability that the block is left out for an image in training.
    #[module(skip)]
    pub(super) drop_path: f64,
}

impl Block {
    pub(super) fn new(
        [inputs, outputs]: [usize; 2],
        expansion: usize,
        shape: Shape,
        drop_path: f64,
        device: &Device,
    ) -> Self {
        let middle = inputs * expansion;
        let pointwise = Shape { taps: 1, stride: 1, groups: 1, ..shape };
        let squeezed = (inputs / 4).max(1);
        let linear = |from: usize, to: usize| PrefixLinear::new(Prefix::dense(from, to), 0.5, device);
        Self {
            expand: (expansion > 1)
                .then(|| Unit::new(Shape { inputs, outputs: middle, ..pointwise }, device)),
            depthwise: Unit::new(Shape { inputs: middle, outputs: middle, groups: middle, ..shape }, device),
            reduce: linear(middle, squeezed),
            excite: linear(squeezed, middle),
            project: Unit::new(Shape { inputs: middle, outputs, activation: None, ..pointwise }, device),
            skip: shape.stride == 1 && inputs == outputs,
            drop_path,
        }
    }

    /// The factor of each channel: `sigmoid(excite(silu(reduce(mean))))`, `[batch, channels]`.
    pub(super) fn factors(&self, means: Tensor<2>) -> Tensor<2> {
        let squeezed = self.reduce.forward_activate(means, Activation::Silu);
        self.excite.forward_activate(squeezed, Activation::Sigmoid)
    }

    /// `[batch, inputs, height, width]` to `[batch, outputs, height', width']`.
    pub fn forward(&self, x: Tensor<4>, training: bool) -> Tensor<4> {
        let mut y = match &self.expand {
            Some(expand) => expand.forward(x.clone(), training),
            None => x.clone(),
        };
        y = self.depthwise.forward(y, training);
        let factors = self.factors(global_mean(y.clone()));
        y = self.project.forward(scale_channels(y, factors), training);
        if !self.skip {
            return y;
        }
        if training && self.drop_path > 0.0 {
            y = self.dropped(y);
        }
        y + x
    }

    /// Zero for some images, and over the share of the others for them (Huang et al. 2016).
    fn dropped(&self, y: Tensor<4>) -> Tensor<4> {
        let keep = 1.0 - self.drop_path;
        let batch = y.dims()[0];
        let kept = Tensor::<4>::random([batch, 1, 1, 1], Distribution::Bernoulli(keep), &y.device());
        y * (kept / keep)
    }
}
