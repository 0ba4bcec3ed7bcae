//! EfficientNet-B0 (Tan and Le 2019, table 1) out of this crate's operations, with weights from a formula, so that
//! `bench/kernels.py` has the same network in PyTorch.

use burn::tensor::{Device, Int, Tensor, TensorData};
use dozen_kernels::{
    Activation, Convolution, Fusion, Prefix, activate, batch_norm_activate, conv2d, conv2d_fused,
    cross_entropy, each_image, fold_batch_norm, global_mean, prefix_linear, scale_channels, sgd_step,
};

const SILU: Option<Activation> = Some(Activation::Silu);
/// Expansion, taps, stride, outputs, repeats.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 16, 1],
    [6, 3, 2, 24, 2],
    [6, 5, 2, 40, 2],
    [6, 3, 2, 80, 3],
    [6, 5, 1, 112, 3],
    [6, 5, 2, 192, 4],
    [6, 3, 1, 320, 1],
];
const EPSILON: f64 = 1e-5;

/// A convolution, batch normalisation and activation.
struct Unit {
    weight: usize,
    convolution: Convolution,
    activation: Option<Activation>,
}

/// The linear layer whose weight is parameter `0` and whose bias is the next.
struct Linear(usize, Prefix);

struct Block {
    expand: Option<Unit>,
    depthwise: Unit,
    squeeze: Linear,
    excite: Linear,
    project: Unit,
    skip: bool,
}

/// The network; its parameters lie apart, in the order in which they were made.
pub(crate) struct B0 {
    stem: Unit,
    blocks: Vec<Block>,
    head: Unit,
    classifier: Linear,
    pub(crate) parameters: Vec<Tensor<1>>,
    shapes: Vec<Vec<usize>>,
}

#[derive(Default)]
struct Maker {
    parameters: Vec<Tensor<1>>,
    shapes: Vec<Vec<usize>>,
}

impl Maker {
    /// `scale sin(0.37 i + k) + offset` for value `i` of parameter `k`.
    fn parameter(&mut self, shape: &[usize], scale: f64, offset: f64) -> usize {
        let index = self.parameters.len();
        let value = |i: usize| (scale * (0.37 * i as f64 + index as f64).sin() + offset) as f32;
        let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        let count = values.len();
        self.parameters.push(Tensor::from_data(TensorData::new(values, [count]), &Device::flex()));
        self.shapes.push(shape.to_vec());
        index
    }

    fn unit(
        &mut self,
        [inputs, outputs, taps]: [usize; 3],
        stride: usize,
        groups: usize,
        activation: Option<Activation>,
    ) -> Unit {
        let fan_in = (inputs / groups * taps * taps) as f64;
        let weight = self.parameter(&[outputs, inputs / groups, taps, taps], (2.0 / fan_in).sqrt(), 0.0);
        self.parameter(&[outputs], 0.1, 1.0);
        self.parameter(&[outputs], 0.1, 0.0);
        Unit {
            weight,
            convolution: Convolution { stride, groups, ..Convolution::padded(taps / 2) },
            activation,
        }
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let weight = self.parameter(&[inputs, outputs], (1.0 / inputs as f64).sqrt(), 0.0);
        self.parameter(&[outputs], 0.1, 0.0);
        Linear(weight, Prefix::dense(inputs, outputs))
    }
}

/// Which way a unit goes.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Train,
    Infer,
}

impl B0 {
    pub(crate) fn new() -> Self {
        let mut maker = Maker::default();
        let stem = maker.unit([3, 32, 3], 2, 1, SILU);
        let mut channels = 32;
        let mut blocks = Vec::new();
        for [expansion, taps, stride, outputs, repeats] in STAGES {
            for repeat in 0..repeats {
                let stride = if repeat == 0 { stride } else { 1 };
                let middle = channels * expansion;
                let squeezed = channels / 4;
                blocks.push(Block {
                    expand: (expansion > 1).then(|| maker.unit([channels, middle, 1], 1, 1, SILU)),
                    depthwise: maker.unit([middle, middle, taps], stride, middle, SILU),
                    squeeze: maker.linear(middle, squeezed),
                    excite: maker.linear(squeezed, middle),
                    project: maker.unit([middle, outputs, 1], 1, 1, None),
                    skip: stride == 1 && channels == outputs,
                });
                channels = outputs;
            }
        }
        let head = maker.unit([channels, 1280, 1], 1, 1, SILU);
        let classifier = maker.linear(1280, 1000);
        let Maker { parameters, shapes } = maker;
        Self { stem, blocks, head, classifier, parameters, shapes }
    }

    /// A parameter in its own shape.
    fn shaped<const D: usize>(&self, parameters: &[Tensor<1>], index: usize) -> Tensor<D> {
        let shape: [usize; D] = self.shapes[index].as_slice().try_into().expect("the rank of the parameter");
        parameters[index].clone().reshape(shape)
    }

    /// Batch normalisation folded into the weights, as it is once before inference.
    pub(crate) fn folded(&self) -> Vec<Tensor<1>> {
        let mut parameters = self.parameters.clone();
        let blocks = self
            .blocks
            .iter()
            .flat_map(|block| block.expand.iter().chain([&block.depthwise, &block.project]));
        for unit in [&self.stem, &self.head].into_iter().chain(blocks) {
            let at = unit.weight;
            let [gamma, beta] = [at + 1, at + 2].map(|index| self.parameters[index].clone());
            let (mean, variance) = (gamma.zeros_like(), gamma.ones_like());
            let weight = self.shaped::<4>(&self.parameters, at);
            let (weight, bias) = fold_batch_norm(weight, [gamma, beta, mean, variance], EPSILON);
            parameters[at] = weight.flatten(0, 3);
            parameters[at + 2] = bias;
        }
        parameters
    }

