//! Steps over images (Dinh et al. 2017; Kingma and Dhariwal 2018). A row holds an image channel after channel; a step works on as many first
//! columns as its shape has values and leaves the others, which is what makes a flow multiscale: half of the channels are at the base already.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor, TensorData, activation};
use dozen_data::ImageShape;
use dozen_kernels::{Activation, Convolution, Fusion, conv2d_fused};

use super::bijection::{affine_forward, affine_inverse, held};
use super::{Actnorm, Linear, Stepped, no_change};
use crate::flow::Mask;

/// The image of each row, and what of the row is not in it.
fn split(x: Tensor<2>, shape: ImageShape) -> (Tensor<4>, Option<Tensor<2>>) {
    let [rows, columns] = x.dims();
    let size = shape.size();
    let rest = (columns > size).then(|| x.clone().narrow(1, size, columns - size));
    let ImageShape { channels, height, width } = shape;
    (x.narrow(1, 0, size).reshape([rows, channels, height, width]), rest)
}

fn join<const D: usize>(image: Tensor<D>, rest: Option<Tensor<2>>) -> Tensor<2> {
    let rows = image.dims()[0];
    let flat = image.reshape([rows as i32, -1]);
    match rest {
        Some(rest) => Tensor::cat(vec![flat, rest], 1),
        None => flat,
    }
}

/// Squares of two by two pixels become channels: `[c, h, w]` to `[4c, h/2, w/2]`.
#[derive(Module, Debug)]
pub struct Squeeze {
    #[module(skip)]
    shape: ImageShape,
}

impl Squeeze {
    /// Of images of this shape.
    pub fn new(shape: ImageShape) -> Self {
        Self { shape }
    }

    /// Towards the base.
    pub fn forward(&self, x: Tensor<2>) -> Stepped {
        let (log, (image, rest)) = (no_change(&x), split(x, self.shape));
        let ([rows, ..], ImageShape { channels, height, width }) = (image.dims(), self.shape);
        let squares = image.reshape([rows, channels, height / 2, 2, width / 2, 2]);
        (join(squares.permute([0, 1, 3, 5, 2, 4]), rest), log)
    }

    /// Towards the data.
    pub fn inverse(&self, z: Tensor<2>) -> Stepped {
        let (log, (image, rest)) = (no_change(&z), split(z, self.shape));
        let ([rows, ..], ImageShape { channels, height, width }) = (image.dims(), self.shape);
        let squares = image.reshape([rows, channels, 2, 2, height / 2, width / 2]);
        (join(squares.permute([0, 1, 4, 2, 5, 3]), rest), log)
    }
}

/// A step of the channels of a pixel.
#[derive(Module, Debug)]
pub enum PixelStep {
    /// A scale and a shift of each channel.
    Actnorm(Actnorm),
    /// An invertible matrix: a 1x1 convolution.
    Linear(Linear),
}

/// The same step at each pixel.
#[derive(Module, Debug)]
pub struct EachPixel {
    step: PixelStep,
    #[module(skip)]
    shape: ImageShape,
}

impl EachPixel {
    /// Of images of this shape.
    pub fn new(step: PixelStep, shape: ImageShape) -> Self {
        Self { step, shape }
    }

    /// Begun at a batch, where the step is an actnorm.
    #[must_use]
    pub fn fitted(self, x: &Tensor<2>) -> Self {
        let step = match self.step {
            PixelStep::Actnorm(step) => {
                PixelStep::Actnorm(step.fitted(&pixels(split(x.clone(), self.shape).0)))
            }
            PixelStep::Linear(step) => PixelStep::Linear(step),
        };
        Self { step, ..self }
    }

    /// Towards the base.
    pub fn forward(&self, x: Tensor<2>) -> Stepped {
        self.each(x, |pixels| match &self.step {
            PixelStep::Actnorm(step) => step.forward(pixels),
            PixelStep::Linear(step) => step.forward(pixels),
        })
    }

    /// Towards the data.
    pub fn inverse(&self, z: Tensor<2>) -> Stepped {
        self.each(z, |pixels| match &self.step {
            PixelStep::Actnorm(step) => step.inverse(pixels),
            PixelStep::Linear(step) => step.inverse(pixels),
        })
    }

    fn each(&self, x: Tensor<2>, step: impl FnOnce(Tensor<2>) -> Stepped) -> Stepped {
        let (image, rest) = split(x, self.shape);
        let [rows, channels, height, width] = image.dims();
        let (pixels, log) = step(pixels(image));
        let image = pixels.reshape([rows, height, width, channels]).permute([0, 3, 1, 2]);
        (join(image, rest), log.reshape([rows, height * width]).sum_dim(1))
    }
}

/// `[rows, channels, height, width]` to `[rows height width, channels]`.
fn pixels(image: Tensor<4>) -> Tensor<2> {
    let [rows, channels, height, width] = image.dims();
    image.permute([0, 2, 3, 1]).reshape([rows * height * width, channels])
}

