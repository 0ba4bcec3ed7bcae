//! Decoding pictures that may be anything.

use std::io::Cursor;

use dozen_run::guarded;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::limits::most_pixels;

/// Lines and their pixels, at most.
const LONGEST_SIDE: u32 = 1 << 15;

/// Bytes that a decoder may take for a pixel: four channels of sixteen bits, twice.
const BYTES_PER_PIXEL: u64 = 16;

/// Decodes a PNG, JPEG, BMP or WebP picture as it is stored, and says how a camera was held.
///
/// # Errors
/// With what is wrong, as the end of a sentence that names the picture: it does not decode, it is of no known kind, or it
/// has more than `pixels` pixels, or more than the process allows ([`crate::set_most_pixels`]). A decoder that panics is
/// such an error, too.
pub fn decode_picture(bytes: &[u8], pixels: usize) -> Result<(DynamicImage, Orientation), String> {
    guarded(|| decode(bytes, pixels.min(most_pixels())))
        .unwrap_or_else(|panic| Err(format!("breaks its decoder ({panic})")))
}

fn decode(bytes: &[u8], pixels: usize) -> Result<(DynamicImage, Orientation), String> {
    let failed = |error: &dyn std::fmt::Display| format!("does not decode: {error}");
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| failed(&e))?;
    if reader.format().is_none() {
        return Err("is no PNG, JPEG, BMP or WebP picture".into());
    }
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LONGEST_SIDE), Some(LONGEST_SIDE));
    limits.max_alloc = Some((pixels as u64).saturating_mul(BYTES_PER_PIXEL).saturating_add(1 << 20));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| failed(&e))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > pixels as u64 {
        let told = if pixels == most_pixels() { " (--max-pixels sets that)" } else { "" };
        return Err(format!("has {width} x {height} pixels, and at most {pixels} are read{told}"));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|e| failed(&e))?;
    Ok((decoded, orientation))
}
