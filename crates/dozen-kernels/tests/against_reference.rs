//! Kernels against Burn's own operations and against differences, in f64.

use std::cell::RefCell;
use std::sync::Arc;

use burn::tensor::{Device, FloatDType, Tensor, TensorData, Tolerance};
use dozen_kernels::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

fn device() -> Device {
    let mut device = Device::flex();
    device.configure(FloatDType::F64).ok();
    device.autodiff()
}

thread_local! {
    // A generator of each test's own: Burn's is one for the process, so that tests beside each other would change
    // what each draws.
    static RANDOM: RefCell<StdRng> = RefCell::new(StdRng::seed_from_u64(1));
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let numbers: Vec<f64> = RANDOM
        .with_borrow_mut(|random| StandardNormal.sample_iter(random).take(shape.iter().product()).collect());
    Tensor::from_data(TensorData::new(numbers, shape), &device())
}

fn bits(shape: [usize; 2]) -> Tensor<2> {
    random(shape).greater_elem(0.3).float()
}

fn close<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
    a.into_data().assert_approx_eq::<f64>(&b.into_data(), Tolerance::absolute(1e-11));
}

/// Values and gradients of two bodies of one function agree.
fn assert_same<const N: usize>(
    parameters: [Tensor<2>; N],
    kernel: impl Fn([Tensor<2>; N]) -> Tensor<2>,
    reference: impl Fn([Tensor<2>; N]) -> Tensor<2>,
) {
    let tracked = || parameters.clone().map(|p| p.detach().require_grad());
    let (left, right) = (tracked(), tracked());
    let (y, expected) = (kernel(left.clone()), reference(right.clone()));
    close(y.clone().inner(), expected.clone().inner());
    // A weighted sum, so that every output has its own gradient.
    let weights = random(y.dims());
    let left_gradients = (y * weights.clone()).sum().backward();
    let right_gradients = (expected * weights).sum().backward();
    for (l, r) in left.iter().zip(&right) {
        match (l.grad(&left_gradients), r.grad(&right_gradients)) {
            (Some(l), Some(r)) => close(l, r),
            (l, r) => panic!("a gradient is missing: {} {}", l.is_some(), r.is_some()),
        }
    }
}

fn prefix_case(rows: usize, lengths: Vec<usize>, inputs: usize) {
    let prefix = Prefix::new(lengths, inputs);
    let mask = prefix.mask(&random([1, 1]));
    let weight = random([inputs, prefix.outputs()]) * mask;
    let bias = random([1, prefix.outputs()]);
    assert_same(
        [random([rows, inputs]), weight, bias],
        |[x, w, b]| prefix_linear(x, w, b.squeeze_dim(0), &prefix),
        |[x, w, b]| prefix_linear_reference(x, w, b.squeeze_dim(0), &prefix),
    );
}

#[test]
fn prefix_linear_equals_the_masked_product() {
    prefix_case(3, vec![0, 0, 1, 2, 2, 5], 5);
    prefix_case(4, vec![7; 9], 7);
    prefix_case(2, vec![0; 4], 3);
    // Wide enough for several panels.
    prefix_case(5, (0..500).map(|j| j * 130 / 500).collect(), 130);
    prefix_case(1, (0..130).flat_map(|j| [j, j, j]).collect(), 130);
}

#[test]
fn prefix_gradient_stays_inside_the_prefix() {
    let prefix = Prefix::new(vec![0, 1, 3], 3);
    let weight = Tensor::<2>::zeros([3, 3], &device()).require_grad();
    let bias = Tensor::<1>::zeros([3], &device());
    let gradients =
        prefix_linear(Tensor::ones([2, 3], &device()), weight.clone(), bias, &prefix).sum().backward();
    let expected = TensorData::from([[0.0, 2.0, 2.0], [0.0, 0.0, 2.0], [0.0, 0.0, 2.0]]);
    weight
        .grad(&gradients)
        .unwrap()
        .into_data()
        .assert_approx_eq::<f64>(&expected, Tolerance::absolute(1e-12));
}

