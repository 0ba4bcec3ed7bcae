//! What pins a flow down, in f64: every step comes back, its determinant is the Jacobian's, densities integrate to one, and nothing far away is not a number.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, FloatDType, Tensor, TensorData};
use dozen_data::ImageShape;
use dozen_generative::flow::transform::{Actnorm, Linear, Transform};
use dozen_generative::flow::{
    Base, BaseConfig, BijectionConfig, Flow, FlowConfig, ImagePreset, Mask, Preset, Solver, Trace,
    TransformConfig,
};

fn device() -> Device {
    let mut device = Device::flex();
    device.configure(FloatDType::F64).ok();
    device.autodiff()
}

fn random(rows: usize, columns: usize, deviation: f64) -> Tensor<2> {
    Tensor::random([rows, columns], Distribution::Normal(0.0, deviation), &device())
}

fn numbers(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Every parameter moved at random, so that no step is what it began as.
struct Shake(f64);

impl ModuleMapper for Shake {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let noise = Tensor::random(tensor.shape(), Distribution::Normal(0.0, self.0), &tensor.device());
            // Weights that a mask forbids stay zero; biases begin at zero, too, and may move.
            let moved = if D == 2 {
                tensor.clone() + noise * tensor.clone().not_equal_elem(0.0).float().cast(tensor.dtype())
            } else {
                tensor + noise
            };
            moved.detach().require_grad()
        })
    }
}

fn affine() -> BijectionConfig {
    BijectionConfig::Affine
}

fn spline() -> BijectionConfig {
    BijectionConfig::Spline { bins: 5, bound: 2.0 }
}

fn linear_spline() -> BijectionConfig {
    BijectionConfig::LinearSpline { bins: 5, bound: 2.0 }
}

fn steps() -> Vec<TransformConfig> {
    let autoregressive = |bijection, reversed, inverse| TransformConfig::Autoregressive {
        bijection,
        hidden: vec![12, 9],
        reversed,
        inverse,
    };
    let coupling = |bijection, first| TransformConfig::Coupling { bijection, hidden: vec![8], first };
    vec![
        autoregressive(affine(), false, false),
        autoregressive(affine(), true, true),
        autoregressive(spline(), true, false),
        coupling(BijectionConfig::Additive, false),
        coupling(affine(), true),
        coupling(spline(), false),
        autoregressive(linear_spline(), false, false),
        coupling(linear_spline(), true),
        TransformConfig::Actnorm,
        TransformConfig::Linear,
        TransformConfig::Permutation,
        TransformConfig::Planar,
        TransformConfig::Radial,
        TransformConfig::Rectified { hidden: vec![7, 6], solver: Solver::Rk4 { steps: 60 } },
        TransformConfig::Rectified { hidden: vec![], solver: Solver::Adaptive { tolerance: 1e-7 } },
        TransformConfig::Continuous {
            hidden: vec![7],
            solver: Solver::Adaptive { tolerance: 1e-7 },
            trace: Trace::Hutchinson,
        },
        TransformConfig::BatchNorm,
        TransformConfig::Sigmoid,
    ]
}

/// Of images of 18 values, of which a step of a smaller shape takes the first.
fn image_steps() -> Vec<TransformConfig> {
    let shape = ImageShape { channels: 4, height: 2, width: 2 };
    let coupling = |mask| TransformConfig::ImageCoupling { shape, mask, hidden: 5 };
    vec![
        TransformConfig::Squeeze { shape },
        TransformConfig::ImageActnorm { shape },
        TransformConfig::ImageLinear { shape },
        coupling(Mask::Checkerboard { odd: true }),
        coupling(Mask::Checkerboard { odd: false }),
        coupling(Mask::Channels { first: true }),
        coupling(Mask::Channels { first: false }),
    ]
}

