//! The linear layer of an autoregressive network: output `j` reads only the first `prefix[j]` inputs.

use std::sync::Arc;

use burn::tensor::{Int, Tensor};

use crate::activation::{Activation, activate};

/// For each output of a [`prefix_linear`] layer, how many inputs it reads; never falling from one output to the next.
///
/// MADE's mask (Germain et al. 2015, eq. 12-13) takes this form once inputs are sorted by their place in the order
/// and hidden units by their degree: each row of the mask is then a run of ones. Storing the run's length instead of
/// the mask lets the product skip the zeros, which are half of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    lengths: Arc<[usize]>,
    inputs: usize,
}

impl Prefix {
    /// # Panics
    /// When a length exceeds `inputs` or is less than the one before it.
    pub fn new(lengths: Vec<usize>, inputs: usize) -> Self {
        assert!(lengths.is_sorted(), "the lengths of a prefix must not fall");
        assert!(
            lengths.last().is_none_or(|&last| last <= inputs),
            "a prefix cannot exceed the {inputs} inputs"
        );
        Self { lengths: lengths.into(), inputs }
    }

    /// Every output reads every input: a plain linear layer.
    pub fn dense(inputs: usize, outputs: usize) -> Self {
        Self::new(vec![inputs; outputs], inputs)
    }

    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.lengths.len()
    }

    /// How many inputs each output reads.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// The mask as ones and zeros, `[inputs, outputs]`.
    pub fn mask(&self, like: &Tensor<2>) -> Tensor<2> {
        let device = like.device();
        let lengths: Vec<i64> = self.lengths.iter().map(|&length| length as i64).collect();
        let lengths = Tensor::<1, Int>::from_data(lengths.as_slice(), &device).unsqueeze::<2>();
        let inputs = Tensor::<1, Int>::arange(0..self.inputs as i64, &device).unsqueeze_dim::<2>(1);
        let shape = [self.inputs, self.outputs()];
        inputs.expand(shape).lower(lengths.expand(shape)).float().cast(like.dtype())
    }
}

/// `y = x W + b`, `[rows, inputs] x [inputs, outputs] -> [rows, outputs]`, where `W[i, j]` counts as zero for
/// `i >= prefix[j]`.
///
/// The entries outside the prefix must be zero already, and get a zero gradient, so that any gradient-based
/// optimiser keeps them there.
pub fn prefix_linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, prefix: &Prefix) -> Tensor<2> {
    linear(x, weight, bias, prefix, None)
}

/// `f(x W + b)` as [`prefix_linear`] and then the activation; in one operation where no gradient is asked for.
pub fn prefix_linear_activate(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    prefix: &Prefix,
    activation: Activation,
) -> Tensor<2> {
    linear(x, weight, bias, prefix, Some(activation))
}

fn linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    prefix: &Prefix,
    activation: Option<Activation>,
) -> Tensor<2> {
    assert_eq!(weight.dims(), [prefix.inputs(), prefix.outputs()], "the weight's shape");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run(x, weight, bias, prefix, activation);
    }
    let y = prefix_linear_reference(x, weight, bias, prefix);
    activation.map_or(y.clone(), |kind| activate(y, kind))
}

/// [`prefix_linear`] in Burn's own operations: what other devices run, and what the kernel is tested against.
pub fn prefix_linear_reference(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    prefix: &Prefix,
) -> Tensor<2> {
    let mask = prefix.mask(&weight);
    x.matmul(weight * mask) + bias.unsqueeze()
}

#[cfg(feature = "flex")]
mod kernel {
    use std::ops::Range;

    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;

    use rayon::prelude::*;

