//! A generator that looks ahead: what it makes small is the game after some steps of the critic against it (Metz et al. 2017).

use burn::module::Param;
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use dozen_kernels::{Prefix, prefix_linear, prefix_linear_activate};
use dozen_nn::{Optimizer, OptimizerConfig};

use super::layer::{LEAKY, through_leaky};
use super::{Critic, Loss};

/// `f(theta_G, theta_D^K)`, the value of the minimax game at data and samples, `[rows, columns]` each, where `theta_D^0` is the critic's, and each
/// of K `steps` is the one that its optimiser would make up the gradient of f (Metz et al. 2017, eq. 5 to 7), by Adam with the moments that it
/// has.
///
/// These steps are written out in tracked operations, so that what samples do to them has its exact part in the gradient by the samples.
/// Of a critic of dense layers alone, without a condition, whose gradients are not clipped.
///
/// # Panics
/// Where the optimiser is another than Adam.
pub fn unrolled_value(
    critic: &Critic,
    optimizer: &Optimizer,
    real: &Tensor<2>,
    fake: &Tensor<2>,
    steps: usize,
    rate: f64,
) -> Tensor<1> {
    let rows = real.dims()[0];
    let both = Tensor::cat(vec![real.clone(), fake.clone()], 0);
    // One for data and zero for samples.
    let labels = Tensor::cat(vec![real.ones_like(), fake.zeros_like()], 0).slice([0..2 * rows, 0..1]);
    let mut layers: Layers = critic
        .dense_parameters()
        .map(|(w, b)| (Ahead::new(w, optimizer), Ahead::new(b, optimizer)))
        .collect();
    for step in 1..=steps {
        let adam = Adam::new(optimizer, step, rate);
        layers = stepped(layers, &both, &labels, adam);
    }
    let values = outputs(&layers, &both).pop().expect("the head gives one");
    let [real, fake] = [0, rows].map(|first| values.clone().slice([first..first + rows, 0..1]));
    Loss::Minimax.of_critic(real, fake, 0.0).neg()
}

/// The weights and biases of a dense critic's layers and of its head, `[inputs, outputs]` and `[outputs]`.
type Layers = Vec<(Ahead<2>, Ahead<1>)>;

/// The rows and what each layer makes of them; the values at last, `[rows, 1]`.
fn outputs(layers: &Layers, x: &Tensor<2>) -> Vec<Tensor<2>> {
    let mut outputs = vec![x.clone()];
    for (depth, (weight, bias)) in layers.iter().enumerate() {
        let (x, weight, bias) = (outputs[depth].clone(), weight.value.clone(), bias.value.clone());
        let [inputs, units] = weight.dims();
        let dense = Prefix::dense(inputs, units);
        outputs.push(if depth + 1 == layers.len() {
            prefix_linear(x, weight, bias, &dense)
        } else {
            prefix_linear_activate(x, weight, bias, &dense, LEAKY)
        });
    }
    outputs
}

/// Layers one step further down the mean of `-ln D(x)` over data and that of `-ln(1 - D(G(z)))` over samples, whose slope by a row's value is
/// `(sigmoid(f) - label) / rows`.
fn stepped(layers: Layers, x: &Tensor<2>, labels: &Tensor<2>, adam: Adam) -> Layers {
    let mut outputs = outputs(&layers, x);
    let values = outputs.pop().expect("the head gives one");
    let mut upstream = (sigmoid(values) - labels.clone()) * (2.0 / labels.dims()[0] as f64);
    let mut stepped = Vec::with_capacity(layers.len());
    for (depth, ((weight, bias), inputs)) in layers.into_iter().zip(outputs).enumerate().rev() {
        let by_weight = inputs.clone().transpose().matmul(upstream.clone());
        let by_bias = upstream.clone().sum_dim(0).squeeze_dim::<1>(0);
        // The rows are not changed, so that the first layer passes nothing on.
        if depth > 0 {
            upstream = through_leaky(&inputs, upstream.matmul(weight.value.clone().transpose()));
        }
        stepped.push((weight.descend(by_weight, adam), bias.descend(by_bias, adam)));
    }
    stepped.reverse();
    stepped
}

/// The constants of one step.
#[derive(Clone, Copy)]
struct Adam {
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    rate: f64,
    /// `1 - beta^t`, which make the moments those of as many steps.
    corrections: [f64; 2],
}

impl Adam {
    /// Of the step that is this many after the optimiser's last.
    fn new(optimizer: &Optimizer, step: usize, rate: f64) -> Self {
        let OptimizerConfig::Adam { beta_1, beta_2, epsilon, .. } = optimizer.config() else {
            panic!("the critic's steps ahead are written out for Adam alone");
        };
        let time = optimizer.time() + step as i32;
        Self {
            beta_1,
            beta_2,
            epsilon,
            rate,
            corrections: [1.0 - beta_1.powi(time), 1.0 - beta_2.powi(time)],
        }
    }
}

/// A parameter that may depend on samples, and its means of gradients and of their squares.
struct Ahead<const D: usize> {
    value: Tensor<D>,
    moments: [Tensor<D>; 2],
}

impl<const D: usize> Ahead<D> {
    fn new(param: &Param<Tensor<D>>, optimizer: &Optimizer) -> Self {
        let value = param.val();
        let moments = match optimizer.moments(param) {
            Some(moments) => moments.map(Tensor::from_inner),
            None => [value.zeros_like(), value.zeros_like()],
        };
        Self { value, moments }
    }

    /// Kingma and Ba 2015, algorithm 1.
    fn descend(self, gradient: Tensor<D>, adam: Adam) -> Self {
        let [mean, square] = self.moments;
        let mean = mean * adam.beta_1 + gradient.clone() * (1.0 - adam.beta_1);
        let square = square * adam.beta_2 + gradient.square() * (1.0 - adam.beta_2);
        let [of_mean, of_square] = adam.corrections;
        // The root has a slope at zero, too.
        let root = (square.clone() / of_square + 1e-30).sqrt();
        let value = self.value - mean.clone() / (root + adam.epsilon) * (adam.rate / of_mean);
        Self { value, moments: [mean, square] }
    }
}
