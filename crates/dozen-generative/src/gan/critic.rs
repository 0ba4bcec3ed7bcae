//! The critic, or discriminator: a value f for each row, the logit of `D = sigmoid(f)`.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use dozen_kernels::{Dropout, Prefix, dropout, prefix_linear};
use dozen_nn::PrefixLinear;

use super::layer::Layer;
use super::{GanConfig, Lipschitz, NetworkConfig};

/// `f(x, y) = w . phi(x) + b + phi(x) . V y`: a feature network, its head, and for a condition y the projection (Miyato and Koyama 2018, eq. 4).
#[derive(Module, Debug)]
pub struct Critic {
    layers: Vec<Layer>,
    head: PrefixLinear,
    /// V: `[condition, features]`.
    projection: Option<Param<Tensor<2>>>,
    /// What a row's features are multiplied by before they are compared with those of the batch: `[features, likeness KERNELS]`.
    likeness: Option<Param<Tensor<2>>>,
    /// The greatest slope, where spectral norms hold it.
    #[module(skip)]
    slope: Option<f64>,
    #[module(skip)]
    dropout: f64,
}

/// Values by which each feature of the batch compares its rows.
const KERNELS: usize = 16;

impl Critic {
    /// With starting weights, for rows of `inputs` values and a condition of so many.
    pub fn new(config: &GanConfig, inputs: usize, condition: usize, device: &Device) -> Self {
        let slope = match config.lipschitz {
            Lipschitz::Spectral { slope } => Some(slope),
            _ => None,
        };
        let spectral = slope.is_some();
        let (layers, features) = match &config.network {
            NetworkConfig::Mlp { critic, .. } => dense_layers(config, inputs, critic, spectral, device),
            NetworkConfig::Convolutional { .. } => convolutions(config, spectral, device),
        };
        let normal = |shape: [usize; 2], deviation: f64| {
            Param::from_tensor(Tensor::random(shape, Distribution::Normal(0.0, deviation), device))
        };
        let compared = config.minibatch_features;
        let scale = (features as f64).sqrt().recip();
        Self {
            layers,
            head: PrefixLinear::new(Prefix::dense(features + compared, 1), 0.3, device),
            projection: (condition > 0).then(|| normal([condition, features], scale)),
            likeness: (compared > 0).then(|| normal([features, compared * KERNELS], scale)),
            slope,
            dropout: config.dropout,
        }
    }

    /// The value of each row, `[rows, inputs]` to `[rows, 1]`, in use.
    pub fn value(&self, x: Tensor<2>, condition: Option<&Tensor<2>>) -> Tensor<2> {
        self.forward(x, condition, false, Dropout::NONE)
    }

    /// The value of each row in training: batch normalisation goes by the batch, and a seed says what is dropped.
    pub fn value_in_training(&self, x: Tensor<2>, condition: Option<&Tensor<2>>, seed: u64) -> Tensor<2> {
        self.forward(x, condition, true, Dropout { probability: self.dropout, seed })
    }

    fn forward(
        &self,
        x: Tensor<2>,
        condition: Option<&Tensor<2>>,
        training: bool,
        dropped: Dropout,
    ) -> Tensor<2> {
        let mut features = x;
        for (depth, layer) in self.layers.iter().enumerate() {
            features = dropout(layer.forward(features, training), dropped.at(depth as u64, 1.0));
        }
        let projected = self.projected(&features, condition);
        let seen = match &self.likeness {
            Some(weight) => Tensor::cat(vec![features.clone(), likeness(&features, weight.val())], 1),
            None => features,
        };
        let value = prefix_linear(seen, self.head_weight(), self.head.bias.val(), self.head.prefix());
        match projected {
            Some(projected) => value + projected,
            None => value,
        }
    }