/// `ln |det|` by elimination.
fn log_determinant(mut matrix: Vec<f64>, n: usize) -> f64 {
    let mut log = 0.0;
    for k in 0..n {
        let pivot =
            (k..n).max_by(|a, b| matrix[a * n + k].abs().total_cmp(&matrix[b * n + k].abs())).unwrap();
        (0..n).for_each(|j| matrix.swap(k * n + j, pivot * n + j));
        log += matrix[k * n + k].abs().ln();
        for i in k + 1..n {
            let factor = matrix[i * n + k] / matrix[k * n + k];
            for j in k..n {
                matrix[i * n + j] -= factor * matrix[k * n + j];
            }
        }
    }
    log
}

/// Back to where it came from, with the determinant of the Jacobian.
fn check(config: &TransformConfig, x: Tensor<2>, context: usize) {
    let [rows, columns] = x.dims();
    let step = Transform::new(config, columns, context, 3, &device()).map(&mut Shake(0.4));
    let condition = (context > 0).then(|| random(rows, context, 1.0));
    let x = x.detach().require_grad();
    let (y, log) = step.forward(x.clone(), condition.as_ref());
    let (back, inverse_log) = step.inverse(y.clone(), condition.as_ref());
    // A solver's steps are not exact.
    let solved = matches!(step, Transform::Rectified(_) | Transform::Continuous(_));
    let within = if solved { 1e-4 } else { 1e-7 };
    for (a, b) in numbers(back).into_iter().zip(numbers(x.clone())) {
        assert!((a - b).abs() < within, "{config:?}: {a} {b}");
    }
    for (a, b) in numbers(log.clone()).into_iter().zip(numbers(inverse_log)) {
        assert!((a + b).abs() < within * columns as f64, "{config:?}: {a} {b}");
    }
    // Rows do not see each other: the gradient of a column's sum is that column's row of every Jacobian.
    let jacobians: Vec<Vec<f64>> = (0..columns)
        .map(|column| {
            let (y, _) = step.forward(x.clone(), condition.as_ref());
            let gradients = y.narrow(1, column, 1).sum().backward();
            x.grad(&gradients).unwrap().into_data().try_to_vec().unwrap()
        })
        .collect();
    for (row, log) in numbers(log).into_iter().enumerate() {
        let jacobian = jacobians.iter().flat_map(|line| line[row * columns..][..columns].to_vec()).collect();
        let determinant = log_determinant(jacobian, columns);
        assert!((determinant - log).abs() < 10.0 * within, "{config:?}: {determinant} {log}");
    }
}

#[test]
fn steps_come_back_and_their_determinants_are_the_jacobians() {
    for context in [0, 2] {
        for config in steps() {
            check(&config, random(6, 3, 1.5), context);
        }
        for config in image_steps() {
            check(&config, random(3, 18, 1.5), context);
        }
        let unit = Tensor::random([6, 3], Distribution::Uniform(0.01, 0.99), &device());
        check(&TransformConfig::Logit { margin: 0.05 }, unit, context);
    }
}

#[test]
fn flows_of_images_come_back() {
    for preset in [ImagePreset::Glow, ImagePreset::RealNvp] {
        let shape = ImageShape { channels: 1, height: 8, width: 4 };
        let config = FlowConfig::images(preset, shape, 2, 4);
        let flow = Flow::new(&config, shape.size(), 0, 5, &device()).map(&mut Shake(0.1)).valid();
        let unit = Tensor::random([3, 32], Distribution::Uniform(0.0, 1.0), &device().inner());
        let (z, log) = flow.encode(unit.clone(), None);
        let (back, inverse_log) = flow.decode(z, None);
        assert!(numbers(back - unit).iter().all(|off| off.abs() < 1e-6), "{preset:?}");
        assert!(numbers(log + inverse_log).iter().all(|off| off.abs() < 1e-6), "{preset:?}");
        // Every pixel is changed by some coupling.
        let changed = config.transforms.iter().filter(|t| matches!(t, TransformConfig::ImageCoupling { .. }));
        assert!(changed.count() >= 4, "{preset:?}");
    }
}

