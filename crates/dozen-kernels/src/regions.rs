//! Features of regions of an image: RoIAlign, RoIPool, and their position-sensitive forms.
//!
//! All but RoIPool are linear: each output is a sum of weighted pixels of one channel. Which pixels, and with which weights, goes by the box alone, so it is found once for all channels ([`Taps`]);
//! the backward spreads gradients over the same pixels with the same weights. RoIPool takes the greatest of its pixels instead.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData};

/// How the pixels of a region become one number for each of its bins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pooling {
    /// The greatest pixel of each bin, the box rounded to whole pixels (Girshick 2015).
    Max,
    /// The mean of points between pixels (He et al. 2017).
    Align {
        /// Points along a side of a bin; 0 for as many as there are pixels.
        points: usize,
        /// Whether a pixel's value lies at its middle, half a pixel from its corner, or at its corner as in older models.
        aligned: bool,
    },
    /// The mean of the pixels of each bin, each bin from channels of its own (Dai et al. 2016, eq. 1).
    PositionSensitive {
        /// How boxes become pixels.
        border: Border,
    },
    /// As [`Pooling::Align`] (aligned), each bin from channels of its own.
    PositionSensitiveAlign {
        /// Points along a side of a bin; 0 for as many as there are pixels.
        points: usize,
    },
}

/// How a position-sensitive pooling turns boxes into pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// As R-FCN's authors do: up to the image's last line and column.
    Rfcn,
    /// As torchvision does, which never pools the last line and column of a map.
    Torchvision,
}

impl Pooling {
    fn position_sensitive(self) -> bool {
        matches!(self, Self::PositionSensitive { .. } | Self::PositionSensitiveAlign { .. })
    }
}

/// A region: the number of its image, and its left, top, right and bottom in pixels of the image that the features were made of.
pub type Region = (usize, [f32; 4]);

/// For each bin of each region the pixels that it sees, and how much of each.
#[derive(Clone, Debug)]
struct Taps {
    /// The image of each region.
    images: Vec<usize>,
    /// Where the taps of each bin begin, `[region][bin]`, and where the last end.
    starts: Vec<usize>,
    pixels: Vec<u32>,
    weights: Vec<f32>,
    /// Bins of a region, down and right.
    bins: [usize; 2],
    position_sensitive: bool,
    largest: bool,
}

/// Features of regions: `[images, channels, height, width]` to `[regions, outputs, down, right]`, where outputs are the channels, or of position-sensitive poolings a channel for each bin of each
/// output, in the order output, down, right. `scale` is that of the features to the image, as 1/16.
///
/// The gradient reaches the features; boxes are taken as they are. An empty region gives zeros.
///
/// # Panics
/// When a region is of an image that is not there, or channels are no multiple of the bins where each has its own.
pub fn pool_regions(
    x: Tensor<4>,
    regions: &[Region],
    bins: [usize; 2],
    scale: f32,
    pooling: Pooling,
) -> Tensor<4> {
    let [images, channels, height, width] = x.dims();
    assert!(regions.iter().all(|(image, _)| *image < images), "regions of the images");
    if pooling.position_sensitive() {
        assert!(channels.is_multiple_of(bins[0] * bins[1]), "a channel for each bin of each output");
    }
    let taps = Arc::new(Taps::new(regions, bins, scale, pooling, [height, width]));
    #[cfg(feature = "flex")]
    if crate::has_kernels(&x.device()) {
        return kernel::run(x, &taps);
    }
    reference(x, &taps)
}

/// [`pool_regions`] in Burn's own operations.
pub fn pool_regions_reference(
    x: Tensor<4>,
    regions: &[Region],
    bins: [usize; 2],
    scale: f32,
    pooling: Pooling,
) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    reference(x, &Taps::new(regions, bins, scale, pooling, [height, width]))
}