    /// The gradient of each row's value by the row, `[rows, inputs]`, as a function of the weights that can be descended in turn.
    ///
    /// A leaky unit's slope changes only where it is zero, so that this is exact. Of a critic without batch normalisation, dropout and
    /// minibatch features.
    pub fn input_gradient(&self, x: Tensor<2>, condition: Option<&Tensor<2>>) -> Tensor<2> {
        let rows = x.dims()[0];
        let mut values = vec![x];
        for layer in &self.layers {
            values.push(layer.forward(values[values.len() - 1].clone(), false));
        }
        let head = self.head_weight().transpose();
        let features = head.dims()[1];
        let mut upstream = head.expand([rows, features]);
        if let (Some(projection), Some(condition)) = (&self.projection, condition) {
            upstream = upstream + condition.clone().matmul(projection.val());
        }
        for (depth, layer) in self.layers.iter().enumerate().rev() {
            upstream = layer.input_gradient(values[depth].clone(), &values[depth + 1], upstream);
        }
        upstream
    }

    /// Of each dense layer and of the head: `[inputs, outputs]` and `[outputs]`.
    pub(super) fn dense_parameters(&self) -> impl Iterator<Item = (&Param<Tensor<2>>, &Param<Tensor<1>>)> {
        self.layers.iter().filter_map(Layer::dense_parameters).chain([(&self.head.weight, &self.head.bias)])
    }

    /// One power iteration of each layer's spectral norm; a critic without them is left as it is.
    pub fn iterate_norms(&self) {
        self.layers.iter().for_each(Layer::iterate);
    }

    /// A row's norm is its greatest singular value; what the layers before it give has slopes of at most one.
    fn head_weight(&self) -> Tensor<2> {
        let weight = self.head.weight.val();
        let Some(slope) = self.slope else { return weight };
        let norm = weight.clone().square().sum().sqrt();
        weight / (norm + 1e-12).unsqueeze() * slope
    }

    fn projected(&self, features: &Tensor<2>, condition: Option<&Tensor<2>>) -> Option<Tensor<2>> {
        let projection = self.projection.as_ref()?.val();
        Some((features.clone() * condition?.clone().matmul(projection)).sum_dim(1))
    }
}

/// `sum_j exp(-|M_i - M_j|_1)` over the other rows j of a batch, for each of several products M of the features (Salimans et al. 2016, section 3.2).
fn likeness(features: &Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let rows = features.dims()[0];
    let kinds = weight.dims()[1] / KERNELS;
    let products = features.clone().matmul(weight).reshape([rows, kinds, KERNELS]);
    let of = |axis: usize| products.clone().unsqueeze_dim::<4>(axis);
    let distances = (of(0) - of(1)).abs().sum_dim(3).squeeze_dim::<3>(3);
    distances.neg().exp().sum_dim(1).squeeze_dim::<2>(1) - 1.0
}

fn dense_layers(
    config: &GanConfig,
    inputs: usize,
    units: &[usize],
    spectral: bool,
    device: &Device,
) -> (Vec<Layer>, usize) {
    let sizes = [&[inputs], units].concat();
    let layer = |pair: &[usize]| Layer::dense([pair[0], pair[1]], spectral, config.critic_batch_norm, device);
    (sizes.windows(2).map(layer).collect(), sizes[sizes.len() - 1])
}

fn convolutions(config: &GanConfig, spectral: bool, device: &Device) -> (Vec<Layer>, usize) {
    let NetworkConfig::Convolutional { shape, critic, residual, .. } = &config.network else {
        return (Vec::new(), 0);
    };
    let mut sides = [shape.channels, shape.height, shape.width];
    let mut layers = Vec::new();
    for (depth, &channels) in critic.iter().enumerate() {
        let last = depth + 1 == critic.len();
        let stride = if last { 1 } else { 2 };
        let (layer, after) = if *residual {
            Layer::residual(sides, channels, stride, spectral, device)
        } else {
            // DCGAN has none after the first.
            let norm = config.critic_batch_norm && depth > 0 && !last;
            Layer::convolution(sides, channels, stride, [spectral, norm], device)
        };
        layers.push(layer);
        sides = after;
    }
    (layers, sides.iter().product())
}