    use super::Prefix;
    use crate::activation::{Activation, ActivationOps, apply};
    use crate::host::{by_type, contiguous, elements, rows_per_task, size, tensor};
    use crate::real::{Block, Real, matmul};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait PrefixLinearOps: Backend {
        fn prefix_linear(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            prefix: Prefix,
            activation: Option<Activation>,
        ) -> FloatTensor<Self>;
        fn prefix_linear_input_gradient(
            output_gradient: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            prefix: Prefix,
        ) -> FloatTensor<Self>;
        fn prefix_linear_weight_gradient(
            output_gradient: FloatTensor<Self>,
            x: FloatTensor<Self>,
            prefix: Prefix,
        ) -> FloatTensor<Self>;
    }

    pub(super) fn run(
        x: Tensor<2>,
        weight: Tensor<2>,
        bias: Tensor<1>,
        prefix: &Prefix,
        activation: Option<Activation>,
    ) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as PrefixLinearOps>::prefix_linear(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            prefix.clone(),
            activation,
        ))
    }

    impl PrefixLinearOps for Flex {
        fn prefix_linear(
            x: FlexTensor,
            weight: FlexTensor,
            bias: FlexTensor,
            prefix: Prefix,
            activation: Option<Activation>,
        ) -> FlexTensor {
            let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
            by_type!(&x, forward(&x, &weight, &bias, &prefix, activation))
        }

        fn prefix_linear_input_gradient(
            output_gradient: FlexTensor,
            weight: FlexTensor,
            prefix: Prefix,
        ) -> FlexTensor {
            let (dy, weight) = (contiguous(output_gradient), contiguous(weight));
            by_type!(&dy, input_gradient(&dy, &weight, &prefix))
        }

        fn prefix_linear_weight_gradient(
            output_gradient: FlexTensor,
            x: FlexTensor,
            prefix: Prefix,
        ) -> FlexTensor {
            let (dy, x) = (contiguous(output_gradient), contiguous(x));
            by_type!(&dy, weight_gradient(&dy, &x, &prefix))
        }
    }

    /// The staircase is cut into at most this many panels; each is a dense product, and what it computes in vain is
    /// at most one part in this many.
    const PANELS: usize = 8;
    /// Narrower panels than this make slow products.
    const MIN_PANEL: usize = 48;

    /// Consecutive ranges that cover `0..total`.
    fn panels(total: usize) -> impl Iterator<Item = Range<usize>> {
        let width = total.div_ceil(PANELS).max(MIN_PANEL);
        (0..total).step_by(width).map(move |start| start..(start + width).min(total))
    }

    /// The panels of outputs, or all at once where no input is masked.
    fn output_panels(prefix: &Prefix) -> Vec<Range<usize>> {
        if prefix.lengths().first() == Some(&prefix.inputs()) {
            return std::iter::once(0..prefix.outputs()).collect();
        }
        panels(prefix.outputs()).collect()
    }

    fn forward<E: Real>(
        x: &FlexTensor,
        weight: &FlexTensor,
        bias: &FlexTensor,
        prefix: &Prefix,
        activation: Option<Activation>,
    ) -> FlexTensor {
        let rows = size(x, 0);
        let (inputs, outputs) = (prefix.inputs(), prefix.outputs());
        let mut y: Vec<E> = Vec::with_capacity(rows * outputs);
        (0..rows).for_each(|_| y.extend_from_slice(elements::<E>(bias)));
        for panel in output_panels(prefix) {
            let read = prefix.lengths()[panel.end - 1];
            matmul(
                (&mut y, Block::whole(rows, outputs).part(0..rows, panel.clone())),
                (elements(x), Block::whole(rows, inputs).part(0..rows, 0..read)),
                (elements(weight), Block::whole(inputs, outputs).part(0..read, panel)),
                true,
            );
        }
        if let Some(kind) = activation {
            let chunk = rows_per_task(outputs) * outputs;
            y.par_chunks_mut(chunk.max(1)).for_each(|values| apply(kind, values));
        }
        tensor(y, [rows, outputs])
    }

    /// `dx[:, i] = sum over the outputs j that read input i of dy[:, j] W[i, j]`.
    fn input_gradient<E: Real>(dy: &FlexTensor, weight: &FlexTensor, prefix: &Prefix) -> FlexTensor {
        let rows = size(dy, 0);
        let (inputs, outputs) = (prefix.inputs(), prefix.outputs());
        let mut dx: Vec<E> = vec![E::ZERO; rows * inputs];
        let input_panels: Vec<_> = if prefix.lengths().first() == Some(&inputs) {
            std::iter::once(0..inputs).collect()
        } else {
            panels(inputs).collect()
        };
        for panel in input_panels {
            let first = prefix.lengths().partition_point(|&length| length <= panel.start);
            matmul(
                (&mut dx, Block::whole(rows, inputs).part(0..rows, panel.clone())),
                (elements(dy), Block::whole(rows, outputs).part(0..rows, first..outputs)),
                (elements(weight), Block::whole(inputs, outputs).part(panel, first..outputs).transposed()),
                false,
            );
        }
        tensor(dx, [rows, inputs])
    }

    /// `dW = x^T dy` inside the prefix, zero outside.
    fn weight_gradient<E: Real>(dy: &FlexTensor, x: &FlexTensor, prefix: &Prefix) -> FlexTensor {
        let rows = size(dy, 0);
        let (inputs, outputs) = (prefix.inputs(), prefix.outputs());
        let mut dw: Vec<E> = vec![E::ZERO; inputs * outputs];
        for panel in output_panels(prefix) {
            let (least, read) = (prefix.lengths()[panel.start], prefix.lengths()[panel.end - 1]);
            matmul(
                (&mut dw, Block::whole(inputs, outputs).part(0..read, panel.clone())),
                (elements(x), Block::whole(rows, inputs).part(0..rows, 0..read).transposed()),
                (elements(dy), Block::whole(rows, outputs).part(0..rows, panel.clone())),
                false,
            );
            for input in least..read {
                // The panel's first outputs do not read this input.
                let blind = prefix.lengths()[panel.clone()].partition_point(|&length| length <= input);
                dw[input * outputs + panel.start..][..blind].fill(E::ZERO);
            }
        }
        tensor(dw, [inputs, outputs])
    }

    #[derive(Debug)]
    struct PrefixLinearBackward;

    impl<B: PrefixLinearOps> Backward<B, 3> for PrefixLinearBackward {
        type State = (FloatTensor<B>, FloatTensor<B>, Prefix);

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (x, weight, prefix) = ops.state;
            let [x_node, weight_node, bias_node] = ops.parents;
            let dy = grads.consume::<B>(&ops.node);
            if let Some(node) = x_node {
                let dx = B::prefix_linear_input_gradient(dy.clone(), weight, prefix.clone());
                grads.register::<B>(node.id, dx);
            }
            if let Some(node) = weight_node {
                let dw = B::prefix_linear_weight_gradient(dy.clone(), x, prefix.clone());
                grads.register::<B>(node.id, dw);
            }
            if let Some(node) = bias_node {
                let outputs = prefix.outputs();
                let db = B::float_reshape(B::float_sum_dim(dy, 0), [outputs].into());
                grads.register::<B>(node.id, db);
            }
        }
    }

    impl<B: PrefixLinearOps + ActivationOps, C: CheckpointStrategy> PrefixLinearOps for Autodiff<B, C> {
        fn prefix_linear(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            prefix: Prefix,
            activation: Option<Activation>,
        ) -> FloatTensor<Self> {
            let nodes = [x.node(), weight.node(), bias.node()];
            let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
            let y = B::prefix_linear(x.clone(), weight.clone(), bias, prefix.clone(), None);
            let y = match PrefixLinearBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((x, weight, prefix), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            };
            match activation {
                Some(kind) => <Self as ActivationOps>::activate(y, kind),
                None => y,
            }
        }

        fn prefix_linear_input_gradient(
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: Prefix,
        ) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }

        fn prefix_linear_weight_gradient(
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: Prefix,
        ) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }
    }
}
