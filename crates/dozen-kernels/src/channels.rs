//! What treats each channel of an image as a whole: bias, mean, and the scale of squeeze-and-excite.

use burn::tensor::Tensor;

/// The mean of each channel: `[batch, channels, height, width]` to `[batch, channels]`.
pub fn global_mean(x: Tensor<4>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::global_mean(x);
    }
    let [batch, channels, ..] = x.dims();
    x.mean_dim(3).mean_dim(2).reshape([batch, channels])
}

/// `y[n, c, i, j] = s[n, c] x[n, c, i, j]` (Hu et al. 2018, equation 4): `[batch, channels, height, width]` and
/// `[batch, channels]`.
///
/// # Panics
/// When there is not one scale for each channel of each image.
pub fn scale_channels(x: Tensor<4>, scale: Tensor<2>) -> Tensor<4> {
    let [batch, channels, ..] = x.dims();
    assert_eq!(scale.dims(), [batch, channels], "a scale for each channel of each image");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::scale_channels(x, scale);
    }
    scale_channels_reference(x, scale)
}

/// [`scale_channels`] in Burn's own operations.
pub fn scale_channels_reference(x: Tensor<4>, scale: Tensor<2>) -> Tensor<4> {
    let [batch, channels] = scale.dims();
    x * scale.reshape([batch, channels, 1, 1])
}

#[cfg(feature = "flex")]
pub(crate) use kernel::ChannelOps;