#[test]
fn bernoulli_log_prob_equals_its_formula() {
    for shape in [[1, 1], [3, 16], [5, 37], [300, 130]] {
        let x = bits(shape);
        let y = x.clone();
        assert_same(
            [random(shape) * 4.0],
            |[l]| bernoulli_log_prob(l, x.clone()).unsqueeze(),
            |[l]| bernoulli_log_prob_reference(l, y.clone()).unsqueeze(),
        );
    }
}

#[test]
fn nade_by_the_running_sum_equals_the_naive_one() {
    let cases = [
        (4, 3, NadeSteps::new(vec![(1, 1); 9])),
        (6, 70, NadeSteps::new(vec![(1, 1); 30])),
        (3, 130, NadeSteps::new([(3, 3), (1, 6), (1, 1), (4, 4), (1, 6)])),
    ];
    for (rows, hidden, steps) in cases {
        let (inputs, outputs) = steps.totals();
        let x = bits([rows, inputs]);
        assert_same(
            [random([inputs, hidden]), random([1, hidden]), random([outputs, hidden]), random([1, outputs])],
            |[w, c, v, b]| nade(x.clone(), w, c.squeeze_dim(0), v, b.squeeze_dim(0), &steps),
            |[w, c, v, b]| nade_reference(x.clone(), w, c.squeeze_dim(0), v, b.squeeze_dim(0), &steps),
        );
    }
}

#[test]
fn gradients_equal_central_differences() {
    let steps = NadeSteps::new(vec![(1, 1); 5]);
    let x = bits([3, 5]);
    let (c, v, b) = (random([4]), random([5, 4]), random([5]));
    let w = random([5, 4]).require_grad();
    let loss = |w: Tensor<2>| {
        let logits = nade(x.clone(), w, c.clone(), v.clone(), b.clone(), &steps);
        bernoulli_log_prob(logits, x.clone()).sum()
    };
    let gradient: Vec<f64> = w.grad(&loss(w.clone()).backward()).unwrap().into_data().try_to_vec().unwrap();
    let values: Vec<f64> = w.clone().inner().into_data().try_to_vec().unwrap();
    for index in 0..values.len() {
        let at = |step: f64| -> f64 {
            let mut moved = values.clone();
            moved[index] += step;
            loss(Tensor::from_data(TensorData::new(moved, [5, 4]), &device())).into_scalar()
        };
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!(
            (difference - gradient[index]).abs() < 1e-8,
            "{index}: {difference} against {}",
            gradient[index]
        );
    }
}

#[test]
fn adam_takes_the_steps_of_the_paper() {
    // Two steps from w = 1 with gradients 0.5 and -0.25, worked out by hand from algorithm 1.
    let scalar = |value: f64| Tensor::<1>::from_data([value], &device().inner());
    let step =
        |time| AdamStep { rate: 0.1, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0, time };
    let (w, m, v) = adam_step(scalar(1.0), scalar(0.5), scalar(0.0), scalar(0.0), step(1));
    let first: f64 = w.clone().into_scalar();
    assert!((first - (1.0 - 0.1 * 0.5 / (0.5 + 1e-8))).abs() < 1e-12);
    let (w, _, _) = adam_step(w, scalar(-0.25), m, v, step(2));
    let mean = (0.9 * 0.05 - 0.1 * 0.25) / (1.0 - 0.81);
    let square = (0.999 * 0.001 * 0.25 + 0.001 * 0.0625) / (1.0 - 0.999_f64.powi(2));
    let second: f64 = w.into_scalar();
    assert!((second - (first - 0.1 * mean / (square.sqrt() + 1e-8))).abs() < 1e-12);
}

#[test]
fn dropout_drops_its_share_and_its_gradient_has_the_same_mask() {
    let x = Tensor::<2>::ones([200, 500], &device()).require_grad();
    let setting = Dropout { probability: 0.3, seed: 5 };
    let y = dropout(x.clone(), setting);
    let values: Vec<f64> = y.clone().inner().into_data().try_to_vec().unwrap();
    let dropped = values.iter().filter(|v| **v == 0.0).count() as f64 / values.len() as f64;
    assert!((dropped - 0.3).abs() < 0.006, "{dropped}");
    assert!(values.iter().all(|v| *v == 0.0 || (v - 1.0 / 0.7).abs() < 1e-12));
    // Neighbours in a row and in a column are dropped independently.
    for step in [1, 500] {
        let both =
            values.iter().zip(&values[step..]).filter(|(a, b)| **a == 0.0 && **b == 0.0).count() as f64;
        assert!((both / values.len() as f64 - 0.09).abs() < 0.005, "{both}");
    }
    let gradient = x.grad(&y.clone().sum().backward()).unwrap();
    close(gradient, y.inner());
    assert_eq!(dropout(x.clone(), setting).into_data(), dropout(x.clone(), setting).into_data());
    assert_ne!(dropout(x.clone(), setting.at(1, 1.0)).into_data(), dropout(x, setting).into_data());
}

