//! Convolutions with what goes with them, and the inverted bottleneck made of them.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{Activation, Convolution, Prefix, conv2d, global_mean, scale_channels};
use dozen_nn::{BatchNorm, PrefixLinear};

/// A convolution, batch normalisation and an activation.
#[derive(Module, Debug)]
pub struct Unit {
    /// `[outputs, inputs / groups, taps, taps]`.
    pub weight: Param<Tensor<4>>,
    /// Of its outputs.
    pub norm: BatchNorm,
    #[module(skip)]
    geometry: Convolution,
    #[module(skip)]
    same: bool,
    #[module(skip)]
    active: bool,
}

/// How a unit differs from a dense one at every pixel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) taps: usize,
    pub(super) stride: usize,
    pub(super) groups: usize,
    pub(super) active: bool,
    /// Zeros as TensorFlow's SAME has them.
    pub(super) same: bool,
    /// Epsilon and momentum.
    pub(super) norm: [f64; 2],
}

impl Unit {
    /// Normal weights of deviation `sqrt(2 / (taps^2 outputs / groups))`.
    pub(super) fn new(shape: Shape, device: &Device) -> Self {
        let Shape { inputs, outputs, taps, stride, groups, active, same, norm } = shape;
        let deviation = (2.0 / (taps * taps * outputs / groups) as f64).sqrt();
        let sizes = [outputs, inputs / groups, taps, taps];
        let weight = Tensor::random(sizes, Distribution::Normal(0.0, deviation), device);
        Self {
            weight: Param::from_tensor(weight),
            norm: BatchNorm::with(outputs, norm[0], norm[1], device),
            geometry: Convolution { stride, groups, ..Convolution::padded((taps - 1) / 2) },
            same,
            active,
        }
    }

    /// The geometry for an image of this height and width.
    pub(super) fn geometry(&self, image: [usize; 2]) -> Convolution {
        if !self.same {
            return self.geometry;
        }
        let taps = self.weight.val().dims()[2];
        let stride = self.geometry.stride;
        let padding = image.map(|side| {
            // As many outputs as there are strides in the side, an odd zero after it (TensorFlow's SAME).
            let all = ((side.div_ceil(stride) - 1) * stride + taps).saturating_sub(side);
            [all / 2, all - all / 2]
        });
        Convolution { padding, ..self.geometry }
    }

    pub(super) fn activation(&self) -> Option<Activation> {
        self.active.then_some(Activation::Silu)
    }

    /// `[batch, inputs, height, width]` to `[batch, outputs, height', width']`.
    pub fn forward(&self, x: Tensor<4>, training: bool) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let y = conv2d(x, self.weight.val(), self.geometry([height, width]));
        self.norm.images(y, self.activation(), training)
    }
}

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
            project: Unit::new(Shape { inputs: middle, outputs, active: false, ..pointwise }, device),
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
