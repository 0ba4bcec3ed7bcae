//! The convolutions on the CPU backend, and their places in the graph of gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary};
use burn::backend::{
    Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::dense::{Around, Sizes, Weights};
use super::plan::{Axis, Plan};
use super::{Convolution, dense, depthwise, pointwise, small, weights};
use crate::activation::{Activation, ActivationOps};
use crate::channels::ChannelOps;
use crate::host::{by_type, contiguous, elements, fill, size, tensor};
use crate::real::Real;

#[backend_extension(Flex, Autodiff)]
pub(super) trait ConvolutionOps: Backend {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self>;
    /// Without a scale or bias where those have no elements.
    fn convolve_fused(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Option<Activation>,
        convolution: Convolution,
    ) -> FloatTensor<Self>;
    fn convolve_transposed(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        convolution: Convolution,
        image: [usize; 2],
    ) -> FloatTensor<Self>;
    fn convolve_weight_gradient(
        output_gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        convolution: Convolution,
        taps: [usize; 2],
    ) -> FloatTensor<Self>;
}

pub(super) fn convolve(x: Tensor<4>, weight: Tensor<4>, convolution: Convolution) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ConvolutionOps>::convolve(
        x.into_dispatch(),
        weight.into_dispatch(),
        convolution,
    ))
}

pub(super) fn convolve_fused(
    x: Tensor<4>,
    weight: Tensor<4>,
    scale: Option<Tensor<2>>,
    bias: Option<Tensor<1>>,
    activation: Option<Activation>,
    convolution: Convolution,
) -> Tensor<4> {
    let device = x.device();
    let scale = scale.unwrap_or_else(|| Tensor::zeros([0, 0], &device));
    let bias = bias.unwrap_or_else(|| Tensor::zeros([0], &device));
    Tensor::from_dispatch(<Dispatch as ConvolutionOps>::convolve_fused(
        x.into_dispatch(),
        weight.into_dispatch(),
        scale.into_dispatch(),
        bias.into_dispatch(),
        activation,
        convolution,
    ))
}

pub(super) fn convolve_transposed(
    x: Tensor<4>,
    weight: Tensor<4>,
    convolution: Convolution,
    image: [usize; 2],
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ConvolutionOps>::convolve_transposed(
        x.into_dispatch(),
        weight.into_dispatch(),
        convolution,
        image,
    ))
}

impl ConvolutionOps for Flex {
    fn convolve(x: FlexTensor, weight: FlexTensor, convolution: Convolution) -> FlexTensor {
        let (x, weight) = (contiguous(x), contiguous(weight));
        by_type!(&x, forward(&x, &weight, [None, None], None, convolution))
    }

    fn convolve_fused(
        x: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        bias: FlexTensor,
        activation: Option<Activation>,
        convolution: Convolution,
    ) -> FlexTensor {
        let (mut x, weight) = (contiguous(x), contiguous(weight));
        let (scale, bias) = (contiguous(scale), contiguous(bias));
        let plan =
            forward_plan(convolution, [size(&x, 2), size(&x, 3)], [size(&weight, 2), size(&weight, 3)]);
        let scaled_within = plan.is_pointwise() && convolution.groups == 1;
        if !scaled_within && size(&scale, 0) > 0 {
            x = Self::scale_channels(x, scale.clone());
        }
        let scale = scaled_within.then_some(&scale);
        by_type!(&x, forward(&x, &weight, [scale, Some(&bias)], activation, convolution))
    }

    fn convolve_transposed(
        x: FlexTensor,
        weight: FlexTensor,
        convolution: Convolution,
        image: [usize; 2],
    ) -> FlexTensor {
        let (x, weight) = (contiguous(x), contiguous(weight));
        by_type!(&x, transposed(&x, &weight, convolution, image))
    }

    fn convolve_weight_gradient(
        output_gradient: FlexTensor,
        x: FlexTensor,
        convolution: Convolution,
        taps: [usize; 2],
    ) -> FlexTensor {
        let (dy, x) = (contiguous(output_gradient), contiguous(x));
        by_type!(&dy, weight_gradient(&dy, &x, convolution, taps))
    }
}

/// The plan of a convolution's outputs.
fn forward_plan(convolution: Convolution, image: [usize; 2], taps: [usize; 2]) -> Plan {
    let Convolution { stride, padding, dilation, .. } = convolution;
    let outputs = convolution.outputs(image, taps);
    let axis = |a: usize| Axis::forward(image[a], outputs[a], taps[a], stride, dilation, padding[a][0]);
    Plan { rows: axis(0), columns: axis(1) }
}

/// The plan of the gradient of its inputs.
fn backward_plan(convolution: Convolution, image: [usize; 2], taps: [usize; 2]) -> Plan {
    let Convolution { stride, padding, dilation, .. } = convolution;
    let outputs = convolution.outputs(image, taps);
    let axis =
        |a: usize| Axis::input_gradient(outputs[a], image[a], taps[a], stride, dilation, padding[a][0]);
    Plan { rows: axis(0), columns: axis(1) }
}

fn forward<E: Real>(
    x: &FlexTensor,
    weight: &FlexTensor,
    [scale, bias]: [Option<&FlexTensor>; 2],
    activation: Option<Activation>,
    convolution: Convolution,
) -> FlexTensor {
    let taps = [size(weight, 2), size(weight, 3)];
    let plan = forward_plan(convolution, [size(x, 2), size(x, 3)], taps);
    let groups = convolution.groups;
    let (batch, outputs) = (size(x, 0), size(weight, 0));
    let sizes = Sizes { batch, groups, inputs: size(x, 1) / groups, outputs: outputs / groups };
    let [scale, bias] = [scale, bias].map(|tensor| tensor.map_or(&[][..], elements::<E>));
    let around = Around { scale, bias, activation };
    run(&plan, sizes, elements(x), Weights::Forward(elements(weight)), around)
}