/// The taps of all bins, of as many for each as the most that one has, as rows of a table of pixels.
fn reference(x: Tensor<4>, taps: &Taps) -> Tensor<4> {
    let [images, channels, height, width] = x.dims();
    let (device, places) = (x.device(), height * width);
    let [down, right] = taps.bins;
    let (count, regions) = (down * right, taps.images.len());
    if regions == 0 {
        return Tensor::zeros([0, taps.outputs(channels), down, right], &device);
    }
    let most = taps.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0).max(1);
    let (mut rows, mut weights) = (Vec::new(), Vec::new());
    for bin in 0..regions * count {
        let own = taps.starts[bin]..taps.starts[bin + 1];
        let image = taps.images[bin / count] * places;
        for at in 0..most {
            // Beyond its last a bin has its first again, without weight.
            let inside = at < own.len();
            let tap = own.start + if inside { at } else { 0 };
            rows.push((image + taps.pixels.get(tap).map_or(0, |pixel| *pixel as usize)) as i64);
            weights.push(if own.is_empty() || !inside && !taps.largest { 0.0 } else { taps.weights[tap] });
        }
    }
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [regions * count * most]), &device);
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [regions * count, most, 1]), &device);
    let table = x.permute([0, 2, 3, 1]).reshape([images * places, channels]);
    let seen =
        table.select(0, rows).reshape([regions * count, most, channels]) * weights.cast(table_type(&device));
    let pooled = if taps.largest { seen.max_dim(1) } else { seen.sum_dim(1) };
    let pooled = pooled.reshape([regions, count, channels]);
    if !taps.position_sensitive {
        return pooled.swap_dims(1, 2).reshape([regions, channels, down, right]);
    }
    // Of channel `output * count + bin` only the bin `bin`.
    let outputs = channels / count;
    let by_bin = pooled.reshape([regions, count, outputs, count]);
    let own = Tensor::<2>::eye(count, &device).reshape([1, count, 1, count]);
    (by_bin * own)
        .sum_dim(3)
        .reshape([regions, count, outputs])
        .swap_dims(1, 2)
        .reshape([regions, outputs, down, right])
}

impl Taps {
    fn new(regions: &[Region], bins: [usize; 2], scale: f32, pooling: Pooling, map: [usize; 2]) -> Self {
        let mut taps = Self {
            images: regions.iter().map(|(image, _)| *image).collect(),
            starts: vec![0],
            pixels: Vec::new(),
            weights: Vec::new(),
            bins,
            position_sensitive: pooling.position_sensitive(),
            largest: pooling == Pooling::Max,
        };
        for (_, rect) in regions {
            match pooling {
                Pooling::Max => taps.whole_pixels(rounded(rect, scale, 1, map), bins, map),
                Pooling::PositionSensitive { border: Border::Torchvision } => {
                    taps.whole_pixels(rounded(rect, scale, 0, map.map(|side| side - 1)), bins, map);
                }
                Pooling::PositionSensitive { border: Border::Rfcn } => {
                    taps.whole_pixels(rfcn(rect, scale, map), bins, map);
                }
                Pooling::Align { points, aligned } => taps.points(rect, scale, points, aligned, bins, map),
                Pooling::PositionSensitiveAlign { points } => {
                    taps.points(rect, scale, points, true, bins, map);
                }
            }
        }
        taps
    }

    fn outputs(&self, channels: usize) -> usize {
        if self.position_sensitive { channels / (self.bins[0] * self.bins[1]) } else { channels }
    }

    /// Every pixel of each bin, of a mean each the same share.
    fn whole_pixels(&mut self, axes: [Axis; 2], bins: [usize; 2], [_, width]: [usize; 2]) {
        for down in 0..bins[0] {
            let lines = axes[0].pixels(down, bins[0]);
            for right in 0..bins[1] {
                let columns = axes[1].pixels(right, bins[1]);
                let weight = if self.largest { 1.0 } else { 1.0 / (lines.len() * columns.len()) as f32 };
                for line in lines.clone() {
                    for column in columns.clone() {
                        self.pixels.push((line * width + column) as u32);
                        self.weights.push(weight);
                    }
                }
                self.starts.push(self.pixels.len());
            }
        }
    }

