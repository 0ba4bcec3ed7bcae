//! Convolution of images, dense, grouped or depthwise, at any stride and dilation, with its gradients; and the same
//! turned round, the transposed convolution.

use burn::tensor::Tensor;
use burn::tensor::module;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use crate::activation::{Activation, activate};
use crate::channels::scale_channels;

#[cfg(feature = "flex")]
mod dense;
#[cfg(feature = "flex")]
mod depthwise;
#[cfg(feature = "flex")]
mod kernel;
#[cfg(feature = "flex")]
mod plan;
#[cfg(feature = "flex")]
mod pointwise;
#[cfg(feature = "flex")]
mod small;
#[cfg(feature = "flex")]
mod tile;
#[cfg(feature = "flex")]
mod weights;

/// The geometry of a convolution: `Convolution::default()` is stride 1, no padding, no dilation, one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Pixels between outputs.
    pub stride: usize,
    /// Zeros `[above, below]` and `[left, right]`.
    pub padding: [[usize; 2]; 2],
    /// Pixels between taps of the filter.
    pub dilation: usize,
    /// Parts that the channels are divided into; outputs of a part read only the inputs of that part.
    pub groups: usize,
}

impl Default for Convolution {
    fn default() -> Self {
        Self { stride: 1, padding: [[0; 2]; 2], dilation: 1, groups: 1 }
    }
}

impl Convolution {
    /// With `padding` zeros on all sides.
    pub fn padded(padding: usize) -> Self {
        Self { padding: [[padding; 2]; 2], ..Self::default() }
    }

    /// Height and width of the output for an image and a filter of these heights and widths.
    ///
    /// # Panics
    /// When the filter does not fit the padded image.
    pub fn outputs(self, image: [usize; 2], taps: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let reach = self.dilation * (taps[axis] - 1) + 1;
            let size = image[axis] + self.padding[axis][0] + self.padding[axis][1];
            assert!(
                size >= reach,
                "a filter that reaches over {reach} pixels does not fit a padded side of {size}"
            );
            (size - reach) / self.stride + 1
        })
    }

    fn check(self, [inputs, outputs]: [usize; 2], weight: [usize; 4]) {
        let Self { groups, .. } = self;
        assert!(
            self.stride > 0 && self.dilation > 0 && groups > 0,
            "stride, dilation and groups are at least 1"
        );
        assert!(weight[2] > 0 && weight[3] > 0, "a filter has at least one tap");
        assert!(
            weight[1] * groups == inputs && weight[0] == outputs && outputs.is_multiple_of(groups),
            "weights {weight:?} in {groups} groups do not take {inputs} channels to {outputs}"
        );
    }
}

/// `y[n, o, i, j] = sum_{c,u,v} w[o, c, u, v] x[n, c, s i + d u - p, s j + d v - p]`, zero outside the image, `c` over the
/// input channels of `o`'s group: `[batch, inputs, height, width]` and `[outputs, inputs / groups, taps, taps]` to
/// `[batch, outputs, height', width']`.
///
/// # Panics
/// When shapes and geometry do not fit.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, convolution: Convolution) -> Tensor<4> {
    convolution.check([x.dims()[1], weight.dims()[0]], weight.dims());
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::convolve(x, weight, convolution);
    }
    conv2d_reference(x, weight, convolution)
}

/// [`conv2d`] in Burn's own operations.
pub fn conv2d_reference(x: Tensor<4>, weight: Tensor<4>, convolution: Convolution) -> Tensor<4> {
    let Convolution { stride, padding: [rows, columns], dilation, groups } = convolution;
    let x = x.pad((columns[0], columns[1], rows[0], rows[1]), 0.0);
    module::conv2d(x, weight, None, ConvOptions::new([stride; 2], [0; 2], [dilation; 2], groups))
}

/// What [`conv2d_fused`] does beside the convolution.
#[derive(Clone, Debug, Default)]
pub struct Fusion {
    /// A factor for each input channel of each image, as squeeze-and-excite gives: `[batch, inputs]`.
    pub scale: Option<Tensor<2>>,
    /// A value for each output channel.
    pub bias: Option<Tensor<1>>,
    /// Of each output.
    pub activation: Option<Activation>,
}

/// `f(conv2d(s x, w) + b)`, in one pass where no gradient is asked for.
///
/// # Panics
/// When shapes and geometry do not fit.
pub fn conv2d_fused(x: Tensor<4>, weight: Tensor<4>, fusion: Fusion, convolution: Convolution) -> Tensor<4> {
    let [batch, inputs, ..] = x.dims();
    let outputs = weight.dims()[0];
    convolution.check([inputs, outputs], weight.dims());
    let Fusion { scale, bias, activation } = fusion;
    assert!(
        scale.iter().all(|s| s.dims() == [batch, inputs]),
        "a scale for each input channel of each image"
    );
    assert!(bias.iter().all(|b| b.dims() == [outputs]), "a bias for each output channel");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::convolve_fused(x, weight, scale, bias, activation, convolution);
    }
    let x = scale.map_or(x.clone(), |scale| scale_channels(x, scale));
    let y = conv2d_reference(x, weight, convolution);
    let y = bias.map_or(y.clone(), |bias| y + bias.reshape([1, outputs, 1, 1]));
    activation.map_or(y.clone(), |kind| activate(y, kind))
}

/// The convolution turned round: `y[n, o, r, q] = sum w[c, o, u, v] x[n, c, i, j]` over all taps and pixels with
/// `s i + d u - p = r` and `s j + d v - p = q`: `[batch, inputs, height, width]` and
/// `[inputs, outputs / groups, taps, taps]` to `[batch, outputs, *image]`, where a convolution of an image of the size
/// `image` would have `height` and `width` outputs.
///
/// # Panics
/// When shapes and geometry do not fit.
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    convolution: Convolution,
    image: [usize; 2],
) -> Tensor<4> {
    let [_, inputs, height, width] = x.dims();
    let [_, outputs, ..] = weight.dims();
    convolution.check([outputs * convolution.groups, inputs], weight.dims());
    let expected = convolution.outputs(image, [weight.dims()[2], weight.dims()[3]]);
    assert_eq!(expected, [height, width], "outputs of a convolution of an image of {image:?}");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::convolve_transposed(x, weight, convolution, image);
    }
    conv_transpose2d_reference(x, weight, convolution, image)
}

/// [`conv_transpose2d`] in Burn's own operations.
pub fn conv_transpose2d_reference(
    x: Tensor<4>,
    weight: Tensor<4>,
    convolution: Convolution,
    image: [usize; 2],
) -> Tensor<4> {
    let Convolution { stride, padding, dilation, groups } = convolution;
    let [_, _, height, width] = x.dims();
    let [_, per_group, rows, columns] = weight.dims();
    // Without padding first, then the border is cut off, or what no output reached is filled with zeros.
    let reached = [
        (height - 1) * stride + dilation * (rows - 1) + 1,
        (width - 1) * stride + dilation * (columns - 1) + 1,
    ];
    let options = ConvTransposeOptions::new([stride; 2], [0; 2], [0; 2], [dilation; 2], groups);
    let y = module::conv_transpose2d(x, weight, None, options);
    let missing: [usize; 2] =
        std::array::from_fn(|axis| (padding[axis][0] + image[axis]).saturating_sub(reached[axis]));
    let y = y.pad((0, missing[1], 0, missing[0]), 0.0);
    let [batch, ..] = y.dims();
    let range = |axis: usize| padding[axis][0]..padding[axis][0] + image[axis];
    y.slice([0..batch, 0..per_group * groups, range(0), range(1)])
}
