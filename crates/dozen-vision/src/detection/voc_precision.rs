//! Average precision as Pascal VOC has it: at one overlap, without what is difficult.

use super::average_precision::{Detection, Truth, overlap};

/// How the area under a curve of precision over recall is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VocYear {
    /// The mean of the greatest precisions from eleven recalls on (VOC 2007).
    Eleven,
    /// The area under the greatest precision from each recall on (VOC 2010 and later).
    Area,
}

/// The average precision of each category at an overlap of a half; `None` where it has no boxes. Truths marked as crowds are what VOC calls difficult: neither to be found nor wrong.
pub fn voc_precision(
    truths: &[Truth],
    detections: &[Detection],
    categories: usize,
    year: VocYear,
) -> Vec<Option<f64>> {
    (0..categories).map(|category| of_category(truths, detections, category, year)).collect()
}

fn of_category(truths: &[Truth], detections: &[Detection], category: usize, year: VocYear) -> Option<f64> {
    let truths: Vec<&Truth> = truths.iter().filter(|truth| truth.category == category).collect();
    let boxes = truths.iter().filter(|truth| !truth.crowd).count();
    if boxes == 0 {
        return None;
    }
    let mut detections: Vec<&Detection> =
        detections.iter().filter(|found| found.category == category).collect();
    detections.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut taken = vec![false; truths.len()];
    // Precision and recall after each detection.
    let (mut curve, mut right, mut all) = (Vec::new(), 0, 0);
    for found in detections {
        let own = truths.iter().enumerate().filter(|(_, truth)| truth.image == found.image);
        let plain = |truth: &Truth| overlap(&found.bbox, &Truth { crowd: false, ..*truth });
        let best = own.map(|(place, truth)| (place, plain(truth))).max_by(|a, b| a.1.total_cmp(&b.1));
        match best.filter(|(_, overlap)| *overlap >= 0.5) {
            Some((place, _)) if truths[place].crowd => continue,
            Some((place, _)) if !taken[place] => {
                taken[place] = true;
                right += 1;
            }
            _ => {}
        }
        all += 1;
        curve.push((f64::from(right) / boxes as f64, f64::from(right) / f64::from(all)));
    }
    // The greatest precision from each recall on.
    let mut most = 0.0_f64;
    for (_, precision) in curve.iter_mut().rev() {
        most = most.max(*precision);
        *precision = most;
    }
    Some(match year {
        VocYear::Eleven => {
            let from = |recall: f64| {
                curve.iter().find(|(at, _)| *at >= recall).map_or(0.0, |(_, precision)| *precision)
            };
            (0..11).map(|tenth| from(f64::from(tenth) / 10.0)).sum::<f64>() / 11.0
        }
        VocYear::Area => {
            let mut before = 0.0;
            curve
                .iter()
                .map(|(recall, precision)| {
                    let width = recall - before;
                    before = *recall;
                    width * precision
                })
                .sum()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficult_boxes_do_not_count_and_doubles_are_wrong() {
        let truth = |left: f64, crowd| Truth {
            image: 0,
            category: 0,
            bbox: [left, 0.0, 10.0, 10.0],
            area: 100.0,
            crowd,
        };
        let found =
            |left: f64, score| Detection { image: 0, category: 0, bbox: [left, 0.0, 10.0, 10.0], score };
        let truths = [truth(0.0, false), truth(100.0, false), truth(200.0, true)];
        // Right, on the difficult one, double, right.
        let detections = [found(0.0, 0.9), found(200.0, 0.8), found(1.0, 0.7), found(101.0, 0.6)];
        let area = voc_precision(&truths, &detections, 2, VocYear::Area);
        assert_eq!(area, [Some(0.5 * 1.0 + 0.5 * 2.0 / 3.0), None]);
        let eleven = voc_precision(&truths, &detections, 1, VocYear::Eleven)[0].unwrap();
        assert!((eleven - (6.0 + 5.0 * 2.0 / 3.0) / 11.0).abs() < 1e-12);
    }
}
