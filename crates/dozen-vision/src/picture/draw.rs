//! Boxes with words on pictures.

use font8x8::legacy::BASIC_LEGACY;

use super::Picture;

/// Colours that are told apart on most grounds.
const COLOURS: [[u8; 3]; 8] = [
    [230, 25, 75],
    [60, 180, 75],
    [0, 130, 200],
    [245, 130, 48],
    [145, 30, 180],
    [0, 160, 160],
    [240, 50, 230],
    [128, 100, 0],
];

/// Pixels of a letter's side.
const LETTER: usize = 8;

impl Picture {
    /// Draws a box, `[left, top, right, bottom]` in pixels, in the colour of this number, with words at its upper left corner.
    pub fn draw_box(&mut self, [left, top, right, bottom]: [f32; 4], colour: usize, words: &str) {
        let colour = COLOURS[colour % COLOURS.len()];
        let held = |side: f32, most: usize| (side.round().max(0.0) as usize).min(most.saturating_sub(1));
        let (left, right) = (held(left, self.width), held(right - 1.0, self.width));
        let (top, bottom) = (held(top, self.height), held(bottom - 1.0, self.height));
        let thick = 1 + (self.width.max(self.height) / 500);
        for step in 0..thick {
            for x in left..=right {
                self.set(x, top + step, colour);
                self.set(x, bottom.saturating_sub(step), colour);
            }
            for y in top..=bottom {
                self.set(left + step, y, colour);
                self.set(right.saturating_sub(step), y, colour);
            }
        }
        // Above the box where there is room, else inside it.
        let line = if top >= LETTER + 2 { top - LETTER - 2 } else { top };
        self.write(words, [left, line], colour);
    }

    /// Colours the parts of a box, `parts` along a side, line by line: green where its number is positive and red where it is negative, the stronger the larger.
    pub fn shade_parts(&mut self, [left, top, right, bottom]: [f32; 4], parts: usize, numbers: &[f32]) {
        let most = numbers.iter().fold(f32::MIN_POSITIVE, |most, number| most.max(number.abs()));
        for y in 0..self.height {
            for x in 0..self.width {
                let share = |at: usize, from: f32, to: f32| (at as f32 + 0.5 - from) / (to - from);
                let (across, down) = (share(x, left, right), share(y, top, bottom));
                if !(0.0..1.0).contains(&across) || !(0.0..1.0).contains(&down) {
                    continue;
                }
                let part = (down * parts as f32) as usize * parts + (across * parts as f32) as usize;
                let Some(number) = numbers.get(part) else { continue };
                let colour = if *number > 0.0 { [0.0, 200.0, 0.0] } else { [230.0, 0.0, 0.0] };
                let strength = 0.2 + 0.5 * number.abs() / most;
                let pixel = &mut self.pixels[(y * self.width + x) * 3..][..3];
                for (value, colour) in pixel.iter_mut().zip(colour) {
                    *value = (f32::from(*value) * (1.0 - strength) + colour * strength) as u8;
                }
            }
        }
    }

    /// White letters on a ground of a colour, from this pixel on.
    fn write(&mut self, words: &str, [left, top]: [usize; 2], ground: [u8; 3]) {
        for (place, letter) in words.chars().enumerate() {
            let glyph = BASIC_LEGACY.get(letter as usize).unwrap_or(&BASIC_LEGACY[usize::from(b'?')]);
            for y in 0..LETTER + 2 {
                for x in 0..LETTER {
                    let bits = y.checked_sub(1).and_then(|line| glyph.get(line)).copied().unwrap_or(0);
                    let colour = if bits >> x & 1 == 1 { [255; 3] } else { ground };
                    self.set(left + place * LETTER + x, top + y, colour);
                }
            }
        }
    }

    /// Sets a pixel that is in the picture.
    fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            self.pixels[(y * self.width + x) * 3..][..3].copy_from_slice(&colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_stay_in_the_picture() {
        let mut picture = Picture { width: 40, height: 30, pixels: vec![0; 3600] };
        picture.draw_box([-5.0, 15.0, 100.0, 25.0], 0, "star 0.9 and more words than fit");
        let at = |x: usize, y: usize| picture.pixels[(y * 40 + x) * 3];
        assert_eq!((at(0, 15), at(39, 24), at(20, 20), at(20, 27)), (230, 230, 0, 0));
        let white = picture.pixels.chunks(3).filter(|pixel| pixel == &[255; 3]).count();
        assert!(white > 30);
    }
}
