//! The generator: rows of noise.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{
    Activation, Convolution, Prefix, activate, conv_transpose2d, conv2d, prefix_linear_activate,
};
use dozen_nn::{BatchNorm, PrefixLinear};

use super::layer::LEAKY;
use super::{Columns, GanConfig, NetworkConfig, Upsampling};

/// Dense layers, or convolutions from a coarse image to a fine one.
#[derive(Module, Debug)]
pub struct Generator {
    dense: Vec<Hidden>,
    scales: Vec<Scale>,
    last: Last,
    #[module(skip)]
    layout: Columns,
    /// Channels and sides of the coarsest image.
    #[module(skip)]
    coarse: [usize; 3],
}

/// A dense layer, batch normalisation and a unit.
#[derive(Module, Debug)]
struct Hidden {
    linear: PrefixLinear,
    norm: Option<BatchNorm>,
}

/// What gives a row its values.
#[derive(Module, Debug)]
enum Last {
    /// From the units of the last layer.
    Dense(PrefixLinear),
    /// From the channels of the finest scale.
    Pixels(Pixels),
}

/// A 3x3 convolution to the channels of the image.
#[derive(Module, Debug)]
struct Pixels {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Generator {
    /// With starting weights, for this layout of rows and a condition of so many inputs.
    pub fn new(config: &GanConfig, layout: &Columns, condition: usize, device: &Device) -> Self {
        let inputs = config.noise + condition;
        let hidden = |pair: &[usize]| Hidden {
            linear: PrefixLinear::new(Prefix::dense(pair[0], pair[1]), 1.0, device),
            norm: config.batch_norm.then(|| BatchNorm::new(pair[1], device)),
        };
        match &config.network {
            NetworkConfig::Mlp { generator, .. } => {
                let sizes = [&[inputs], &generator[..]].concat();
                let last = Prefix::dense(sizes[sizes.len() - 1], layout.width());
                Self {
                    dense: sizes.windows(2).map(hidden).collect(),
                    scales: Vec::new(),
                    last: Last::Dense(PrefixLinear::new(last, 0.5, device)),
                    layout: layout.clone(),
                    coarse: [0; 3],
                }
            }
            NetworkConfig::Convolutional { shape, generator, upsampling, residual, .. } => {
                let step = 1 << (generator.len() - 1);
                let coarse = [generator[0], shape.height / step, shape.width / step];
                let scale = |pair: &[usize]| {
                    Scale::new([pair[0], pair[1]], *upsampling, [*residual, config.batch_norm], device)
                };
                let finest = generator[generator.len() - 1];
                let weight = filters([shape.channels, finest, 3, 3], finest * 9, device);
                Self {
                    dense: vec![hidden(&[inputs, coarse.iter().product()])],
                    scales: generator.windows(2).map(scale).collect(),
                    last: Last::Pixels(Pixels {
                        weight,
                        bias: Param::from_tensor(Tensor::zeros([shape.channels], device)),
                    }),
                    layout: layout.clone(),
                    coarse,
                }
            }
        }
    }

    /// Noise `[rows, noise]`, and perhaps a condition `[rows, condition]`, to rows as a critic sees them. In training batch normalisation
    /// goes by the batch and moves its averages. Categories are drawn by the device's random numbers.
    pub fn forward(&self, noise: Tensor<2>, condition: Option<&Tensor<2>>, training: bool) -> Tensor<2> {
        let mut x = match condition {
            Some(condition) => Tensor::cat(vec![noise, condition.clone()], 1),
            None => noise,
        };
        for hidden in &self.dense {
            x = hidden.forward(x, training);
        }
        let raw = match &self.last {
            Last::Dense(linear) => linear.forward(x),
            Last::Pixels(Pixels { weight, bias }) => {
                let [channels, height, width] = self.coarse;
                let mut image = x.reshape([-1, channels as i32, height as i32, width as i32]);
                for scale in &self.scales {
                    image = scale.forward(image, training);
                }
                let y = conv2d(image, weight.val(), Convolution::padded(1));
                let [rows, channels, ..] = y.dims();
                (y + bias.val().reshape([1, channels, 1, 1])).reshape([rows as i32, -1])
            }
        };
        self.layout.activate(raw)
    }
}

impl Hidden {
    fn forward(&self, x: Tensor<2>, training: bool) -> Tensor<2> {
        let PrefixLinear { weight, bias, .. } = &self.linear;
        match &self.norm {
            None => prefix_linear_activate(x, weight.val(), bias.val(), self.linear.prefix(), LEAKY),
            Some(norm) => norm.rows(self.linear.forward(x), Some(LEAKY), training),
        }
    }
}

/// Twice the sides: `[rows, inputs, h, w]` to `[rows, outputs, 2h, 2w]`.
#[derive(Module, Debug)]
struct Scale {
    up: Upsampled,
    norm: Option<BatchNorm>,
    past: Option<Past>,
}

/// What a residual block has beside its first convolution.
#[derive(Module, Debug)]
struct Past {
    /// The second convolution: `[outputs, outputs, 3, 3]`.
    second: Param<Tensor<4>>,
    /// The way past both: one tap.
    short: Upsampled,
    norm: Option<BatchNorm>,
}

impl Scale {
    fn new(
        [inputs, outputs]: [usize; 2],
        upsampling: Upsampling,
        [residual, batch_norm]: [bool; 2],
        device: &Device,
    ) -> Self {
        let norm = || batch_norm.then(|| BatchNorm::new(outputs, device));
        let past = residual.then(|| Past {
            second: filters([outputs, outputs, 3, 3], outputs * 9, device),
            short: Upsampled::new([inputs, outputs], 1, device),
            norm: norm(),
        });
        let up = match upsampling {
            Upsampling::Nearest => Upsampled::new([inputs, outputs], 3, device),
            Upsampling::Transposed => Upsampled::transposed([inputs, outputs], device),
        };
        Self { up, norm: norm(), past }
    }