const ACTIVATIONS: [Activation; 9] = [
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.1 },
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Silu,
    Activation::Softplus,
    Activation::Gelu,
    Activation::Exp,
    Activation::Log,
];

#[test]
fn activations_equal_burns_and_their_gradients_too() {
    for kind in ACTIVATIONS {
        for shape in [[1, 1], [7, 33], [40, 1000]] {
            let x = random(shape) * 3.0;
            let x = if kind == Activation::Log { x.abs() + 0.1 } else { x };
            assert_same([x.clone()], |[x]| activate(x, kind), |[x]| activate_reference(x, kind));
            // A view that is not contiguous.
            assert_same(
                [x],
                |[x]| activate(x.transpose(), kind),
                |[x]| activate_reference(x.transpose(), kind),
            );
        }
    }
}

#[test]
fn softmax_log_softmax_and_cross_entropy_equal_burns() {
    use burn::tensor::{Int, activation};
    for [rows, classes] in [[1, 1], [3, 7], [5, 16], [60, 1000]] {
        let x = random([rows, classes]) * 5.0;
        assert_same([x.clone()], |[x]| softmax(x), |[x]| activation::softmax(x, 1));
        assert_same([x.clone()], |[x]| log_softmax(x), |[x]| activation::log_softmax(x, 1));
        let targets: Vec<i64> = (0..rows).map(|row| (row * 31 % classes) as i64).collect();
        let targets = Tensor::<1, Int>::from_data(targets.as_slice(), &device().inner());
        assert_same(
            [x],
            |[x]| cross_entropy(x, targets.clone()).unsqueeze(),
            |[x]| cross_entropy_reference(x, targets.clone()).unsqueeze(),
        );
    }
}

/// As [`assert_same`], for images and their filters.
fn assert_same_images<const D: usize>(
    x: Tensor<4>,
    w: Tensor<D>,
    kernel: impl Fn(Tensor<4>, Tensor<D>) -> Tensor<4>,
    reference: impl Fn(Tensor<4>, Tensor<D>) -> Tensor<4>,
) {
    let tracked = || (x.clone().detach().require_grad(), w.clone().detach().require_grad());
    let (left, right) = (tracked(), tracked());
    let (y, expected) = (kernel(left.0.clone(), left.1.clone()), reference(right.0.clone(), right.1.clone()));
    close(y.clone().inner(), expected.clone().inner());
    let weights = random(y.dims());
    let gradients = (y * weights.clone()).sum().backward();
    let expected = (expected * weights).sum().backward();
    close(left.0.grad(&gradients).unwrap(), right.0.grad(&expected).unwrap());
    close(left.1.grad(&gradients).unwrap(), right.1.grad(&expected).unwrap());
}

/// Batch, input channels, output channels, image, taps.
type ConvolutionShape = (usize, usize, usize, [usize; 2], [usize; 2]);

fn convolution_case(shape: ConvolutionShape, convolution: Convolution) {
    let (batch, inputs, outputs, [height, width], taps) = shape;
    assert_same_images(
        random([batch, inputs, height, width]),
        random([outputs, inputs / convolution.groups, taps[0], taps[1]]),
        |x, w| conv2d(x, w, convolution),
        |x, w| conv2d_reference(x, w, convolution),
    );
}

