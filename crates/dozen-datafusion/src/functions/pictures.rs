//! `class`: what a picture shows.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use dozen_vision::efficientnet::ranked;
use dozen_vision::picture::Picture;

use super::{Function, as_texts, wrong};
use crate::Models;

/// So many pictures go through the network at once.
const TOGETHER: usize = 16;

/// The most pixels of a picture.
const PIXELS: usize = 50_000_000;

pub(super) fn class(models: &Arc<Models>) -> Function {
    Function::new("class", true, Some(1), DataType::Utf8, models, call)
}

/// The likeliest class; none where there is no picture, or none that decodes.
fn call(models: &Models, name: &str, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let model = models.classifier(name)?;
    let model = model.lock().unwrap_or_else(PoisonError::into_inner);
    let pictures = pictures(&columns[0])?;
    let mut classes: Vec<Option<String>> = Vec::with_capacity(pictures.len());
    for some in pictures.chunks(TOGETHER) {
        let decoded: Vec<Option<Picture>> = some.iter().map(Encoded::decode).collect();
        let whole: Vec<Picture> = decoded.iter().flatten().cloned().collect();
        let likeliest = |row: &Vec<f32>| model.config().classes[ranked(row)[0]].clone();
        let mut found = if whole.is_empty() { Vec::new() } else { model.probabilities(&whole) }.into_iter();
        classes.extend(
            decoded.iter().map(|one| one.as_ref().and_then(|_| found.next()).map(|row| likeliest(&row))),
        );
    }
    Ok(Arc::new(classes.into_iter().collect::<StringArray>()))
}

/// A picture as a table holds it.
enum Encoded {
    Missing,
    Bytes(Vec<u8>),
    File(String),
}

impl Encoded {
    fn decode(&self) -> Option<Picture> {
        match self {
            Self::Missing => None,
            Self::Bytes(bytes) => Picture::decode_within(bytes, PIXELS).ok(),
            Self::File(path) => {
                let bytes = std::fs::read(Path::new(path)).ok()?;
                Picture::decode_within(&bytes, PIXELS).ok()
            }
        }
    }
}

fn pictures(column: &ArrayRef) -> Result<Vec<Encoded>> {
    let or_missing = |value: Option<Encoded>| value.unwrap_or(Encoded::Missing);
    match column.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = cast(column, &DataType::Binary)?;
            let bytes = bytes.as_binary::<i32>();
            Ok(bytes
                .iter()
                .map(|bytes| or_missing(bytes.map(|bytes| Encoded::Bytes(bytes.to_vec()))))
                .collect())
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let paths = as_texts("class", column)?;
            Ok(paths.iter().map(|path| or_missing(path.map(|path| Encoded::File(path.to_owned())))).collect())
        }
        other => {
            Err(wrong("class", &format!("takes a picture's bytes or the path of its file, not {other}")))
        }
    }
}
