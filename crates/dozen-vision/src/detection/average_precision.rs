//! Average precision as COCO has it, to the bit of pycocotools' `COCOeval` for boxes.

use rayon::prelude::*;

/// A box that is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// The place of its image.
    pub image: usize,
    /// The place of its category.
    pub category: usize,
    /// Left, top, width and height in pixels.
    pub bbox: [f64; 4],
    /// Its area as annotated, which for a segmented thing is not that of the box.
    pub area: f64,
    /// Whether it stands for a crowd, of which any part may be detected any number of times.
    pub crowd: bool,
}

/// A box that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// The place of its image.
    pub image: usize,
    /// The place of its category.
    pub category: usize,
    /// Left, top, width and height in pixels.
    pub bbox: [f64; 4],
    /// The higher the surer.
    pub score: f64,
}

/// Overlaps from which on a box counts as found: 0.5 to 0.95.
pub const OVERLAPS: usize = 10;
/// Recalls at which precision is taken.
const RECALLS: usize = 101;
/// Ranges of areas: all, below 32 x 32, up to 96 x 96, above.
const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];
/// Detections of an image that count, the surest first.
const MOST: [usize; 3] = [1, 10, 100];

/// `start + i step` as numpy's `linspace` computes it.
fn linspace(start: f64, stop: f64, count: usize, at: usize) -> f64 {
    if at + 1 == count { stop } else { at as f64 * ((stop - start) / (count - 1) as f64) + start }
}

/// The figures of all categories, and what they are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragePrecision {
    /// `[overlap][recall][category][area]` at a hundred detections an image; -1 where a category has no boxes of the area.
    pub precision: Vec<f64>,
    /// `[overlap][category][area][detections]`.
    pub recall: Vec<f64>,
    categories: usize,
}

/// The intersection over the union, or of a crowd over the detection.
pub(super) fn overlap(detection: &[f64; 4], truth: &Truth) -> f64 {
    let [dx, dy, dw, dh] = *detection;
    let [gx, gy, gw, gh] = truth.bbox;
    let width = (dx + dw).min(gx + gw) - dx.max(gx);
    let height = (dy + dh).min(gy + gh) - dy.max(gy);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let both = width * height;
    both / if truth.crowd { dw * dh } else { dw * dh + gw * gh - both }
}

/// What became of the detections of one category in one image, for one range of areas.
struct Matched {
    scores: Vec<f64>,
    /// `[overlap][detection]`: whether it found a box, and whether it counts.
    found: Vec<bool>,
    ignored: Vec<bool>,
    /// Boxes that count.
    boxes: usize,
}

/// Boxes and detections of one category in one image.
#[derive(Default)]
struct Cell<'a> {
    truths: Vec<&'a Truth>,
    detections: Vec<&'a Detection>,
}

impl Cell<'_> {
    fn matched(&mut self) -> Option<[Matched; 4]> {
        if self.truths.is_empty() && self.detections.is_empty() {
            return None;
        }
        self.detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.detections.truncate(MOST[2]);
        let overlaps: Vec<f64> = self
            .detections
            .iter()
            .flat_map(|detection| self.truths.iter().map(|truth| overlap(&detection.bbox, truth)))
            .collect();
        Some(AREAS.map(|area| self.of_area(area, &overlaps)))
    }

    fn of_area(&self, [least, most]: [f64; 2], overlaps: &[f64]) -> Matched {
        let beyond = |area: f64| area < least || area > most;
        let left_out: Vec<bool> = self.truths.iter().map(|truth| truth.crowd || beyond(truth.area)).collect();
        // Those that count first.
        let mut order: Vec<usize> = (0..self.truths.len()).collect();
        order.sort_by_key(|truth| left_out[*truth]);
        let count = self.detections.len();
        let (mut found, mut ignored) = (vec![false; OVERLAPS * count], vec![false; OVERLAPS * count]);
        let mut taken = vec![false; self.truths.len()];
        for step in 0..OVERLAPS {
            taken.fill(false);
            let threshold = linspace(0.5, 0.95, OVERLAPS, step).min(1.0 - 1e-10);
            for (at, detection) in self.detections.iter().enumerate() {
                let row = &overlaps[at * self.truths.len()..][..self.truths.len()];
                let best = self.best(row, &order, &left_out, &taken, threshold);
                let place = step * count + at;
                if let Some(truth) = best {
                    taken[truth] = true;
                    found[place] = true;
                    ignored[place] = left_out[truth];
                } else {
                    ignored[place] = beyond(detection.bbox[2] * detection.bbox[3]);
                }
            }
        }
        let boxes = left_out.iter().filter(|out| !**out).count();
        Matched {
            scores: self.detections.iter().map(|detection| detection.score).collect(),
            found,
            ignored,
            boxes,
        }
    }

    /// The box that a detection finds: the one of most overlap that is not taken, one that counts before one that does not.
    fn best(
        &self,
        overlaps: &[f64],
        order: &[usize],
        left_out: &[bool],
        taken: &[bool],
        mut threshold: f64,
    ) -> Option<usize> {
        let mut best: Option<usize> = None;
        for &truth in order {
            if taken[truth] && !self.truths[truth].crowd {
                continue;
            }
            if best.is_some_and(|best| !left_out[best] && left_out[truth]) {
                break;
            }
            if overlaps[truth] >= threshold {
                threshold = overlaps[truth];
                best = Some(truth);
            }
        }
        best
    }
}

