//! What is in the images that a step learns from, and who is to find it.

use rand::rngs::StdRng;

use super::config::{BoxesConfig, Examples};
use super::sides::Sides;
use crate::detection::boxes::{Rect, area, intersection, iou};
use crate::detection::{Match, Matcher, sample};

/// The boxes of an image in pixels that the network sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truths {
    /// What is to be found.
    pub boxes: Vec<Rect>,
    /// The category of each.
    pub categories: Vec<usize>,
    /// Crowds and difficult things: neither to be found nor background.
    pub ignored: Vec<Rect>,
}

/// One look at an image: with several branches there are several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The place of the image in the batch.
    pub image: usize,
    /// Height and width of the image in pixels, without what it is padded with.
    pub size: [f32; 2],
    /// Of boxes that it is for.
    pub sides: Sides,
}

/// The share of a box in an ignored one from which on it is no background.
const MOSTLY: f32 = 0.5;
/// The overlap with a box beyond the sides from which on an anchor is left out.
const TOUCHES: f32 = 0.3;

impl View {
    /// Takes out of the matches what the view does not learn from: what found a box beyond its sides or touches one, and background in ignored boxes.
    pub(super) fn leave_out(&self, matches: &mut [Match], boxes: &[Rect], truths: &Truths) {
        let beyond: Vec<Rect> = truths.boxes.iter().copied().filter(|rect| !self.sides.hold(*rect)).collect();
        for (this, rect) in matches.iter_mut().zip(boxes) {
            let strange = matches!(*this, Match::Found(truth) if !self.sides.hold(truths.boxes[truth]));
            let in_ignored =
                || truths.ignored.iter().any(|ignored| intersection(*rect, *ignored) > MOSTLY * area(*rect));
            if strange
                || beyond.iter().any(|other| iou(*rect, *other) > TOUCHES)
                || *this == Match::Background && in_ignored()
            {
                *this = Match::Between;
            }
        }
    }
}

/// A proposal that a step learns from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampled {
    pub(super) view: usize,
    pub(super) rect: Rect,
    /// The category and the box that it is to find; `None` for background.
    pub(super) target: Option<(usize, Rect)>,
}

/// Proposals of all views to learn from: so many of each at random, or all where the hardest are chosen by their losses.
pub(super) fn sampled(
    proposals: &[Vec<Rect>],
    views: &[View],
    truths: &[Truths],
    config: &BoxesConfig,
    rng: &mut StdRng,
) -> Vec<Sampled> {
    let mut all = Vec::new();
    for (view, (this, proposals)) in views.iter().zip(proposals).enumerate() {
        let truths = &truths[this.image];
        let own = if config.truths_proposed { truths.boxes.as_slice() } else { &[] };
        let boxes: Vec<Rect> =
            proposals.iter().chain(own).copied().filter(|rect| this.sides.hold(*rect)).collect();
        let mut matches = Matcher::REGIONS.of(&boxes, &truths.boxes);
        this.leave_out(&mut matches, &boxes, truths);
        let (mut found, background) = if config.examples == Examples::Hard {
            sample(&matches, usize::MAX, 1.0, rng)
        } else {
            sample(&matches, config.sampled, config.positive, rng)
        };
        found.extend(background);
        all.extend(found.into_iter().map(|place| {
            let target = match matches[place] {
                Match::Found(truth) => Some((truths.categories[truth], truths.boxes[truth])),
                _ => None,
            };
            Sampled { view, rect: boxes[place], target }
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_learns_what_is_of_its_sizes() {
        let truths = Truths {
            boxes: vec![[0.0, 0.0, 10.0, 10.0], [40.0, 40.0, 100.0, 100.0]],
            categories: vec![0, 1],
            ignored: vec![[200.0, 0.0, 220.0, 20.0]],
        };
        let view = View { image: 0, size: [300.0, 300.0], sides: Sides { from: 0.0, to: Some(30.0) } };
        let boxes = [
            [0.0, 0.0, 10.0, 9.0],
            [40.0, 40.0, 100.0, 95.0],
            [40.0, 40.0, 80.0, 85.0],
            [150.0, 150.0, 160.0, 160.0],
            [205.0, 5.0, 215.0, 15.0],
        ];
        let mut matches = Matcher::REGIONS.of(&boxes, &truths.boxes);
        view.leave_out(&mut matches, &boxes, &truths);
        let expected = [Match::Found(0), Match::Between, Match::Between, Match::Background, Match::Between];
        assert_eq!(matches, expected);
    }
}