#[test]
fn convolutions_equal_burns() {
    // Pointwise: small images that are taken together, odd sizes, more outputs than a block.
    for shape in [
        (1, 1, 1, [1, 1], [1, 1]),
        (9, 5, 7, [3, 4], [1, 1]),
        (3, 24, 19, [9, 9], [1, 1]),
        (1, 3, 40, [40, 31], [1, 1]),
    ] {
        convolution_case(shape, Convolution::default());
        convolution_case(shape, Convolution { stride: 2, ..Convolution::default() });
    }
    for taps in [[3, 3], [5, 5], [1, 4], [2, 3]] {
        for (stride, dilation) in [(1, 1), (2, 1), (1, 2), (3, 2), (2, 3)] {
            for padding in [0, 1, 4] {
                for groups in [1, 2, 6] {
                    let padding = [[padding, padding + stride - 1], [padding, padding]];
                    let convolution = Convolution { stride, padding, dilation, groups };
                    // Depthwise where there are six groups.
                    convolution_case((2, 6, 6, [14, 17], taps), convolution);
                }
            }
        }
    }
    // Wider than a vector, several bands, and a long sum.
    convolution_case((1, 40, 20, [60, 37], [3, 3]), Convolution::padded(1));
    convolution_case((1, 4, 40, [80, 70], [3, 3]), Convolution { stride: 2, ..Convolution::padded(1) });
    convolution_case((10, 7, 9, [5, 5], [3, 3]), Convolution::padded(1));
}

/// Maps smaller than a vector with long sums: vectors hold outputs there.
#[test]
fn convolutions_of_small_maps_equal_burns() {
    // One image and several, outputs that fill blocks or not, one pixel, lines without a tap inside.
    for shape in [
        (1, 24, 16, [5, 5], [3, 3]),
        (5, 40, 33, [5, 4], [3, 3]),
        (33, 20, 70, [2, 2], [3, 3]),
        (3, 130, 17, [1, 1], [1, 3]),
        (2, 18, 48, [7, 3], [4, 4]),
    ] {
        for (stride, dilation) in [(1, 1), (2, 1), (1, 2), (3, 2)] {
            let padding = [[2 * dilation, 3 * dilation]; 2];
            convolution_case(shape, Convolution { stride, padding, dilation, groups: 1 });
        }
    }
    // Gradients of inputs whose pixels have taps of their own, each sum long enough.
    convolution_case((4, 20, 140, [6, 5], [4, 4]), Convolution { stride: 2, ..Convolution::padded(1) });
    let convolution = Convolution::padded(1);
    let (x, w) = (random([3, 40, 4, 5]), random([35, 40, 3, 3]));
    let bias: Tensor<1> = random([35]);
    let fusion = Fusion { scale: None, bias: Some(bias.clone()), activation: Some(Activation::Relu) };
    let expected = conv2d_reference(x.clone(), w.clone(), convolution) + bias.reshape([1, 35, 1, 1]);
    close(conv2d_fused(x, w, fusion, convolution), activate_reference(expected, Activation::Relu));
}

#[test]
fn convolution_of_views_equals_burns() {
    // Height and width exchanged.
    let turned = |x: Tensor<4>| x.swap_dims(2, 3);
    for taps in [1, 3] {
        assert_same_images(
            random([2, 5, 8, 9]),
            random([4, 5, taps, taps]),
            |x, w| conv2d(turned(x), turned(w), Convolution::padded(1)),
            |x, w| conv2d_reference(turned(x), turned(w), Convolution::padded(1)),
        );
    }
}

#[test]
fn transposed_convolutions_equal_burns() {
    for (stride, dilation, groups) in [(1, 1, 1), (2, 1, 1), (2, 1, 2), (3, 2, 1), (2, 1, 4)] {
        for padding in [[[0, 0], [0, 0]], [[1, 1], [1, 1]], [[0, 2], [1, 0]]] {
            let convolution = Convolution { stride, padding, dilation, groups };
            for image in [[11, 12], [16, 20]] {
                let [height, width] = convolution.outputs(image, [4, 4]);
                assert_same_images(
                    random([2, 4, height, width]),
                    random([4, 4 / groups, 4, 4]),
                    |x, w| conv_transpose2d(x, w, convolution, image),
                    |x, w| conv_transpose2d_reference(x, w, convolution, image),
                );
            }
        }
    }
}

