//! What is promised of `f32`: bounds on errors, and what becomes of infinities, NaN and extreme values.
//!
//! A process of its own, because the default type of a device's floats holds for the whole process.

use burn::tensor::{Device, Tensor, TensorData};
use dozen_kernels::*;

type Exact = fn(f64) -> f64;

/// Each activation and its exact value.
fn activations() -> [(Activation, Exact); 9] {
    [
        (Activation::Relu, |x| x.max(0.0)),
        (Activation::LeakyRelu { slope: 0.1 }, |x| if x < 0.0 { f64::from(0.1_f32) * x } else { x }),
        (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
        (Activation::Tanh, f64::tanh),
        (Activation::Silu, |x| x / (1.0 + (-x).exp())),
        (Activation::Softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        (Activation::Gelu, |x| 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2))),
        (Activation::Exp, f64::exp),
        (Activation::Log, f64::ln),
    ]
}

fn run(values: Vec<f32>, kind: Activation) -> Vec<f32> {
    let count = values.len();
    let x = Tensor::<1>::from_data(TensorData::new(values, [count]), &Device::flex());
    activate(x, kind).into_data().try_to_vec().unwrap()
}

#[test]
fn activations_are_within_their_bounds() {
    for (kind, exact) in activations() {
        let values: Vec<f32> = (-8000..8000).map(|i| i as f32 * 0.005).collect();
        let values: Vec<f32> =
            if kind == Activation::Log { values.iter().map(|v| v.abs() + 1e-3).collect() } else { values };
        for (&x, found) in values.iter().zip(run(values.clone(), kind)) {
            let expected = exact(f64::from(x));
            let slack = if kind == Activation::Gelu { 4e-7 * f64::from(x).abs() } else { 0.0 };
            let error = (f64::from(found) - expected).abs();
            assert!(
                error <= 5e-7 * expected.abs() + slack + 1e-37,
                "{kind:?} at {x}: {found} against {expected}"
            );
        }
    }
}

#[test]
fn activations_treat_infinities_and_nan_as_ieee_says() {
    let ends = [f32::NEG_INFINITY, f32::INFINITY, f32::NAN];
    for (kind, _) in activations() {
        assert!(run(ends.to_vec(), kind)[2].is_nan(), "{kind:?} keeps NaN");
    }
    assert_eq!(run(ends.to_vec(), Activation::Exp)[..2], [0.0, f32::INFINITY]);
    assert_eq!(run(ends.to_vec(), Activation::Tanh)[..2], [-1.0, 1.0]);
    assert_eq!(run(ends.to_vec(), Activation::Relu)[..2], [0.0, f32::INFINITY]);
    let log = run(ends.to_vec(), Activation::Log);
    assert!(log[0].is_nan() && log[1] == f32::INFINITY);
    let sigmoid = run(ends.to_vec(), Activation::Sigmoid);
    assert!(sigmoid[0] < 1e-37 && sigmoid[1] == 1.0);
}

#[test]
fn extreme_logits_stay_finite() {
    let logits = Tensor::<2>::from_data([[-1000.0_f32, 1000.0, -1000.0, 1000.0]], &Device::flex());
    let x = Tensor::<2>::from_data([[0.0_f32, 1.0, 1.0, 0.0]], &Device::flex());
    let value: f32 = bernoulli_log_prob(logits, x).into_scalar();
    assert!((value + 2000.0).abs() < 1e-3, "{value}");
}

#[test]
fn softmax_of_extreme_rows_is_finite_and_sums_to_one() {
    let x = Tensor::<2>::from_data([[1e4_f32, -1e4, 0.0], [-1e30, -1e30, -1e30]], &Device::flex());
    let y: Vec<f32> = softmax(x.clone()).into_data().try_to_vec().unwrap();
    assert_eq!(y[..3], [1.0, 0.0, 0.0]);
    assert!(y[3..].iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-6));
    let y: Vec<f32> = log_softmax(x).into_data().try_to_vec().unwrap();
    assert_eq!(y[..3], [0.0, -2e4, -1e4]);
}

/// In `f32` within 1e-5 of the sum of the terms' sizes, of what `f64` gives.
#[test]
fn convolutions_are_within_their_bound() {
    let made = |shape: [usize; 4], step: f64| -> Vec<f64> {
        (0..shape.iter().product()).map(|i| (i as f64 * step).sin()).collect()
    };
    for (x_shape, w_shape, groups) in [
        ([2, 24, 30, 30], [16, 24, 1, 1], 1),
        ([2, 24, 30, 30], [16, 24, 3, 3], 1),
        ([2, 24, 30, 30], [24, 1, 5, 5], 24),
        ([2, 24, 30, 30], [24, 6, 3, 3], 4),
    ] {
        let convolution = Convolution { groups, stride: 1, ..Convolution::padded(w_shape[2] / 2) };
        let (x, w) = (made(x_shape, 0.13), made(w_shape, 0.7));
        let tensor = |values: &[f64], shape: [usize; 4]| {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex())
        };
        let y: Vec<f32> =
            conv2d(tensor(&x, x_shape), tensor(&w, w_shape), convolution).into_data().iter().collect();
        let (padding, side) = (w_shape[2] / 2, 30_usize);
        for (index, &found) in y.iter().enumerate().step_by(97) {
            let (column, row) = (index % side, index / side % side);
            let (output, image) = (index / (side * side) % w_shape[0], index / (side * side * w_shape[0]));
            let (mut sum, mut size) = (0.0, 0.0);
            for input in 0..w_shape[1] {
                let channel = output / (w_shape[0] / groups) * w_shape[1] + input;
                for u in 0..w_shape[2] {
                    for v in 0..w_shape[3] {
                        let (i, j) = (row + u, column + v);
                        if (padding..side + padding).contains(&i) && (padding..side + padding).contains(&j) {
                            let pixel = ((image * 24 + channel) * side + i - padding) * side + j - padding;
                            let weight = ((output * w_shape[1] + input) * w_shape[2] + u) * w_shape[3] + v;
                            let term = f64::from(x[pixel] as f32) * f64::from(w[weight] as f32);
                            sum += term;
                            size += term.abs();
                        }
                    }
                }
            }
            assert!((f64::from(found) - sum).abs() <= 1e-5 * size, "{w_shape:?} at {index}: {found}, {sum}");
        }
    }
}
