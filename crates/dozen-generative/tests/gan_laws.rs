//! What pins adversarial networks down: the optimal discriminator, and the critic beside exact transport.

use std::sync::Mutex;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use dozen_data::Matrix;
use dozen_generative::gan::{
    Critic, GanConfig, Lipschitz, Loss, NetworkConfig, clip_weights, gradient_penalty,
};
use dozen_generative::metrics::wasserstein;
use dozen_nn::{Optimizer, OptimizerConfig};

/// Draws come from the device's one generator, which a test seeds.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn mlp(units: &[usize]) -> NetworkConfig {
    NetworkConfig::Mlp { generator: vec![8], critic: units.to_vec() }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().unwrap()
}

fn normal(shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Steps of Adam down a loss, with the rate falling to zero.
fn descend(
    mut critic: Critic,
    steps: usize,
    rate: f64,
    mut loss: impl FnMut(&Critic) -> Tensor<1>,
) -> Critic {
    let rule = OptimizerConfig::Adam { beta_1: 0.5, beta_2: 0.9, epsilon: 1e-8, weight_decay: 0.0 };
    let mut optimizer = Optimizer::new(rule, None);
    for step in 0..steps {
        let gradients = GradientsParams::from_grads(loss(&critic).backward(), &critic);
        critic = optimizer.step(critic, gradients, rate * (1.0 - step as f64 / steps as f64));
    }
    critic
}

#[test]
fn the_best_discriminator_is_the_share_of_data() {
    let _turn = turn();
    let device = Device::flex().autodiff();
    device.seed(0);
    // Two densities on eight cells, in hundredths.
    let p = [2, 8, 20, 30, 20, 10, 6, 4];
    let q = [25, 25, 20, 10, 5, 5, 5, 5];
    let rows = |counts: [usize; 8]| {
        let cells: Vec<f32> =
            counts.iter().enumerate().flat_map(|(cell, n)| vec![cell as f32 / 4.0 - 1.0; *n]).collect();
        Tensor::<2>::from_data(TensorData::new(cells, [100, 1]), &device)
    };
    let (real, fake) = (rows(p), rows(q));
    let critic =
        Critic::new(&GanConfig::plain(mlp(&[64, 64]), Loss::Minimax, Lipschitz::None), 1, 0, &device);
    let loss = |critic: &Critic| {
        Loss::Minimax.of_critic(critic.value(real.clone(), None), critic.value(fake.clone(), None), 0.0)
    };
    let critic = descend(critic, 1500, 0.01, loss);
    let cells: Vec<f32> = (0..8).map(|cell| cell as f32 / 4.0 - 1.0).collect();
    let values = numbers(critic.value(Tensor::from_data(TensorData::new(cells, [8, 1]), &device), None));
    let mut jensen_shannon = 0.0;
    for ((p, q), value) in p.iter().zip(&q).zip(&values) {
        let (p, q) = (*p as f64 / 100.0, *q as f64 / 100.0);
        let share = 1.0 / (1.0 + (-value).exp());
        assert!((share - p / (p + q)).abs() < 0.01, "{share} {}", p / (p + q));
        let middle = 0.5 * (p + q);
        jensen_shannon += 0.5 * (p * (p / middle).ln() + q * (q / middle).ln());
    }
    let least = numbers(loss(&critic))[0];
    // The value of the game is minus the loss.
    let expected = 2.0 * jensen_shannon - 2.0 * std::f64::consts::LN_2;
    assert!((-least - expected).abs() < 1e-3, "{least} {expected}");
}

/// Points of one of the eight pairs.
fn pair(kind: usize, device: &Device) -> [Matrix; 2] {
    const POINTS: usize = 200;
    let noise = Matrix::new(numbers(normal([POINTS, 4], device)).into_iter().map(|x| x as f32).collect(), 4);
    let of = |point: &dyn Fn(usize, &[f32]) -> [f32; 2]| {
        Matrix::new((0..POINTS).flat_map(|row| point(row, noise.row(row))).collect(), 2)
    };
    let angle = |row: usize| row as f32 / POINTS as f32 * std::f32::consts::TAU;
    let first = |scale: f32| of(&|_, n| [scale * n[0], scale * n[1]]);
    match kind {
        // A shift, of one Gaussian to another.
        0 => [first(0.3), of(&|_, n| [0.3 * n[2] + 1.5, 0.3 * n[3]])],
        // A Gaussian and a wider one.
        1 => [first(0.2), of(&|_, n| [1.2 * n[2], 1.2 * n[3]])],
        // A Gaussian and a ring around it.
        2 => [first(0.2), of(&|row, _| [1.5 * angle(row).cos(), 1.5 * angle(row).sin()])],
        // Two modes, and both further up.
        3 => {
            let side = |row: usize| if row.is_multiple_of(2) { 1.0 } else { -1.0 };
            [
                of(&|row, n| [side(row) + 0.2 * n[0], 0.2 * n[1]]),
                of(&|row, n| [side(row) + 0.2 * n[2], 1.2 + 0.2 * n[3]]),
            ]
        }
        // Two lines side by side, on which the Jensen-Shannon divergence is ln 2 at any distance (Arjovsky et al. 2017, example 1).
        4 => [of(&|row, _| [0.0, angle(row) / 6.0]), of(&|row, _| [0.7, angle(row) / 6.0])],
        // A point and a cloud.
        5 => [of(&|_, _| [0.0, 0.0]), of(&|_, n| [0.5 * n[0] + 1.0, 0.5 * n[1] + 1.0])],
        // Rings of two radii.
        6 => [
            of(&|row, _| [0.5 * angle(row).cos(), 0.5 * angle(row).sin()]),
            of(&|row, _| [1.5 * angle(row).cos(), 1.5 * angle(row).sin()]),
        ],
        // A square and its half.
        _ => {
            let place = |row: usize| [(row % 20) as f32 / 10.0, (row / 20) as f32 / 5.0];
            [of(&|row, _| place(row)), of(&|row, _| [place(row)[0] + 2.0, place(row)[1]])]
        }
    }
}

#[test]
fn a_critic_reaches_the_exact_distance_and_clipping_falls_short() {
    let _turn = turn();
    // The slope that pays most is 1 + distance / (2 weight): a heavy weight keeps the value near the distance.
    const WEIGHT: f64 = 50.0;
    let device = Device::flex().autodiff();
    for kind in 0..8 {
        device.seed(kind as u64);
        let [a, b] = pair(kind, &device.clone().inner());
        let exact = wasserstein(&a, &b).unwrap();
        let tensor =
            |m: &Matrix| Tensor::<2>::from_data(TensorData::new(m.values().to_vec(), [m.rows(), 2]), &device);
        let (real, fake) = (tensor(&a), tensor(&b));
        let value = |critic: &Critic| {
            let difference =
                critic.value(real.clone(), None).mean() - critic.value(fake.clone(), None).mean();
            numbers(difference)[0]
        };
        let penalized = Lipschitz::GradientPenalty { weight: WEIGHT };
        let critic =
            Critic::new(&GanConfig::plain(mlp(&[128, 128]), Loss::Wasserstein, penalized), 2, 0, &device);
        let critic = descend(critic, 700, 0.002, |critic| {
            let loss = Loss::Wasserstein.of_critic(
                critic.value(real.clone(), None),
                critic.value(fake.clone(), None),
                0.0,
            );
            let shares = Tensor::<2>::random([200, 1], Distribution::Uniform(0.0, 1.0), &device);
            // Another partner for each row in each step.
            let turned = 1
                + (numbers(Tensor::<1>::random([1], Distribution::Uniform(0.0, 198.0), &device))[0] as usize);
            let mixed = Tensor::cat(
                vec![fake.clone().slice([turned..200, 0..2]), fake.clone().slice([0..turned, 0..2])],
                0,
            );
            loss + gradient_penalty(critic, &real, &mixed, shares, None) * WEIGHT
        });
        let found = value(&critic);
        assert!((found / exact - 1.0).abs() < 0.03, "pair {kind}: {found} {exact}");
    }
    // With clipped weights the value has no fixed scale at all.
    device.seed(9);
    let [a, b] = pair(0, &device.clone().inner());
    let exact = wasserstein(&a, &b).unwrap();
    let tensor =
        |m: &Matrix| Tensor::<2>::from_data(TensorData::new(m.values().to_vec(), [m.rows(), 2]), &device);
    let (real, fake) = (tensor(&a), tensor(&b));
    let clip = Lipschitz::Clip { bound: 0.01 };
    let mut critic = Critic::new(&GanConfig::plain(mlp(&[128, 128]), Loss::Wasserstein, clip), 2, 0, &device);
    let mut optimizer = Optimizer::new(OptimizerConfig::RmsProp { decay: 0.99, epsilon: 1e-8 }, None);
    let mut value = 0.0;
    for _ in 0..300 {
        let loss = Loss::Wasserstein.of_critic(
            critic.value(real.clone(), None),
            critic.value(fake.clone(), None),
            0.0,
        );
        value = -numbers(loss.clone())[0];
        let gradients = GradientsParams::from_grads(loss.backward(), &critic);
        critic = clip_weights(optimizer.step(critic, gradients, 5e-4), 0.01);
    }
    assert!(value > 0.0 && value < 0.1 * exact, "clipped: {value} {exact}");
}
