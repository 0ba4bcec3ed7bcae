//! From a picture to a network's input.

use burn::tensor::{Device, Tensor, TensorData};
use dozen_nn::Error;
use serde::{Deserialize, Serialize};

use super::{Filter, MOST_PIXELS, Picture, resize};

/// What is done with a picture before the network sees it; it travels with the weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Sides of the square that the network sees.
    pub size: usize,
    /// How a picture is brought to it.
    pub resized: Resized,
    /// How neighbours are weighted.
    pub filter: Filter,
    /// Of each colour, in [0, 1].
    pub mean: [f32; 3],
    /// Of each colour.
    pub deviation: [f32; 3],
}

/// How a picture is brought to a square.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resized {
    /// The shorter side is brought to so many pixels, and the middle cut out.
    Centre(usize),
    /// Both sides, whatever becomes of the proportions.
    Squash,
}

impl Preprocessing {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// When no picture can be brought to that, or only to one that no memory holds.
    pub fn validate(&self) -> Result<(), Error> {
        let shorter = if let Resized::Centre(shorter) = self.resized { shorter } else { self.size };
        if self.size == 0 || !(self.size..=MOST_PIXELS).contains(&shorter) {
            let problem = format!(
                "pictures cannot be brought to a shorter side of {shorter} pixels and cut to {}; sides have 1 to {MOST_PIXELS}",
                self.size
            );
            return Err(Error::Request(problem));
        }
        Ok(())
    }

    /// ImageNet's mean and deviation, and the middle seven eighths of the shorter side: what most weights were trained with.
    pub fn imagenet(size: usize) -> Self {
        Self {
            size,
            resized: Resized::Centre((size as f64 / 0.875) as usize),
            filter: Filter::Bicubic,
            mean: [0.485, 0.456, 0.406],
            deviation: [0.229, 0.224, 0.225],
        }
    }

    /// The same for squares of another size.
    #[must_use]
    pub fn of_size(self, size: usize) -> Self {
        let resized = match self.resized {
            Resized::Centre(scale) => Resized::Centre(scale * size / self.size),
            Resized::Squash => Resized::Squash,
        };
        Self { size, resized, ..self }
    }

    /// The square that the network sees.
    pub fn square(&self, picture: &Picture) -> Picture {
        let whole = [0.0, 0.0, picture.width as f64, picture.height as f64];
        let scale = match self.resized {
            Resized::Squash => return resize(picture, [self.size; 2], whole, self.filter),
            Resized::Centre(scale) => scale,
        };
        // As torchvision's resize and centre crop: the longer side is rounded down, the crop's corner to the even.
        let (short, long) = (picture.width.min(picture.height), picture.width.max(picture.height));
        let other = scale * long / short;
        let sides = if picture.width <= picture.height { [scale, other] } else { [other, scale] };
        let resized = resize(picture, sides.map(|side| side.max(1)), whole, self.filter);
        crop(&resized, self.size)
    }

    /// `(value / 255 - mean) / deviation`, a colour after the other: `[1, 3, height, width]`.
    pub fn normalized(&self, picture: &Picture, device: &Device) -> Tensor<4> {
        let [height, width] = [picture.height, picture.width];
        let data = TensorData::new(self.values(picture), [1, 3, height, width]);
        Tensor::from_data(data, device)
    }

    /// The values of [`Preprocessing::normalized`].
    pub fn values(&self, picture: &Picture) -> Vec<f32> {
        normalized(picture, self.mean, self.deviation)
    }
}

/// `(value / 255 - mean) / deviation` of each colour, a colour after the other.
pub(crate) fn normalized(picture: &Picture, mean: [f32; 3], deviation: [f32; 3]) -> Vec<f32> {
    let mut values = Vec::with_capacity(picture.pixels.len());
    for colour in 0..3 {
        let pixels = picture.pixels.iter().skip(colour).step_by(3);
        values.extend(pixels.map(|value| (f32::from(*value) / 255.0 - mean[colour]) / deviation[colour]));
    }
    values
}

/// The middle, with black where the picture ends.
fn crop(picture: &Picture, size: usize) -> Picture {
    let corner = |side: usize| ((side as f64 - size as f64) / 2.0).round_ties_even() as i64;
    let (left, top) = (corner(picture.width), corner(picture.height));
    let mut pixels = vec![0; size * size * 3];
    for (line, out) in pixels.chunks_exact_mut(size * 3).enumerate() {
        let Ok(y) = usize::try_from(top + line as i64) else { continue };
        if y >= picture.height {
            continue;
        }
        for (column, pixel) in out.chunks_exact_mut(3).enumerate() {
            if let Ok(x) = usize::try_from(left + column as i64)
                && x < picture.width
            {
                pixel.copy_from_slice(&picture.pixels[(y * picture.width + x) * 3..][..3]);
            }
        }
    }
    Picture { width: size, height: size, pixels }
}
