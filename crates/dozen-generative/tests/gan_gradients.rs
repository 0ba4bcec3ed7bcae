//! Gradients of penalties on a critic's gradient, and of a game some steps of the critic ahead, in double precision.

mod differences;

use std::sync::{LazyLock, Mutex};

use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use dozen_data::ImageShape;
use dozen_generative::gan::{
    Critic, GanConfig, Lipschitz, Loss, NetworkConfig, Upsampling, gradient_penalty, unrolled_value,
};
use dozen_nn::{Optimizer, OptimizerConfig, Trained};

use differences::{first_gradients, nudged, numbers};

fn mlp(units: &[usize]) -> NetworkConfig {
    NetworkConfig::Mlp { generator: vec![8], critic: units.to_vec() }
}

fn images(residual: bool) -> NetworkConfig {
    NetworkConfig::Convolutional {
        shape: ImageShape { channels: 2, height: 6, width: 7 },
        generator: vec![4],
        critic: vec![3, 4],
        upsampling: Upsampling::Nearest,
        residual,
    }
}

fn normal(shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// The process's device is set once, so that these tests have a file of their own; and it draws for one of them at a time.
static DOUBLE: LazyLock<Mutex<Device>> = LazyLock::new(|| {
    let mut device = Device::flex();
    device.configure(FloatDType::F64).expect("nothing ran before");
    Mutex::new(device.autodiff())
});

#[test]
fn a_game_ahead_is_that_of_the_stepped_critic_with_the_gradient_of_differences() {
    let device = &*DOUBLE.lock().expect("no test panicked");
    device.seed(1);
    let plain = GanConfig::plain(mlp(&[7, 5]), Loss::Minimax, Lipschitz::None);
    let rate = 0.03;
    let (real, fake) = (normal([4, 3], device), normal([4, 3], device));
    let game = |critic: &Critic| {
        let value = |x: &Tensor<2>| critic.value(x.clone(), None);
        Loss::Minimax.of_critic(value(&real), value(&fake), 0.0).neg()
    };
    let adam = OptimizerConfig::Adam { beta_1: 0.5, beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.0 };

    // Fresh, and after some steps, when the optimiser has moments.
    let mut critic = Trained::new(Critic::new(&plain, 3, 0, device), Optimizer::new(adam, None), None);
    for before in 0..3 {
        let ahead = |fake: &Tensor<2>, steps: usize| {
            unrolled_value(critic.module(), critic.optimizer(), &real, fake, steps, rate)
        };
        let values: Vec<f64> = (0..4).map(|steps| numbers(ahead(&fake, steps))[0]).collect();
        let samples = fake.clone().require_grad();
        let by_samples = samples.grad(&ahead(&samples, 3).backward()).unwrap();
        for (at, found) in numbers(by_samples).into_iter().enumerate() {
            let moved = |by: f64| {
                let mut cells = numbers(fake.clone());
                cells[at] += by;
                let fake = Tensor::<1>::from_data(cells.as_slice(), device).reshape([4, 3]);
                numbers(ahead(&fake, 3))[0]
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            // A fresh Adam's first step is nearly the gradient's sign, which has corners.
            let near = if before == 0 { 1e-4 } else { 1e-7 };
            assert!(
                (found - expected).abs() < near,
                "{before} steps, sample number {at}: {found} {expected}"
            );
        }
        for (steps, found) in values.iter().enumerate() {
            let expected = numbers(game(critic.module()))[0];
            assert!((found - expected).abs() < 1e-12, "{before} and {steps} steps: {found} {expected}");
            critic.descend(&game(critic.module()).neg(), rate);
        }
    }
}

#[test]
fn a_penalty_has_the_gradient_of_differences() {
    let device = &*DOUBLE.lock().expect("no test panicked");
    device.seed(1);
    for (network, inputs) in [(mlp(&[7, 5]), 3), (images(false), 84), (images(true), 84)] {
        for conditions in [0, 2] {
            let held = Lipschitz::GradientPenalty { weight: 10.0 };
            let config = GanConfig::plain(network.clone(), Loss::Wasserstein, held);
            let critic = Critic::new(&config, inputs, conditions, device);
            let (real, fake) = (normal([4, inputs], device), normal([4, inputs], device));
            let condition = (conditions > 0).then(|| normal([4, conditions], device));
            let condition = condition.as_ref();
            let shares = Tensor::<2>::random([4, 1], Distribution::Uniform(0.0, 1.0), device);
            // The input's gradient is that of automatic differentiation.
            let x = real.clone().require_grad();
            let by_hand = numbers(critic.input_gradient(real.clone(), condition));
            let gradients = critic.value(x.clone(), condition).sum().backward();
            let off = by_hand.iter().zip(numbers(x.grad(&gradients).unwrap())).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f64::max) < 1e-12, "{network:?}");
            let loss = |critic: &Critic| gradient_penalty(critic, &real, &fake, shares.clone(), condition);
            let gradients = loss(&critic).backward();
            let mut checked = 0;
            for (parameter, found) in first_gradients(&critic, &gradients).into_iter().enumerate() {
                let at = |by: f64| numbers(loss(&nudged(&critic, parameter, by)))[0];
                let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
                let found = found.unwrap_or(0.0);
                assert!(
                    (found - expected).abs() < 1e-6 * expected.abs().max(1.0),
                    "{network:?} {parameter}: {found} {expected}"
                );
                checked += usize::from(expected.abs() > 1e-9);
            }
            assert!(checked >= 2, "{network:?}: the penalty reaches {checked} parameters");
        }
    }
}