#[test]
fn a_random_direction_gives_the_trace_on_average() {
    let (solver, trace) = (Solver::Rk4 { steps: 4 }, Trace::Hutchinson);
    let config = TransformConfig::Continuous { hidden: vec![6], solver, trace };
    let field = Transform::new(&config, 3, 0, 3, &device()).map(&mut Shake(0.5));
    let x = Tensor::random([1, 3], Distribution::Normal(0.0, 1.0), &device()).repeat(&[4000, 1]);
    let mean = |log: Tensor<2>| numbers(log).iter().sum::<f64>() / 4000.0;
    let exact = mean(field.forward(x.clone(), None).1);
    let estimated = mean(field.forward_in_training(x, None).1);
    assert!((exact - estimated).abs() < 0.05, "{exact} {estimated}");
}

#[test]
fn batch_normalisation_takes_the_batch_in_training_and_its_averages_in_use() {
    let x = random(500, 2, 3.0) + 5.0;
    let step = Transform::new(&TransformConfig::BatchNorm, 2, 0, 0, &device());
    let (y, _) = step.forward_in_training(x.clone(), None);
    let mean = |y: &Tensor<2>| numbers(y.clone().mean_dim(0))[0];
    assert!(mean(&y).abs() < 1e-9 && (mean(&y.square()) - 1.0).abs() < 1e-3);
    // After one batch the averages have moved a tenth of the way.
    let (y, _) = step.forward(x.clone(), None);
    assert!(mean(&y) > 1.0);
    let (y, _) = step.fitted(&x).forward(x, None);
    assert!(mean(&y).abs() < 1e-9);
}

const PRESETS: [Preset; 12] = [
    Preset::Nsf,
    Preset::NsfLinear,
    Preset::NsfCoupling,
    Preset::Maf,
    Preset::Iaf,
    Preset::RealNvp,
    Preset::Nice,
    Preset::Glow,
    Preset::Planar,
    Preset::Radial,
    Preset::Rectified(Solver::Rk4 { steps: 10 }),
    Preset::Continuous(Solver::Rk4 { steps: 10 }, Trace::Exact),
];

#[test]
fn densities_integrate_to_one() {
    // A grid over [-14, 14] squared, and flows that are smooth enough for it.
    let (count, reach) = (300, 14.0);
    let place = |i: usize| (i as f64 + 0.5) * 2.0 * reach / count as f64 - reach;
    let grid: Vec<f64> = (0..count * count).flat_map(|i| [place(i / count), place(i % count)]).collect();
    let grid = Tensor::<2>::from_data(TensorData::new(grid, [count * count, 2]), &device().inner());
    let cell = (2.0 * reach / count as f64).powi(2);
    for preset in PRESETS {
        let rectified = matches!(preset, Preset::Rectified(_));
        for base in [BaseConfig::Gaussian, BaseConfig::Mixture { parts: 3 }, BaseConfig::Uniform] {
            if rectified && base == BaseConfig::Uniform {
                continue;
            }
            let config = FlowConfig::preset(preset, 3, &[8], 4, base);
            // A logistic's tails reach further than a Gaussian's.
            let shake = if base == BaseConfig::Uniform { 0.02 } else { 0.05 };
            let flow = Flow::new(&config, 2, 0, 5, &device()).map(&mut Shake(shake)).valid();
            let sum =
                numbers(flow.log_prob(grid.clone(), None)).into_iter().map(f64::exp).sum::<f64>() * cell;
            assert!((sum - 1.0).abs() < 1e-3, "{preset:?} {base:?}: {sum}");
        }
    }
}

#[test]
fn far_away_everything_is_finite_both_ways() {
    let values = [0.0, 5.0, -5.0, 4.999_999_999, 1e4, -1e8, 1e-300];
    let rows: Vec<f64> = values.iter().flat_map(|a| values.iter().flat_map(move |b| [*a, *b])).collect();
    let rows =
        Tensor::<2>::from_data(TensorData::new(rows, [values.len() * values.len(), 2]), &device().inner());
    for preset in PRESETS {
        let config = FlowConfig::preset(preset, 4, &[8], 6, BaseConfig::StudentT { degrees: 3.0 });
        let flow = Flow::new(&config, 2, 0, 1, &device()).map(&mut Shake(0.5)).valid();
        let (z, log) = flow.encode(rows.clone(), None);
        let (x, inverse) = flow.decode(rows.clone(), None);
        for tensor in [z, log, x, inverse, flow.log_prob(rows.clone(), None)] {
            assert!(numbers(tensor).into_iter().all(f64::is_finite), "{preset:?}");
        }
    }
}

