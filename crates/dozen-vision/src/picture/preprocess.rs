//! From a picture to a network's input.

use burn::tensor::{Device, Tensor, TensorData};
use dozen_nn::Error;
use serde::{Deserialize, Serialize};

use super::resize::resize_window;
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
        let sides = sides.map(|side| side.max(1));
        let corner = |side: usize| ((side as f64 - self.size as f64) / 2.0).round_ties_even() as i64;
        let [left, top] = sides.map(corner);
        // Only what the square shows is made.
        let shown = |first: i64, side: usize| {
            first.max(0) as usize..usize::try_from(first + self.size as i64).unwrap_or(0).min(side)
        };
        let window = [shown(left, sides[0]), shown(top, sides[1])];
        let resized = resize_window(picture, sides, whole, self.filter, window);
        onto_black(&resized, self.size, [left, top].map(|corner| (-corner).max(0) as usize))
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

/// A picture on a black square that is at least as large, with its corner at `[left, top]`.
fn onto_black(picture: &Picture, size: usize, [left, top]: [usize; 2]) -> Picture {
    if [picture.width, picture.height] == [size; 2] {
        return picture.clone();
    }
    let mut pixels = vec![0; size * size * 3];
    for (line, source) in picture.pixels.chunks_exact(picture.width * 3).enumerate() {
        pixels[((top + line) * size + left) * 3..][..source.len()].copy_from_slice(source);
    }
    Picture { width: size, height: size, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole picture resized, and then its middle, with black where it ends: what is to come out.
    fn slowly(preprocessing: &Preprocessing, picture: &Picture) -> Picture {
        let Resized::Centre(scale) = preprocessing.resized else { unreachable!() };
        let (short, long) = (picture.width.min(picture.height), picture.width.max(picture.height));
        let other = scale * long / short;
        let sides = if picture.width <= picture.height { [scale, other] } else { [other, scale] };
        let whole = [0.0, 0.0, picture.width as f64, picture.height as f64];
        let resized = resize(picture, sides.map(|side| side.max(1)), whole, preprocessing.filter);
        let size = preprocessing.size;
        let corner = |side: usize| ((side as f64 - size as f64) / 2.0).round_ties_even() as i64;
        let (left, top) = (corner(resized.width), corner(resized.height));
        let mut pixels = vec![0; size * size * 3];
        for (at, pixel) in pixels.chunks_exact_mut(3).enumerate() {
            let (x, y) = (left + (at % size) as i64, top + (at / size) as i64);
            if (0..resized.width as i64).contains(&x) && (0..resized.height as i64).contains(&y) {
                pixel.copy_from_slice(&resized.pixels[(y as usize * resized.width + x as usize) * 3..][..3]);
            }
        }
        Picture { width: size, height: size, pixels }
    }

    #[test]
    fn only_what_is_shown_is_made_and_it_is_the_same() {
        for (width, height) in [(5, 9), (9, 5), (16, 16), (7, 40), (31, 30), (2, 300), (1, 1)] {
            let pixels = (0..width * height * 3).map(|at| (at * 37 % 251) as u8).collect();
            let picture = Picture { width, height, pixels };
            for (size, scale) in [(16, 16), (16, 18), (7, 9), (8, 8), (5, 31)] {
                for filter in [Filter::Bilinear, Filter::Bicubic] {
                    let resized = Resized::Centre(scale);
                    let preprocessing = Preprocessing { size, resized, filter, ..Preprocessing::imagenet(8) };
                    let wanted = slowly(&preprocessing, &picture);
                    assert_eq!(
                        preprocessing.square(&picture),
                        wanted,
                        "{width} x {height}, {size} of {scale}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_needle_takes_no_time() {
        let picture = Picture { width: 2, height: 8000, pixels: vec![9; 48_000] };
        let begun = std::time::Instant::now();
        assert_eq!(Preprocessing::imagenet(224).square(&picture).width, 224);
        assert!(begun.elapsed().as_secs() < 2);
    }
}