#[cfg(feature = "flex")]
mod kernel {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary, unary};
    use burn::backend::{
        Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor,
    };
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use crate::host::{by_type, contiguous, elements, fill, rows_per_task, size, tensor};
    use crate::real::{Real, lane_dot, lane_sum, vectorized};

    #[backend_extension(Flex, Autodiff)]
    pub(crate) trait ChannelOps: Backend {
        /// `x + b`, one value of `b` for each channel.
        fn add_channels(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
        /// The sum of each channel over images and pixels.
        fn sum_channels(x: FloatTensor<Self>) -> FloatTensor<Self>;
        fn global_mean(x: FloatTensor<Self>) -> FloatTensor<Self>;
        /// Each value at all pixels of its channel, divided by their number.
        fn global_mean_gradient(gradient: FloatTensor<Self>, image: [usize; 2]) -> FloatTensor<Self>;
        fn scale_channels(x: FloatTensor<Self>, scale: FloatTensor<Self>) -> FloatTensor<Self>;
        /// `sum over pixels of dy x`.
        fn scale_gradient(output_gradient: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;
    }

    pub(super) fn global_mean(x: Tensor<4>) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as ChannelOps>::global_mean(x.into_dispatch()))
    }

    pub(super) fn scale_channels(x: Tensor<4>, scale: Tensor<2>) -> Tensor<4> {
        Tensor::from_dispatch(<Dispatch as ChannelOps>::scale_channels(
            x.into_dispatch(),
            scale.into_dispatch(),
        ))
    }

    impl ChannelOps for Flex {
        fn add_channels(x: FlexTensor, bias: FlexTensor) -> FlexTensor {
            let (x, bias) = (contiguous(x), contiguous(bias));
            by_type!(&x, add_channels(x, &bias))
        }

        fn sum_channels(x: FlexTensor) -> FlexTensor {
            let x = contiguous(x);
            by_type!(&x, sum_channels(&x))
        }

        fn global_mean(x: FlexTensor) -> FlexTensor {
            let x = contiguous(x);
            by_type!(&x, mean(&x))
        }

        fn global_mean_gradient(gradient: FlexTensor, image: [usize; 2]) -> FlexTensor {
            let gradient = contiguous(gradient);
            by_type!(&gradient, mean_gradient(&gradient, image))
        }

        fn scale_channels(x: FlexTensor, scale: FlexTensor) -> FlexTensor {
            let (x, scale) = (contiguous(x), contiguous(scale));
            by_type!(&x, scaled(&x, &scale))
        }

        fn scale_gradient(output_gradient: FlexTensor, x: FlexTensor) -> FlexTensor {
            let (dy, x) = (contiguous(output_gradient), contiguous(x));
            by_type!(&dy, scale_gradient(&dy, &x))
        }
    }

    fn pixels(x: &FlexTensor) -> usize {
        size(x, 2) * size(x, 3)
    }

    fn add_channels<E: Real>(mut x: FlexTensor, bias: &FlexTensor) -> FlexTensor {
        let (channels, pixels) = (size(&x, 1), pixels(&x).max(1));
        let bias = elements::<E>(bias);
        let planes = x.storage_mut::<E>().par_chunks_mut(pixels).with_min_len(rows_per_task(pixels));
        planes.enumerate().for_each(|(index, plane)| {
            let bias = bias[index % channels];
            vectorized(
                #[inline(always)]
                || {
                    for value in plane {
                        *value += bias;
                    }
                },
            );
        });
        x
    }

    fn sum_channels<E: Real>(x: &FlexTensor) -> FlexTensor {
        let (batch, channels, pixels) = (size(x, 0), size(x, 1), pixels(x));
        let x = elements::<E>(x);
        let sum = |channel: usize| {
            let plane = |image: usize| &x[(image * channels + channel) * pixels..][..pixels];
            vectorized(
                #[inline(always)]
                || {
                    let mut sum = E::ZERO;
                    for image in 0..batch {
                        sum += lane_sum(plane(image));
                    }
                    sum
                },
            )
        };
        let sums: Vec<E> =
            (0..channels).into_par_iter().with_min_len(rows_per_task(batch * pixels)).map(sum).collect();
        tensor(sums, [channels])
    }

    fn mean<E: Real>(x: &FlexTensor) -> FlexTensor {
        let (batch, channels, pixels) = (size(x, 0), size(x, 1), pixels(x));
        let factor = E::ONE / E::of(pixels as f64);
        let mean = |plane: &[E]| {
            vectorized(
                #[inline(always)]
                || lane_sum(plane) * factor,
            )
        };
        let planes = elements::<E>(x).par_chunks(pixels.max(1)).with_min_len(rows_per_task(pixels));
        tensor(planes.map(mean).collect::<Vec<E>>(), [batch, channels])
    }

    fn mean_gradient<E: Real>(gradient: &FlexTensor, [height, width]: [usize; 2]) -> FlexTensor {
        let (batch, channels) = (size(gradient, 0), size(gradient, 1));
        let gradient = elements::<E>(gradient);
        let factor = E::ONE / E::of((height * width) as f64);
        let fill_all = |dx: &mut [std::mem::MaybeUninit<E>]| {
            let planes = dx.par_chunks_mut(height * width).zip(gradient);
            planes.with_min_len(rows_per_task(height * width)).for_each(|(plane, &value)| {
                plane.fill(std::mem::MaybeUninit::new(value * factor));
            });
        };
        // SAFETY: there is a gradient for each plane, and each plane is filled.
        #[expect(unsafe_code, reason = "the output is not zeroed first")]
        let dx = unsafe { fill(batch * channels * height * width, fill_all) };
        tensor(dx, [batch, channels, height, width])
    }

    fn scaled<E: Real>(x: &FlexTensor, scale: &FlexTensor) -> FlexTensor {
        let pixels = pixels(x).max(1);
        let (values, scale) = (elements::<E>(x), elements::<E>(scale));
        let scale_all = |y: &mut [std::mem::MaybeUninit<E>]| {
            let planes = y.par_chunks_mut(pixels).zip(values.par_chunks(pixels)).zip(scale);
            planes.with_min_len(rows_per_task(pixels)).for_each(|((y, x), &scale)| {
                vectorized(
                    #[inline(always)]
                    || {
                        for (y, &x) in y.iter_mut().zip(x) {
                            y.write(x * scale);
                        }
                    },
                );
            });
        };
        // SAFETY: `x` has as many planes as `y`, with a scale each, and each value of a plane is written.
        #[expect(unsafe_code, reason = "the output is not zeroed first")]
        let y = unsafe { fill(values.len(), scale_all) };
        tensor(y, x.layout().shape().clone())
    }

    fn scale_gradient<E: Real>(dy: &FlexTensor, x: &FlexTensor) -> FlexTensor {
        let (batch, channels, pixels) = (size(x, 0), size(x, 1), pixels(x).max(1));
        let product = |(dy, x): (&[E], &[E])| {
            vectorized(
                #[inline(always)]
                || lane_dot(dy, x),
            )
        };
        let planes = elements::<E>(dy).par_chunks(pixels).zip(elements::<E>(x).par_chunks(pixels));
        let sums: Vec<E> = planes.with_min_len(rows_per_task(pixels)).map(product).collect();
        tensor(sums, [batch, channels])
    }

    #[derive(Debug)]
    struct AddBackward;

    impl<B: ChannelOps> Backward<B, 2> for AddBackward {
        type State = ();

        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
            binary::<B, _, _>(ops.parents, ops.node, grads, |dy| dy, |dy| B::sum_channels(dy));
        }
    }

    #[derive(Debug)]
    struct MeanBackward;

    impl<B: ChannelOps> Backward<B, 1> for MeanBackward {
        type State = [usize; 2];

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            unary::<B, _>(ops.parents, ops.node, grads, |dy| B::global_mean_gradient(dy, ops.state));
        }
    }

    #[derive(Debug)]
    struct ScaleBackward;

    impl<B: ChannelOps> Backward<B, 2> for ScaleBackward {
        type State = (FloatTensor<B>, FloatTensor<B>);

        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (x, scale) = ops.state;
            binary::<B, _, _>(
                ops.parents,
                ops.node,
                grads,
                |dy| B::scale_channels(dy, scale),
                |dy| B::scale_gradient(dy, x),
            );
        }
    }

    impl<B: ChannelOps, C: CheckpointStrategy> ChannelOps for Autodiff<B, C> {
        fn add_channels(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
            let nodes = [x.node(), bias.node()];
            let y = B::add_channels(x.into_primitive(), bias.into_primitive());
            match AddBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn global_mean(x: FloatTensor<Self>) -> FloatTensor<Self> {
            let node = x.node();
            let shape = x.shape();
            let y = B::global_mean(x.into_primitive());
            match MeanBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish([shape[2], shape[3]], y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn scale_channels(x: FloatTensor<Self>, scale: FloatTensor<Self>) -> FloatTensor<Self> {
            let nodes = [x.node(), scale.node()];
            let (x, scale) = (x.into_primitive(), scale.into_primitive());
            let y = B::scale_channels(x.clone(), scale.clone());
            match ScaleBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((x, scale), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn sum_channels(_: FloatTensor<Self>) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }

        fn global_mean_gradient(_: FloatTensor<Self>, _: [usize; 2]) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }

        fn scale_gradient(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }
    }
}
