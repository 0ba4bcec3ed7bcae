//! Batch normalisation (Ioffe and Szegedy 2015) with the activation after it: in training one pass through memory
//! forwards and one backwards, in inference none, folded into the convolution before.

use burn::tensor::Tensor;

use crate::activation::{Activation, activate};

/// What [`batch_norm_activate`] gives.
#[derive(Clone, Debug)]
pub struct BatchNormalized {
    /// `[batch, channels, height, width]`.
    pub output: Tensor<4>,
    /// The mean of each channel in this batch; not tracked.
    pub mean: Tensor<1>,
    /// The variance of each channel in this batch, divided by the number of values (not one less); not tracked.
    pub variance: Tensor<1>,
}

/// `y = f(gamma (x - mean) / sqrt(variance + epsilon) + beta)`, mean and variance those of each channel over the images and
/// pixels of this batch: training mode. `x` is `[batch, channels, height, width]`, `gamma` and `beta` have a value for each
/// channel.
///
/// The gradient flows through mean and variance; the backward keeps only `x`, and works the rest out again.
///
/// # Panics
/// When shapes do not fit, or there is not a single value in a channel.
pub fn batch_norm_activate(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    activation: Option<Activation>,
) -> BatchNormalized {
    let [batch, channels, height, width] = x.dims();
    assert_eq!((gamma.dims(), beta.dims()), ([channels], [channels]), "a scale and a shift for each channel");
    assert!(batch * height * width > 0, "the mean of a channel needs a value");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run(x, gamma, beta, epsilon, activation);
    }
    batch_norm_activate_reference(x, gamma, beta, epsilon, activation)
}

/// [`batch_norm_activate`] in Burn's own operations.
pub fn batch_norm_activate_reference(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    activation: Option<Activation>,
) -> BatchNormalized {
    let channels = x.dims()[1];
    let over_channel = |x: Tensor<4>| x.mean_dim(0).mean_dim(2).mean_dim(3);
    let mean = over_channel(x.clone());
    let centred = x - mean.clone();
    let variance = over_channel(centred.clone() * centred.clone());
    let shape = [1, channels, 1, 1];
    let scaled = centred / (variance.clone() + epsilon).sqrt() * gamma.reshape(shape) + beta.reshape(shape);
    BatchNormalized {
        output: match activation {
            Some(kind) => activate(scaled, kind),
            None => scaled,
        },
        mean: mean.reshape([channels]).detach(),
        variance: variance.reshape([channels]).detach(),
    }
}

/// The weights and bias of a convolution that does what a convolution without bias and batch normalisation with fixed mean
/// and variance do: `w' = w gamma / s` and `b' = beta - mean gamma / s` with `s = sqrt(variance + epsilon)`.
pub fn fold_batch_norm(
    weight: Tensor<4>,
    [gamma, beta, mean, variance]: [Tensor<1>; 4],
    epsilon: f64,
) -> (Tensor<4>, Tensor<1>) {
    let scale = gamma / (variance + epsilon).sqrt();
    let outputs = scale.dims()[0];
    (weight * scale.clone().reshape([outputs, 1, 1, 1]), beta - mean * scale)
}

