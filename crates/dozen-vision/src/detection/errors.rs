//! What is wrong with detections, one by one, and with all of them.

use super::average_precision::{Detection, Truth, overlap};

/// Detections and boxes by what became of them (after Bolya et al. 2020): a detection at a time, the surest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorKinds {
    /// Detections that find a box of their category.
    pub right: usize,
    /// On a box of another category.
    pub category: usize,
    /// Near a box of their category, but not well enough on it.
    pub place: usize,
    /// Near a box of another category.
    pub both: usize,
    /// On a box that a surer one found.
    pub double: usize,
    /// Near no box.
    pub background: usize,
    /// Boxes that no detection finds or nearly finds.
    pub missed: usize,
}

/// The overlap from which on a detection is on a box, and from which on it is near one.
const ON: f64 = 0.5;
const NEAR: f64 = 0.1;

impl ErrorKinds {
    /// Of detections with at least this score.
    pub fn new(truths: &[Truth], detections: &[Detection], least_score: f64) -> Self {
        let mut kinds = Self::default();
        let mut found = vec![false; truths.len()];
        let mut nearly = vec![false; truths.len()];
        let mut order: Vec<&Detection> =
            detections.iter().filter(|found| found.score >= least_score).collect();
        order.sort_by(|a, b| b.score.total_cmp(&a.score));
        let images = truths.iter().map(|truth| truth.image + 1).max().unwrap_or(0);
        let mut by_image = vec![Vec::new(); images];
        truths.iter().enumerate().for_each(|(place, truth)| by_image[truth.image].push(place));
        for detection in order {
            let own: &[usize] = by_image.get(detection.image).map_or(&[], Vec::as_slice);
            let best = |same: bool, free: bool| {
                own.iter()
                    .filter(|place| {
                        (truths[**place].category == detection.category) == same && !(free && found[**place])
                    })
                    .map(|place| (*place, overlap(&detection.bbox, &truths[*place])))
                    .max_by(|a, b| a.1.total_cmp(&b.1))
                    .unwrap_or((0, 0.0))
            };
            let (free, same, other) = (best(true, true), best(true, false), best(false, false));
            if free.1 >= ON {
                if !truths[free.0].crowd {
                    found[free.0] = true;
                    kinds.right += 1;
                }
            } else if same.1 >= ON {
                kinds.double += 1;
            } else if other.1 >= ON {
                kinds.category += 1;
                nearly[other.0] = true;
            } else if same.1 >= NEAR {
                kinds.place += 1;
                nearly[same.0] = true;
            } else if other.1 >= NEAR {
                kinds.both += 1;
            } else {
                kinds.background += 1;
            }
        }
        let missed = |(place, truth): &(usize, &Truth)| !truth.crowd && !found[*place] && !nearly[*place];
        kinds.missed = truths.iter().enumerate().filter(missed).count();
        kinds
    }
}

/// Why nothing is found, where nothing is: a sentence for the two mistakes that files of detections are most often made with, and for others.
pub fn why_nothing_is_found(truths: &[Truth], detections: &[Detection]) -> Option<String> {
    let hits = |same_category: bool, change: &dyn Fn(&Detection) -> [f64; 4]| {
        let hit = |found: &&Detection| {
            let bbox = change(found);
            truths.iter().any(|truth| {
                truth.image == found.image
                    && (!same_category || truth.category == found.category)
                    && overlap(&bbox, truth) >= ON
            })
        };
        detections.iter().take(5000).filter(hit).count()
    };
    let as_they_are = |found: &Detection| found.bbox;
    if detections.is_empty() {
        return Some("there are no detections; a lower least score would keep more".into());
    }
    if truths.is_empty() {
        return Some("the ground truth has no boxes".into());
    }
    if hits(true, &as_they_are) > 0 {
        return None;
    }
    let any = hits(false, &as_they_are);
    if any > 0 {
        return Some(format!(
            "{any} detections are on boxes, but all of other categories: the numbers of categories are not those of the ground truth"
        ));
    }
    if detections.iter().all(|found| found.bbox.iter().all(|side| side.abs() <= 1.5)) {
        return Some(
            "all sides of the detections are shares of the image's: they are to be in pixels".into(),
        );
    }
    let corners = |found: &Detection| {
        let [left, top, right, bottom] = found.bbox;
        [left, top, right - left, bottom - top]
    };
    if hits(false, &corners) > 0 {
        return Some(
            "detections are on boxes when their last two numbers are taken for corners: COCO wants left, top, width and height".into(),
        );
    }
    let most = |boxes: &mut dyn Iterator<Item = [f64; 4]>| {
        boxes.map(|[l, t, w, h]| (l + w).max(t + h)).fold(0.0, f64::max)
    };
    let (theirs, ours) =
        (most(&mut detections.iter().map(as_they_are)), most(&mut truths.iter().map(|truth| truth.bbox)));
    if theirs > 1.5 * ours || theirs < ours / 1.5 {
        return Some(format!(
            "detections reach to {theirs:.0} pixels and boxes to {ours:.0}: they are of images of another size"
        ));
    }
    Some("no detection is on a box".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(category: usize, left: f64) -> Truth {
        Truth { image: 0, category, bbox: [left, 10.0, 20.0, 20.0], area: 400.0, crowd: false }
    }

    fn found(category: usize, left: f64, score: f64) -> Detection {
        Detection { image: 0, category, bbox: [left, 10.0, 20.0, 20.0], score }
    }

    #[test]
    fn each_error_is_of_its_kind() {
        let truths = [truth(0, 0.0), truth(0, 100.0), truth(1, 200.0), truth(1, 300.0)];
        let detections = [
            found(0, 1.0, 0.9),
            found(0, 2.0, 0.8),
            found(0, 110.0, 0.7),
            found(0, 201.0, 0.6),
            found(0, 312.0, 0.5),
            found(1, 500.0, 0.4),
            found(1, 500.0, 0.1),
        ];
        let kinds = ErrorKinds::new(&truths, &detections, 0.3);
        let expected =
            ErrorKinds { right: 1, category: 1, place: 1, both: 1, double: 1, background: 1, missed: 1 };
        assert_eq!(kinds, expected);
    }

    #[test]
    fn the_reason_for_nothing_is_named() {
        let truths = [truth(0, 100.0)];
        let said = |detection: Detection| why_nothing_is_found(&truths, &[detection]).unwrap();
        assert_eq!(why_nothing_is_found(&truths, &[found(0, 100.0, 0.9)]), None);
        assert!(said(found(1, 100.0, 0.9)).contains("other categories"));
        let with = |bbox| Detection { bbox, ..found(0, 0.0, 0.9) };
        assert!(said(with([100.0, 10.0, 120.0, 30.0])).contains("corners"));
        assert!(said(with([0.5, 0.1, 0.2, 0.2])).contains("shares"));
        assert!(said(with([700.0, 10.0, 20.0, 20.0])).contains("another size"));
        assert!(why_nothing_is_found(&truths, &[]).unwrap().contains("no detections"));
    }
}