    fn points(
        &mut self,
        rect: &[f32; 4],
        scale: f32,
        points: usize,
        aligned: bool,
        bins: [usize; 2],
        map: [usize; 2],
    ) {
        let offset = if aligned { 0.5 } else { 0.0 };
        let [left, top, right, bottom] = rect.map(|side| side * scale - offset);
        // A box is at least a pixel wide where pixels lie at corners.
        let least = |side: f32| if aligned { side } else { side.max(1.0) };
        self.between([top, left], [least(bottom - top), least(right - left)], points, bins, map);
    }

    /// Points between pixels, each from the four around it.
    fn between(
        &mut self,
        start: [f32; 2],
        sides: [f32; 2],
        points: usize,
        bins: [usize; 2],
        [height, width]: [usize; 2],
    ) {
        let bin = [sides[0] / bins[0] as f32, sides[1] / bins[1] as f32];
        let grid = bin.map(|side| if points > 0 { points } else { side.ceil().max(0.0) as usize });
        let count = ((grid[0] * grid[1]) as f32).max(1.0);
        let place = |axis: usize, number: usize, point: usize| {
            start[axis] + number as f32 * bin[axis] + (point as f32 + 0.5) * bin[axis] / grid[axis] as f32
        };
        for down in 0..bins[0] {
            for right in 0..bins[1] {
                for line in 0..grid[0] {
                    let Some(lines) = around(place(0, down, line), height) else { continue };
                    for column in 0..grid[1] {
                        let Some(columns) = around(place(1, right, column), width) else { continue };
                        for (line, of_line) in lines {
                            for (column, of_column) in columns {
                                self.pixels.push((line * width + column) as u32);
                                self.weights.push(of_line * of_column / count);
                            }
                        }
                    }
                }
                self.starts.push(self.pixels.len());
            }
        }
    }
}

/// The two pixels around a place along a side, each with its share; none beyond a pixel outside.
fn around(place: f32, side: usize) -> Option<[(usize, f32); 2]> {
    if !(-1.0..=side as f32).contains(&place) {
        return None;
    }
    let place = place.max(0.0);
    let low = place as usize;
    if low + 1 >= side {
        return Some([(side - 1, 1.0), (side - 1, 0.0)]);
    }
    let share = place - low as f32;
    Some([(low, 1.0 - share), (low + 1, share)])
}

/// A box along one side: where it begins, how long a bin is before rounding, and what it is clipped to.
#[derive(Clone, Copy)]
struct Axis {
    start: f32,
    length: f32,
    /// Whether the start is added after the ends of bins were rounded.
    whole: bool,
    end: usize,
}

impl Axis {
    /// The pixels of a bin.
    fn pixels(self, bin: usize, bins: usize) -> std::ops::Range<usize> {
        let size = self.length / bins as f32;
        let (low, high) = (bin as f32 * size, (bin + 1) as f32 * size);
        let (low, high) = if self.whole {
            (low.floor() + self.start, high.ceil() + self.start)
        } else {
            ((low + self.start).floor(), (high + self.start).ceil())
        };
        let clipped = |place: f32| (place.max(0.0) as usize).min(self.end);
        let low = clipped(low);
        low..clipped(high).max(low)
    }
}

/// A box rounded to whole pixels, both ends in it where `plus` is one.
fn rounded([left, top, right, bottom]: &[f32; 4], scale: f32, plus: usize, map: [usize; 2]) -> [Axis; 2] {
    let axis = |from: f32, to: f32, end: usize| {
        let (from, to) = ((from * scale).round(), (to * scale).round());
        Axis { start: from, length: (to - from + plus as f32).max(1.0), whole: true, end }
    };
    [axis(*top, *bottom, map[0]), axis(*left, *right, map[1])]
}

