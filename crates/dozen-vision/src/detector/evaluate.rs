//! How well boxes are found.

use std::time::Instant;

use super::model::{Model, Scale};
use super::network::Found;
use crate::detection::{AveragePrecision, Detection, Pictured, Truth};
use crate::picture::Picture;

/// On held-out pictures.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// COCO's figures.
    pub precision: AveragePrecision,
    /// The boxes that are there.
    pub truths: Vec<Truth>,
    /// What was found in each picture, in its pixels.
    pub found: Vec<Vec<Found>>,
    /// Seconds of detection for each picture, decoding left out.
    pub seconds_per_image: f64,
}

/// Pictures decoded at a time.
const CHUNK: usize = 32;

/// Evaluates a model on pictures with boxes of its categories, at its own size or at several.
pub fn evaluate(model: &Model, pictures: &Pictured, scales: &[Scale]) -> Evaluation {
    use rayon::prelude::*;
    let images: Vec<usize> = (0..pictures.len()).collect();
    let (mut found, mut seconds) = (Vec::new(), 0.0);
    for chunk in images.chunks(CHUNK) {
        let decoded: Vec<Picture> = chunk.par_iter().map(|image| pictures.picture(*image)).collect();
        let started = Instant::now();
        found.extend(model.detect(&decoded, scales));
        seconds += started.elapsed().as_secs_f64();
    }
    let truths = pictures.set().truths();
    let detections: Vec<Detection> = found
        .iter()
        .enumerate()
        .flat_map(|(image, found)| found.iter().map(move |found| detection(image, found)))
        .collect();
    let categories = model.config().categories.len();
    Evaluation {
        precision: AveragePrecision::new(&truths, &detections, images.len(), categories),
        truths,
        found,
        seconds_per_image: seconds / images.len().max(1) as f64,
    }
}

impl Evaluation {
    /// What was found, as the figures take it.
    pub fn detections(&self) -> Vec<Detection> {
        let of_image = |(image, found): (usize, &Vec<Found>)| {
            found.iter().map(|found| detection(image, found)).collect::<Vec<_>>()
        };
        self.found.iter().enumerate().flat_map(of_image).collect()
    }
}

fn detection(image: usize, found: &Found) -> Detection {
    let [left, top, right, bottom] = found.rect.map(f64::from);
    let bbox = [left, top, right - left, bottom - top];
    Detection { image, category: found.category, bbox, score: f64::from(found.score) }
}
