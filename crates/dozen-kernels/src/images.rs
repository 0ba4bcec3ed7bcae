//! Inference on a batch of images, one image at a time on each thread.

use burn::tensor::Tensor;

/// `f` of each image by itself, put together again: `f` takes `[1, channels, height, width]`, and what it gives for each
/// image is one part of the result along its first dimension.
///
/// On the CPU, images run side by side, each on one thread from the first layer to the last, so that what one layer writes
/// is still in the cache when the next reads it; on other devices `f` sees the whole batch. For inference: in training, the
/// layers of a batch belong together.
pub fn each_image<const D: usize>(x: Tensor<4>, f: impl Fn(Tensor<4>) -> Tensor<D> + Sync) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) && x.dims()[0] > 1 {
        use rayon::prelude::*;
        let images: Vec<Tensor<4>> = x.split(1, 0);
        return Tensor::cat(images.into_par_iter().map(&f).collect(), 0);
    }
    f(x)
}