impl AveragePrecision {
    /// Of all detections in all images.
    ///
    /// # Panics
    /// When a box or a detection is of an image or a category that is not among those.
    pub fn new(truths: &[Truth], detections: &[Detection], images: usize, categories: usize) -> Self {
        let mut cells: Vec<Cell<'_>> = (0..images * categories).map(|_| Cell::default()).collect();
        let place = |image: usize, category: usize| {
            assert!(image < images && category < categories, "a known image and category");
            category * images + image
        };
        for truth in truths {
            cells[place(truth.image, truth.category)].truths.push(truth);
        }
        for found in detections {
            cells[place(found.image, found.category)].detections.push(found);
        }
        let matched: Vec<Option<[Matched; 4]>> = cells.par_iter_mut().map(Cell::matched).collect();
        let mut whole = Self {
            precision: vec![-1.0; OVERLAPS * RECALLS * categories * AREAS.len()],
            recall: vec![-1.0; OVERLAPS * categories * AREAS.len() * MOST.len()],
            categories,
        };
        let curves: Vec<_> = (0..categories * AREAS.len())
            .into_par_iter()
            .map(|at| {
                let (category, area) = (at / AREAS.len(), at % AREAS.len());
                let images = &matched[category * images..(category + 1) * images];
                let of_area: Vec<&Matched> = images.iter().flatten().map(|areas| &areas[area]).collect();
                MOST.map(|most| Curves::new(&of_area, most))
            })
            .collect();
        for (at, by_most) in curves.into_iter().enumerate() {
            let (category, area) = (at / AREAS.len(), at % AREAS.len());
            for (m, curves) in by_most.into_iter().enumerate() {
                let Some(curves) = curves else { continue };
                for step in 0..OVERLAPS {
                    whole.recall[((step * categories + category) * AREAS.len() + area) * MOST.len() + m] =
                        curves.recall[step];
                    if m + 1 == MOST.len() {
                        for (r, precision) in curves.precision[step * RECALLS..][..RECALLS].iter().enumerate()
                        {
                            whole.precision
                                [((step * RECALLS + r) * categories + category) * AREAS.len() + area] =
                                *precision;
                        }
                    }
                }
            }
        }
        whole
    }

    /// The mean precision over overlaps (all, or one of them), recalls, and categories (all, or one of them), in a range of areas: 0 all, 1 small, 2 medium, 3 large.
    /// `None` where there are no boxes.
    pub fn mean_precision(
        &self,
        overlap: Option<usize>,
        category: Option<usize>,
        area: usize,
    ) -> Option<f64> {
        let wanted = |at: usize| {
            let (this_area, rest) = (at % AREAS.len(), at / AREAS.len());
            let (this_category, rest) = (rest % self.categories, rest / self.categories);
            this_area == area
                && category.is_none_or(|category| category == this_category)
                && overlap.is_none_or(|overlap| overlap == rest / RECALLS)
        };
        mean(self.precision.iter().enumerate().filter(|(at, _)| wanted(*at)).map(|(_, value)| *value))
    }

