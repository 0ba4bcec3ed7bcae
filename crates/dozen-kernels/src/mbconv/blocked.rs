//! Images with their channels in blocks, so that a vector holds neighbouring channels of one pixel.

use bytemuck::{Pod, Zeroable};

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
        let pixels = height * width;
        let mut blocked = vec![Lanes::ZERO; channels.div_ceil(BLOCK) * pixels];
        for (channel, values) in values.chunks_exact(pixels.max(1)).enumerate() {
            let block = &mut blocked[channel / BLOCK * pixels..][..pixels];
            for (lanes, value) in block.iter_mut().zip(values) {
                lanes.0[channel % BLOCK] = *value;
            }
        }
        Self { channels, height, width, values: blocked }
    }

    /// The mean of each channel.
    pub fn means(&self) -> Vec<f32> {
        let pixels = self.pixels();
        let mean = |block: &[Lanes]| {
            let mut sum = [0.0; BLOCK];
            for lanes in block {
                for (sum, value) in sum.iter_mut().zip(lanes.0) {
                    *sum += value;
                }
            }
            sum.map(|sum| sum / pixels as f32)
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
