//! Times one operation: `kernel_times ROW [burn]` prints `{"forward": seconds, "both": seconds}`, medians over 0.3
//! seconds. With `burn`, Burn's own operations instead of this crate's. Called by `bench/kernels.py`, which has the same
//! rows in PyTorch.

mod b0;
mod recurrent;

use std::time::Instant;

use burn::tensor::module;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Int, Tensor};
use dozen_kernels::{
    Activation, AdamStep, Convolution, Prefix, activate, activate_reference, adam_step, batch_norm_activate,
    batch_norm_activate_reference, bernoulli_log_prob, conv2d, cross_entropy, cross_entropy_reference,
    log_softmax, prefix_linear, softmax,
};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let row = arguments.next().expect("name a row");
    if row == "b0 check" {
        return print(&b0::check());
    }
    if row == "b0 memory" {
        return print(&b0::memory());
    }
    let burn = arguments.any(|argument| argument == "burn");
    let threads = std::env::var("THREADS").ok().and_then(|t| t.parse().ok()).unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the pool is not built yet");
    // On a thread of the pool, as the program: a kernel then starts without waking another thread first.
    let time_row = |backward| rayon::scope(|_| time_row(&row, burn, backward));
    let forward = time_row(false);
    let both = time_row(true);
    let number = |seconds: Option<f64>| seconds.map_or("null".into(), |s| format!("{s:.9}"));
    print(&format!("{{\"forward\": {}, \"both\": {}}}", number(forward), number(both)));
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn print(line: &str) {
    println!("{line}");
}

