//! Draws how much of the last step's gradient reaches each earlier step, for fresh cells: `docs/vanishing_gradients.svg`.
//!
//! usage: cargo run --release -p dozen-sequence --example vanishing_gradients --features dozen-nn/flex > docs/vanishing_gradients.svg

use burn::tensor::{Distribution, Tensor};
use dozen_nn::Device;
use dozen_report::{LinePlot, standalone};
use dozen_sequence::network::{Inputs, Network, Noise, Packed, Sizes};
use dozen_sequence::{CellKind, DropoutConfig, NetworkConfig};

const STEPS: usize = 100;
const INPUTS: usize = 8;

#[expect(clippy::print_stdout, reason = "the picture is the result")]
fn main() {
    let cells = [
        ("tanh", CellKind::Tanh, 0.0),
        ("LSTM, forget bias 0", CellKind::Lstm, 0.0),
        ("LSTM, forget bias 1", CellKind::Lstm, 1.0),
        ("LSTM, forget bias 5", CellKind::Lstm, 5.0),
        ("GRU", CellKind::Gru, 0.0),
    ];
    let mut plot = LinePlot::new(
        "What reaches a step of the gradient at step 100",
        "step",
        "log10 of the gradient's norm, relative to the last step's",
    );
    for (name, cell, forget_bias) in cells {
        plot = plot.line(name, norms(cell, forget_bias));
    }
    print!("{}", standalone(&plot.svg()));
}

/// `log10 |d L / d x_t|` less that of the last step, where L is the sum of the last hidden state; over 50 sequences.
fn norms(cell: CellKind, forget_bias: f64) -> Vec<(f64, f64)> {
    let device = Device::flex().autodiff();
    device.seed(1);
    let config = NetworkConfig {
        cell,
        hidden: 64,
        layers: 1,
        bidirectional: false,
        projection: None,
        layer_norm: false,
        embedding: 0,
        tied: false,
        learned_state: false,
        forget_bias,
        dropout: DropoutConfig::default(),
    };
    let network = Network::new(&config, Sizes { inputs: INPUTS, outputs: 1 }, false, &device);
    let packed = Packed::even(50, STEPS);
    let x = Tensor::<2>::random([50 * STEPS, INPUTS], Distribution::Normal(0.0, 1.0), &device).require_grad();
    let features = network.features(Inputs::Numbers(x.clone()), &packed, None, Noise::None);
    let gradient = x.grad(&features.last.sum().backward()).expect("the inputs are tracked");
    let values: Vec<f32> = gradient.into_data().try_to_vec().expect("floats");
    let norms: Vec<f64> = values
        .chunks_exact(50 * INPUTS)
        .map(|step| step.iter().map(|value| f64::from(value * value)).sum::<f64>().sqrt())
        .collect();
    let last = norms[STEPS - 1];
    let points = norms.iter().enumerate().map(|(step, norm)| (step as f64 + 1.0, (norm / last).log10()));
    // Below that the squares of `f32` are zeros.
    points.filter(|(_, norm)| *norm > -22.0).collect()
}
