//! Gradients of whole networks with every option against differences, and back-propagation through time by hand against both; in f64.

use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Distribution, FloatDType, Tensor, TensorData};
use dozen_kernels::cross_entropy;
use dozen_nn::Device;
use dozen_sequence::bptt::ElmanNetwork;
use dozen_sequence::network::{Inputs, Network, Noise, Packed, Sizes};
use dozen_sequence::{CellKind, DropoutConfig, NetworkConfig};

fn device() -> Device {
    let mut device = Device::flex();
    device.configure(FloatDType::F64).ok();
    device.autodiff()
}

fn plain(cell: CellKind) -> NetworkConfig {
    NetworkConfig {
        cell,
        hidden: 4,
        layers: 2,
        bidirectional: false,
        projection: None,
        layer_norm: false,
        embedding: 3,
        tied: false,
        learned_state: true,
        forget_bias: 1.0,
        dropout: DropoutConfig::default(),
    }
}

const TOKENS: [u32; 9] = [0, 3, 2, 1, 1, 4, 0, 2, 2];

/// The loss of a fixed batch: three sequences, of four, three and two steps.
fn loss(network: &Network) -> Tensor<1> {
    let packed = Packed::new(&[4, 3, 2]);
    let noise = Noise::Seed(7);
    let features = network.features(Inputs::Tokens(Arc::from(TOKENS)), &packed, None, noise);
    let outputs = network.outputs(features.steps, packed.sequences(), noise);
    let targets = TOKENS.map(|token| i64::from((token * 2 + 1) % 5));
    let crf = network.crf.as_ref().map(|crf| {
        let labels = targets.map(|target| target as u32);
        crf.negative_log_likelihood(outputs.clone(), &packed, &labels)
    });
    let own =
        cross_entropy(outputs, Tensor::from_data(targets.as_slice(), &network.head_bias.val().device()))
            .sum()
            + (features.last.clone() * features.last).sum();
    crf.map_or(own.clone(), |crf| crf + own)
}

fn value(network: &Network) -> f64 {
    loss(network).into_scalar::<f64>()
}

/// Adds to one number of all parameters.
struct Nudge {
    left: usize,
    by: f64,
    done: bool,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let size = param.val().shape().num_elements();
        if self.done || self.left >= size {
            self.left = self.left.wrapping_sub(if self.done { 0 } else { size });
            return param;
        }
        self.done = true;
        param.map(|tensor| {
            let device = tensor.device();
            let shape = tensor.shape();
            let mut values: Vec<f64> = tensor.into_data().try_to_vec().unwrap();
            values[self.left] += self.by;
            Tensor::from_data(TensorData::new(values, shape), &device).require_grad()
        })
    }
}

/// Moves every number a little: first states and a CRF's scores begin at zero.
struct Shake;

impl ModuleMapper for Shake {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let noise = Tensor::random(tensor.shape(), Distribution::Uniform(-0.5, 0.5), &tensor.device());
            (tensor + noise).detach().require_grad()
        })
    }
}

/// All gradients in the order of the parameters.
struct Collect<'g>(&'g burn::tensor::Gradients, Vec<f64>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.0).expect("each parameter has a gradient");
        self.1.extend(gradient.into_data().try_to_vec::<f64>().unwrap());
    }
}

fn check(config: &NetworkConfig, crf: bool) {
    let network = Network::new(config, Sizes { inputs: 5, outputs: 5 }, crf, &device());
    let network = network.map(&mut Shake);
    let gradients = loss(&network).backward();
    let mut ours = Collect(&gradients, Vec::new());
    network.visit(&mut ours);
    assert_eq!(ours.1.len(), network.num_params());
    for (index, ours) in ours.1.into_iter().enumerate() {
        let nudged = |by: f64| {
            let nudged = network.clone().map(&mut Nudge { left: index, by, done: false });
            value(&nudged)
        };
        let step = 1e-6;
        let slope = |step: f64| (nudged(step) - nudged(-step)) / (2.0 * step);
        let (near, far) = (slope(step), slope(3.0 * step));
        // Normalised rows bend sharply where they are small: no nearer than differences of two widths are to each other.
        let worth = 1e-6 * (1.0 + ours.abs()) + (near - far).abs();
        assert!((ours - near).abs() < worth, "{config:?}, {index}: {ours} {near} {far}");
    }
}

#[test]
fn networks_with_every_option_pass_the_gradient_check() {
    for cell in [CellKind::Tanh, CellKind::Lstm, CellKind::Gru] {
        check(&plain(cell), false);
        check(&NetworkConfig { bidirectional: true, layers: 1, ..plain(cell) }, true);
        let dropout =
            DropoutConfig { layers: 0.3, variational: 0.2, recurrent: 0.3, weights: 0.2, zoneout: 0.3 };
        check(&NetworkConfig { layer_norm: true, layers: 1, dropout, ..plain(cell) }, false);
        check(&NetworkConfig { tied: true, embedding: 4, layers: 1, ..plain(cell) }, false);
    }
    check(&NetworkConfig { projection: Some(2), bidirectional: true, ..plain(CellKind::Lstm) }, false);
}