/// The median of the times of `f`, over at least 0.3 seconds and seven runs.
fn median(mut f: impl FnMut()) -> f64 {
    let mut times = Vec::new();
    f();
    let started = Instant::now();
    while times.len() < 7 || started.elapsed().as_secs_f64() < 0.3 {
        let start = Instant::now();
        f();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

/// Times `f` on its inputs alone, or with the gradients of all of them.
fn timed<const N: usize, const D: usize, const E: usize>(
    inputs: [Tensor<D>; N],
    backward: Option<Sum>,
    f: impl Fn([Tensor<D>; N]) -> Tensor<E>,
) -> f64 {
    let Some(sum) = backward else {
        return median(|| {
            std::hint::black_box(f(inputs.clone()));
        });
    };
    let inputs = inputs.map(|input| Tensor::from_inner(input).require_grad());
    median(|| {
        let y = f(inputs.clone());
        let y = match sum {
            Sum::Ours => dozen_kernels::sum(y),
            Sum::Burns => y.sum(),
        };
        std::hint::black_box(y.backward());
    })
}

/// Whose sum the gradients are those of.
#[derive(Clone, Copy)]
enum Sum {
    Ours,
    Burns,
}

fn time_row(row: &str, burn: bool, backward: bool) -> Option<f64> {
    use burn::tensor::activation;
    let words: Vec<&str> = row.split_whitespace().collect();
    let sum = backward.then_some(if burn { Sum::Burns } else { Sum::Ours });
    let number = |index: usize| words[index].parse::<usize>().expect("a number");
    Some(match words[0] {
        "matmul" => {
            let (m, k, n) = (number(1), number(2), number(3));
            if backward {
                return None;
            }
            let (a, b) = (random([m, k]), random([k, n]));
            median(|| {
                std::hint::black_box(a.clone().matmul(b.clone()));
            })
        }
        "softmax" | "log_softmax" | "cross_entropy" => {
            let (rows, classes) = (number(1), number(2));
            let targets: Vec<i64> = (0..rows).map(|row| (row % classes) as i64).collect();
            let targets = Tensor::<1, Int>::from_data(targets.as_slice(), &Device::flex());
            timed([random([rows, classes])], sum, |[x]| match (words[0], burn) {
                ("softmax", false) => softmax(x),
                ("softmax", true) => activation::softmax(x, 1),
                ("log_softmax", false) => log_softmax(x),
                ("log_softmax", true) => activation::log_softmax(x, 1),
                (_, false) => cross_entropy(x, targets.clone()).unsqueeze(),
                (_, true) => cross_entropy_reference(x, targets.clone()).unsqueeze(),
            })
        }
        "conv" => {
            // conv BATCH IN OUT SIZE KERNEL STRIDE DILATION GROUPS
            let (batch, inputs, outputs, side) = (number(1), number(2), number(3), number(4));
            let (kernel, stride, dilation, groups) = (number(5), number(6), number(7), number(8));
            let pad = dilation * (kernel - 1) / 2;
            let convolution = Convolution { stride, dilation, groups, ..Convolution::padded(pad) };
            let options = ConvOptions::new([stride; 2], [pad; 2], [dilation; 2], groups);
            let (x, w) =
                (random([batch, inputs, side, side]), random([outputs, inputs / groups, kernel, kernel]));
            timed([x, w], sum, |[x, w]| {
                if burn { module::conv2d(x, w, None, options.clone()) } else { conv2d(x, w, convolution) }
            })
        }
        "batch_norm" => {
            // batch_norm BATCH CHANNELS SIZE, with SiLU
            let (batch, channels, side) = (number(1), number(2), number(3));
            let x: Tensor<4> = random([batch, channels, side, side]);
            let scale = |x: &Tensor<4>| Tensor::<1>::ones([channels], &x.device());
            let f = if burn { batch_norm_activate_reference } else { batch_norm_activate };
            timed([x], sum, |[x]| {
                let [gamma, beta] = [1.0, 0.0].map(|value| scale(&x) * value);
                let [gamma, beta] =
                    if backward { [gamma, beta].map(Tensor::require_grad) } else { [gamma, beta] };
                f(x, gamma, beta, 1e-5, Some(Activation::Silu)).output
            })
        }
        "recurrent" => recurrent::time(&words, burn, backward),
        "b0" if backward == (words[1] == "train") => {
            let batch = number(2);
            let mut network = b0::B0::new();
            let x = b0::images(batch);
            if backward {
                let classes: Vec<i64> = (0..batch as i64).collect();
                let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &Device::flex());
                let mut velocity = network.parameters.iter().map(Tensor::zeros_like).collect();
                median(|| {
                    std::hint::black_box(network.step(x.clone(), classes.clone(), &mut velocity));
                })
            } else {
                let folded = network.folded();
                median(|| {
                    std::hint::black_box(network.infer(x.clone(), &folded));
                })
            }
        }
        "mlp" if backward => median(mlp_step(number(1))),
        "b0" | "mlp" => return None,
        name => {
            let kind = match name {
                "exp" => Activation::Exp,
                "sigmoid" => Activation::Sigmoid,
                "tanh" => Activation::Tanh,
                "silu" => Activation::Silu,
                "softplus" => Activation::Softplus,
                "gelu" => Activation::Gelu,
                "relu" => Activation::Relu,
                other => panic!("there is no row {other}"),
            };
            timed([random([number(1)])], sum, |[x]| {
                if burn { activate_reference(x, kind) } else { activate(x, kind) }
            })
        }
    })
}

/// One step of Adam on 784-500-500-784 with ReLU and the Bernoulli log-probability.
fn mlp_step(batch: usize) -> impl FnMut() {
    const SIZES: [usize; 4] = [784, 500, 500, 784];
    let mut layers: Vec<[Tensor<2>; 6]> = SIZES
        .windows(2)
        .map(|s| {
            let w = random([s[0], s[1]]) * 0.05;
            let b = random([1, s[1]]) * 0.05;
            [w.clone(), w.zeros_like(), w.zeros_like(), b.clone(), b.zeros_like(), b.zeros_like()]
        })
        .collect();
    let x = random([batch, 784]).greater_elem(0.5).float();
    let mut time = 0;
    move || {
        time += 1;
        let tracked: Vec<[Tensor<2>; 2]> = layers
            .iter()
            .map(|l| [&l[0], &l[3]].map(|t| Tensor::from_inner(t.clone()).require_grad()))
            .collect();
        let mut h = Tensor::from_inner(x.clone());
        for (index, [w, b]) in tracked.iter().enumerate() {
            let prefix = Prefix::dense(SIZES[index], SIZES[index + 1]);
            h = prefix_linear(h, w.clone(), b.clone().squeeze_dim(0), &prefix);
            if index < 2 {
                h = activate(h, Activation::Relu);
            }
        }
        let gradients = bernoulli_log_prob(h, Tensor::from_inner(x.clone())).mean().neg().backward();
        let step =
            AdamStep { rate: 1e-3, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0, time };
        for (layer, tracked) in layers.iter_mut().zip(tracked) {
            for (index, parameter) in tracked.into_iter().enumerate() {
                let gradient = parameter.grad(&gradients).expect("each parameter has a gradient");
                drop(parameter);
                let [w, m, v] = std::array::from_fn(|k| {
                    std::mem::replace(&mut layer[3 * index + k], Tensor::zeros([1, 1], &Device::flex()))
                });
                let (w, m, v) = adam_step(w, gradient, m, v, step);
                (layer[3 * index], layer[3 * index + 1], layer[3 * index + 2]) = (w, m, v);
            }
        }
    }
}
