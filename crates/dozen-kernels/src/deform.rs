//! Deformable convolution (Dai et al. 2017; with masks, Zhu et al. 2019): each tap of each output looks where an offset of its
//! own says, between pixels, and what it sees may be weighed by a mask.
//!
//! ```text
//! y(p) = b + sum_k W_k m_k(p) x(p + p_k + offset_k(p))
//! ```
//!
//! x between pixels is the mean of the four around it by their nearness, and nothing outside. What the taps see is made first
//! ([`columns`], with a backward by hand), then it is one product with the weights.

use burn::tensor::{Int, Tensor, TensorData};

/// Where taps stand before they are moved, down and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deformation {
    /// Taps.
    pub taps: [usize; 2],
    /// Pixels between outputs.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: [usize; 2],
    /// Pixels between taps.
    pub dilation: [usize; 2],
}

impl Deformation {
    /// Outputs of an image.
    fn outputs(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let side = |axis: usize, pixels: usize| {
            let reach = self.dilation[axis] * (self.taps[axis] - 1) + 1;
            (pixels + 2 * self.padding[axis])
                .checked_sub(reach)
                .map_or(0, |left| left / self.stride[axis] + 1)
        };
        [side(0, height), side(1, width)]
    }

    /// Where a tap of an output stands before its offset: down and right.
    fn place(&self, tap: usize, [down, right]: [usize; 2]) -> [f64; 2] {
        let tap = [tap / self.taps[1], tap % self.taps[1]];
        let axis = |axis: usize, output: usize| {
            (output * self.stride[axis] + tap[axis] * self.dilation[axis]) as f64 - self.padding[axis] as f64
        };
        [axis(0, down), axis(1, right)]
    }
}

/// The convolution: `x` is `[images, channels, height, width]`, `weight` `[outputs, channels / groups, taps down, taps right]`,
/// `offset` `[images, 2 parts taps, down, right]` with the way down before the way right for each tap, and `mask` `[images, parts
/// taps, down, right]`. Channels are cut into equal parts, each with offsets of its own. As `torchvision.ops.deform_conv2d`.
///
/// # Panics
/// When shapes do not fit.
pub fn deform_conv2d(
    x: Tensor<4>,
    offset: Tensor<4>,
    mask: Option<Tensor<4>>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    how: Deformation,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return convolve(x, offset, mask, weight, bias, how, kernel::run);
    }
    deform_conv2d_reference(x, offset, mask, weight, bias, how)
}

/// [`deform_conv2d`] in Burn's own operations.
pub fn deform_conv2d_reference(
    x: Tensor<4>,
    offset: Tensor<4>,
    mask: Option<Tensor<4>>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    how: Deformation,
) -> Tensor<4> {
    convolve(x, offset, mask, weight, bias, how, columns)
}

/// What the taps see, times the weights.
fn convolve(
    x: Tensor<4>,
    offset: Tensor<4>,
    mask: Option<Tensor<4>>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    how: Deformation,
    columns: impl Fn(Tensor<4>, Tensor<4>, Tensor<4>, Deformation) -> Tensor<3>,
) -> Tensor<4> {
    let ([images, channels, height, width], [outputs, of_group, down_taps, right_taps]) =
        (x.dims(), weight.dims());
    let [down, right] = how.outputs([height, width]);
    let taps = down_taps * right_taps;
    assert_eq!([down_taps, right_taps], how.taps, "weights for each tap");
    assert!(of_group > 0 && channels.is_multiple_of(of_group), "groups of channels");
    let groups = channels / of_group;
    assert!(outputs.is_multiple_of(groups), "outputs for each group");
    let moved = offset.dims();
    let parts = moved[1] / (2 * taps);
    assert!(parts > 0 && channels.is_multiple_of(parts), "parts of channels");
    assert_eq!(moved, [images, 2 * parts * taps, down, right], "an offset for each tap of each output");
    let mask = mask.unwrap_or_else(|| offset.clone().slice_dim(1, 0..parts * taps).ones_like());
    assert_eq!(mask.dims(), [images, parts * taps, down, right], "a mask for each tap of each output");
    // [images groups, channels of a group * taps, places] by [groups, outputs of a group, channels of a group * taps].
    let seen = columns(x, offset, mask, how).reshape([images, groups, of_group * taps, down * right]);
    let weight = weight.reshape([1, groups, outputs / groups, of_group * taps]);
    let y = weight.expand([images, groups, outputs / groups, of_group * taps]).matmul(seen);
    let y = y.reshape([images, outputs, down, right]);
    match bias {
        Some(bias) => y + bias.reshape([1, outputs, 1, 1]),
        None => y,
    }
}