/// A small network with numbers that are not small.
fn elman() -> (ElmanNetwork, Vec<Vec<f64>>, Vec<usize>) {
    let mut network = ElmanNetwork::zeros(3, 4, 5);
    for (index, parameter) in network.parameters_mut().enumerate() {
        *parameter = ((index * 37 + 11) % 29) as f64 / 14.5 - 1.0;
    }
    let xs = (0..6).map(|t| (0..3).map(|i| ((t * 5 + i * 3) % 7) as f64 / 3.5 - 1.0).collect()).collect();
    (network, xs, vec![0, 3, 1, 4, 4, 2])
}

#[test]
fn by_hand_it_is_the_gradient() {
    let (network, xs, ys) = elman();
    let mut gradient = network.gradient(&xs, &ys);
    let gradient: Vec<f64> = gradient.parameters_mut().map(|value| *value).collect();
    for (index, ours) in gradient.into_iter().enumerate() {
        let nudged = |by: f64| {
            let mut network = network.clone();
            *network.parameters_mut().nth(index).unwrap() += by;
            network.loss(&xs, &ys)
        };
        let difference = (nudged(1e-6) - nudged(-1e-6)) / 2e-6;
        assert!((ours - difference).abs() < 1e-8, "{index}: {ours} {difference}");
    }
}

#[test]
fn the_recursion_as_some_print_it_is_not_the_gradient() {
    // diag(1 - h^2) after W' instead of before it: the order that does not fit is off by much in dL/dW.
    let (network, xs, ys) = elman();
    let right = network.gradient(&xs, &ys).w;
    let n = network.b.len();
    let mut h = vec![vec![0.0; n]];
    let mut errors = Vec::new();
    for (x, &y) in xs.iter().zip(&ys) {
        let before = h.last().unwrap().clone();
        let dot =
            |m: &[f64], v: &[f64], row: usize| (0..v.len()).map(|j| m[row * v.len() + j] * v[j]).sum::<f64>();
        let now: Vec<f64> = (0..n)
            .map(|i| (dot(&network.u, x, i) + dot(&network.w, &before, i) + network.b[i]).tanh())
            .collect();
        let o: Vec<f64> = (0..5).map(|k| dot(&network.v, &now, k) + network.c[k]).collect();
        let sum: f64 = o.iter().map(|o| o.exp()).sum();
        errors.push((0..5).map(|k| o[k].exp() / sum - f64::from(u8::from(k == y))).collect::<Vec<f64>>());
        h.push(now);
    }
    let mut wrong = vec![0.0; n * n];
    let mut after = vec![0.0; n];
    for t in (0..xs.len()).rev() {
        let slope = |i: usize| 1.0 - h[t + 1][i] * h[t + 1][i];
        let d: Vec<f64> = (0..n)
            .map(|i| (0..5).map(|k| network.v[k * n + i] * errors[t][k]).sum::<f64>() + after[i])
            .collect();
        for i in 0..n {
            for j in 0..n {
                wrong[i * n + j] += slope(i) * d[i] * h[t][j];
            }
        }
        // The printed order, read so that the shapes fit.
        after = (0..n).map(|i| slope(i) * (0..n).map(|j| network.w[j * n + i] * d[j]).sum::<f64>()).collect();
    }
    let off = right.iter().zip(&wrong).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off > 0.05, "{off}");
}

#[test]
fn by_hand_it_is_what_the_fused_network_computes() {
    let (own, xs, ys) = elman();
    let device = device();
    let config = NetworkConfig { layers: 1, embedding: 0, learned_state: false, ..plain(CellKind::Tanh) };
    let mut network = Network::new(&config, Sizes { inputs: 3, outputs: 5 }, false, &device);
    let matrix = |values: &[f64], rows: usize| {
        let shape = [rows, values.len() / rows];
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device).transpose()
    };
    let vector =
        |values: &[f64]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
    let layer = &mut network.layers.layers[0];
    layer.weight_ih = Param::from_tensor(matrix(&own.u, 4));
    layer.weight_hh = Param::from_tensor(matrix(&own.w, 4));
    layer.bias_ih = Param::from_tensor(vector(&own.b));
    layer.bias_hh = Param::from_tensor(vector(&[0.0; 4]));
    network.head = Some(Param::from_tensor(matrix(&own.v, 5)));
    network.head_bias = Param::from_tensor(vector(&own.c));
    let packed = Packed::even(1, xs.len());
    let rows = Tensor::<2>::from_data(TensorData::new(xs.concat(), [xs.len(), 3]), &device);
    let features = network.features(Inputs::Numbers(rows), &packed, None, Noise::None);
    let outputs = network.outputs(features.steps, packed.sequences(), Noise::None);
    let targets: Vec<i64> = ys.iter().map(|&y| y as i64).collect();
    let loss = cross_entropy(outputs, Tensor::from_data(targets.as_slice(), &device)).sum();
    assert!((loss.clone().into_scalar::<f64>() - own.loss(&xs, &ys)).abs() < 1e-12);
    let gradients = loss.backward();
    let by_hand = own.gradient(&xs, &ys);
    let layer = &network.layers.layers[0];
    for (param, expected) in [
        (&layer.weight_ih, &by_hand.u),
        (&layer.weight_hh, &by_hand.w),
        (network.head.as_ref().unwrap(), &by_hand.v),
    ] {
        let ours: Vec<f64> =
            param.val().grad(&gradients).unwrap().transpose().into_data().try_to_vec().unwrap();
        assert!(ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
