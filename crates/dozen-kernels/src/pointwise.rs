//! The 1 x 1 convolution, straight as a matrix product.

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

/// `y[n, o, p] = sum_i w[o, i] x[n, i, p]` at every pixel `p`: `[batch, inputs, height, width]`, `[outputs, inputs]` to
/// `[batch, outputs, height, width]`.
///
/// An image's pixels already lie as the columns of a matrix, so that nothing is rearranged, forwards or backwards.
pub fn pointwise_conv2d(x: Tensor<4>, weight: Tensor<2>) -> Tensor<4> {
    assert_eq!(x.dims()[1], weight.dims()[1], "a weight for each input channel");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run(x, weight);
    }
    pointwise_conv2d_reference(x, weight)
}

/// [`pointwise_conv2d`] in Burn's own operations.
pub fn pointwise_conv2d_reference(x: Tensor<4>, weight: Tensor<2>) -> Tensor<4> {
    let [outputs, inputs] = weight.dims();
    conv2d(x, weight.reshape([outputs, inputs, 1, 1]), None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1))
}

#[cfg(feature = "flex")]
mod kernel {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use crate::host::{by_type, contiguous, elements, size, tensor};
    use crate::real::{Block, Real, matmul_here};

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait PointwiseOps: Backend {
        fn pointwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
        fn pointwise_input_gradient(
            output_gradient: FloatTensor<Self>,
            weight: FloatTensor<Self>,
        ) -> FloatTensor<Self>;
        fn pointwise_weight_gradient(
            output_gradient: FloatTensor<Self>,
            x: FloatTensor<Self>,
        ) -> FloatTensor<Self>;
    }

    pub(super) fn run(x: Tensor<4>, weight: Tensor<2>) -> Tensor<4> {
        Tensor::from_dispatch(<Dispatch as PointwiseOps>::pointwise(
            x.into_dispatch(),
            weight.into_dispatch(),
        ))
    }

    impl PointwiseOps for Flex {
        fn pointwise(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
            let (x, weight) = (contiguous(x), contiguous(weight));
            by_type!(&x, mix_channels(&x, &weight, false))
        }

        /// `dx = W^T dy`: the same operation with the weight turned.
        fn pointwise_input_gradient(output_gradient: FlexTensor, weight: FlexTensor) -> FlexTensor {
            let (dy, weight) = (contiguous(output_gradient), contiguous(weight));
            by_type!(&dy, mix_channels(&dy, &weight, true))
        }

        fn pointwise_weight_gradient(output_gradient: FlexTensor, x: FlexTensor) -> FlexTensor {
            let (dy, x) = (contiguous(output_gradient), contiguous(x));
            by_type!(&dy, weight_gradient(&dy, &x))
        }
    }

    /// `y_n = W x_n`, or `W^T x_n` if `turned`, for each image `n`.
    fn mix_channels<E: Real>(x: &FlexTensor, weight: &FlexTensor, turned: bool) -> FlexTensor {
        let (batch, inputs) = (size(x, 0), size(x, 1));
        let (height, width) = (size(x, 2), size(x, 3));
        let pixels = height * width;
        let block = Block::whole(size(weight, 0), size(weight, 1));
        let block = if turned { block.transposed() } else { block };
        let outputs = block.rows;
        let mut y: Vec<E> = vec![E::ZERO; batch * outputs * pixels];
        let images = y.par_chunks_mut(outputs * pixels).zip(elements::<E>(x).par_chunks(inputs * pixels));
        images.for_each(|(y, x)| {
            let (y_block, x_block) = (Block::whole(outputs, pixels), Block::whole(inputs, pixels));
            matmul_here((y, y_block), (elements(weight), block), (x, x_block));
        });
        tensor(y, [batch, outputs, height, width])
    }

    /// `dW = sum_n dy_n x_n^T`, images side by side and summed in order.
    fn weight_gradient<E: Real>(dy: &FlexTensor, x: &FlexTensor) -> FlexTensor {
        let (outputs, inputs) = (size(dy, 1), size(x, 1));
        let pixels = size(x, 2) * size(x, 3);
        let images =
            elements::<E>(dy).par_chunks(outputs * pixels).zip(elements::<E>(x).par_chunks(inputs * pixels));
        let by_image: Vec<Vec<E>> = images
            .map(|(dy, x)| {
                let mut dw = vec![E::ZERO; outputs * inputs];
                let x_block = Block::whole(inputs, pixels).transposed();
                let dw_block = Block::whole(outputs, inputs);
                matmul_here((&mut dw, dw_block), (dy, Block::whole(outputs, pixels)), (x, x_block));
                dw
            })
            .collect();
        let mut dw: Vec<E> = vec![E::ZERO; outputs * inputs];
        for image in &by_image {
            dw.iter_mut().zip(image).for_each(|(dw, &part)| *dw += part);
        }
        tensor(dw, [outputs, inputs])
    }

    #[derive(Debug)]
    struct PointwiseBackward;

    impl<B: PointwiseOps> Backward<B, 2> for PointwiseBackward {
        type State = (FloatTensor<B>, FloatTensor<B>);

        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (x, weight) = ops.state;
            binary::<B, _, _>(
                ops.parents,
                ops.node,
                grads,
                |dy| B::pointwise_input_gradient(dy, weight),
                |dy| B::pointwise_weight_gradient(dy, x),
            );
        }
    }

    impl<B: PointwiseOps, C: CheckpointStrategy> PointwiseOps for Autodiff<B, C> {
        fn pointwise(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
            let nodes = [x.node(), weight.node()];
            let (x, weight) = (x.into_primitive(), weight.into_primitive());
            let y = B::pointwise(x.clone(), weight.clone());
            match PointwiseBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((x, weight), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn pointwise_input_gradient(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }

        fn pointwise_weight_gradient(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }
    }
}
