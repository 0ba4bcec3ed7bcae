//! Non-maximum suppression: of boxes that overlap, the surest stays.

use super::boxes::{Rect, iou};

/// The places of the boxes that stay, the surest first; of two equally sure ones the first. A box goes when its overlap with one that stays is above the threshold.
///
/// # Panics
/// When there are not as many scores as boxes.
pub fn nms(boxes: &[Rect], scores: &[f32], threshold: f32) -> Vec<usize> {
    let order = by_score(boxes, scores);
    let mut gone = vec![false; boxes.len()];
    let mut kept = Vec::new();
    for (at, &best) in order.iter().enumerate() {
        if gone[best] {
            continue;
        }
        kept.push(best);
        for &other in &order[at + 1..] {
            gone[other] |= iou(boxes[best], boxes[other]) > threshold;
        }
    }
    kept
}

fn by_score(boxes: &[Rect], scores: &[f32]) -> Vec<usize> {
    assert_eq!(boxes.len(), scores.len(), "a score for each box");
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

/// From so many coordinates on torchvision suppresses each group by itself; below, it moves the groups apart, and then rounding may decide otherwise at the threshold.
const COORDINATES: usize = 4000;

/// Suppression within each group (a class, or a level of a pyramid), all groups together in one order: torchvision's `batched_nms`, its two ways included.
pub fn batched_nms(boxes: &[Rect], scores: &[f32], groups: &[usize], threshold: f32) -> Vec<usize> {
    assert_eq!(boxes.len(), groups.len(), "a group for each box");
    if 4 * boxes.len() <= COORDINATES {
        let most = boxes.iter().flatten().copied().fold(f32::NEG_INFINITY, f32::max);
        let moved: Vec<Rect> = boxes
            .iter()
            .zip(groups)
            .map(|(rect, group)| rect.map(|coordinate| coordinate + *group as f32 * (most + 1.0)))
            .collect();
        return nms(&moved, scores, threshold);
    }
    let last = groups.iter().copied().max().unwrap_or(0);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); last + 1];
    groups.iter().enumerate().for_each(|(place, group)| members[*group].push(place));
    let mut kept: Vec<usize> = Vec::new();
    for members in members {
        let own: Vec<Rect> = members.iter().map(|place| boxes[*place]).collect();
        let own_scores: Vec<f32> = members.iter().map(|place| scores[*place]).collect();
        kept.extend(nms(&own, &own_scores, threshold).into_iter().map(|place| members[place]));
    }
    kept.sort_unstable();
    kept.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    kept
}

/// How the score of a box falls that overlaps with a surer one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Softening {
    /// By `1 - overlap`, above a threshold.
    Linear {
        /// Of overlap.
        threshold: f32,
    },
    /// By `e^(-overlap^2 / sigma)`.
    Gaussian {
        /// Usually 0.5.
        sigma: f32,
    },
}

/// Soft suppression (Bodla et al. 2017): boxes stay, with lower scores, until these are below `least`. Places and new scores, the surest first.
pub fn soft_nms(boxes: &[Rect], scores: &[f32], softening: Softening, least: f32) -> Vec<(usize, f32)> {
    assert_eq!(boxes.len(), scores.len(), "a score for each box");
    let mut left: Vec<(usize, f32)> = scores.iter().copied().enumerate().collect();
    let mut kept = Vec::new();
    while let Some(at) = surest(&left) {
        let (best, score) = left.swap_remove(at);
        if score < least {
            break;
        }
        kept.push((best, score));
        for (place, score) in &mut left {
            let overlap = iou(boxes[best], boxes[*place]);
            *score *= match softening {
                Softening::Linear { threshold } if overlap > threshold => 1.0 - overlap,
                Softening::Gaussian { sigma } if overlap > 0.0 => (-overlap * overlap / sigma).exp(),
                _ => 1.0,
            };
        }
    }
    kept
}

/// Where the highest score is, and of several the one of the first box.
fn surest(left: &[(usize, f32)]) -> Option<usize> {
    (0..left.len()).max_by(|a, b| left[*a].1.total_cmp(&left[*b].1).then(left[*b].0.cmp(&left[*a].0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOXES: [Rect; 4] =
        [[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [20.0, 0.0, 30.0, 10.0], [0.0, 0.0, 0.0, 0.0]];

    #[test]
    fn the_surest_of_those_that_overlap_stays() {
        assert_eq!(nms(&BOXES, &[0.5, 0.9, 0.1, 0.9], 0.5), [1, 3, 2]);
        // 90 of 110: not above itself.
        assert_eq!(nms(&BOXES[..2], &[0.5, 0.5], 90.0 / 110.0), [0, 1]);
        assert_eq!(batched_nms(&BOXES, &[0.5, 0.9, 0.1, 0.9], &[0, 1, 0, 1], 0.5), [1, 3, 0, 2]);
        assert!(nms(&[], &[], 0.5).is_empty() && batched_nms(&[], &[], &[], 0.5).is_empty());
        let many: Vec<Rect> = (0..1200).map(|i| [i as f32, 0.0, i as f32 + 10.0, 10.0]).collect();
        let scores: Vec<f32> = (0..1200).map(|i| ((i * 37) % 101) as f32).collect();
        let groups: Vec<usize> = (0..1200).map(|i| i % 3).collect();
        let kept = batched_nms(&many, &scores, &groups, 0.3);
        let alone: usize = (0..3)
            .map(|group| {
                let own: Vec<usize> = (0..1200).filter(|i| i % 3 == group).collect();
                let boxes: Vec<Rect> = own.iter().map(|i| many[*i]).collect();
                nms(&boxes, &own.iter().map(|i| scores[*i]).collect::<Vec<_>>(), 0.3).len()
            })
            .sum();
        assert_eq!(kept.len(), alone);
        assert!(kept.windows(2).all(|pair| scores[pair[0]] >= scores[pair[1]]));
    }

    #[test]
    fn soft_suppression_lowers_what_overlaps() {
        let overlap: f32 = 90.0 / 110.0;
        let linear = soft_nms(&BOXES[..3], &[0.5, 0.9, 0.4], Softening::Linear { threshold: 0.3 }, 0.01);
        assert_eq!(linear.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2, 0]);
        assert!((linear[2].1 - 0.5 * (1.0 - overlap)).abs() < 1e-6);
        let gaussian = soft_nms(&BOXES[..3], &[0.5, 0.9, 0.4], Softening::Gaussian { sigma: 0.5 }, 0.2);
        assert_eq!(gaussian.len(), 2);
    }
}
