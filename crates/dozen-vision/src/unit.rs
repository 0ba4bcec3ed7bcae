//! A convolution with what goes with it, as every network of this crate is made of them.

use burn::module::{Module, Param};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{Activation, Convolution, Fusion, conv2d, conv2d_fused};
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
    /// For inference: the weights times the normalisation's scale, and its shift.
    #[module(skip)]
    folded: Option<(Tensor<4>, Tensor<1>)>,
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
            folded: None,
        }
    }

    /// Makes evaluation of the weights as they are now one pass.
    pub(crate) fn fold(&mut self) {
        let (scale, shift) = self.norm.scale_and_shift();
        let outputs = scale.dims()[0];
        self.folded = Some((self.weight.val() * scale.reshape([outputs, 1, 1, 1]), shift));
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
        let geometry = self.geometry([height, width]);
        self.normalized(self.convolved(x, geometry), training)
    }

    /// The same weights at several dilations, each on a part of the batch of its own, one after the other; normalised together.
    pub(crate) fn forward_dilated(&self, x: Tensor<4>, dilations: &[usize], training: bool) -> Tensor<4> {
        let part = |(x, dilation): (Tensor<4>, &usize)| {
            let padding = Convolution::padded(dilation * (self.taps() - 1) / 2).padding;
            self.convolved(x, Convolution { dilation: *dilation, padding, ..self.geometry })
        };
        let parts = x.chunk(dilations.len(), 0).into_iter().zip(dilations).map(part).collect();
        self.normalized(Tensor::cat(parts, 0), training)
    }

    fn convolved(&self, x: Tensor<4>, geometry: Convolution) -> Tensor<4> {
        match &self.folded {
            Some((weight, shift)) => {
                let fusion = Fusion { scale: None, bias: Some(shift.clone()), activation: self.activation };
                conv2d_fused(x, weight.clone(), fusion, geometry)
            }
            None => conv2d(x, self.weight.val(), geometry),
        }
    }

    fn normalized(&self, y: Tensor<4>, training: bool) -> Tensor<4> {
        if self.folded.is_some() { y } else { self.norm.images(y, self.activation, training) }
    }
}

/// A convolution of stride one with a bias, that keeps height and width.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[outputs, inputs, taps, taps]`.
    pub weight: Param<Tensor<4>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Option<Activation>,
}

impl Conv {
    /// Normal weights of this deviation, zero biases.
    pub(crate) fn new(
        [inputs, outputs, taps]: [usize; 3],
        deviation: f64,
        activation: Option<Activation>,
        device: &Device,
    ) -> Self {
        let sizes = [outputs, inputs, taps, taps];
        let weight = Tensor::random(sizes, Distribution::Normal(0.0, deviation), device);
        Self {
            weight: Param::from_tensor(weight),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
            activation,
        }
    }

    /// `[batch, inputs, height, width]` to `[batch, outputs, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let weight = self.weight.val();
        let geometry = Convolution::padded((weight.dims()[2] - 1) / 2);
        let fusion = Fusion { scale: None, bias: Some(self.bias.val()), activation: self.activation };
        conv2d_fused(x, weight, fusion, geometry)
    }
}

/// The greatest of `taps` by `taps` pixels, with stride two: `[batch, channels, height, width]` to `[batch, channels, height', width']`.
pub(crate) fn max_pool(x: Tensor<4>, taps: usize) -> Tensor<4> {
    let around = (taps - 1) / 2;
    let mut options = MaxPoolOptions::new([taps; 2]);
    options.stride = [2; 2];
    options.padding = [(around, around); 2];
    max_pool2d(x, options)
}
