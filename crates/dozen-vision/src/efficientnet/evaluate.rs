//! How well classes are told.

use dozen_nn::Error;

use super::Model;
use super::model::ranked;
use crate::labelled::Labelled;

/// On held-out pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Pictures.
    pub images: usize,
    /// The share whose class is the likeliest.
    pub top1: f64,
    /// The share whose class is among the five likeliest.
    pub top5: f64,
    /// The mean of `-ln p` of the class, in nats.
    pub log_loss: f64,
    /// The mean distance of confidence from accuracy over fifteen equal ranges of confidence (Guo et al. 2017, eq. 3).
    pub calibration_error: f64,
    /// Pictures of each class (row) that were taken for each (column).
    pub confusion: Vec<Vec<usize>>,
    /// The pictures that were taken for another class with the most confidence: place, class, and that confidence.
    pub worst: Vec<(usize, usize, f32)>,
}

const RANGES: usize = 15;

/// Errors that are listed.
const WORST: usize = 24;

/// Pictures decoded at a time.
const CHUNK: usize = 256;

/// Evaluates a model on pictures of its classes.
///
/// # Errors
/// When there are no pictures.
pub fn evaluate(model: &Model, pictures: &Labelled) -> Result<Evaluation, Error> {
    use rayon::prelude::*;
    let images = pictures.items.len();
    if images == 0 {
        return Err(Error::Request("there are no pictures to evaluate".into()));
    }
    let classes = model.config().classes.len();
    let (mut top1, mut top5, mut log_loss) = (0, 0, 0.0);
    let mut confusion = vec![vec![0; classes]; classes];
    let mut ranges = vec![(0_usize, 0_usize, 0.0_f64); RANGES];
    let mut worst = Vec::new();
    for (chunk, items) in pictures.items.chunks(CHUNK).enumerate() {
        let decoded: Vec<_> = items.par_iter().map(crate::labelled::Item::picture).collect();
        for (at, (row, item)) in model.probabilities(&decoded).iter().zip(items).enumerate() {
            let order = ranked(row);
            let (best, confidence) = (order[0], f64::from(row[order[0]]));
            let right = best == item.class;
            top1 += usize::from(right);
            top5 += usize::from(order.iter().take(5).any(|class| *class == item.class));
            log_loss -= f64::from(row[item.class].max(f32::MIN_POSITIVE)).ln();
            confusion[item.class][best] += 1;
            let range = &mut ranges[((confidence * RANGES as f64) as usize).min(RANGES - 1)];
            *range = (range.0 + 1, range.1 + usize::from(right), range.2 + confidence);
            if !right {
                worst.push((chunk * CHUNK + at, best, row[best]));
            }
        }
    }
    worst.sort_by(|a, b| f32::total_cmp(&b.2, &a.2));
    worst.truncate(WORST);
    let count = images as f64;
    let off = ranges.iter().map(|(_, right, confidence)| (confidence - *right as f64).abs() / count).sum();
    Ok(Evaluation {
        images,
        top1: top1 as f64 / count,
        top5: top5 as f64 / count,
        log_loss: log_loss / count,
        calibration_error: off,
        confusion,
        worst,
    })
}
