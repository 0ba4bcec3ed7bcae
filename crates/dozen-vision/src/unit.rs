//! A convolution with what goes with it, as every network of this crate is made of them.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{Activation, Convolution, conv2d};
use dozen_nn::BatchNorm;

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
    activation: Option<Activation>,
}

/// How a unit differs from a dense one at every pixel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) taps: usize,
    pub(crate) stride: usize,
    pub(crate) groups: usize,
    pub(crate) dilation: usize,
    pub(crate) activation: Option<Activation>,
    /// Zeros as TensorFlow's SAME has them.
    pub(crate) same: bool,
    /// Epsilon and momentum.
    pub(crate) norm: [f64; 2],
}

impl Unit {
    /// Normal weights of deviation `sqrt(2 / (taps^2 outputs / groups))`.
    pub(crate) fn new(shape: Shape, device: &Device) -> Self {
        let Shape { inputs, outputs, taps, stride, groups, dilation, activation, same, norm } = shape;
        let deviation = (2.0 / (taps * taps * outputs / groups) as f64).sqrt();
        let sizes = [outputs, inputs / groups, taps, taps];
        let weight = Tensor::random(sizes, Distribution::Normal(0.0, deviation), device);
        Self {
            weight: Param::from_tensor(weight),
            norm: BatchNorm::with(outputs, norm[0], norm[1], device),
            geometry: Convolution {
                stride,
                groups,
                dilation,
                ..Convolution::padded(dilation * (taps - 1) / 2)
            },
            same,
            activation,
        }
    }

    /// The geometry for an image of this height and width.
    pub(crate) fn geometry(&self, image: [usize; 2]) -> Convolution {
        if !self.same {
            return self.geometry;
        }
        let (span, stride) = (self.geometry.dilation * (self.taps() - 1) + 1, self.stride());
        let padding = image.map(|side| {
            // As many outputs as there are strides in the side, an odd zero after it (TensorFlow's SAME).
            let all = ((side.div_ceil(stride) - 1) * stride + span).saturating_sub(side);
            [all / 2, all - all / 2]
        });
        Convolution { padding, ..self.geometry }
    }

    /// Taps on a side.
    pub(crate) fn taps(&self) -> usize {
        self.weight.val().dims()[2]
    }

    /// Pixels between outputs.
    pub(crate) fn stride(&self) -> usize {
        self.geometry.stride
    }

    pub(crate) fn activation(&self) -> Option<Activation> {
        self.activation
    }

    /// `[batch, inputs, height, width]` to `[batch, outputs, height', width']`.
    pub fn forward(&self, x: Tensor<4>, training: bool) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let y = conv2d(x, self.weight.val(), self.geometry([height, width]));
        self.norm.images(y, self.activation(), training)
    }
}
