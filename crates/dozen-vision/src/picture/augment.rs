//! What training makes of a picture, another thing each time.

use burn::tensor::Tensor;
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::{Picture, Preprocessing, resize};

/// Random changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// A random part of at least this share of the area, stretched to the square (Szegedy et al. 2015); `None` takes the middle.
    pub crop: Option<f64>,
    /// Pixels by which the square is moved, with black where the picture ends; for small images.
    pub shift: usize,
    /// Whether half of the pictures are mirrored.
    pub flip: bool,
    /// How many random operations on colours and shape, and how strong in tenths (Cubuk et al. 2020).
    pub operations: [usize; 2],
    /// The probability that a random rectangle is filled with noise (Zhong et al. 2020).
    pub erase: f64,
}

impl Augmentation {
    /// None.
    pub const NONE: Self = Self { crop: None, shift: 0, flip: false, operations: [0; 2], erase: 0.0 };

    /// The values that the network sees, a colour after the other.
    pub fn values(&self, picture: &Picture, to: &Preprocessing, rng: &mut StdRng) -> Vec<f32> {
        let mut square = match self.crop {
            Some(least) => {
                let part = random_part(picture, least, rng);
                resize(picture, [to.size; 2], part, to.filter)
            }
            None => to.square(picture),
        };
        if self.flip && rng.random_bool(0.5) {
            square = square.flipped();
        }
        if self.shift > 0 {
            let span = self.shift as i64;
            square = moved(&square, rng.random_range(-span..=span), rng.random_range(-span..=span));
        }
        for _ in 0..self.operations[0] {
            square = changed(square, self.operations[1] as f64 / 10.0, rng);
        }
        let mut values = to.values(&square);
        if self.erase > 0.0 && rng.random_bool(self.erase.min(1.0)) {
            erase(&mut values, to.size, rng);
        }
        values
    }
}

/// A part of a random share of the area and of proportions between 3:4 and 4:3; the middle where ten tries do not fit.
fn random_part(picture: &Picture, least: f64, rng: &mut StdRng) -> [f64; 4] {
    let (width, height) = (picture.width as f64, picture.height as f64);
    for _ in 0..10 {
        let area = width * height * rng.random_range(least.clamp(0.01, 1.0)..=1.0);
        let (narrow, wide) = ((0.75_f64).ln(), (4.0_f64 / 3.0).ln());
        let ratio = rng.random_range(narrow..=wide).exp();
        let (w, h) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
        if (1.0..=width).contains(&w) && (1.0..=height).contains(&h) {
            let left = rng.random_range(0..=(width - w) as usize) as f64;
            let top = rng.random_range(0..=(height - h) as usize) as f64;
            return [left, top, left + w, top + h];
        }
    }
    let side = width.min(height);
    let (left, top) = ((width - side) / 2.0, (height - side) / 2.0);
    [left, top, left + side, top + side]
}

fn moved(picture: &Picture, right: i64, down: i64) -> Picture {
    let (width, height) = (picture.width as i64, picture.height as i64);
    let mut pixels = vec![0; picture.pixels.len()];
    for y in 0..height {
        for x in 0..width {
            let (from_x, from_y) = (x - right, y - down);
            if (0..width).contains(&from_x) && (0..height).contains(&from_y) {
                let (to, from) = (((y * width + x) * 3) as usize, ((from_y * width + from_x) * 3) as usize);
                pixels[to..to + 3].copy_from_slice(&picture.pixels[from..from + 3]);
            }
        }
    }
    Picture { pixels, ..*picture }
}

/// One random operation of those that RandAugment draws from, `strength` in [0, 1].
fn changed(mut picture: Picture, strength: f64, rng: &mut StdRng) -> Picture {
    let sign = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let factor = 1.0 + 0.9 * strength * sign;
    let blend = |value: u8, from: f64| (from + (f64::from(value) - from) * factor).clamp(0.0, 255.0) as u8;
    match rng.random_range(0..8) {
        0 => picture.pixels.iter_mut().for_each(|value| *value = blend(*value, 0.0)),
        1 => {
            let mean = picture.pixels.iter().map(|value| f64::from(*value)).sum::<f64>()
                / picture.pixels.len() as f64;
            picture.pixels.iter_mut().for_each(|value| *value = blend(*value, mean));
        }
        2 => {
            for pixel in picture.pixels.chunks_exact_mut(3) {
                let grey =
                    0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2]);
                for value in pixel {
                    *value = blend(*value, grey);
                }
            }
        }
        3 => {
            let bits = 8 - (4.0 * strength) as u32;
            let mask = !((1_u16 << (8 - bits)) - 1) as u8;
            picture.pixels.iter_mut().for_each(|value| *value &= mask);
        }
        4 => {
            let threshold = (255.0 * (1.0 - strength)) as u8;
            let inverted = |value: &mut u8| *value = if *value >= threshold { 255 - *value } else { *value };
            picture.pixels.iter_mut().for_each(inverted);
        }
        5 => {
            let span = (0.45 * strength * picture.width as f64 * sign) as i64;
            picture = moved(&picture, span, 0);
        }
        6 => {
            let span = (0.45 * strength * picture.height as f64 * sign) as i64;
            picture = moved(&picture, 0, span);
        }
        _ => picture = turned(&picture, sign * strength * std::f64::consts::FRAC_PI_6),
    }
    picture
}

