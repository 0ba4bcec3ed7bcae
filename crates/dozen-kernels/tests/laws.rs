//! What holds for every shape: kernels equal Burn's operations, gradients equal differences, results do not depend on the
//! number of threads; under each instruction set.

use burn::tensor::{Device, Distribution, Int, Tensor, TensorData, Tolerance};
use dozen_kernels::*;
use proptest::prelude::*;

fn device() -> Device {
    let mut device = Device::flex();
    device.configure(burn::tensor::FloatDType::F64).ok();
    device.autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_to_vec().unwrap()
}

fn close<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
    a.into_data().assert_approx_eq::<f64>(&b.into_data(), Tolerance::absolute(1e-11));
}

/// Height and width exchanged, or every second column of a wider image, or as it is.
fn view(x: Tensor<4>, kind: usize) -> Tensor<4> {
    match kind {
        0 => x.swap_dims(2, 3).swap_dims(2, 3),
        1 => x
            .clone()
            .swap_dims(2, 3)
            .reshape([x.dims()[0], x.dims()[1], x.dims()[3], x.dims()[2]])
            .swap_dims(2, 3),
        _ => Tensor::cat(vec![x.clone(), x.clone()], 1).narrow(1, 0, x.dims()[1]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_convolution_equals_burns(
        batch in 1..4_usize,
        per_group in (1..5_usize, 1..10_usize),
        groups in 1..5_usize,
        image in (1..24_usize, 1..40_usize),
        taps in (1..6_usize, 1..6_usize),
        stride in 1..4_usize,
        dilation in 1..4_usize,
        padding in ((0..5_usize, 0..5_usize), (0..5_usize, 0..5_usize)),
        kind in 0..3_usize,
    ) {
        let padding = [[padding.0.0, padding.0.1], [padding.1.0, padding.1.1]];
        let convolution = Convolution { stride, padding, dilation, groups };
        let fits = |size: usize, taps: usize, axis: usize| {
            size + padding[axis][0] + padding[axis][1] > dilation * (taps - 1)
        };
        prop_assume!(fits(image.0, taps.0, 0) && fits(image.1, taps.1, 1));
        let (inputs, outputs) = (per_group.0 * groups, per_group.1 * groups);
        let x = random([batch, inputs, image.0, image.1]);
        let w = random([outputs, per_group.0, taps.0, taps.1]);
        let tracked = || [x.clone(), w.clone()].map(|tensor| tensor.detach().require_grad());
        let ([x1, w1], [x2, w2]) = (tracked(), tracked());
        let y = conv2d(view(x1.clone(), kind), view(w1.clone(), kind), convolution);
        let expected = conv2d_reference(x2.clone(), w2.clone(), convolution);
        close(y.clone().inner(), expected.clone().inner());
        let weights = random(y.dims());
        let ours = (y * weights.clone()).sum().backward();
        let burns = (expected * weights).sum().backward();
        close(x1.grad(&ours).unwrap(), x2.grad(&burns).unwrap());
        close(w1.grad(&ours).unwrap(), w2.grad(&burns).unwrap());
    }

    #[test]
    fn any_rows_equal_burns(rows in 1..40_usize, columns in 1..70_usize, scale in 0.1..20.0_f64) {
        use burn::tensor::activation;
        let x = random([columns, rows]).transpose() * scale;
        close(softmax(x.clone()).inner(), activation::softmax(x.clone(), 1).inner());
        close(log_softmax(x.clone()).inner(), activation::log_softmax(x.clone(), 1).inner());
        for kind in [Activation::Silu, Activation::Tanh, Activation::Gelu, Activation::Relu, Activation::Sigmoid] {
            close(activate(x.clone(), kind).inner(), activate_reference(x.clone(), kind).inner());
        }
    }
}

/// The gradient of a weighted sum of what `f` gives, in every value of its inputs, against central differences.
fn assert_differences<const N: usize>(shapes: [&[usize]; N], f: impl Fn([Tensor<1>; N]) -> Tensor<1>) {
    let start: Vec<Vec<f64>> = shapes
        .iter()
        .map(|shape| values(random([shape.iter().product()]).inner()).into_iter().collect())
        .collect();
    let at = |inputs: &[Vec<f64>]| -> [Tensor<1>; N] {
        std::array::from_fn(|i| {
            let data = TensorData::new(inputs[i].clone(), [inputs[i].len()]);
            Tensor::from_data(data, &device()).require_grad()
        })
    };
    let inputs = at(&start);
    let y = f(inputs.clone());
    let weights = random(y.dims());
    let gradients = (y * weights.clone()).sum().backward();
    let loss = |inputs: &[Vec<f64>]| -> f64 { (f(at(inputs)) * weights.clone()).sum().into_scalar() };
    for (index, input) in inputs.iter().enumerate() {
        let gradient = values(input.grad(&gradients).expect("each input has a gradient"));
        for (position, &found) in gradient.iter().enumerate() {
            let moved = |step: f64| {
                let mut inputs = start.clone();
                inputs[index][position] += step;
                loss(&inputs)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let error = (difference - found).abs() / (1.0 + found.abs());
            assert!(error < 1e-7, "input {index}, value {position}: {found}, by differences {difference}");
        }
    }
}

#[test]
fn gradients_of_convolutions_equal_differences() {
    let (image, dense, depthwise) = ([2, 4, 5, 6], [6, 2, 3, 2], [4, 1, 3, 3]);
    let convolution = Convolution { stride: 2, padding: [[1, 0], [2, 1]], dilation: 1, groups: 2 };
    assert_differences([&image, &dense], |[x, w]| {
        conv2d(x.reshape(image), w.reshape(dense), convolution).flatten(0, 3)
    });
    let convolution = Convolution { groups: 4, stride: 2, ..Convolution::padded(1) };
    assert_differences([&image, &depthwise], |[x, w]| {
        conv2d(x.reshape(image), w.reshape(depthwise), convolution).flatten(0, 3)
    });
    let pointwise = [3, 4, 1, 1];
    assert_differences([&image, &pointwise, &[3], &[2, 4]], |[x, w, bias, scale]| {
        let fusion = Fusion {
            scale: Some(scale.reshape([2, 4])),
            bias: Some(bias),
            activation: Some(Activation::Silu),
        };
        conv2d_fused(x.reshape(image), w.reshape(pointwise), fusion, Convolution::default()).flatten(0, 3)
    });
    let (turned, up) = ([4, 3, 4, 4], Convolution { stride: 2, ..Convolution::padded(1) });
    assert_differences([&image, &turned], |[x, w]| {
        conv_transpose2d(x.reshape(image), w.reshape(turned), up, [10, 12]).flatten(0, 3)
    });
}

#[test]
fn gradients_of_normalisations_equal_differences() {
    let image = [3, 2, 3, 7];
    for activation in [None, Some(Activation::Silu), Some(Activation::Sigmoid)] {
        assert_differences([&image, &[2], &[2]], |[x, gamma, beta]| {
            batch_norm_activate(x.reshape(image), gamma, beta, 1e-3, activation).output.flatten(0, 3)
        });
    }
    assert_differences([&[5, 18], &[18], &[18]], |[x, gamma, beta]| {
        layer_norm(x.reshape([5, 18]), gamma, beta, 1e-3).flatten(0, 1)
    });
    assert_differences([&image, &[3, 2]], |[x, scale]| {
        scale_channels(x.reshape(image), scale.reshape([3, 2])).flatten(0, 3)
    });
    assert_differences([&image], |[x]| global_mean(x.reshape(image)).flatten(0, 1));
}

#[test]
fn gradients_of_rows_equal_differences() {
    let smooth = [
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::Softplus,
        Activation::Gelu,
        Activation::Exp,
    ];
    for kind in smooth {
        assert_differences([&[37]], |[x]| activate(x, kind));
    }
    let shape = [4, 19];
    assert_differences([&shape], |[x]| softmax(x.reshape(shape)).flatten(0, 1));
    assert_differences([&shape], |[x]| log_softmax(x.reshape(shape)).flatten(0, 1));
    let targets = || Tensor::<1, Int>::from_data([3, 0, 18, 7], &device().inner());
    assert_differences([&shape], |[x]| cross_entropy(x.reshape(shape), targets()));
    let bits = random(shape).greater_elem(0.0).float().inner();
    assert_differences([&shape], |[x]| {
        bernoulli_log_prob(x.reshape(shape), Tensor::from_inner(bits.clone()))
    });
    let prefix = Prefix::dense(6, 5);
    assert_differences([&[4, 6], &[6, 5], &[5]], |[x, w, bias]| {
        let (x, w) = (x.reshape([4, 6]), w.reshape([6, 5]));
        prefix_linear_activate(x, w, bias, &prefix, Activation::Tanh).flatten(0, 1)
    });
    let setting = Dropout { probability: 0.4, seed: 3 };
    assert_differences([&shape], |[x]| dropout(x.reshape(shape), setting).flatten(0, 1));
}

/// Everything that sums over values which threads share.
fn results() -> Vec<Vec<f64>> {
    let plain = |shape: [usize; 4], step: f64| {
        let count = shape.iter().product::<usize>();
        let values: Vec<f64> = (0..count).map(|i| (i as f64 * step).sin()).collect();
        Tensor::<4>::from_data(TensorData::new(values, shape), &device()).require_grad()
    };
    let mut all = Vec::new();
    for (outputs, per_group, taps, groups) in [(12, 6, 1, 1), (12, 6, 3, 1), (6, 1, 5, 6), (6, 3, 3, 2)] {
        let (x, w) = (plain([5, 6, 40, 40], 0.13), plain([outputs, per_group, taps, taps], 0.7));
        let y = conv2d(x.clone(), w.clone(), Convolution { groups, ..Convolution::padded(taps / 2) });
        let channels = y.dims()[1];
        let [gamma, beta] = [1.3, 0.2].map(|v| (Tensor::<1>::ones([channels], &device()) * v).require_grad());
        let normalized =
            batch_norm_activate(y, gamma.clone(), beta.clone(), 1e-3, Some(Activation::Silu)).output;
        let rows = normalized.reshape([5 * channels, 1600]);
        let [scale, shift] = [0.9, 0.1].map(|v| (Tensor::<1>::ones([1600], &device()) * v).require_grad());
        let y = layer_norm(rows, scale.clone(), shift.clone(), 1e-3);
        let targets: Vec<i64> = (0..5 * channels as i64).collect();
        let targets = Tensor::<1, Int>::from_data(targets.as_slice(), &device().inner());
        let loss = cross_entropy(y.clone(), targets);
        let gradients = loss.clone().mean().backward();
        all.push(values(loss.inner()));
        all.extend([x, w].map(|tensor| values(tensor.grad(&gradients).unwrap())));
        all.extend([gamma, beta, scale, shift].map(|tensor| values(tensor.grad(&gradients).unwrap())));
    }
    all
}

#[test]
fn results_are_the_same_on_any_number_of_threads() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(results)
    };
    let one = on(1);
    assert!(one.iter().flatten().all(|value| value.is_finite()));
    for threads in [2, 3] {
        assert!(one == on(threads), "{threads} threads give what one gives, to the last bit");
    }
}

/// The other tests again in a process of their own, under the lesser instruction sets that this machine has.
#[test]
fn lesser_instruction_sets_pass_the_same_tests() {
    if std::env::var_os("DOZEN_SIMD").is_some() {
        return;
    }
    for name in ["avx2", "scalar"] {
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .env("DOZEN_SIMD", name)
            .output()
            .expect("the test program runs itself");
        let output = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "under {name}: {output}");
    }
}
