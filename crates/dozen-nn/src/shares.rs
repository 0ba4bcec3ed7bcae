//! Data parallelism: a batch is shared out, each share's gradient is found by a copy of the module, and the mean is followed.

use std::ops::Range;
use std::thread::{ScopedJoinHandle, scope};
use std::time::Duration;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

/// The mean loss of `rows` rows and its gradient. Device `k` of `n` takes the rows from `k rows / n` to `(k + 1) rows / n`;
/// `loss(module, share, device)` is the mean over those. The first device works on the module itself, so that running
/// averages of batch normalisation follow its share; the others work on copies, each on a thread of its own.
pub(crate) fn mean_gradient<M: Module>(
    module: &M,
    devices: &[Device],
    rows: usize,
    loss: &(impl Fn(&M, Range<usize>, &Device) -> Tensor<1> + Sync),
) -> (f64, GradientsParams) {
    let share = |number: usize| number * rows / devices.len()..(number + 1) * rows / devices.len();
    let of_share = |module: &M, number: usize| {
        let device = devices[number].clone().autodiff();
        let loss = loss(module, share(number), &device);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        (value, GradientsParams::from_grads(loss.backward(), module))
    };
    if devices.len() == 1 {
        return of_share(module, 0);
    }
    let weight = |number: usize| share(number).len() as f64 / rows as f64;
    let numbers: Vec<usize> = (0..devices.len()).filter(|number| !share(*number).is_empty()).collect();
    let found: Vec<(f64, GradientsParams)> = scope(|threads| {
        let begin = |number: &usize| {
            let (copy, number) = (module.clone().fork(&devices[*number].clone().autodiff()), *number);
            let of_share = &of_share;
            threads.spawn(move || of_share(&copy, number))
        };
        let others: Vec<_> = numbers[1..].iter().map(begin).collect();
        let first = of_share(module, numbers[0]);
        std::iter::once(first).chain(others.into_iter().map(wait)).collect()
    });
    let (mut value, mut sum) = (0.0, GradientsAccumulator::new());
    for (number, (loss, gradients)) in numbers.into_iter().zip(found) {
        value += weight(number) * loss;
        let home = gradients.to_device(&devices[0].clone().inner(), module);
        sum.accumulate(module, scaled(module, home, weight(number)));
    }
    (value, sum.grads())
}

/// The result of a thread. Its kernels may need this very thread, where it is one of the pool's.
fn wait<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    while !thread.is_finished() {
        if rayon::yield_now() != Some(rayon::Yield::Executed) {
            std::thread::sleep(Duration::from_micros(20));
        }
    }
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn scaled<M: Module>(module: &M, gradients: GradientsParams, weight: f64) -> GradientsParams {
    struct Scale(GradientsParams, f64);
    impl ModuleVisitor for Scale {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient * self.1);
            }
        }
    }
    let mut scale = Scale(gradients, weight);
    module.visit(&mut scale);
    scale.0
}