    /// Of `x`, its channels scaled by `scale`.
    fn unit(
        &self,
        x: Tensor<4>,
        scale: Option<Tensor<2>>,
        unit: &Unit,
        parameters: &[Tensor<1>],
        mode: Mode,
    ) -> Tensor<4> {
        let weight = self.shaped::<4>(parameters, unit.weight);
        let [gamma, beta] = [1, 2].map(|offset| parameters[unit.weight + offset].clone());
        match mode {
            Mode::Infer => {
                let fusion = Fusion { scale, bias: Some(beta), activation: unit.activation };
                conv2d_fused(x, weight, fusion, unit.convolution)
            }
            Mode::Train => {
                let x = scale.map_or(x.clone(), |scale| scale_channels(x, scale));
                let x = conv2d(x, weight, unit.convolution);
                batch_norm_activate(x, gamma, beta, EPSILON, unit.activation).output
            }
        }
    }

    fn linear(&self, x: Tensor<2>, layer: &Linear, parameters: &[Tensor<1>]) -> Tensor<2> {
        let Linear(index, prefix) = layer;
        prefix_linear(x, self.shaped::<2>(parameters, *index), parameters[index + 1].clone(), prefix)
    }

    fn forward(&self, x: Tensor<4>, parameters: &[Tensor<1>], mode: Mode) -> Tensor<2> {
        let mut x = self.unit(x, None, &self.stem, parameters, mode);
        for block in &self.blocks {
            let input = x.clone();
            if let Some(expand) = &block.expand {
                x = self.unit(x, None, expand, parameters, mode);
            }
            x = self.unit(x, None, &block.depthwise, parameters, mode);
            let squeezed = self.linear(global_mean(x.clone()), &block.squeeze, parameters);
            let excited = self.linear(activate(squeezed, Activation::Silu), &block.excite, parameters);
            let scale = activate(excited, Activation::Sigmoid);
            x = self.unit(x, Some(scale), &block.project, parameters, mode);
            if block.skip {
                x = x + input;
            }
        }
        x = self.unit(x, None, &self.head, parameters, mode);
        self.linear(global_mean(x), &self.classifier, parameters)
    }

    /// Logits with folded parameters.
    pub(crate) fn infer(&self, x: Tensor<4>, folded: &[Tensor<1>]) -> Tensor<2> {
        each_image(x, |image| self.forward(image, folded, Mode::Infer))
    }

    /// One step of SGD with momentum on the mean cross-entropy; gives the loss.
    pub(crate) fn step(
        &mut self,
        x: Tensor<4>,
        classes: Tensor<1, Int>,
        velocity: &mut Vec<Tensor<1>>,
    ) -> f32 {
        let tracked: Vec<Tensor<1>> =
            self.parameters.iter().map(|p| Tensor::from_inner(p.clone()).require_grad()).collect();
        let logits = self.forward(Tensor::from_inner(x), &tracked, Mode::Train);
        let loss = cross_entropy(logits, classes).mean();
        let value = loss.clone().inner().into_scalar();
        let gradients = loss.backward();
        let parameters = std::mem::take(&mut self.parameters);
        let velocities = std::mem::take(velocity);
        for ((w, tracked), v) in parameters.into_iter().zip(tracked).zip(velocities) {
            let gradient = tracked.grad(&gradients).expect("each parameter has a gradient");
            drop(tracked);
            let (w, v) = sgd_step(w, gradient, v, 1e-3, 0.9);
            self.parameters.push(w);
            velocity.push(v);
        }
        value
    }
}

/// Images from a formula, `sin(0.01 i)` for value `i`.
pub(crate) fn images(batch: usize) -> Tensor<4> {
    let values: Vec<f32> = (0..batch * 3 * 224 * 224).map(|i| (0.01 * i as f64).sin() as f32).collect();
    Tensor::from_data(TensorData::new(values, [batch, 3, 224, 224]), &Device::flex())
}

/// The logits of two images, and the losses of two steps, as JSON, for the same from PyTorch to be held against.
pub(crate) fn check() -> String {
    let mut network = B0::new();
    let logits: Vec<f32> = network.infer(images(2), &network.folded()).into_data().iter().collect();
    let mut velocity = network.parameters.iter().map(Tensor::zeros_like).collect();
    let classes = Tensor::<1, Int>::from_data([0_i64, 1], &Device::flex());
    let losses: Vec<f32> = (0..2).map(|_| network.step(images(2), classes.clone(), &mut velocity)).collect();
    format!("{{\"logits\": {logits:?}, \"losses\": {losses:?}}}")
}

/// Resident bytes before the first of three training steps at batch 8 and at the peak, as JSON.
pub(crate) fn memory() -> String {
    let field = |name: &str| -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux says what a process holds");
        let line = status.lines().find(|line| line.starts_with(name)).expect("the field is there");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
    };
    let mut network = B0::new();
    let mut velocity = network.parameters.iter().map(Tensor::zeros_like).collect();
    let classes: Vec<i64> = (0..8).collect();
    let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &Device::flex());
    let x = images(8);
    let before = field("VmRSS:") * 1024;
    for _ in 0..3 {
        network.step(x.clone(), classes.clone(), &mut velocity);
    }
    format!("{{\"before\": {before}, \"peak\": {}}}", field("VmHWM:") * 1024)
}
