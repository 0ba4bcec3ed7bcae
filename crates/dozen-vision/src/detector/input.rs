//! From pictures to what a detector sees, and back to their pixels.

use burn::tensor::{Device, Tensor, TensorData};
use dozen_nn::Error;
use serde::{Deserialize, Serialize};

use crate::detection::boxes::Rect;
use crate::picture::{Filter, MOST_PIXELS, Picture, normalized, resize};

/// What is done with a picture; it travels with the weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Pixels of the shorter side.
    pub short: usize,
    /// The most pixels of the longer side.
    pub long: usize,
    /// Whether what a pixel covers is averaged when a picture is made smaller, as Pillow does; torchvision's detectors interpolate between four pixels.
    pub antialias: bool,
    /// Of each colour, in [0, 1].
    pub mean: [f32; 3],
    /// Of each colour.
    pub deviation: [f32; 3],
}

/// Sides are padded to multiples of so many pixels.
const MULTIPLE: usize = 32;

/// A picture as the detector sees it: values, a colour after the other, and height and width.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    values: Vec<f32>,
    /// Height and width.
    pub size: [usize; 2],
}

impl Input {
    /// With ImageNet's mean and deviation.
    pub fn imagenet(short: usize, long: usize) -> Self {
        Self { short, long, antialias: true, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// When nothing could be seen, or no memory would hold it.
    pub fn validate(&self) -> Result<(), Error> {
        if (1..=self.long).contains(&self.short) && self.long <= MOST_PIXELS {
            return Ok(());
        }
        Err(Error::Request(format!(
            "images cannot be seen with sides from {} to {} pixels; the shorter has at least 1, and the longer at most {MOST_PIXELS}",
            self.short, self.long
        )))
    }

    /// Height and width of what the detector sees of a picture of this height and width.
    pub fn size(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let (shorter, longer) = (height.min(width) as f64, height.max(width) as f64);
        let scale = (self.short as f64 / shorter).min(self.long as f64 / longer);
        [height, width].map(|side| ((side as f64 * scale).floor() as usize).max(1))
    }

    /// What the detector sees of a picture.
    pub fn see(&self, picture: &Picture) -> Seen {
        let size = self.size([picture.height, picture.width]);
        if !self.antialias {
            let values = normalized(picture, self.mean, self.deviation);
            return Seen { values: interpolated(&values, [picture.height, picture.width], size), size };
        }
        let whole = [0.0, 0.0, picture.width as f64, picture.height as f64];
        let resized = resize(picture, [size[1], size[0]], whole, Filter::Bilinear);
        Seen { values: normalized(&resized, self.mean, self.deviation), size }
    }
}

/// Each pixel from the four around its place, as `torch.nn.functional.interpolate` does without `align_corners` and without antialiasing.
fn interpolated(values: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    if from == to {
        return values.to_vec();
    }
    let taps = |axis: usize| -> Vec<(usize, usize, f32)> {
        let scale = from[axis] as f32 / to[axis] as f32;
        let tap = |place: usize| {
            let at = ((place as f32 + 0.5) * scale - 0.5).max(0.0);
            let low = (at as usize).min(from[axis] - 1);
            (low, (low + 1).min(from[axis] - 1), at - low as f32)
        };
        (0..to[axis]).map(tap).collect()
    };
    let (down, across) = (taps(0), taps(1));
    let mut out = Vec::with_capacity(3 * to[0] * to[1]);
    for plane in values.chunks_exact(from[0] * from[1]) {
        for &(above, below, share_down) in &down {
            let (above, below) = (&plane[above * from[1]..][..from[1]], &plane[below * from[1]..][..from[1]]);
            out.extend(across.iter().map(|&(left, right, share)| {
                let line = |line: &[f32]| line[left] * (1.0 - share) + line[right] * share;
                line(above) * (1.0 - share_down) + line(below) * share_down
            }));
        }
    }
    out
}

impl Seen {
    /// Its mirror image.
    pub(super) fn flip(&mut self) {
        self.values.chunks_exact_mut(self.size[1]).for_each(<[f32]>::reverse);
    }

    /// A box of a picture of this height and width as it is seen.
    pub fn seen(&self, rect: [f64; 4], [height, width]: [usize; 2]) -> Rect {
        let (down, across) = (self.size[0] as f64 / height as f64, self.size[1] as f64 / width as f64);
        [rect[0] * across, rect[1] * down, rect[2] * across, rect[3] * down].map(|side| side as f32)
    }

    /// A box that was seen in the picture's pixels.
    pub fn original(&self, rect: Rect, [height, width]: [usize; 2]) -> Rect {
        let (down, across) = (height as f32 / self.size[0] as f32, width as f32 / self.size[1] as f32);
        [rect[0] * across, rect[1] * down, rect[2] * across, rect[3] * down]
    }

    /// Height and width.
    pub fn sides(&self) -> [f32; 2] {
        self.size.map(|side| side as f32)
    }
}

/// Several in one tensor, padded with zeros below and at the right: `[batch, 3, height, width]`.
pub fn batch(seen: &[Seen], device: &Device) -> Tensor<4> {
    let most =
        |axis: usize| seen.iter().map(|seen| seen.size[axis]).max().unwrap_or(1).next_multiple_of(MULTIPLE);
    let [height, width] = [most(0), most(1)];
    let mut values = vec![0.0; seen.len() * 3 * height * width];
    for (seen, out) in seen.iter().zip(values.chunks_exact_mut(3 * height * width)) {
        let planes =
            seen.values.chunks_exact(seen.size[0] * seen.size[1]).zip(out.chunks_exact_mut(height * width));
        for (plane, out) in planes {
            for (line, out) in plane.chunks_exact(seen.size[1]).zip(out.chunks_exact_mut(width)) {
                out[..line.len()].copy_from_slice(line);
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [seen.len(), 3, height, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_brought_to_size_and_boxes_with_them() {
        let input = Input::imagenet(8, 12);
        assert_eq!(input.size([16, 20]), [8, 10]);
        assert_eq!(input.size([10, 40]), [3, 12]);
        let picture = Picture { width: 20, height: 16, pixels: (0..960).map(|i| (i % 251) as u8).collect() };
        let mut seen = input.see(&picture);
        assert_eq!(seen.seen([10.0, 8.0, 20.0, 16.0], [16, 20]), [5.0, 4.0, 10.0, 8.0]);
        assert_eq!(seen.original([5.0, 4.0, 10.0, 8.0], [16, 20]), [10.0, 8.0, 20.0, 16.0]);
        assert_eq!(batch(&[seen.clone(), seen.clone()], &Device::flex()).dims(), [2, 3, 32, 32]);
        let before = seen.clone();
        seen.flip();
        assert_ne!(seen, before);
        seen.flip();
        assert_eq!(seen, before);
        // Half as many pixels, each between two.
        let halved = interpolated(&[0.0, 2.0, 4.0, 8.0].repeat(6), [2, 4], [1, 2]);
        assert_eq!(halved[..2], [1.0, 6.0]);
    }
}