/// The transposed convolution, which is also the gradient of a convolution's inputs.
fn transposed<E: Real>(
    x: &FlexTensor,
    weight: &FlexTensor,
    convolution: Convolution,
    image: [usize; 2],
) -> FlexTensor {
    let taps = [size(weight, 2), size(weight, 3)];
    let plan = backward_plan(convolution, image, taps);
    let groups = convolution.groups;
    let sizes = Sizes { batch: size(x, 0), groups, inputs: size(x, 1) / groups, outputs: size(weight, 1) };
    let around = Around { scale: &[], bias: &[], activation: None };
    run::<E>(&plan, sizes, elements(x), Weights::Transposed(elements(weight)), around)
}

/// Takes the loop that fits: depthwise, pointwise, of small maps or dense.
fn run<E: Real>(plan: &Plan, sizes: Sizes, x: &[E], weights: Weights<E>, around: Around<E>) -> FlexTensor {
    let Sizes { batch, groups, inputs, outputs } = sizes;
    let shape = [batch, groups * outputs, plan.rows.target, plan.columns.target];
    // SAFETY: each of the four writes every target pixel of every channel: the classes divide the pixels between them,
    // and the spans of a class cover it.
    #[expect(unsafe_code, reason = "the output is not zeroed first")]
    let y = unsafe {
        fill(shape.iter().product(), |y| {
            if inputs == 1 && outputs == 1 && groups > 1 {
                // With one input and output in a group, both ways are the same.
                let (Weights::Forward(weights) | Weights::Transposed(weights)) = weights;
                depthwise::convolve(plan, groups, x, weights, around, y);
            } else if plan.is_pointwise() && groups == 1 {
                let weights = weights.class(plan, (0, 0), sizes);
                pointwise::mix_channels(sizes, plan.target_pixels(), x, &weights, around, y);
            } else if let Some(images) = small::images_together::<E>(plan, sizes) {
                small::convolve(plan, sizes, images, x, weights, around, y);
            } else {
                dense::convolve(plan, sizes, x, weights, around, y);
            }
        })
    };
    tensor(y, shape)
}

fn weight_gradient<E: Real>(
    dy: &FlexTensor,
    x: &FlexTensor,
    convolution: Convolution,
    taps: [usize; 2],
) -> FlexTensor {
    let plan = forward_plan(convolution, [size(x, 2), size(x, 3)], taps);
    let groups = convolution.groups;
    let area = taps[0] * taps[1];
    let sizes =
        Sizes { batch: size(x, 0), groups, inputs: size(x, 1) / groups, outputs: size(dy, 1) / groups };
    let mut dw = vec![E::ZERO; size(dy, 1) * sizes.inputs * area];
    if sizes.inputs == 1 && sizes.outputs == 1 && groups > 1 {
        depthwise::weight_gradient(&plan, groups, area, elements(x), elements(dy), &mut dw);
    } else {
        weights::weight_gradient(&plan, sizes, elements(x), elements(dy), &mut dw);
    }
    tensor(dw, [groups * sizes.outputs, sizes.inputs, taps[0], taps[1]])
}

#[derive(Debug)]
struct ConvolutionBackward;

impl<B: ConvolutionOps> Backward<B, 2> for ConvolutionBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, Convolution);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, convolution) = ops.state;
        let (image, taps) = (sides::<B>(&x), sides::<B>(&weight));
        binary::<B, _, _>(
            ops.parents,
            ops.node,
            grads,
            |dy| B::convolve_transposed(dy, weight, convolution, image),
            |dy| B::convolve_weight_gradient(dy, x, convolution, taps),
        );
    }
}

#[derive(Debug)]
struct TransposedBackward;

impl<B: ConvolutionOps> Backward<B, 2> for TransposedBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, Convolution);

    /// The transposed convolution maps `dy` as the convolution does, and its weights see `x` where a convolution's see
    /// the gradient of the outputs.
    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, convolution) = ops.state;
        let taps = sides::<B>(&weight);
        binary::<B, _, _>(
            ops.parents,
            ops.node,
            grads,
            |dy| B::convolve(dy, weight, convolution),
            |dy| B::convolve_weight_gradient(x, dy, convolution, taps),
        );
    }
}

/// Height and width.
fn sides<B: Backend>(tensor: &FloatTensor<B>) -> [usize; 2] {
    let shape = tensor.shape();
    [shape[2], shape[3]]
}

impl<B: ConvolutionOps + ActivationOps + ChannelOps, C: CheckpointStrategy> ConvolutionOps
    for Autodiff<B, C>
{
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = B::convolve(x.clone(), weight.clone(), convolution);
        match ConvolutionBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, convolution), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn convolve_fused(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Option<Activation>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let given = |tensor: &FloatTensor<Self>| tensor.shape().num_elements() > 0;
        let x = if given(&scale) { Self::scale_channels(x, scale) } else { x };
        let y = Self::convolve(x, weight, convolution);
        let y = if given(&bias) { Self::add_channels(y, bias) } else { y };
        match activation {
            Some(kind) => <Self as ActivationOps>::activate(y, kind),
            None => y,
        }
    }

    fn convolve_transposed(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        convolution: Convolution,
        image: [usize; 2],
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = B::convolve_transposed(x.clone(), weight.clone(), convolution, image);
        match TransposedBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, convolution), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn convolve_weight_gradient(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Convolution,
        _: [usize; 2],
    ) -> FloatTensor<Self> {
        unreachable!("Burn has no second derivatives")
    }
}