/// What each tap of each output sees: `[images, channels * taps, places]`.
fn columns(x: Tensor<4>, offset: Tensor<4>, mask: Tensor<4>, how: Deformation) -> Tensor<3> {
    let ([images, channels, height, width], device) = (x.dims(), x.device());
    let [down, right] = how.outputs([height, width]);
    let (places, taps) = (down * right, how.taps[0] * how.taps[1]);
    let parts = mask.dims()[1] / taps;
    let standing = |axis: usize| {
        let of = |at: usize| how.place(at / places, [at % places / right, at % right])[axis];
        let values: Vec<f64> = (0..taps * places).map(of).collect();
        let values = Tensor::<4>::from_data(TensorData::new(values, [1, 1, taps, places]), &device);
        values.cast(offset.dtype())
    };
    // [images, parts, taps, places], down and right.
    let moved = offset.clone().reshape([images, parts, taps, 2, places]);
    let place = |axis: usize| moved.clone().slice_dim(3, axis..axis + 1).squeeze_dim::<4>(3) + standing(axis);
    let [y, x_place] = [place(0), place(1)];
    let [top, left] = [y.clone().detach().floor(), x_place.clone().detach().floor()];
    let of_part = channels / parts;
    let pixels = x.reshape([images, parts, of_part, height * width]);
    let mut seen: Option<Tensor<5>> = None;
    for corner in 0..4_usize {
        let (line, column) = (top.clone() + (corner / 2) as f64, left.clone() + (corner % 2) as f64);
        let nearness =
            |place: &Tensor<4>, pixel: &Tensor<4>| (place.clone() - pixel.clone()).abs().neg() + 1.0;
        let inside = |pixel: &Tensor<4>, side: usize| {
            let high = pixel.clone().lower_elem(side as f64).float();
            pixel.clone().greater_equal_elem(0.0).float() * high
        };
        let there = (inside(&line, height) * inside(&column, width)).cast(y.dtype());
        let share = nearness(&y, &line) * nearness(&x_place, &column) * there;
        let index =
            line.clamp(0.0, (height - 1) as f64) * width as f64 + column.clamp(0.0, (width - 1) as f64);
        let index: Tensor<4, Int> = index.int().reshape([images, parts, 1, taps * places]);
        let of_corner = pixels.clone().gather(3, index.expand([images, parts, of_part, taps * places]));
        let of_corner =
            of_corner.reshape([images, parts, of_part, taps, places]) * share.unsqueeze_dim::<5>(2);
        seen = Some(match seen {
            Some(seen) => seen + of_corner,
            None => of_corner,
        });
    }
    let weighed = mask.reshape([images, parts, 1, taps, places]);
    let seen = seen.expect("there are four corners") * weighed;
    seen.reshape([images, channels * taps, places])
}

