//! Layers of a critic: each with its value, and with the gradient by its input written out in tracked operations, so that a penalty on that
//! gradient has an exact gradient of its own by one backward pass.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{
    Activation, Convolution, Fusion, Prefix, activate, conv_transpose2d, conv2d_fused, prefix_linear_activate,
};
use dozen_nn::{BatchNorm, PrefixLinear};

use super::spectral::Spectral;

/// Of the negative side in every critic.
const SLOPE: f64 = 0.2;

pub(super) const LEAKY: Activation = Activation::LeakyRelu { slope: SLOPE };

/// The upstream gradient where a leaky unit's output is positive, and the slope of it elsewhere. The output's sign is its input's.
pub(super) fn through_leaky(output: &Tensor<2>, upstream: Tensor<2>) -> Tensor<2> {
    let negative = output.clone().detach().lower_elem(0.0);
    let slopes = upstream.ones_like().mask_fill(negative, SLOPE);
    upstream * slopes
}

/// A linear layer with a leaky unit after it: `[rows, inputs]` to `[rows, outputs]`.
#[derive(Module, Debug)]
pub(super) struct Dense {
    linear: PrefixLinear,
    spectral: Option<Spectral>,
    norm: Option<BatchNorm>,
}

impl Dense {
    fn weight(&self) -> Tensor<2> {
        let weight = self.linear.weight.val();
        match &self.spectral {
            Some(spectral) => weight.clone() / spectral.norm(weight).unsqueeze(),
            None => weight,
        }
    }

    fn forward(&self, x: Tensor<2>, training: bool) -> Tensor<2> {
        let (weight, bias, prefix) = (self.weight(), self.linear.bias.val(), self.linear.prefix());
        match &self.norm {
            None => prefix_linear_activate(x, weight, bias, prefix, LEAKY),
            Some(norm) => {
                let y = dozen_kernels::prefix_linear(x, weight, bias, prefix);
                norm.rows(y, Some(LEAKY), training)
            }
        }
    }
}

/// A convolution of images that lie in rows, channel after channel.
#[derive(Module, Debug)]
pub(super) struct Filter {
    /// `[outputs, inputs, taps, taps]`.
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    spectral: Option<Spectral>,
    #[module(skip)]
    geometry: Convolution,
    /// Channels, height and width before and after.
    #[module(skip)]
    shapes: [[usize; 3]; 2],
}

