//! The formats of sets of boxes: which one a file or folder has, and the way in and out.

use std::path::Path;

use dozen_nn::Error;

use super::set::DetectionSet;
use super::{coco, table, voc, yolo};

/// A format that boxes are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Format {
    /// One JSON file.
    Coco,
    /// A folder with `Annotations`, `ImageSets` and `JPEGImages`.
    Voc,
    /// A folder with `images` and `labels`.
    Yolo,
    /// A table with a line for each box.
    #[cfg_attr(feature = "clap", value(name = "csv"))]
    Table,
}

impl DetectionSet {
    /// Reads a COCO file (`.json`), a table (`.csv`), a folder of VOC (`DIR` or `DIR:SPLIT` of its `ImageSets/Main`) or of YOLO (`DIR` or `DIR:SPLIT` of its `images`). Images of a COCO file or a
    /// table are sought beside it, or in `images` where that is given. Categories are those of `known`, where these are given.
    ///
    /// # Errors
    /// When it is no such thing, or cannot be read.
    pub fn read(path: &str, images: Option<&Path>, known: Option<&[String]>) -> Result<Self, Error> {
        let (place, split) = match path.rsplit_once(':') {
            Some((place, split)) if !Path::new(path).exists() => (Path::new(place), Some(split)),
            _ => (Path::new(path), None),
        };
        let ending = place.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let set = match ending.as_deref() {
            Some("json") => coco::read(place, images)?,
            Some("csv") => table::read(place, images)?,
            _ if place.join("Annotations").is_dir() => voc::read(place, split)?,
            _ if place.join("images").is_dir() && place.join("labels").is_dir() => yolo::read(place, split)?,
            _ => {
                return Err(Error::Request(format!(
                    "`{path}` is no data set of boxes: neither a .json of COCO, nor a .csv, nor a folder with `Annotations` (VOC) or with `images` and `labels` (YOLO)"
                )));
            }
        };
        if set.images.is_empty() {
            return Err(Error::Request(format!("`{path}` names no images")));
        }
        match known {
            Some(known) => Ok(set.of_categories(known)),
            None => Ok(set),
        }
    }

    /// Writes the boxes in a format.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, path: &Path, format: Format) -> Result<(), Error> {
        match format {
            Format::Coco => coco::write(self, path),
            Format::Voc => voc::write(self, path),
            Format::Yolo => yolo::write(self, path),
            Format::Table => table::write(self, path),
        }
    }
}