/// Turned about its middle, by the nearest pixels.
fn turned(picture: &Picture, angle: f64) -> Picture {
    let (sin, cos) = angle.sin_cos();
    let (middle_x, middle_y) = (picture.width as f64 / 2.0 - 0.5, picture.height as f64 / 2.0 - 0.5);
    let mut pixels = vec![0; picture.pixels.len()];
    for (place, pixel) in pixels.chunks_exact_mut(3).enumerate() {
        let x = (place % picture.width) as f64 - middle_x;
        let y = (place / picture.width) as f64 - middle_y;
        let (from_x, from_y) =
            ((cos * x + sin * y + middle_x).round(), (cos * y - sin * x + middle_y).round());
        let inside =
            (0.0..picture.width as f64).contains(&from_x) && (0.0..picture.height as f64).contains(&from_y);
        if inside {
            let from = (from_y as usize * picture.width + from_x as usize) * 3;
            pixel.copy_from_slice(&picture.pixels[from..from + 3]);
        }
    }
    Picture { pixels, ..*picture }
}

/// A rectangle of a fiftieth to a third of the area becomes normal noise.
fn erase(values: &mut [f32], size: usize, rng: &mut StdRng) {
    let area = (size * size) as f64 * rng.random_range(0.02..0.33);
    let ratio: f64 = rng.random_range(-1.2_f64..1.2).exp();
    let side = |length: f64| (length.round() as usize).clamp(1, size);
    let (width, height) = (side((area * ratio).sqrt()), side((area / ratio).sqrt()));
    let (left, top) = (rng.random_range(0..=size - width), rng.random_range(0..=size - height));
    for colour in values.chunks_exact_mut(size * size) {
        for line in colour.chunks_exact_mut(size).skip(top).take(height) {
            for value in &mut line[left..left + width] {
                // A sum of uniforms is normal enough for noise.
                *value = (0..6).map(|_| rng.random::<f32>() - 0.5).sum::<f32>() * std::f32::consts::SQRT_2;
            }
        }
    }
}

/// CutMix (Yun et al. 2019): a rectangle of each picture of a batch becomes that of the batch turned round, its area a uniform share, and the targets are mixed by what is left.
pub fn cut_mix(x: Tensor<4>, targets: Tensor<2>, rng: &mut StdRng) -> (Tensor<4>, Tensor<2>) {
    let [batch, channels, height, width] = x.dims();
    let side = (1.0 - rng.random::<f64>()).sqrt();
    let span = |length: usize, rng: &mut StdRng| {
        let (half, middle) = (length as f64 * side / 2.0, rng.random_range(0..length) as f64);
        (middle - half).round().max(0.0) as usize..((middle + half).round() as usize).min(length)
    };
    let (lines, columns) = (span(height, rng), span(width, rng));
    if lines.is_empty() || columns.is_empty() {
        return (x, targets);
    }
    let share = 1.0 - (lines.len() * columns.len()) as f64 / (height * width) as f64;
    let part = [0..batch, 0..channels, lines, columns];
    let other = x.clone().slice(part.clone()).flip([0]);
    let turned = targets.clone().flip([0]);
    (x.slice_assign(part, other), targets * share + turned * (1.0 - share))
}

/// Mixup (Zhang et al. 2018): a batch mixed with itself turned round, `share x + (1 - share) x'`, and the same of its targets, one of many.
pub fn mix(x: Tensor<4>, targets: Tensor<2>, share: f64) -> (Tensor<4>, Tensor<2>) {
    let (x2, targets2) = (x.clone().flip([0]), targets.clone().flip([0]));
    (x * share + x2 * (1.0 - share), targets * share + targets2 * (1.0 - share))
}