#[cfg(feature = "flex")]
mod kernel {
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::Deformation;
    use crate::host::{by_type, contiguous, elements, size, tensor};
    use crate::real::Real;

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait DeformOps: Backend {
        fn columns(
            x: FloatTensor<Self>,
            offset: FloatTensor<Self>,
            mask: FloatTensor<Self>,
            how: Deformation,
        ) -> FloatTensor<Self>;
        /// The gradients of `x`, `offset` and `mask`.
        fn columns_gradients(
            output_gradient: FloatTensor<Self>,
            x: FloatTensor<Self>,
            offset: FloatTensor<Self>,
            mask: FloatTensor<Self>,
            how: Deformation,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    }

    pub(super) fn run(x: Tensor<4>, offset: Tensor<4>, mask: Tensor<4>, how: Deformation) -> Tensor<3> {
        Tensor::from_dispatch(<Dispatch as DeformOps>::columns(
            x.into_dispatch(),
            offset.into_dispatch(),
            mask.into_dispatch(),
            how,
        ))
    }

    impl DeformOps for Flex {
        fn columns(x: FlexTensor, offset: FlexTensor, mask: FlexTensor, how: Deformation) -> FlexTensor {
            let (x, offset, mask) = (contiguous(x), contiguous(offset), contiguous(mask));
            by_type!(&x, forward(&x, &offset, &mask, how))
        }

        fn columns_gradients(
            output_gradient: FlexTensor,
            x: FlexTensor,
            offset: FlexTensor,
            mask: FlexTensor,
            how: Deformation,
        ) -> (FlexTensor, FlexTensor, FlexTensor) {
            let (dy, x) = (contiguous(output_gradient), contiguous(x));
            let (offset, mask) = (contiguous(offset), contiguous(mask));
            by_type!(&x, backward(&dy, &x, &offset, &mask, how))
        }
    }

    /// The sizes of one call.
    struct Sizes {
        images: usize,
        channels: usize,
        map: [usize; 2],
        taps: usize,
        outputs: [usize; 2],
        /// Channels that share offsets.
        of_part: usize,
    }

    impl Sizes {
        fn new(x: &FlexTensor, mask: &FlexTensor, how: Deformation) -> Self {
            let map = [size(x, 2), size(x, 3)];
            let (channels, taps) = (size(x, 1), how.taps[0] * how.taps[1]);
            let of_part = channels / (size(mask, 1) / taps);
            Self { images: size(x, 0), channels, map, taps, outputs: how.outputs(map), of_part }
        }

        fn parts(&self) -> usize {
            self.channels / self.of_part
        }

        fn places(&self) -> usize {
            self.outputs[0] * self.outputs[1]
        }

        fn pixels(&self) -> usize {
            self.map[0] * self.map[1]
        }

        /// Where a part's tap of a place looks, by its offsets of all images.
        fn look<E: Real>(
            &self,
            offset: &[E],
            how: Deformation,
            [image, part, tap, place]: [usize; 4],
        ) -> Look<E> {
            let standing = how.place(tap, [place / self.outputs[1], place % self.outputs[1]]);
            let first = ((image * self.parts() + part) * self.taps + tap) * 2 * self.places() + place;
            let [down, right] =
                [0, 1].map(|axis| E::of(standing[axis]) + offset[first + axis * self.places()]);
            Look::new(down, right, self.map)
        }
    }

    /// The pixels around a place with their shares, and how those change as it moves down and right.
    struct Look<E> {
        pixels: [usize; 4],
        shares: [E; 4],
        down: [E; 4],
        right: [E; 4],
    }

    impl<E: Real> Look<E> {
        fn new(down: E, right: E, [height, width]: [usize; 2]) -> Self {
            let mut look =
                Self { pixels: [0; 4], shares: [E::ZERO; 4], down: [E::ZERO; 4], right: [E::ZERO; 4] };
            let (y, x) = (down.to_f64(), right.to_f64());
            // Beyond a pixel outside, and where an offset is no number, there is nothing.
            if !(y > -1.0 && y < height as f64 && x > -1.0 && x < width as f64) {
                return look;
            }
            let (top, left) = (y.floor(), x.floor());
            let (low, along) = (down - E::of(top), right - E::of(left));
            let lines = [(E::ONE - low, E::of(-1.0)), (low, E::ONE)];
            let columns = [(E::ONE - along, E::of(-1.0)), (along, E::ONE)];
            for corner in 0..4 {
                let (line, column) =
                    (top as isize + (corner / 2) as isize, left as isize + (corner % 2) as isize);
                if line < 0 || column < 0 || line >= height as isize || column >= width as isize {
                    continue;
                }
                let ((near_line, line_slope), (near_column, column_slope)) =
                    (lines[corner / 2], columns[corner % 2]);
                look.pixels[corner] = line as usize * width + column as usize;
                look.shares[corner] = near_line * near_column;
                look.down[corner] = line_slope * near_column;
                look.right[corner] = near_line * column_slope;
            }
            look
        }

        fn of(&self, plane: &[E], shares: &[E; 4]) -> E {
            (0..4).map(|corner| plane[self.pixels[corner]] * shares[corner]).sum()
        }
    }

    fn forward<E: Real>(
        x: &FlexTensor,
        offset: &FlexTensor,
        mask: &FlexTensor,
        how: Deformation,
    ) -> FlexTensor {
        let sizes = Sizes::new(x, mask, how);
        let (values, offset, mask) = (elements::<E>(x), elements::<E>(offset), elements::<E>(mask));
        let (places, taps, pixels) = (sizes.places(), sizes.taps, sizes.pixels());
        let mut y = vec![E::ZERO; sizes.images * sizes.channels * taps * places];
        // A part of an image: the same looks for all of its channels.
        let of_part = sizes.of_part * taps * places;
        y.par_chunks_mut(of_part.max(1)).enumerate().for_each(|(number, y)| {
            let (image, part) = (number / sizes.parts(), number % sizes.parts());
            for tap in 0..taps {
                for place in 0..places {
                    let look = sizes.look(offset, how, [image, part, tap, place]);
                    let weight = mask[(number * taps + tap) * places + place];
                    for channel in 0..sizes.of_part {
                        let plane = &values[(number * sizes.of_part + channel) * pixels..][..pixels];
                        y[(channel * taps + tap) * places + place] = weight * look.of(plane, &look.shares);
                    }
                }
            }
        });
        tensor(y, [sizes.images, sizes.channels * taps, places])
    }

    /// With `s` what a tap sees before its mask `m`: `dx += m share dy` at the four pixels, `dm = sum s dy` and
    /// `d offset = sum m (d share / d place) x dy` over the channels of a part.
    fn backward<E: Real>(
        dy: &FlexTensor,
        x: &FlexTensor,
        offset: &FlexTensor,
        mask: &FlexTensor,
        how: Deformation,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let sizes = Sizes::new(x, mask, how);
        let (dy, values) = (elements::<E>(dy), elements::<E>(x));
        let (offset_values, mask_values) = (elements::<E>(offset), elements::<E>(mask));
        let (places, taps, pixels, of_part) = (sizes.places(), sizes.taps, sizes.pixels(), sizes.of_part);
        let mut dx = vec![E::ZERO; values.len()];
        let mut d_offset = vec![E::ZERO; offset_values.len()];
        let mut d_mask = vec![E::ZERO; mask_values.len()];
        // Each thread has the pixels and the offsets of a part of an image to itself.
        dx.par_chunks_mut((of_part * pixels).max(1))
            .zip(d_offset.par_chunks_mut((2 * taps * places).max(1)))
            .zip(d_mask.par_chunks_mut((taps * places).max(1)))
            .enumerate()
            .for_each(|(number, ((dx, d_offset), d_mask))| {
                let (image, part) = (number / sizes.parts(), number % sizes.parts());
                for tap in 0..taps {
                    for place in 0..places {
                        let look = sizes.look(offset_values, how, [image, part, tap, place]);
                        let weight = mask_values[(number * taps + tap) * places + place];
                        let (mut seen, mut down, mut right) = (E::ZERO, E::ZERO, E::ZERO);
                        for channel in 0..of_part {
                            let plane = &values[(number * of_part + channel) * pixels..][..pixels];
                            let at = ((number * of_part + channel) * taps + tap) * places + place;
                            let gradient = dy[at];
                            seen += gradient * look.of(plane, &look.shares);
                            down += gradient * look.of(plane, &look.down);
                            right += gradient * look.of(plane, &look.right);
                            for corner in 0..4 {
                                dx[channel * pixels + look.pixels[corner]] +=
                                    gradient * weight * look.shares[corner];
                            }
                        }
                        d_mask[tap * places + place] = seen;
                        d_offset[2 * tap * places + place] = weight * down;
                        d_offset[(2 * tap + 1) * places + place] = weight * right;
                    }
                }
            });
        let shape = |of: &FlexTensor| of.layout().shape().clone();
        (tensor(dx, shape(x)), tensor(d_offset, shape(offset)), tensor(d_mask, shape(mask)))
    }

    #[derive(Debug)]
    struct ColumnsBackward;

    impl<B: DeformOps> Backward<B, 3> for ColumnsBackward {
        type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Deformation);

        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let (x, offset, mask, how) = ops.state;
            let dy = grads.consume::<B>(&ops.node);
            let (dx, d_offset, d_mask) = B::columns_gradients(dy, x, offset, mask, how);
            for (node, gradient) in ops.parents.into_iter().zip([dx, d_offset, d_mask]) {
                if let Some(node) = node {
                    grads.register::<B>(node.id, gradient);
                }
            }
        }
    }

    impl<B: DeformOps, C: CheckpointStrategy> DeformOps for Autodiff<B, C> {
        fn columns(
            x: FloatTensor<Self>,
            offset: FloatTensor<Self>,
            mask: FloatTensor<Self>,
            how: Deformation,
        ) -> FloatTensor<Self> {
            let nodes = [x.node(), offset.node(), mask.node()];
            let (x, offset, mask) = (x.into_primitive(), offset.into_primitive(), mask.into_primitive());
            let y = <B as DeformOps>::columns(x.clone(), offset.clone(), mask.clone(), how);
            match ColumnsBackward.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((x, offset, mask, how), y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn columns_gradients(
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: FloatTensor<Self>,
            _: Deformation,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            unreachable!("Burn has no second derivatives")
        }
    }
}
