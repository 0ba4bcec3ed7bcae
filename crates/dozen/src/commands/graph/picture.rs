//! `dozen graph segment` and `smooth`.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use dozen::data::{DataError, decode_picture, write_file};
use dozen::graph::{Image, Neighbourhood, Segmentation, felzenszwalb, tree_filter};
use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::json;

use crate::context::Context;
use crate::output::{Failure, Results};

#[derive(Args, Debug)]
pub(crate) struct SegmentArguments {
    /// A picture: PNG or JPEG
    #[arg(value_name = "PICTURE")]
    picture: PathBuf,
    /// Larger values make larger segments; in the unit of scikit-image, which takes them for levels up to 255
    #[arg(long, default_value_t = 300.0, value_name = "SCALE", allow_negative_numbers = true)]
    scale: f64,
    /// The deviation of the Gaussian that blurs the picture first, in pixels
    #[arg(long, default_value_t = 0.8, value_name = "PIXELS", allow_negative_numbers = true)]
    sigma: f64,
    /// Pixels of the smallest segment
    #[arg(long, default_value_t = 50, value_name = "N")]
    min_size: usize,
    /// Which pixels are neighbours
    #[arg(long, value_enum, default_value_t = Grid::Eight, value_name = "GRID")]
    grid: Grid,
    /// The file to write: each segment in its mean colour (.png or .jpg), or the labels, row by row (.csv or .npy)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Grid {
    /// Those that share a side
    Four,
    /// Those that touch
    Eight,
}

#[derive(Args, Debug)]
pub(crate) struct SmoothArguments {
    /// A picture: PNG or JPEG
    #[arg(value_name = "PICTURE")]
    picture: PathBuf,
    /// How far values reach along the tree, in sums of the differences of neighbours, which are between 0 and 1
    #[arg(long, default_value_t = 0.3, value_name = "SIGMA")]
    sigma: f64,
    /// The picture to write: .png or .jpg
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn segment(arguments: &SegmentArguments, context: &Context) -> Result<(), Failure> {
    for (name, value) in [("--scale", arguments.scale), ("--sigma", arguments.sigma)] {
        if !(value >= 0.0 && value.is_finite()) {
            return Err(Failure::request(format!("{name} {value} is not a number from zero up")));
        }
    }
    let picture = read(&arguments.picture)?;
    let started = Instant::now();
    let neighbourhood = match arguments.grid {
        Grid::Four => Neighbourhood::Four,
        Grid::Eight => Neighbourhood::Eight,
    };
    let blurred = picture.blurred(arguments.sigma);
    let found = felzenszwalb(&blurred, arguments.scale / 255.0, arguments.min_size, neighbourhood);
    let seconds = started.elapsed().as_secs_f64();
    let (width, height, _) = picture.shape();
    let mut json =
        json!({ "segments": found.segments, "width": width, "height": height, "seconds": seconds });
    let mut lines = vec![format!("{} segments in {width} x {height} pixels, {seconds:.3} s", found.segments)];
    if let Some(out) = &arguments.out {
        let table = out.extension().is_some_and(|end| end == "csv" || end == "npy" || end == "parquet");
        if table {
            let labels = found.labels.iter().map(|&label| f64::from(label));
            super::write(out, vec![crate::data::number_column("label", labels)])?;
        } else {
            save(&mean_colours(&picture, &found)?, out)?;
        }
        json["out"] = out.display().to_string().into();
        lines.push(format!("the segments are {}", out.display()));
    }
    Results::new(json).lines(lines).print(context.json())
}

pub(super) fn smooth(arguments: &SmoothArguments, context: &Context) -> Result<(), Failure> {
    if !(arguments.sigma > 0.0 && arguments.sigma.is_finite()) {
        return Err(Failure::request(format!("--sigma {} is not a positive number", arguments.sigma)));
    }
    let picture = read(&arguments.picture)?;
    let started = Instant::now();
    let smooth = tree_filter(&picture, arguments.sigma)?;
    let seconds = started.elapsed().as_secs_f64();
    save(&smooth, &arguments.out)?;
    let (width, height, _) = picture.shape();
    let out = arguments.out.display().to_string();
    let line = format!("{width} x {height} pixels smoothed in {seconds:.3} s: {out}");
    Results::new(json!({ "width": width, "height": height, "seconds": seconds, "out": out }))
        .line(line)
        .print(context.json())
}

/// Red, green and blue between 0 and 1.
fn read(path: &Path) -> Result<Image, Failure> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| DataError::read(&name, error))?;
    let decoded = decode_picture(&bytes, usize::MAX);
    let (picture, _) = decoded.map_err(|problem| Failure::request(format!("`{name}` {problem}")))?;
    let picture: RgbImage = picture.into_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let values = picture.into_raw().into_iter().map(|level| f64::from(level) / 255.0).collect();
    Ok(Image::new(width, height, 3, values)?)
}

fn save(picture: &Image, path: &Path) -> Result<(), Failure> {
    let (width, height, _) = picture.shape();
    let levels =
        picture.values().iter().map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8).collect();
    let buffer =
        RgbImage::from_raw(width as u32, height as u32, levels).expect("three levels for each pixel");
    let unwritten =
        |e: &dyn std::fmt::Display| Failure::request(format!("cannot write `{}`: {e}", path.display()));
    let format = ImageFormat::from_path(path).map_err(|e| unwritten(&e))?;
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(buffer).write_to(&mut bytes, format).map_err(|e| unwritten(&e))?;
    Ok(write_file(path, bytes.into_inner())?)
}

/// Each pixel in the mean colour of its segment.
fn mean_colours(picture: &Image, found: &Segmentation) -> Result<Image, Failure> {
    let mut sums = vec![[0.0; 4]; found.segments];
    for (pixel, &label) in picture.values().chunks_exact(3).zip(&found.labels) {
        let sum = &mut sums[label as usize];
        for (sum, value) in sum.iter_mut().zip(pixel.iter().chain([&1.0])) {
            *sum += value;
        }
    }
    let colour = |&label: &u32| {
        let [r, g, b, count] = sums[label as usize];
        [r / count, g / count, b / count]
    };
    let (width, height, _) = picture.shape();
    Ok(Image::new(width, height, 3, found.labels.iter().flat_map(colour).collect())?)
}