#[cfg(feature = "flex")]
mod kernel {
    use std::mem::MaybeUninit;

    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::{
        Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor,
    };
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::BatchNormalized;
    use crate::activation::Activation;
    use crate::function::{Function, with_function};
    use crate::host::{by_type, contiguous, elements, fill, size, tensor};
    use crate::real::{LANES, Real, lane_sum, sum_lanes, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait BatchNormOps: Backend {
        /// The output, and each channel's mean and variance.
        fn batch_norm_activate(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            setting: Setting,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
        /// The gradients of `x`, `gamma` and `beta`; `statistics` are the channels' means and variances.
        fn batch_norm_gradients(
            output_gradient: FloatTensor<Self>,
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            mean: FloatTensor<Self>,
            variance: FloatTensor<Self>,
            setting: Setting,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }

    pub(super) fn run(
        x: Tensor<4>,
        gamma: Tensor<1>,
        beta: Tensor<1>,
        epsilon: f64,
        activation: Option<Activation>,
    ) -> BatchNormalized {
        let (output, mean, variance) = <Dispatch as BatchNormOps>::batch_norm_activate(
            x.into_dispatch(),
            gamma.into_dispatch(),
            beta.into_dispatch(),
            Setting { epsilon, activation },
        );
        BatchNormalized {
            output: Tensor::from_dispatch(output),
            mean: Tensor::from_dispatch(mean),
            variance: Tensor::from_dispatch(variance),
        }
    }

    impl BatchNormOps for Flex {
        fn batch_norm_activate(
            x: FlexTensor,
            gamma: FlexTensor,
            beta: FlexTensor,
            setting: Setting,
        ) -> (FlexTensor, FlexTensor, FlexTensor) {
            let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
            by_type!(&x, forward(&x, [&gamma, &beta], setting))
        }

        fn batch_norm_gradients(
            output_gradient: FlexTensor,
            x: FlexTensor,
            gamma: FlexTensor,
            beta: FlexTensor,
            mean: FlexTensor,
            variance: FlexTensor,
            setting: Setting,
        ) -> (FlexTensor, FlexTensor, FlexTensor) {
            let (dy, x) = (contiguous(output_gradient), contiguous(x));
            let parameters = [contiguous(gamma), contiguous(beta), mean, variance];
            by_type!(&x, backward(dy, &x, &parameters, setting))
        }
    }

    /// What is not a tensor.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Setting {
        epsilon: f64,
        activation: Option<Activation>,
    }

    /// What each value of a channel goes through before the activation: `scale (x - mean) + shift`.
    #[derive(Clone, Copy)]
    struct Normalizer<E> {
        mean: E,
        /// `gamma / sqrt(variance + epsilon)`.
        scale: E,
        shift: E,
        /// `1 / sqrt(variance + epsilon)`.
        inverse_deviation: E,
    }

    impl<E: Real> Normalizer<E> {
        fn new([gamma, beta, mean, variance]: [E; 4], epsilon: f64) -> Self {
            let inverse_deviation = E::ONE / (variance + E::of(epsilon)).square_root();
            Self { mean, scale: gamma * inverse_deviation, shift: beta, inverse_deviation }
        }

        #[inline(always)]
        fn value(self, x: E) -> E {
            (x - self.mean).fused(self.scale, self.shift)
        }
    }

    /// The planes of each channel, one for each image.
    fn by_channel<T>(planes: impl Iterator<Item = T>, channels: usize) -> Vec<Vec<T>> {
        let mut grouped: Vec<Vec<T>> = (0..channels).map(|_| Vec::new()).collect();
        planes.enumerate().for_each(|(index, plane)| grouped[index % channels].push(plane));
        grouped
    }

    fn forward<E: Real>(
        x: &FlexTensor,
        [gamma, beta]: [&FlexTensor; 2],
        setting: Setting,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (channels, pixels) = (size(x, 1), size(x, 2) * size(x, 3));
        let (values, gamma, beta) = (elements::<E>(x), elements::<E>(gamma), elements::<E>(beta));
        let planes = by_channel(values.chunks_exact(pixels), channels);
        let mut statistics = Vec::new();
        let all = |y: &mut [MaybeUninit<E>]| {
            let outputs = by_channel(y.chunks_exact_mut(pixels), channels);
            let each = planes.par_iter().zip(outputs).enumerate().map(|(channel, (planes, outputs))| {
                let (mean, variance) = moments(planes);
                let values = [gamma[channel], beta[channel], mean, variance];
                let normalizer = Normalizer::new(values, setting.epsilon);
                with_function!(setting.activation, f => write(planes, outputs, normalizer, f));
                (mean, variance)
            });
            statistics = each.collect();
        };
        // SAFETY: the channels' planes are all of `y`, and `write` writes each value of a plane.
        #[expect(unsafe_code, reason = "the output is not zeroed first")]
        let y = unsafe { fill(values.len(), all) };
        let (mean, variance): (Vec<E>, Vec<E>) = statistics.into_iter().unzip();
        (tensor(y, x.layout().shape().clone()), tensor(mean, [channels]), tensor(variance, [channels]))
    }

    /// Mean and variance of a channel. Twice through its values, which the cache holds by then: the difference of two
    /// large sums of squares would lose the digits of a small variance.
    fn moments<E: Real>(planes: &[&[E]]) -> (E, E) {
        let count = planes.iter().map(|plane| plane.len()).sum::<usize>() as f64;
        let sum: f64 = planes
            .iter()
            .map(|plane| {
                vectorized(
                    #[inline(always)]
                    || lane_sum(plane),
                )
                .elem::<f64>()
            })
            .sum();
        let mean = E::of(sum / count);
        let squares: f64 = planes.iter().map(|plane| deviations(plane, mean).elem::<f64>()).sum();
        (mean, E::of(squares / count))
    }

    /// The sum of the squared distances from the mean.
    fn deviations<E: Real>(plane: &[E], mean: E) -> E {
        vectorized(
            #[inline(always)]
            || {
                let mut sums = [E::ZERO; LANES];
                let (body, rest) = plane.as_chunks::<LANES>();
                for values in body {
                    for lane in 0..LANES {
                        let centred = values[lane] - mean;
                        sums[lane] = centred.fused(centred, sums[lane]);
                    }
                }
                let mut sum = sum_lanes(sums);
                for &value in rest {
                    sum += (value - mean) * (value - mean);
                }
                sum
            },
        )
    }

    fn write<E: Real, F: Function>(
        planes: &[&[E]],
        outputs: Vec<&mut [MaybeUninit<E>]>,
        normalizer: Normalizer<E>,
        f: F,
    ) {
        for (x, y) in planes.iter().zip(outputs) {
            vectorized(
                #[inline(always)]
                || {
                    for (y, &x) in y.iter_mut().zip(*x) {
                        y.write(f.value(normalizer.value(x)));
                    }
                },
            );
        }
    }

    fn backward<E: Real>(
        mut dy: FlexTensor,
        x: &FlexTensor,
        parameters: &[FlexTensor; 4],
        setting: Setting,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (channels, pixels) = (size(x, 1), size(x, 2) * size(x, 3));
        let planes = by_channel(elements::<E>(x).chunks_exact(pixels), channels);
        // In place of the gradient, where nothing else holds it.
        let gradients = by_channel(dy.storage_mut::<E>().chunks_exact_mut(pixels), channels);
        let each = planes.par_iter().zip(gradients).enumerate().map(|(channel, (planes, gradients))| {
            let values = std::array::from_fn(|index| elements::<E>(&parameters[index])[channel]);
            let normalizer = Normalizer::new(values, setting.epsilon);
            with_function!(setting.activation, f => channel_gradient(planes, gradients, normalizer, f))
        });
        let sums: Vec<(E, E)> = each.collect();
        let (d_gamma, d_beta): (Vec<E>, Vec<E>) = sums.into_iter().unzip();
        (dy, tensor(d_gamma, [channels]), tensor(d_beta, [channels]))
    }

    /// With `n` values in the channel, `h = (x - mean) / deviation` and `g = f'(scale (x - mean) + shift) dy`:
    /// `d gamma = sum g h`, `d beta = sum g`, and `dx = scale (g - d beta / n - h d gamma / n)`.
    fn channel_gradient<E: Real, F: Function>(
        planes: &[&[E]],
        mut gradients: Vec<&mut [E]>,
        normalizer: Normalizer<E>,
        f: F,
    ) -> (E, E) {
        let (mut d_gamma, mut d_beta) = (0.0, 0.0);
        for (x, g) in planes.iter().zip(&mut gradients) {
            let (by_deviation, sum) = pass_activation(x, g, normalizer, f);
            d_gamma += by_deviation.elem::<f64>();
            d_beta += sum.elem::<f64>();
        }
        let count = planes.iter().map(|plane| plane.len()).sum::<usize>() as f64;
        let (d_gamma, d_beta) = (E::of(d_gamma), E::of(d_beta));
        let factor = E::ONE / E::of(count);
        let Normalizer { mean, scale, inverse_deviation, .. } = normalizer;
        let slope = d_gamma * factor * inverse_deviation;
        let offset = d_beta * factor;
        for (x, g) in planes.iter().zip(gradients) {
            vectorized(
                #[inline(always)]
                || {
                    for (g, &x) in g.iter_mut().zip(*x) {
                        *g = scale * (*g - offset - (x - mean) * slope);
                    }
                },
            );
        }
        (d_gamma, d_beta)
    }

    /// Turns `dy` into `g`, and gives the sums of `g h` and `g`: in two loops, for the sums would keep the first from SIMD.
    fn pass_activation<E: Real, F: Function>(
        x: &[E],
        dy: &mut [E],
        normalizer: Normalizer<E>,
        f: F,
    ) -> (E, E) {
        vectorized(
            #[inline(always)]
            || {
                for (dy, &x) in dy.iter_mut().zip(x) {
                    *dy *= f.slope(normalizer.value(x));
                }
                let mut products = [E::ZERO; LANES];
                let mut sums = [E::ZERO; LANES];
                let (x_body, x_rest) = x.as_chunks::<LANES>();
                let (g_body, g_rest) = dy.as_chunks::<LANES>();
                for (x, g) in x_body.iter().zip(g_body) {
                    for lane in 0..LANES {
                        sums[lane] += g[lane];
                        products[lane] = g[lane].fused(x[lane] - normalizer.mean, products[lane]);
                    }
                }
                let (mut product, mut sum) = (sum_lanes(products), sum_lanes(sums));
                for (&x, &g) in x_rest.iter().zip(g_rest) {
                    sum += g;
                    product += g * (x - normalizer.mean);
                }
                (product * normalizer.inverse_deviation, sum)
            },
        )
    }

    #[derive(Debug)]
    struct BatchNormBackward;

    impl<B: BatchNormOps> Backward<B, 3> for BatchNormBackward {
        type State = ([FloatTensor<B>; 5], Setting);

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let ([x, gamma, beta, mean, variance], setting) = ops.state;
            let dy = grads.consume::<B>(&ops.node);
            let (dx, d_gamma, d_beta) = B::batch_norm_gradients(dy, x, gamma, beta, mean, variance, setting);
            for (node, gradient) in ops.parents.into_iter().zip([dx, d_gamma, d_beta]) {
                if let Some(node) = node {
                    grads.register::<B>(node.id, gradient);
                }
            }
        }
    }

    impl<B: BatchNormOps, C: CheckpointStrategy> BatchNormOps for Autodiff<B, C> {
        fn batch_norm_activate(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            setting: Setting,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let nodes = [x.node(), gamma.node(), beta.node()];
            let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
            let (y, mean, variance) = B::batch_norm_activate(x.clone(), gamma.clone(), beta.clone(), setting);
            let y = match BatchNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => {
                    let kept = [x, gamma, beta, mean.clone(), variance.clone()];
                    prep.finish((kept, setting), y)
                }
                OpsKind::UnTracked(prep) => prep.finish(y),
            };
            (y, Self::from_inner(mean), Self::from_inner(variance))
        }

        fn batch_norm_gradients(
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: Setting,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            unreachable!("Burn has no second derivatives")
        }
    }
}