#[test]
fn fused_scale_bias_and_activation_equal_their_parts() {
    for (taps, groups, [height, width]) in
        [(1, 1, [9, 21]), (1, 1, [3, 5]), (3, 1, [9, 21]), (3, 6, [9, 21]), (3, 2, [9, 21])]
    {
        for activation in [None, Some(Activation::Silu), Some(Activation::LeakyRelu { slope: 0.2 })] {
            let convolution = Convolution { groups, ..Convolution::padded(taps / 2) };
            let x = random([7, 6, height, width]);
            let outputs = 12 / (groups / 3).max(1);
            let w = random([outputs, 6 / groups, taps, taps]);
            let fused = |[scale, bias]: [Tensor<2>; 2], x: Tensor<4>, w: Tensor<4>| {
                let fusion = Fusion { scale: Some(scale), bias: Some(bias.squeeze_dim(0)), activation };
                conv2d_fused(x, w, fusion, convolution).flatten::<2>(1, 3)
            };
            let parts = |[scale, bias]: [Tensor<2>; 2]| {
                let y = conv2d_reference(scale_channels_reference(x.clone(), scale), w.clone(), convolution);
                let y = y + bias.reshape([1, outputs, 1, 1]);
                activation.map_or(y.clone(), |kind| activate_reference(y, kind)).flatten::<2>(1, 3)
            };
            let around = [random([7, 6]), random([1, outputs])];
            // Without gradients in one pass, with them by its parts.
            let inner = around.clone().map(Tensor::inner);
            close(fused(inner, x.clone().inner(), w.clone().inner()), parts(around.clone()).inner());
            assert_same(around, |around| fused(around, x.clone(), w.clone()), parts);
        }
    }
}

#[test]
fn batch_norm_equals_burns() {
    for shape in [[2, 1, 1, 3], [3, 5, 7, 6], [4, 6, 17, 20]] {
        for activation in [None, Some(Activation::Silu), Some(Activation::Relu)] {
            let image = |x: Tensor<2>| x.reshape(shape) * 2.0 + 3.0;
            let normalized = |[x, gamma, beta]: [Tensor<2>; 3], kernel: bool| {
                let (gamma, beta) = (gamma.squeeze_dim(0), beta.squeeze_dim(0));
                let f = if kernel { batch_norm_activate } else { batch_norm_activate_reference };
                f(image(x), gamma, beta, 1e-3, activation)
            };
            let parameters = [
                random([shape[0], shape[1] * shape[2] * shape[3]]),
                random([1, shape[1]]),
                random([1, shape[1]]),
            ];
            let (ours, burns) = (normalized(parameters.clone(), true), normalized(parameters.clone(), false));
            close(ours.mean.inner(), burns.mean.inner());
            close(ours.variance.inner(), burns.variance.inner());
            assert_same(
                parameters,
                |p| normalized(p, true).output.flatten::<2>(1, 3),
                |p| normalized(p, false).output.flatten::<2>(1, 3),
            );
        }
    }
}

#[test]
fn sums_equal_burns() {
    // Several parts, and terms small enough for the bound.
    for shape in [[1, 1], [3, 7], [50, 1000]] {
        let f = |x: Tensor<2>| x.clone() * x * 1e-3;
        assert_same([random(shape)], |[x]| sum(f(x)).unsqueeze(), |[x]| f(x).sum().unsqueeze());
    }
}

#[test]
fn layer_norm_equals_burns() {
    for [rows, columns] in [[1, 1], [3, 7], [40, 100], [300, 33]] {
        assert_same(
            [random([rows, columns]) * 2.0 + 3.0, random([1, columns]), random([1, columns])],
            |[x, gamma, beta]| layer_norm(x, gamma.squeeze_dim(0), beta.squeeze_dim(0), 1e-3),
            |[x, gamma, beta]| layer_norm_reference(x, gamma.squeeze_dim(0), beta.squeeze_dim(0), 1e-3),
        );
    }
}

#[test]
fn each_image_equals_the_batch() {
    let (x, w) = (random([5, 3, 9, 9]).inner(), random([4, 3, 3, 3]).inner());
    let f = |x: Tensor<4>| conv2d(x, w.clone(), Convolution::padded(1));
    close(each_image(x.clone(), f), f(x));
}