impl Filter {
    /// Square filters of `taps` at every `stride`-th pixel.
    pub(super) fn new(
        [channels, height, width]: [usize; 3],
        outputs: usize,
        [taps, stride]: [usize; 2],
        spectral: bool,
        device: &Device,
    ) -> Self {
        let padding = if taps == 2 { 0 } else { (taps - 1) / 2 };
        let mut geometry = Convolution { stride, ..Convolution::padded(padding) };
        if taps == 2 {
            // An odd side's last line has a partner outside.
            geometry.padding = [[0, height % 2], [0, width % 2]];
        }
        let [rows, columns] = geometry.outputs([height, width], [taps; 2]);
        let fan_in = channels * taps * taps;
        let bound = (6.0 / fan_in as f64).sqrt();
        let shape = [outputs, channels, taps, taps];
        Self {
            weight: Param::from_tensor(Tensor::random(shape, Distribution::Uniform(-bound, bound), device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
            spectral: spectral.then(|| Spectral::new([outputs, fan_in], device)),
            geometry,
            shapes: [[channels, height, width], [outputs, rows, columns]],
        }
    }

    pub(super) fn outputs(&self) -> [usize; 3] {
        self.shapes[1]
    }

    fn matrix(&self) -> Tensor<2> {
        let weight = self.weight.val();
        let [outputs, ..] = weight.dims();
        weight.reshape([outputs as i32, -1])
    }

    fn weight(&self) -> Tensor<4> {
        let weight = self.weight.val();
        match &self.spectral {
            Some(spectral) => weight / spectral.norm(self.matrix()).reshape([1, 1, 1, 1]),
            None => weight,
        }
    }

    fn image(&self, x: Tensor<2>) -> Tensor<4> {
        let [rows, _] = x.dims();
        let [channels, height, width] = self.shapes[0];
        x.reshape([rows, channels, height, width])
    }

    pub(super) fn forward(&self, x: Tensor<2>, activation: Option<Activation>) -> Tensor<2> {
        let rows = x.dims()[0];
        let fusion = Fusion { scale: None, bias: Some(self.bias.val()), activation };
        let y = conv2d_fused(self.image(x), self.weight(), fusion, self.geometry);
        y.reshape([rows as i32, -1])
    }

    /// The gradient by the input, of that by the output: the convolution turned round.
    pub(super) fn input_gradient(&self, upstream: Tensor<2>) -> Tensor<2> {
        let rows = upstream.dims()[0];
        let [[_, height, width], [outputs, lines, columns]] = self.shapes;
        let upstream = upstream.reshape([rows, outputs, lines, columns]);
        let gradient = conv_transpose2d(upstream, self.weight(), self.geometry, [height, width]);
        gradient.reshape([rows as i32, -1])
    }

    fn iterate(&self) {
        if let Some(spectral) = &self.spectral {
            spectral.iterate(self.matrix());
        }
    }
}

/// `leaky(second(leaky(first(x))) + past(x))`: two convolutions and a way past them (He et al. 2016), which may halve the sides.
#[derive(Module, Debug)]
pub(super) struct Residual {
    first: Filter,
    second: Filter,
    past: Filter,
}

impl Residual {
    fn new(shape: [usize; 3], outputs: usize, stride: usize, spectral: bool, device: &Device) -> Self {
        let first = Filter::new(shape, outputs, [3, 1], spectral, device);
        let second = Filter::new(first.outputs(), outputs, [3, stride], spectral, device);
        let past = Filter::new(shape, outputs, [stride, stride], spectral, device);
        Self { first, second, past }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let inner = self.first.forward(x.clone(), Some(LEAKY));
        activate(self.second.forward(inner, None) + self.past.forward(x, None), LEAKY)
    }

    fn input_gradient(&self, x: Tensor<2>, upstream: Tensor<2>) -> Tensor<2> {
        let inner = self.first.forward(x, Some(LEAKY));
        let through = through_leaky(&inner, self.second.input_gradient(upstream.clone()));
        self.first.input_gradient(through) + self.past.input_gradient(upstream)
    }
}

/// A convolution, perhaps batch normalisation, and a leaky unit.
#[derive(Module, Debug)]
pub(super) struct Convolved {
    filter: Filter,
    norm: Option<BatchNorm>,
}

impl Convolved {
    fn forward(&self, x: Tensor<2>, training: bool) -> Tensor<2> {
        let Some(norm) = &self.norm else { return self.filter.forward(x, Some(LEAKY)) };
        let rows = x.dims()[0];
        let [channels, height, width] = self.filter.outputs();
        let y = self.filter.forward(x, None).reshape([rows, channels, height, width]);
        norm.images(y, Some(LEAKY), training).reshape([rows as i32, -1])
    }
}

/// A layer of a critic, with a leaky unit at its end.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a critic has a handful of layers")]
pub(super) enum Layer {
    /// `[rows, inputs]` to `[rows, outputs]`.
    Dense(Dense),
    /// Of images.
    Convolution(Convolved),
    /// Two convolutions and a way past them.
    Residual(Residual),
}

impl Layer {
    pub(super) fn dense(
        [inputs, outputs]: [usize; 2],
        spectral: bool,
        batch_norm: bool,
        device: &Device,
    ) -> Self {
        Self::Dense(Dense {
            linear: PrefixLinear::new(Prefix::dense(inputs, outputs), 1.0, device),
            spectral: spectral.then(|| Spectral::new([inputs, outputs], device)),
            norm: batch_norm.then(|| BatchNorm::new(outputs, device)),
        })
    }

    pub(super) fn convolution(
        shape: [usize; 3],
        outputs: usize,
        stride: usize,
        [spectral, batch_norm]: [bool; 2],
        device: &Device,
    ) -> (Self, [usize; 3]) {
        let filter = Filter::new(shape, outputs, [3, stride], spectral, device);
        let after = filter.outputs();
        let norm = batch_norm.then(|| BatchNorm::new(outputs, device));
        (Self::Convolution(Convolved { filter, norm }), after)
    }

    pub(super) fn residual(
        shape: [usize; 3],
        outputs: usize,
        stride: usize,
        spectral: bool,
        device: &Device,
    ) -> (Self, [usize; 3]) {
        let block = Residual::new(shape, outputs, stride, spectral, device);
        let after = block.second.outputs();
        (Self::Residual(block), after)
    }

    /// `[rows, inputs]` to `[rows, outputs]`. In training batch normalisation goes by the batch and moves its averages.
    pub(super) fn forward(&self, x: Tensor<2>, training: bool) -> Tensor<2> {
        match self {
            Self::Dense(dense) => dense.forward(x, training),
            Self::Convolution(convolved) => convolved.forward(x, training),
            Self::Residual(block) => block.forward(x),
        }
    }

    /// The gradient by the input of a layer without batch normalisation, given what it was given and what it gave.
    pub(super) fn input_gradient(&self, x: Tensor<2>, output: &Tensor<2>, upstream: Tensor<2>) -> Tensor<2> {
        let upstream = through_leaky(output, upstream);
        match self {
            Self::Dense(dense) => upstream.matmul(dense.weight().transpose()),
            Self::Convolution(Convolved { filter, .. }) => filter.input_gradient(upstream),
            Self::Residual(block) => block.input_gradient(x, upstream),
        }
    }

    /// Of a dense layer: `[inputs, outputs]` and `[outputs]`.
    pub(super) fn dense_parameters(&self) -> Option<(&Param<Tensor<2>>, &Param<Tensor<1>>)> {
        match self {
            Self::Dense(Dense { linear, .. }) => Some((&linear.weight, &linear.bias)),
            Self::Convolution(_) | Self::Residual(_) => None,
        }
    }

    /// One power iteration of each spectral norm.
    pub(super) fn iterate(&self) {
        match self {
            Self::Dense(dense) => {
                if let Some(spectral) = &dense.spectral {
                    spectral.iterate(dense.linear.weight.val());
                }
            }
            Self::Convolution(Convolved { filter, .. }) => filter.iterate(),
            Self::Residual(block) => {
                [&block.first, &block.second, &block.past].into_iter().for_each(Filter::iterate);
            }
        }
    }
}
