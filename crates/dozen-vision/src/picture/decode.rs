//! Decoding.

use std::path::Path;

use dozen_data::decode_picture;
use dozen_nn::Error;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// Eight bits of red, green and blue a pixel, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels of a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// Red, green and blue of each pixel.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no picture of a known kind.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let said = |problem: String| Error::Request(format!("`{}` {problem}", path.display()));
        Self::decode(&bytes).map_err(said)
    }

    /// Decodes a file's bytes. Grey pictures get three equal colours, what is transparent is left as it is, and more than eight bits are rounded to eight.
    ///
    /// # Errors
    /// With what is wrong with the picture.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        Self::decode_within(bytes, usize::MAX)
    }

    /// The same of a picture of at most so many pixels; a larger one is refused before it is decoded.
    ///
    /// # Errors
    /// With what is wrong with the picture.
    pub fn decode_within(bytes: &[u8], pixels: usize) -> Result<Self, String> {
        let (mut decoded, orientation) = decode_picture(bytes, pixels)?;
        // A camera says which side is up.
        decoded.apply_orientation(orientation);
        let picture = decoded.into_rgb8();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        Ok(Self { width, height, pixels: picture.into_raw() })
    }

    /// The bytes of a PNG file.
    pub fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = PngEncoder::new(&mut bytes);
        let (width, height) = (self.width as u32, self.height as u32);
        let written = encoder.write_image(&self.pixels, width, height, ExtendedColorType::Rgb8);
        written.expect("three bytes for each pixel, written to memory");
        bytes
    }

    /// The picture's mirror image.
    #[must_use]
    pub fn flipped(mut self) -> Self {
        for line in self.pixels.chunks_exact_mut(self.width * 3) {
            let mut mirrored: Vec<u8> = line.chunks_exact(3).rev().flatten().copied().collect();
            line.swap_with_slice(&mut mirrored);
        }
        self
    }
}