#[test]
fn folded_batch_norm_equals_convolution_and_normalisation() {
    let (x, w) = (random([2, 3, 8, 8]), random([5, 3, 3, 3]));
    let [gamma, beta, mean] = [(); 3].map(|()| random([5]));
    let variance = random([5]).abs() + 0.1;
    let channel = |values: &Tensor<1>| values.clone().reshape([1, 5, 1, 1]);
    let y = conv2d_reference(x.clone(), w.clone(), Convolution::padded(1));
    let y = (y - channel(&mean)) / (channel(&variance) + 1e-3).sqrt() * channel(&gamma) + channel(&beta);
    let (w, bias) = fold_batch_norm(w, [gamma, beta, mean, variance], 1e-3);
    let fusion = Fusion { bias: Some(bias), ..Fusion::default() };
    close(conv2d_fused(x, w, fusion, Convolution::padded(1)), y);
}

#[test]
fn optimiser_steps_follow_their_formulas() {
    let plain = || random([3, 70]).inner();
    let (w, g, state) = (plain(), plain(), plain());
    let (stepped, velocity) = sgd_step(w.clone(), g.clone(), state.clone(), 0.1, 0.9);
    close(velocity.clone(), state.clone() * 0.9 + g.clone());
    close(stepped, w.clone() - velocity * 0.1);
    let square = state.abs();
    let (stepped, v) = rms_prop_step(w.clone(), g.clone(), square.clone(), 0.1, 0.99, 1e-8);
    close(v.clone(), square * 0.99 + g.clone() * g.clone() * 0.01);
    close(stepped, w.clone() - g.clone() / (v.sqrt() + 1e-8) * 0.1);
    close(moving_average(w.clone(), g.clone(), 0.75), w * 0.75 + g * 0.25);
}

#[test]
fn channel_means_and_scales_equal_burns() {
    for shape in [[1, 1, 1, 1], [3, 5, 7, 6], [2, 40, 33, 20]] {
        let x = random(shape);
        let flat = |x: Tensor<4>| x.flatten::<2>(1, 3);
        let image = |x: Tensor<2>| x.reshape(shape);
        assert_same(
            [flat(x.clone())],
            |[x]| global_mean(image(x)),
            |[x]| image(x).mean_dim(3).mean_dim(2).reshape([shape[0], shape[1]]),
        );
        assert_same(
            [flat(x), random([shape[0], shape[1]])],
            |[x, s]| flat(scale_channels(image(x), s)),
            |[x, s]| flat(scale_channels_reference(image(x), s)),
        );
    }
}

/// A layer with what is asked for beside its reference.
fn recurrent_case(cell: Cell, hidden: usize, lengths: &[usize], reverse: bool, options: bool) {
    let mut layer = Layer::new(cell, Steps::of_lengths(lengths)).reversed(reverse);
    let (rows, batch) = (layer.steps.rows(), layer.steps.batch());
    let (gates, states) = (cell.gates() * hidden, cell.states());
    if options {
        let mask = |count: usize, values: [f32; 3]| -> Arc<[f32]> {
            (0..count).map(|i| values[(i * 7 + i / 3) % 3]).collect()
        };
        layer.state_factors = Some(mask(batch * hidden, [0.0, 2.0, 1.5]));
        layer.zoneout = Some(mask(states * rows * hidden, [0.0, 1.0, 0.25]));
    }
    // Weights of a size at which states neither die out nor grow.
    let weight = random([hidden, gates]) / (hidden as f64).sqrt();
    let both = |layer: Recurrence| Tensor::cat(vec![layer.hidden, layer.last], 0);
    let parameters = |weight, bias: Tensor<2>, scale: Tensor<2>| Parameters {
        weight,
        bias: bias.squeeze_dim(0),
        scale: options.then(|| scale.squeeze_dim(0)),
    };
    let unused = if options { 0.0 } else { 1.0 };
    // A tensor that takes no part has no gradient; this gives it one.
    let with = |y: Tensor<2>, s: &Tensor<2>| y + s.clone().sum().unsqueeze() * unused;
    assert_same(
        [
            random([rows, gates]),
            weight,
            random([1, gates]),
            random([1, gates]),
            random([states * batch, hidden]),
        ],
        |[x, w, b, s, first]| with(both(recurrent(&layer, x, parameters(w, b, s.clone()), first)), &s),
        |[x, w, b, s, first]| {
            with(both(recurrent_reference(&layer, x, parameters(w, b, s.clone()), first)), &s)
        },
    );
}

