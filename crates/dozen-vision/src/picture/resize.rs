//! Pillow's resizing: the filter is stretched over what a pixel of the result covers (so that nothing is skipped), first along lines, then along columns, both in
//! eight bits with weights of 22 bits behind the point (Pillow's `Resample.c`). Equal to the last bit, which a resize in floating point is not.

use std::ops::Range;

use super::Picture;

/// How neighbours are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// A triangle.
    Bilinear,
    /// Keys' cubic with a = -1/2.
    Bicubic,
}

impl Filter {
    fn reach(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// Bits of a weight behind the point: 32 less the eight of a pixel and two for sums beyond.
const PRECISION: u32 = 22;

/// Where the pixels that make one of the result begin, and their weights.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// For the pixels of `window` of a side of `to`, out of those of a side of `from` between `start` and `end`.
fn taps(filter: Filter, from: usize, [start, end]: [f64; 2], to: usize, window: Range<usize>) -> Vec<Taps> {
    let scale = (end - start) / to as f64;
    let stretch = scale.max(1.0);
    let reach = filter.reach() * stretch;
    let pixel = |place: usize| {
        let centre = start + (place as f64 + 0.5) * scale;
        let first = ((centre - reach + 0.5).max(0.0)) as usize;
        let last = ((centre + reach + 0.5) as usize).min(from);
        let weight = |at: usize| filter.weight((at as f64 - centre + 0.5) / stretch);
        let weights: Vec<f64> = (first..last).map(weight).collect();
        let total: f64 = weights.iter().sum();
        let fixed = |weight: f64| {
            let scaled = weight / total * f64::from(1_u32 << PRECISION);
            (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
        };
        Taps { first, weights: weights.into_iter().map(fixed).collect() }
    };
    window.map(pixel).collect()
}

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// A picture of `[width, height]` made of the part `[left, top, right, bottom]` of another, which may lie between pixels.
///
/// # Panics
/// When a side or the part is empty.
pub fn resize(picture: &Picture, [width, height]: [usize; 2], part: [f64; 4], filter: Filter) -> Picture {
    resize_window(picture, [width, height], part, filter, [0..width, 0..height])
}

/// Some columns and lines of what [`resize`] gives, to the bit, without making the others: a picture of two pixels by
/// thousands would become millions.
///
/// # Panics
/// When a side, the part or the window is empty.
pub(crate) fn resize_window(
    picture: &Picture,
    [width, height]: [usize; 2],
    part: [f64; 4],
    filter: Filter,
    [columns, lines]: [Range<usize>; 2],
) -> Picture {
    let [left, top, right, bottom] = part;
    assert!(!columns.is_empty() && !lines.is_empty() && right > left && bottom > top, "a picture has pixels");
    let whole = part == [0.0, 0.0, picture.width as f64, picture.height as f64];
    let (all_columns, all_lines) = (columns == (0..width), lines == (0..height));
    if whole && all_columns && all_lines && [width, height] == [picture.width, picture.height] {
        return picture.clone();
    }
    let lines_needed = height != picture.height || !whole || !all_lines;
    let columns_needed = width != picture.width || !whole || !all_columns;
    let along_width = taps(filter, picture.width, [left, right], width, columns.clone());
    let along_height = taps(filter, picture.height, [top, bottom], height, lines.clone());
    // Of what is made from here on.
    let (width, height) = (columns.len(), lines.len());
    // Lines that no pixel of the result reads are left out.
    let first = along_height.first().map_or(0, |taps| taps.first);
    let last = along_height.last().map_or(picture.height, |taps| taps.first + taps.weights.len());
    let middle = if columns_needed {
        let mut middle = vec![0; (last - first) * width * 3];
        for (line, out) in middle.chunks_exact_mut(width * 3).enumerate() {
            let source = &picture.pixels[(first + line) * picture.width * 3..][..picture.width * 3];
            for (pixel, taps) in out.chunks_exact_mut(3).zip(&along_width) {
                let mut sums = [1 << (PRECISION - 1); 3];
                for (weight, colours) in taps.weights.iter().zip(source[taps.first * 3..].chunks_exact(3)) {
                    sums.iter_mut()
                        .zip(colours)
                        .for_each(|(sum, colour)| *sum += weight * i32::from(*colour));
                }
                pixel.iter_mut().zip(sums).for_each(|(value, sum)| *value = rounded(sum));
            }
        }
        middle
    } else {
        picture.pixels[first * width * 3..last * width * 3].to_vec()
    };
    if !lines_needed {
        return Picture { width, height, pixels: middle };
    }
    let mut pixels = vec![0; height * width * 3];
    let mut sums = vec![0_i32; width * 3];
    for (out, taps) in pixels.chunks_exact_mut(width * 3).zip(&along_height) {
        sums.fill(1 << (PRECISION - 1));
        for (weight, line) in
            taps.weights.iter().zip(middle[(taps.first - first) * width * 3..].chunks_exact(width * 3))
        {
            sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += weight * i32::from(*value));
        }
        out.iter_mut().zip(&sums).for_each(|(value, sum)| *value = rounded(*sum));
    }
    Picture { width, height, pixels }
}