    fn forward(&self, x: Tensor<4>, training: bool) -> Tensor<4> {
        let normed = |norm: &Option<BatchNorm>, x: Tensor<4>, unit: Option<Activation>| match norm {
            Some(norm) => norm.images(x, unit, training),
            None => unit.map_or(x.clone(), |unit| activate(x, unit)),
        };
        let y = normed(&self.norm, self.up.forward(x.clone()), Some(Activation::Relu));
        let Some(past) = &self.past else { return y };
        let y = normed(&past.norm, conv2d(y, past.second.val(), Convolution::padded(1)), None);
        activate(y + past.short.forward(x), Activation::Relu)
    }
}

/// A convolution of an image whose pixels have each become four, or a transposed one.
#[derive(Module, Debug)]
struct Upsampled {
    /// `[outputs, inputs, taps, taps]`; of a transposed convolution `[inputs, outputs, 4, 4]`.
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    nearest: bool,
}

impl Upsampled {
    fn new([inputs, outputs]: [usize; 2], taps: usize, device: &Device) -> Self {
        let weight = filters([outputs, inputs, taps, taps], inputs * taps * taps, device);
        Self { weight, bias: Param::from_tensor(Tensor::zeros([outputs], device)), nearest: true }
    }

    fn transposed([inputs, outputs]: [usize; 2], device: &Device) -> Self {
        // Each value has a quarter of the sixteen taps.
        let weight = filters([inputs, outputs, 4, 4], inputs * 4, device);
        Self { weight, bias: Param::from_tensor(Tensor::zeros([outputs], device)), nearest: false }
    }

    /// Neighbours that stem from one pixel read it through the sum of their taps, so that both kinds are one transposed convolution: four
    /// products a value instead of nine.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let weight = if self.nearest { doubled(self.weight.val()) } else { self.weight.val() };
        let padding = weight.dims()[2] / 2 - 1;
        let geometry = Convolution { stride: 2, ..Convolution::padded(padding) };
        let y = conv_transpose2d(x, weight, geometry, [2 * height, 2 * width]);
        let outputs = y.dims()[1];
        y + self.bias.val().reshape([1, outputs, 1, 1])
    }
}

/// The weight of a transposed convolution at stride 2, `[inputs, outputs, taps + 1, taps + 1]`, that does what doubling each pixel and then a convolution
/// with weight `[outputs, inputs, taps, taps]` do: along each axis `k_2, k_1 + k_2, k_0 + k_1, k_0`.
fn doubled(weight: Tensor<4>) -> Tensor<4> {
    let turned = weight.flip([2, 3]).permute([1, 0, 2, 3]);
    let along_width = turned.clone().pad((0, 1, 0, 0), 0.0) + turned.pad((1, 0, 0, 0), 0.0);
    along_width.clone().pad((0, 0, 0, 1), 0.0) + along_width.pad((0, 0, 1, 0), 0.0)
}

/// Uniform in `+-sqrt(6 / fan_in)` (He et al. 2015).
fn filters(shape: [usize; 4], fan_in: usize, device: &Device) -> Param<Tensor<4>> {
    let bound = (6.0 / fan_in as f64).sqrt();
    Param::from_tensor(Tensor::random(shape, Distribution::Uniform(-bound, bound), device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::to_host;

    #[test]
    fn doubling_pixels_and_a_convolution_are_one_transposed_convolution() {
        let device = Device::flex();
        for taps in [1, 3] {
            let up = Upsampled::new([2, 3], taps, &device);
            let x = Tensor::<4>::random([2, 2, 3, 5], Distribution::Normal(0.0, 1.0), &device);
            let twice =
                x.clone().reshape([2, 2, 3, 1, 5, 1]).expand([2, 2, 3, 2, 5, 2]).reshape([2, 2, 6, 10]);
            let expected = conv2d(twice, up.weight.val(), Convolution::padded(taps / 2));
            let off =
                to_host(up.forward(x) - expected).into_iter().fold(0.0, |most: f32, v| most.max(v.abs()));
            assert!(off < 1e-5, "{taps}: {off}");
        }
    }
}