#[test]
fn recurrent_layers_equal_their_steps_one_by_one() {
    for cell in [Cell::Tanh, Cell::Relu, Cell::Lstm, Cell::Gru] {
        for (reverse, options) in [(false, false), (true, false), (false, true), (true, true)] {
            recurrent_case(cell, 5, &[4, 4, 4], reverse, options);
            recurrent_case(cell, 19, &[7, 5, 5, 2, 1, 1, 1, 1], reverse, options);
            recurrent_case(cell, 70, &[3; 13], reverse, options);
            recurrent_case(cell, 2, &[6], reverse, options);
        }
    }
    // Wide enough that several threads share the sequences.
    recurrent_case(Cell::Lstm, 128, &[9, 8, 8, 6, 6, 5, 4, 4, 3, 3, 2, 1], false, false);
    recurrent_case(Cell::Gru, 128, &[9, 8, 8, 6, 6, 5, 4, 4, 3, 3, 2, 1], true, true);
}

#[test]
fn a_stepper_takes_the_steps_of_a_layer() {
    let (hidden, batch, longest) = (70, 7, 4);
    let host =
        |tensor: &Tensor<2>| tensor.clone().cast(FloatDType::F32).into_data().try_to_vec::<f32>().unwrap();
    for cell in [Cell::Tanh, Cell::Relu, Cell::Lstm, Cell::Gru] {
        for options in [false, true] {
            let (gates, states) = (cell.gates() * hidden, cell.states());
            let mut layer = Layer::new(cell, Steps::even(batch, longest));
            let stays = if options { [0.25, 0.5] } else { [0.0; 2] };
            if options {
                let rows = longest * batch * hidden;
                layer.zoneout = Some((0..states * rows).map(|i| stays[i / rows]).collect());
            }
            let weight = random([hidden, gates]) / (hidden as f64).sqrt();
            let [bias, scale] = [random([1, gates]), random([1, gates])];
            let (x, first) = (random([longest * batch, gates]), random([states * batch, hidden]));
            let mut state = host(&first);
            let used = options.then(|| host(&scale));
            let mut stepper = Stepper::new(cell, &host(&weight), &host(&bias), used.as_deref(), stays);
            let (h, c) = state.split_at_mut(batch * hidden);
            for x in host(&x).chunks_exact(batch * gates) {
                stepper.step(x, h, c);
            }
            let scale = options.then(|| scale.squeeze_dim(0));
            let parameters = Parameters { weight, bias: bias.squeeze_dim(0), scale };
            let last = host(&recurrent_reference(&layer, x, parameters, first).last);
            let worst = state.iter().zip(&last).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{cell:?} {options}: {worst}");
        }
    }
}

#[test]
fn the_reference_of_recurrent_layers_has_the_gradients_of_its_formula() {
    // What h becomes after three steps of a tanh layer, by hand: the recursion of the way back as
    // delta_t = dy_t + U diag(1 - h_{t+1}^2) delta_{t+1}.
    let steps = Steps::even(1, 3);
    let (x, u) = (random([3, 4]), random([4, 4]) * 0.5);
    let tracked = u.clone().detach().require_grad();
    let zeros = Tensor::zeros([1, 4], &device());
    let bias = Tensor::zeros([4], &device());
    let layer = recurrent_reference(
        &Layer::new(Cell::Tanh, steps),
        x,
        Parameters { weight: tracked.clone(), bias, scale: None },
        zeros.clone(),
    );
    let dy = random([3, 4]);
    let gradient = tracked.grad(&(layer.hidden.clone() * dy.clone()).sum().backward()).unwrap();
    let h: Vec<Tensor<2>> = (0..3).map(|t| layer.hidden.clone().narrow(0, t, 1)).collect();
    let slope = |t: usize| Tensor::ones([1, 4], &device()) - h[t].clone() * h[t].clone();
    let mut delta: Tensor<2> = Tensor::zeros([1, 4], &device());
    let mut expected: Tensor<2> = Tensor::zeros([4, 4], &device());
    for t in (0..3).rev() {
        delta = dy.clone().narrow(0, t, 1) + delta;
        let through = delta * slope(t);
        let before = if t == 0 { zeros.clone() } else { h[t - 1].clone() };
        expected = expected + before.transpose().matmul(through.clone());
        delta = through.matmul(u.clone().transpose());
    }
    close(gradient, expected.inner());
}

