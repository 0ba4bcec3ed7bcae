//! Encoders and decoders.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{Activation, Convolution, Fusion, Prefix, activate, conv_transpose2d, conv2d_fused};
use dozen_nn::PrefixLinear;

use super::NetworkConfig;

/// Dense layers with ReLU between them.
#[derive(Module, Debug)]
pub(super) struct Mlp {
    layers: Vec<PrefixLinear>,
}

impl Mlp {
    /// Of these sizes, inputs and outputs among them.
    pub(super) fn new(sizes: &[usize], device: &Device) -> Self {
        let last = sizes.len() - 2;
        let layer = |(depth, pair): (usize, &[usize])| {
            // What comes out begins small.
            let gain = if depth == last { 0.3 } else { 1.0 };
            PrefixLinear::new(Prefix::dense(pair[0], pair[1]), gain, device)
        };
        Self { layers: sizes.windows(2).enumerate().map(layer).collect() }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let mut h = x;
        for layer in &self.layers[..last] {
            h = layer.forward_activate(h, Activation::Relu);
        }
        self.layers[last].forward(h)
    }
}

/// A filter of 4x4 taps with its bias, at every second pixel or back again.
#[derive(Module, Debug)]
struct Halving {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

const TAPS: usize = 4;

fn geometry() -> Convolution {
    Convolution { stride: 2, ..Convolution::padded(1) }
}

impl Halving {
    /// A weight `[ends[0], ends[1], 4, 4]` for sums of `fan_in` terms, and as many biases as there are outputs.
    fn new(ends: [usize; 2], fan_in: usize, outputs: usize, device: &Device) -> Self {
        let bound = (6.0 / fan_in as f64).sqrt();
        let uniform = Distribution::Uniform(-bound, bound);
        Self {
            weight: Param::from_tensor(Tensor::random([ends[0], ends[1], TAPS, TAPS], uniform, device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    fn down(&self, x: Tensor<4>) -> Tensor<4> {
        let fusion = Fusion { scale: None, bias: Some(self.bias.val()), activation: Some(Activation::Relu) };
        conv2d_fused(x, self.weight.val(), fusion, geometry())
    }

    fn up(&self, x: Tensor<4>, image: [usize; 2]) -> Tensor<4> {
        let y = conv_transpose2d(x, self.weight.val(), geometry(), image);
        let channels = y.dims()[1];
        y + self.bias.val().reshape([1, channels, 1, 1])
    }
}

/// Convolutions between an image and a row of values: down for an encoder, up for a decoder.
#[derive(Module, Debug)]
pub(super) struct Pyramid {
    convolutions: Vec<Halving>,
    dense: Mlp,
    /// Channels and sides of the image at each scale, the whole one first.
    #[module(skip)]
    scales: Vec<[usize; 3]>,
}

/// An encoder or a decoder.
#[derive(Module, Debug)]
pub(super) enum Network {
    /// Dense layers.
    Mlp(Mlp),
    /// From an image.
    Down(Pyramid),
    /// To an image.
    Up(Pyramid),
}

impl NetworkConfig {
    /// From inputs and a condition to the latent's parameters.
    pub(super) fn encoder(
        &self,
        inputs: usize,
        condition: usize,
        outputs: usize,
        device: &Device,
    ) -> Network {
        match self {
            Self::Mlp { hidden } => {
                Network::Mlp(Mlp::new(&[&[inputs + condition], &hidden[..], &[outputs]].concat(), device))
            }
            Self::Convolutional { hidden, .. } => {
                let scales = self.scales();
                let convolution = |pair: &[[usize; 3]]| {
                    let [from, to] = [pair[0][0], pair[1][0]];
                    Halving::new([to, from], from * TAPS * TAPS, to, device)
                };
                let convolutions = scales.windows(2).map(convolution).collect();
                let last: usize = scales[scales.len() - 1].iter().product();
                let dense = Mlp::new(&[last + condition, *hidden, outputs], device);
                Network::Down(Pyramid { convolutions, dense, scales })
            }
        }
    }

    /// From the latent and a condition to the likelihood's parameters, `each` for every value of an image.
    pub(super) fn decoder(
        &self,
        latent: usize,
        condition: usize,
        outputs: usize,
        each: usize,
        device: &Device,
    ) -> Network {
        match self {
            Self::Mlp { hidden } => {
                let back: Vec<usize> = hidden.iter().rev().copied().collect();
                Network::Mlp(Mlp::new(&[&[latent + condition], &back[..], &[outputs]].concat(), device))
            }
            Self::Convolutional { hidden, .. } => {
                let mut scales = self.scales();
                scales[0][0] *= each;
                let convolution = |pair: &[[usize; 3]]| {
                    let [to, from] = [pair[0][0], pair[1][0]];
                    // Each value has a quarter of the taps.
                    Halving::new([from, to], from * TAPS * TAPS / 4, to, device)
                };
                let convolutions = scales.windows(2).map(convolution).collect();
                let last: usize = scales[scales.len() - 1].iter().product();
                let dense = Mlp::new(&[latent + condition, *hidden, last], device);
                Network::Up(Pyramid { convolutions, dense, scales })
            }
        }
    }

    fn scales(&self) -> Vec<[usize; 3]> {
        let Self::Convolutional { shape, channels, .. } = self else { return Vec::new() };
        let mut scales = vec![[shape.channels, shape.height, shape.width]];
        for &channels in channels {
            let [_, height, width] = scales[scales.len() - 1];
            let [height, width] = geometry().outputs([height, width], [TAPS; 2]);
            scales.push([channels, height, width]);
        }
        scales
    }
}

impl Network {
    /// `[rows, inputs]` and perhaps `[rows, condition]` to `[rows, outputs]`.
    pub(super) fn forward(&self, x: Tensor<2>, condition: Option<&Tensor<2>>) -> Tensor<2> {
        let with = |x: Tensor<2>| match condition {
            Some(condition) => Tensor::cat(vec![x, condition.clone()], 1),
            None => x,
        };
        let rows = x.dims()[0];
        match self {
            Self::Mlp(mlp) => mlp.forward(with(x)),
            Self::Down(Pyramid { convolutions, dense, scales }) => {
                let [channels, height, width] = scales[0];
                let mut image = x.reshape([rows, channels, height, width]);
                for convolution in convolutions {
                    image = convolution.down(image);
                }
                dense.forward(with(image.reshape([rows as i32, -1])))
            }
            Self::Up(Pyramid { convolutions, dense, scales }) => {
                let [channels, height, width] = scales[scales.len() - 1];
                let mut image = activate(dense.forward(with(x)), Activation::Relu)
                    .reshape([rows, channels, height, width]);
                for (scale, convolution) in convolutions.iter().enumerate().rev() {
                    let [_, height, width] = scales[scale];
                    image = convolution.up(image, [height, width]);
                    if scale > 0 {
                        image = activate(image, Activation::Relu);
                    }
                }
                image.reshape([rows as i32, -1])
            }
        }
    }
}