/// `x_1 = 2 x_0 + 2` of a uniform x_0 has density 1/2; `x_1 = x_0 [[a, b], [c, d]]` of a uniform square 1 / |ad - bc|.
#[test]
fn uniform_bases_change_by_the_determinant() {
    let device = device();
    let vector = |values: [f64; 1]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [1]), &device);
    let half = Actnorm::of(vector([-2.0]), vector([-(2.0_f64.ln())]));
    let (z, log) = half.forward(random(4, 1, 1.0) * 0.0 + 3.0);
    assert!(numbers(z).iter().all(|z| (z - 0.5).abs() < 1e-12));
    assert!(numbers(log).iter().all(|log| (log.exp() - 0.5).abs() < 1e-12));
    // x P L U with L = [[1, 0], [0.5, 1]] and U = [[2, 1], [0, 3]]: [[2, 1], [1, 3.5]], determinant 6.
    let matrix = |values: [f64; 4]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 2]), &device);
    let diagonal = Tensor::<1>::from_data(TensorData::new(vec![2.0_f64.ln(), 3.0_f64.ln()], [2]), &device);
    let step = Linear::of(matrix([0.0, 0.0, 0.5, 0.0]), matrix([0.0, 1.0, 0.0, 0.0]), diagonal);
    let (y, log) = step.forward(matrix([1.0, 0.0, 0.0, 1.0]));
    let image = numbers(y).into_iter().zip([2.0, 1.0, 1.0, 3.5]);
    assert!(image.into_iter().all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(numbers(log).iter().all(|log| (log.exp() - 6.0).abs() < 1e-9));
    // Drawing from the square and going forward: the density at the image is 1 / 6.
    let (_, back) = step.inverse(matrix([1.0, 1.0, 2.0, 0.5]));
    assert!(numbers(back).iter().all(|log| (log.exp() - 1.0 / 6.0).abs() < 1e-9));
}

#[test]
fn samples_of_a_base_follow_its_density() {
    let device = device().inner();
    for base in
        [BaseConfig::Gaussian, BaseConfig::StudentT { degrees: 8.0 }, BaseConfig::Mixture { parts: 3 }]
    {
        let config = base;
        let base = Base::new(config, 2, &device);
        let rows = 20_000;
        let z = base.sample(rows, 4, &device);
        let log = numbers(base.log_prob(z));
        // Importance weights of a wide Gaussian have mean one: E[q / p] = 1 under p.
        let z = numbers(base.sample(rows, 4, &device));
        let wide =
            |z: &[f64]| -z.iter().map(|v| v * v).sum::<f64>() / 2.0 - (2.0 * std::f64::consts::PI).ln();
        let mean =
            z.chunks_exact(2).zip(&log).map(|(z, log)| (wide(z) - log).exp()).sum::<f64>() / rows as f64;
        assert!((mean - 1.0).abs() < 0.05, "{config:?}: {mean}");
    }
}

#[test]
fn flows_without_sense_are_refused() {
    let refused = |config: FlowConfig, columns| config.validate(columns).unwrap_err().to_string();
    let preset = |steps, bins| FlowConfig::preset(Preset::Nsf, steps, &[8], bins, BaseConfig::Gaussian);
    assert!(refused(preset(0, 8), 2).contains("`steps`"));
    assert!(refused(preset(2, 0), 2).contains("1 to 256 bins"));
    let coupling = FlowConfig::preset(Preset::RealNvp, 2, &[8], 8, BaseConfig::Gaussian);
    assert!(refused(coupling, 1).contains("`preset` nsf"));
    let rectified = Preset::Rectified(Solver::Euler { steps: 2 });
    assert!(
        refused(FlowConfig::preset(rectified, 1, &[8], 8, BaseConfig::Uniform), 2).contains("not uniform")
    );
    let unbounded = FlowConfig { base: BaseConfig::Uniform, ..preset(2, 8) };
    assert!(refused(unbounded, 2).contains("sigmoid"));
}