/// A box as R-FCN's authors see it: corners rounded in the image, the last pixel in it, at least a tenth of a pixel of the map long.
fn rfcn([left, top, right, bottom]: &[f32; 4], scale: f32, map: [usize; 2]) -> [Axis; 2] {
    let axis = |from: f32, to: f32, end: usize| {
        let (from, to) = (from.round() * scale, (to.round() + 1.0) * scale);
        Axis { start: from, length: (to - from).max(0.1), whole: false, end }
    };
    [axis(*top, *bottom, map[0]), axis(*left, *right, map[1])]
}

/// The type of floats on a device.
fn table_type(device: &burn::tensor::Device) -> burn::tensor::DType {
    Tensor::<1>::zeros([1], device).dtype()
}

#[cfg(feature = "flex")]
mod kernel {
    use std::sync::{Arc, OnceLock};

    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use super::Taps;
    use crate::host::{by_type, contiguous, elements, size, tensor};
    use crate::real::Real;

    /// What each output came from: the taps, and of a maximum the pixel of each output.
    #[derive(Clone, Debug)]
    pub(super) struct Source {
        taps: Arc<Taps>,
        /// Images, channels, height and width of the features.
        shape: [usize; 4],
        /// Of a maximum, once it is taken, `[region][output][bin]`: the pixel plus one, or zero where there is none.
        largest: Arc<OnceLock<Vec<u32>>>,
    }

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait RegionOps: Backend {
        fn pool(x: FloatTensor<Self>, source: Source) -> FloatTensor<Self>;
        fn spread(output_gradient: FloatTensor<Self>, source: Source) -> FloatTensor<Self>;
    }

    pub(super) fn run(x: Tensor<4>, taps: &Arc<Taps>) -> Tensor<4> {
        let source = Source { taps: Arc::clone(taps), shape: x.dims(), largest: Arc::default() };
        Tensor::from_dispatch(<Dispatch as RegionOps>::pool(x.into_dispatch(), source))
    }

    impl RegionOps for Flex {
        fn pool(x: FlexTensor, source: Source) -> FlexTensor {
            let x = contiguous(x);
            by_type!(&x, forward(&x, &source))
        }

        fn spread(output_gradient: FlexTensor, source: Source) -> FlexTensor {
            let dy = contiguous(output_gradient);
            by_type!(&dy, backward(&dy, &source))
        }
    }

    impl Source {
        fn bins(&self) -> usize {
            self.taps.bins[0] * self.taps.bins[1]
        }

        fn outputs(&self) -> usize {
            self.taps.outputs(self.shape[1])
        }

        /// The channel that an output's bin sees.
        fn channel(&self, output: usize, bin: usize) -> usize {
            if self.taps.position_sensitive { output * self.bins() + bin } else { output }
        }

        fn places(&self) -> usize {
            self.shape[2] * self.shape[3]
        }

