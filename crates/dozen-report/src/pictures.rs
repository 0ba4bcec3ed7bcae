//! Grids of pictures, as PNG and within a page.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, Rgb, RgbImage};

/// Pictures of one shape, grey or in colours, side by side.
#[derive(Clone, Debug)]
pub struct PictureGrid {
    channels: usize,
    height: usize,
    width: usize,
    pictures: Vec<Vec<f32>>,
}

/// Pixels between pictures.
const GAP: usize = 2;

/// Of what is between pictures.
const GROUND: Rgb<u8> = Rgb([127, 127, 127]);

impl PictureGrid {
    /// Pictures of `[channels, height, width]` values from 0 to 1, channel after channel, each line by line; one is light. Of two channels or more
    /// than three the first is shown.
    pub fn new([channels, height, width]: [usize; 3], pictures: Vec<Vec<f32>>) -> Self {
        Self { channels, height, width, pictures }
    }

    /// The pictures with `columns` to a line, as the bytes of a PNG file.
    pub fn png(&self, columns: usize) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let sheet = self.sheet(columns);
        sheet.write_to(&mut bytes, ImageFormat::Png).expect("a picture in memory can be written");
        bytes.into_inner()
    }

    pub(crate) fn sheet(&self, columns: usize) -> RgbImage {
        let columns = columns.clamp(1, self.pictures.len().max(1));
        let lines = self.pictures.len().div_ceil(columns).max(1);
        let along = |count: usize, size: usize| (count * (size + GAP) - GAP) as u32;
        let (width, height) = (along(columns, self.width), along(lines, self.height));
        let mut sheet = RgbImage::from_pixel(width, height, GROUND);
        for (index, picture) in self.pictures.iter().enumerate() {
            let (left, top) = (index % columns * (self.width + GAP), index / columns * (self.height + GAP));
            for place in 0..self.height * self.width {
                let value = |channel: usize| {
                    let channel = if self.channels == 3 { channel } else { 0 };
                    let value = picture[channel * self.height * self.width + place];
                    (value.clamp(0.0, 1.0) * 255.0).round() as u8
                };
                let (x, y) = (left + place % self.width, top + place / self.width);
                sheet.put_pixel(x as u32, y as u32, Rgb([value(0), value(1), value(2)]));
            }
        }
        sheet
    }

    /// The same as SVG, for a [`Report`](crate::Report).
    pub fn svg(&self, columns: usize) -> String {
        embedded(&self.png(columns))
    }
}

/// A PNG file's bytes as a picture in SVG.
pub(crate) fn embedded(png: &[u8]) -> String {
    let size = |at: usize| u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]);
    // A PNG's width and height stand at bytes 16 and 20.
    let (width, height) = (size(16), size(20));
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"><image width=\"{width}\" height=\"{height}\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/></svg>",
        STANDARD.encode(png)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_side_by_side() {
        let red = vec![1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        let grid = PictureGrid::new([3, 1, 2], vec![red.clone(), red.clone(), red]);
        let sheet = image::load_from_memory(&grid.png(2)).unwrap().to_rgb8();
        assert_eq!(sheet.dimensions(), (6, 4));
        assert_eq!([sheet.get_pixel(1, 0), sheet.get_pixel(0, 3)], [&Rgb([255, 0, 0]); 2]);
        assert_eq!([sheet.get_pixel(2, 0), sheet.get_pixel(5, 3)], [&GROUND; 2]);
        assert!(grid.svg(2).contains("viewBox=\"0 0 6 4\""));
    }
}