#[test]
fn embedding_takes_rows_and_adds_their_gradients() {
    for (size, columns, rows) in
        [(5, 3, vec![4, 0, 0, 2, 4, 4]), (70, 33, (0..200).map(|i| i * 7 % 70).collect())]
    {
        let rows: Arc<[u32]> = rows.into();
        assert_same(
            [random([size, columns])],
            |[table]| embedding(table, &rows),
            |[table]| embedding_reference(table, &rows),
        );
    }
}

#[test]
fn a_packed_linear_layer_is_a_product() {
    for (inputs, outputs, rows) in [(3, 5, 1), (70, 130, 8), (1, 64, 13)] {
        let number = |i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0;
        let weight: Vec<f32> = (0..inputs * outputs).map(number).collect();
        let bias: Vec<f32> = (0..outputs).map(|i| number(i + 7)).collect();
        let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
        let mut y = vec![0.0; rows * outputs];
        PackedLinear::new(&weight, &bias).apply(&x, &mut y);
        for (at, y) in y.iter().enumerate() {
            let (row, column) = (at / outputs, at % outputs);
            let sum: f32 = (0..inputs).map(|i| x[row * inputs + i] * weight[i * outputs + column]).sum();
            assert!((sum + bias[column] - y).abs() < 1e-4);
        }
    }
}

#[test]
fn splines_equal_their_formula_and_come_back() {
    for (rows, columns, bins) in [(5, 3, 4), (40, 7, 8), (3, 1, 1), (9, 2, 2)] {
        let spline = Spline { bins, bound: 2.0 };
        let both = |(y, log): (Tensor<2>, Tensor<2>)| Tensor::cat(vec![y, log], 1);
        // Values inside and in both tails.
        let x = random([rows, columns]) * 1.5;
        let parameters = random([rows, columns * spline.parameters()]);
        assert_same(
            [x.clone(), parameters.clone()],
            |[x, p]| both(rational_quadratic(x, p, spline)),
            |[x, p]| both(rational_quadratic_reference(x, p, spline)),
        );
        let (y, log) = rational_quadratic(x.clone(), parameters.clone(), spline);
        let (back, inverse_log) = rational_quadratic_inverse(&y, &parameters, spline);
        let off = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f64>();
        assert!(off(back, x) < 1e-9 && off(log.neg(), inverse_log) < 1e-8);
    }
}

#[test]
fn splines_are_the_identity_at_zero_and_finite_everywhere() {
    let spline = Spline { bins: 6, bound: 3.0 };
    let x: Vec<f64> = vec![-1e30, -3.0, -2.999_999_8, -1.0, 0.0, 1e-30, 2.999_999_8, 3.0, 4.0, 1e30];
    let count = x.len();
    let device = device().inner();
    let x = Tensor::<2>::from_data(TensorData::new(x, [count, 1]), &device);
    let zeros = Tensor::zeros([count, spline.parameters()], &device);
    let (y, log) = rational_quadratic(x.clone(), zeros, spline);
    assert!(
        (y - x.clone()).abs().max().into_scalar::<f64>() < 1e-6
            && log.abs().max().into_scalar::<f64>() < 1e-6
    );
    for scale in [1.0, 30.0, 1e4] {
        let wild: Vec<f64> =
            (0..count * spline.parameters()).map(|i| ((i * 37 % 23) as f64 / 11.0 - 1.0) * scale).collect();
        let wild = Tensor::<2>::from_data(TensorData::new(wild, [count, spline.parameters()]), &device);
        let (y, log) = rational_quadratic(x.clone(), wild.clone(), spline);
        let (back, inverse) = rational_quadratic_inverse(&y, &wild, spline);
        for tensor in [y, log, back, inverse] {
            assert!(tensor.into_data().iter::<f64>().all(f64::is_finite), "{scale}");
        }
    }
}