/// A convolution with its bias.
#[derive(Module, Debug)]
struct Layer {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Layer {
    fn new([outputs, inputs, taps]: [usize; 3], gain: f64, device: &Device) -> Self {
        let bound = gain * (6.0 / (inputs * taps * taps) as f64).sqrt();
        let uniform = Distribution::Uniform(-bound, bound);
        Self {
            weight: Param::from_tensor(Tensor::random([outputs, inputs, taps, taps], uniform, device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    fn forward(&self, x: Tensor<4>, activation: Option<Activation>) -> Tensor<4> {
        let weight = self.weight.val();
        let padding = weight.dims()[2] / 2;
        let fusion = Fusion { scale: None, bias: Some(self.bias.val()), activation };
        conv2d_fused(x, weight, fusion, Convolution::padded(padding))
    }
}

/// What a scale's parameter is held within.
const STEEPEST: f64 = 3.0;

/// Some values of an image by scales and shifts that a network of convolutions, 3x3, 1x1 and 3x3, makes of the others.
#[derive(Module, Debug)]
pub struct ImageCoupling {
    layers: Vec<Layer>,
    /// What a condition adds to the first layer: `[context, hidden]`.
    condition: Option<Param<Tensor<2>>>,
    #[module(skip)]
    mask: Mask,
    #[module(skip)]
    shape: ImageShape,
}

impl ImageCoupling {
    /// Begins near the identity.
    pub fn new(shape: ImageShape, mask: Mask, hidden: usize, context: usize, device: &Device) -> Self {
        let all = shape.channels;
        let (kept, changed) = match mask {
            Mask::Checkerboard { .. } => (all, all),
            Mask::Channels { .. } => (all / 2, all - all / 2),
        };
        let layers = vec![
            Layer::new([hidden, kept, 3], 1.0, device),
            Layer::new([hidden, hidden, 1], 1.0, device),
            Layer::new([2 * changed, hidden, 3], 0.01, device),
        ];
        let condition = (context > 0).then(|| {
            let bound = (6.0 / context as f64).sqrt();
            let uniform = Distribution::Uniform(-bound, bound);
            Param::from_tensor(Tensor::random([context, hidden], uniform, device))
        });
        Self { layers, condition, mask, shape }
    }

    /// Towards the base.
    pub fn forward(&self, x: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.step(x, context, affine_forward)
    }

    /// Towards the data.
    pub fn inverse(&self, z: Tensor<2>, context: Option<&Tensor<2>>) -> Stepped {
        self.step(z, context, affine_inverse)
    }

    fn step(
        &self,
        x: Tensor<2>,
        context: Option<&Tensor<2>>,
        function: impl FnOnce(Tensor<4>, Tensor<4>, Tensor<4>) -> (Tensor<4>, Tensor<4>),
    ) -> Stepped {
        let (image, rest) = split(x, self.shape);
        let rows = image.dims()[0];
        let (image, logs) = match self.mask {
            Mask::Checkerboard { odd } => {
                let kept = self.board(odd, &image);
                let changed = kept.clone().neg() + 1.0;
                let (shift, log_scale) = self.parameters(image.clone() * kept, context);
                function(image, shift * changed.clone(), log_scale * changed)
            }
            Mask::Channels { first } => {
                let half = self.shape.channels / 2;
                let (kept_at, changed_at) = if first { (self.shape.channels - half, 0) } else { (0, half) };
                let kept = image.clone().narrow(1, kept_at, half);
                let changed = image.narrow(1, changed_at, self.shape.channels - half);
                let (shift, log_scale) = self.parameters(kept.clone(), context);
                let (changed, logs) = function(changed, shift, log_scale);
                let parts = if first { vec![changed, kept] } else { vec![kept, changed] };
                (Tensor::cat(parts, 1), logs)
            }
        };
        (join(image, rest), logs.reshape([rows as i32, -1]).sum_dim(1))
    }

    /// Shifts, and the logarithms of scales `sigmoid(a + 2)`: they shrink, for there are many couplings, and what stretches in each of them
    /// overflows (as in Glow's code).
    fn parameters(&self, kept: Tensor<4>, context: Option<&Tensor<2>>) -> (Tensor<4>, Tensor<4>) {
        let h = match (&self.condition, context) {
            (Some(condition), Some(context)) => {
                let added = context.clone().matmul(condition.val());
                let [rows, hidden] = added.dims();
                let h = self.layers[0].forward(kept, None) + added.reshape([rows, hidden, 1, 1]);
                dozen_kernels::activate(h, Activation::Relu)
            }
            _ => self.layers[0].forward(kept, Some(Activation::Relu)),
        };
        let h = self.layers[1].forward(h, Some(Activation::Relu));
        let both = self.layers[2].forward(h, None);
        let changed = both.dims()[1] / 2;
        let log_scales =
            activation::log_sigmoid(held(both.clone().narrow(1, changed, changed), STEEPEST) + 2.0);
        (both.narrow(1, 0, changed), log_scales)
    }

    /// Ones where a row and a column add up to an even number, or with `odd` an odd one: `[1, 1, height, width]`.
    fn board(&self, odd: bool, like: &Tensor<4>) -> Tensor<4> {
        let ImageShape { height, width, .. } = self.shape;
        let kept = |place: usize| ((place / width + place % width) % 2 == 1) == odd;
        let values: Vec<f32> = (0..height * width).map(|place| f32::from(u8::from(kept(place)))).collect();
        let data = TensorData::new(values, [1, 1, height, width]);
        Tensor::<4>::from_data(data, &like.device()).cast(like.dtype())
    }
}
