//! Decoding.

use std::io::Cursor;
use std::path::Path;

use dozen_nn::Error;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader};

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

/// More pixels than this on a side no picture may have, however small its file.
const LONGEST_SIDE: u32 = 1 << 15;

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
        let failed = |error: &dyn std::fmt::Display| format!("does not decode: {error}");
        let mut reader =
            ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| failed(&e))?;
        if reader.format().is_none() {
            return Err("is no PNG, JPEG, BMP or WebP picture".into());
        }
        let mut limits = image::Limits::default();
        (limits.max_image_width, limits.max_image_height) = (Some(LONGEST_SIDE), Some(LONGEST_SIDE));
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|e| failed(&e))?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > pixels as u64 {
            return Err(format!("has {width} x {height} pixels, and at most {pixels} may be"));
        }
        // A camera says which side is up.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut decoded = DynamicImage::from_decoder(decoder).map_err(|e| failed(&e))?;
        decoded.apply_orientation(orientation);
        let picture = decoded.to_rgb8();
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
