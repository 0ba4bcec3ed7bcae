//! Pictures that follow on each other, as an animated PNG.

use png::{BitDepth, ColorType, Encoder, EncodingError};

use crate::PictureGrid;
use crate::pictures::embedded;

/// Seconds that the last picture stays.
const REST: u16 = 2;

/// Pictures of one size, one after the other.
#[derive(Clone, Debug)]
pub struct Animation {
    /// Width and height in pixels.
    size: [u32; 2],
    /// Red, green and blue of each pixel, a picture after the other.
    frames: Vec<Vec<u8>>,
    milliseconds: u16,
}

impl Animation {
    /// Of grids with `columns` to a line, each shown for so long. All must have as many pictures of one shape as the first; `None` without any.
    pub fn new(
        grids: impl IntoIterator<Item = PictureGrid>,
        columns: usize,
        milliseconds: u16,
    ) -> Option<Self> {
        let sheets: Vec<_> = grids.into_iter().map(|grid| grid.sheet(columns)).collect();
        let (width, height) = sheets.first()?.dimensions();
        let frames = sheets.into_iter().filter(|sheet| sheet.dimensions() == (width, height));
        Some(Self {
            size: [width, height],
            frames: frames.map(image::RgbImage::into_raw).collect(),
            milliseconds,
        })
    }

    /// The bytes of a PNG file, which programs that know no animation show as its first picture.
    pub fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("pictures in memory can be written");
        bytes
    }

    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), EncodingError> {
        let [width, height] = self.size;
        let mut encoder = Encoder::new(bytes, width, height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_animated(self.frames.len() as u32, 0)?;
        encoder.set_frame_delay(self.milliseconds, 1000)?;
        let mut writer = encoder.write_header()?;
        for (at, frame) in self.frames.iter().enumerate() {
            if at + 1 == self.frames.len() {
                writer.set_frame_delay(REST, 1)?;
            }
            writer.write_image_data(frame)?;
        }
        writer.finish()
    }

    /// The same as SVG, for a [`Report`](crate::Report).
    pub fn svg(&self) -> String {
        embedded(&self.png())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_on_each_other() {
        let grid = |level: f32| PictureGrid::new([1, 2, 2], vec![vec![level; 4]; 2]);
        let animation = Animation::new([grid(0.0), grid(1.0)], 2, 100).unwrap();
        let png = animation.png();
        let decoder = png::Decoder::new(std::io::Cursor::new(&png));
        let mut reader = decoder.read_info().unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_frames, 2);
        let mut pixels = vec![0; 6 * 2 * 3];
        for level in [0, 255] {
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels[0], level);
        }
        assert!(Animation::new([], 1, 1).is_none() && animation.svg().contains("viewBox=\"0 0 6 2\""));
    }
}