        /// The plane of a region's channel.
        fn plane<'a, E>(&self, x: &'a [E], region: usize, channel: usize) -> &'a [E] {
            let places = self.places();
            &x[(self.taps.images[region] * self.shape[1] + channel) * places..][..places]
        }

        /// The range of a bin's taps.
        fn own(&self, region: usize, bin: usize) -> std::ops::Range<usize> {
            let at = region * self.bins() + bin;
            self.taps.starts[at]..self.taps.starts[at + 1]
        }
    }

    fn forward<E: Real>(x: &FlexTensor, source: &Source) -> FlexTensor {
        let (values, taps) = (elements::<E>(x), &source.taps);
        let (bins, outputs) = (source.bins(), source.outputs());
        if taps.largest {
            return largest(values, source);
        }
        let mut y = vec![E::ZERO; taps.images.len() * outputs * bins];
        y.par_chunks_mut((outputs * bins).max(1)).enumerate().for_each(|(region, y)| {
            for (at, y) in y.iter_mut().enumerate() {
                let (output, bin) = (at / bins, at % bins);
                let plane = source.plane(values, region, source.channel(output, bin));
                let own = source.own(region, bin);
                let taps = taps.pixels[own.clone()].iter().zip(&taps.weights[own]);
                *y = taps.map(|(pixel, weight)| plane[*pixel as usize] * E::of(f64::from(*weight))).sum();
            }
        });
        tensor(y, [taps.images.len(), outputs, taps.bins[0], taps.bins[1]])
    }

    /// The greatest pixels; which they are is kept for the backward.
    fn largest<E: Real>(values: &[E], source: &Source) -> FlexTensor {
        let (taps, bins, channels) = (&source.taps, source.bins(), source.shape[1]);
        let places = source.largest.get_or_init(|| {
            let mut places = vec![0_u32; taps.images.len() * channels * bins];
            places.par_chunks_mut((channels * bins).max(1)).enumerate().for_each(|(region, places)| {
                for (at, place) in places.iter_mut().enumerate() {
                    let plane = source.plane(values, region, at / bins);
                    let mut best: Option<u32> = None;
                    for &pixel in &taps.pixels[source.own(region, at % bins)] {
                        if best.is_none_or(|best| plane[pixel as usize] > plane[best as usize]) {
                            best = Some(pixel);
                        }
                    }
                    *place = best.map_or(0, |pixel| pixel + 1);
                }
            });
            places
        });
        let value = |(at, place): (usize, &u32)| match place.checked_sub(1) {
            Some(pixel) => {
                let (region, channel) = (at / (channels * bins), at / bins % channels);
                source.plane(values, region, channel)[pixel as usize]
            }
            None => E::ZERO,
        };
        let y: Vec<E> = places.iter().enumerate().map(value).collect();
        tensor(y, [taps.images.len(), channels, taps.bins[0], taps.bins[1]])
    }

    fn backward<E: Real>(dy: &FlexTensor, source: &Source) -> FlexTensor {
        let (gradients, taps) = (elements::<E>(dy), &source.taps);
        debug_assert_eq!(size(dy, 0), taps.images.len());
        let (bins, outputs, places) = (source.bins(), source.outputs(), source.places());
        let mut dx = vec![E::ZERO; source.shape.iter().product()];
        let mut of_image = vec![Vec::new(); source.shape[0]];
        taps.images.iter().enumerate().for_each(|(region, image)| of_image[*image].push(region));
        // Each thread adds to planes of its own, regions in their order.
        dx.par_chunks_mut(places.max(1)).enumerate().for_each(|(plane, dx)| {
            let (image, channel) = (plane / source.shape[1], plane % source.shape[1]);
            let (output, only) = if taps.position_sensitive {
                (channel / bins, Some(channel % bins))
            } else {
                (channel, None)
            };
            for &region in &of_image[image] {
                let range = only.map_or(0..bins, |bin| bin..bin + 1);
                for bin in range {
                    let at = (region * outputs + output) * bins + bin;
                    let gradient = gradients[at];
                    if let Some(largest) = source.largest.get() {
                        if let Some(pixel) = largest[at].checked_sub(1) {
                            dx[pixel as usize] += gradient;
                        }
                        continue;
                    }
                    let own = source.own(region, bin);
                    for (pixel, weight) in taps.pixels[own.clone()].iter().zip(&taps.weights[own]) {
                        dx[*pixel as usize] += gradient * E::of(f64::from(*weight));
                    }
                }
            }
        });
        tensor(dx, source.shape)
    }

    #[derive(Debug)]
    struct PoolBackward;

    impl<B: RegionOps> Backward<B, 1> for PoolBackward {
        type State = Source;

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let source = ops.state;
            unary::<B, _>(ops.parents, ops.node, grads, |dy| B::spread(dy, source));
        }
    }

    impl<B: RegionOps, C: CheckpointStrategy> RegionOps for Autodiff<B, C> {
        fn pool(x: FloatTensor<Self>, source: Source) -> FloatTensor<Self> {
            let node = x.node();
            let y = B::pool(x.into_primitive(), source.clone());
            match PoolBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(source, y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn spread(_: FloatTensor<Self>, _: Source) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }
    }
}