    /// The mean recall over overlaps and categories at most so many detections an image: 0 for one, 1 for ten, 2 for a hundred.
    pub fn mean_recall(&self, area: usize, most: usize) -> Option<f64> {
        let wanted = |at: usize| at % MOST.len() == most && at / MOST.len() % AREAS.len() == area;
        mean(self.recall.iter().enumerate().filter(|(at, _)| wanted(*at)).map(|(_, value)| *value))
    }

    /// Precision at recalls 0, 0.01, ... 1 of a category at an overlap, boxes of all sizes.
    pub fn curve(&self, overlap: usize, category: usize) -> Vec<f64> {
        let at = |r: usize| ((overlap * RECALLS + r) * self.categories + category) * AREAS.len();
        (0..RECALLS).map(|r| self.precision[at(r)]).collect()
    }

    /// COCO's twelve numbers in their order, -1 where there are no boxes.
    pub fn summary(&self) -> [f64; 12] {
        let precision = |overlap, area| self.mean_precision(overlap, None, area).unwrap_or(-1.0);
        let recall = |area, most| self.mean_recall(area, most).unwrap_or(-1.0);
        [
            precision(None, 0),
            precision(Some(0), 0),
            precision(Some(5), 0),
            precision(None, 1),
            precision(None, 2),
            precision(None, 3),
            recall(0, 0),
            recall(0, 1),
            recall(0, 2),
            recall(1, 2),
            recall(2, 2),
            recall(3, 2),
        ]
    }
}

/// The mean of those that are no -1, summed as numpy does, by halves of blocks.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.filter(|value| *value > -1.0).collect();
    (!values.is_empty()).then(|| pairwise(&values) / values.len() as f64)
}

/// numpy's pairwise sum.
fn pairwise(values: &[f64]) -> f64 {
    match values.len() {
        0..8 => values.iter().fold(-0.0, |sum, value| sum + value),
        8..=128 => {
            let mut sums: [f64; 8] = values[..8].try_into().expect("eight values");
            let (eights, rest) = values[8..].as_chunks::<8>();
            for eight in eights {
                for (sum, value) in sums.iter_mut().zip(eight) {
                    *sum += value;
                }
            }
            let [a, b, c, d, e, f, g, h] = sums;
            rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, value| sum + value)
        }
        count => {
            let half = count / 2 - count / 2 % 8;
            pairwise(&values[..half]) + pairwise(&values[half..])
        }
    }
}

/// Precision and recall of one category and range of areas.
struct Curves {
    /// `[overlap][recall]`.
    precision: Vec<f64>,
    /// By overlap.
    recall: [f64; OVERLAPS],
}

impl Curves {
    /// Of the surest detections of each image; `None` without boxes.
    fn new(images: &[&Matched], most: usize) -> Option<Self> {
        let boxes: usize = images.iter().map(|image| image.boxes).sum();
        if boxes == 0 {
            return None;
        }
        let mut all: Vec<(f64, usize, usize)> = Vec::new();
        for (number, image) in images.iter().enumerate() {
            let kept = image.scores.iter().take(most).enumerate();
            all.extend(kept.map(|(at, score)| (*score, number, at)));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut curves = Self { precision: vec![0.0; OVERLAPS * RECALLS], recall: [0.0; OVERLAPS] };
        for step in 0..OVERLAPS {
            let (mut right, mut wrong) = (0.0, 0.0);
            let (mut recall, mut precision) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
            for (_, image, at) in &all {
                let image = images[*image];
                let place = step * image.scores.len() + at;
                if !image.ignored[place] {
                    if image.found[place] {
                        right += 1.0;
                    } else {
                        wrong += 1.0;
                    }
                }
                recall.push(right / boxes as f64);
                precision.push(right / (wrong + right + f64::EPSILON));
            }
            curves.recall[step] = recall.last().copied().unwrap_or(0.0);
            for at in (1..precision.len()).rev() {
                if precision[at] > precision[at - 1] {
                    precision[at - 1] = precision[at];
                }
            }
            for r in 0..RECALLS {
                let wanted = linspace(0.0, 1.0, RECALLS, r);
                let at = recall.partition_point(|recall| *recall < wanted);
                if let Some(value) = precision.get(at) {
                    curves.precision[step * RECALLS + r] = *value;
                }
            }
        }
        Some(curves)
    }
}
