//! Images with their channels in blocks, so that a vector holds neighbouring channels of one pixel.

use bytemuck::{Pod, Zeroable};
use pulp::Simd;

use crate::vector::{Vectorized, lanes, load, values};

/// Channels in a block: one register of AVX-512, two of AVX2, four of NEON.
pub(super) const BLOCK: usize = 16;

/// The channels of one block at one pixel: a line of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub(super) [f32; BLOCK]);

impl Lanes {
    pub(super) const ZERO: Self = Self([0.0; BLOCK]);

    /// Values of a slice, and zeros where it ends.
    pub(super) fn from_slice(values: &[f32]) -> Self {
        let mut lanes = [0.0; BLOCK];
        lanes[..values.len()].copy_from_slice(values);
        Self(lanes)
    }

    /// Adds each value to its like.
    #[inline(always)]
    pub(super) fn add(&mut self, other: Self) {
        for (value, other) in self.0.iter_mut().zip(other.0) {
            *value += other;
        }
    }

    /// Multiplies each value by its like.
    #[inline(always)]
    pub(super) fn multiply(&mut self, factors: Self) {
        for (value, factor) in self.0.iter_mut().zip(factors.0) {
            *value *= factor;
        }
    }

    /// The values as vectors of the instruction set, `V` being as many as they fill.
    #[inline(always)]
    pub(super) fn vectors<S: Simd, const V: usize>(&self, simd: S) -> [<f32 as Vectorized>::Vector<S>; V] {
        let mut vectors = [f32::splat(simd, 0.0); V];
        for (v, vector) in vectors.iter_mut().enumerate() {
            *vector = load::<S, f32>(&self.0[v * lanes::<S, f32>()..]);
        }
        vectors
    }

    /// The values of such vectors.
    #[inline(always)]
    pub(super) fn of_vectors<S: Simd, const V: usize>(vectors: &[<f32 as Vectorized>::Vector<S>; V]) -> Self {
        let mut lanes_of = Self::ZERO;
        for (v, vector) in vectors.iter().enumerate() {
            let width = lanes::<S, f32>();
            lanes_of.0[v * width..][..width].copy_from_slice(values::<S, f32>(vector));
        }
        lanes_of
    }
}

/// Values that lie as `[channel][place]` as `[block of channels][place]`.
pub(super) fn in_blocks(values: &[f32], places: usize) -> Vec<Lanes> {
    let channels = values.len() / places.max(1);
    let mut blocked = vec![Lanes::ZERO; channels.div_ceil(BLOCK) * places];
    for (channel, values) in values.chunks_exact(places.max(1)).enumerate() {
        let block = &mut blocked[channel / BLOCK * places..][..places];
        for (lanes, value) in block.iter_mut().zip(values) {
            lanes.0[channel % BLOCK] = *value;
        }
    }
    blocked
}

/// An image as the inference engine keeps it, `[block of channels][line][column][channel of the block]`; channels beyond the last are zero.
#[derive(Debug, Default)]
pub struct BlockedImage {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) values: Vec<Lanes>,
}

impl BlockedImage {
    pub(super) fn blocks(&self) -> usize {
        self.channels.div_ceil(BLOCK)
    }

    pub(super) fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Height and width in pixels.
    pub fn sides(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// The values as `[channel][line][column]`.
    pub fn planar(&self) -> Vec<f32> {
        let pixels = self.pixels();
        let channel = |c: usize| {
            let block = &self.values[c / BLOCK * pixels..][..pixels];
            block.iter().map(move |lanes| lanes.0[c % BLOCK])
        };
        (0..self.channels).flat_map(channel).collect()
    }

    /// Of values that lie as `[channel][line][column]`.
    ///
    /// # Panics
    /// When there are not as many values.
    pub fn from_planar(values: &[f32], [channels, height, width]: [usize; 3]) -> Self {
        assert_eq!(values.len(), channels * height * width, "values of an image");
        Self { channels, height, width, values: in_blocks(values, height * width) }
    }

    /// The mean of each channel.
    pub fn means(&self) -> Vec<f32> {
        let pixels = self.pixels();
        let mean = |block: &[Lanes]| {
            let mut sum = Lanes::ZERO;
            for lanes in block {
                sum.add(*lanes);
            }
            sum.0.map(|sum| sum / pixels as f32)
        };
        let mut means: Vec<f32> = self.values.chunks_exact(pixels.max(1)).flat_map(mean).collect();
        means.truncate(self.channels);
        means
    }
}

/// Memory of images that are done with, for those to come.
#[derive(Debug, Default)]
pub struct Workspace {
    spare: Vec<Vec<Lanes>>,
}

impl Workspace {
    /// An image whose values are yet to be written.
    pub(super) fn image(&mut self, channels: usize, [height, width]: [usize; 2]) -> BlockedImage {
        let mut values = self.spare.pop().unwrap_or_default();
        values.resize(channels.div_ceil(BLOCK) * height * width, Lanes::ZERO);
        BlockedImage { channels, height, width, values }
    }

    /// Takes an image back.
    pub fn give(&mut self, image: BlockedImage) {
        self.spare.push(image.values);
        // The largest is taken first, so that it need not grow.
        self.spare.sort_by_key(Vec::capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_go_back_to_channels() {
        let values: Vec<f32> = (0..19 * 6).map(|value| value as f32).collect();
        let image = BlockedImage::from_planar(&values, [19, 2, 3]);
        assert_eq!(image.planar(), values);
        assert_eq!(image.values[6].0[3], 0.0);
        assert_eq!(image.means()[18], (108..114).sum::<i32>() as f32 / 6.0);
    }
}
