//! Which box an anchor or a proposal is to find, and which of them a step learns from.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::boxes::{Rect, iou};

/// What a box is matched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The true box at this place.
    Found(usize),
    /// None.
    Background,
    /// Neither: it overlaps too much for the one and too little for the other.
    Between,
}

/// Matches by overlap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matcher {
    /// From this overlap on a true box is found.
    pub found: f32,
    /// Below this overlap there is none.
    pub background: f32,
    /// Whether the boxes that overlap most with a true box find theirs however little that is.
    pub best_for_each: bool,
}

impl Matcher {
    /// Of a region proposal network.
    pub const PROPOSALS: Self = Self { found: 0.7, background: 0.3, best_for_each: true };
    /// Of a second stage.
    pub const REGIONS: Self = Self { found: 0.5, background: 0.5, best_for_each: false };

    /// The match of each box. Without true boxes all are background.
    pub fn of(&self, boxes: &[Rect], truths: &[Rect]) -> Vec<Match> {
        // Per box the greatest overlap and whose it is; per true box the greatest overlap that it has with any.
        let mut most = vec![0.0_f32; truths.len()];
        let overlaps: Vec<(usize, f32)> = boxes
            .iter()
            .map(|rect| {
                let mut best = (0, 0.0_f32);
                for (place, truth) in truths.iter().enumerate() {
                    let overlap = iou(*rect, *truth);
                    if overlap > best.1 {
                        best = (place, overlap);
                    }
                    most[place] = most[place].max(overlap);
                }
                best
            })
            .collect();
        let of = |(rect, &(place, overlap)): (&Rect, &(usize, f32))| {
            let among_the_best = || {
                let same = |(truth, most): (&Rect, &f32)| *most > 0.0 && iou(*rect, *truth) == *most;
                truths.iter().zip(&most).any(same)
            };
            if overlap >= self.found || self.best_for_each && overlap > 0.0 && among_the_best() {
                Match::Found(place)
            } else if overlap < self.background {
                Match::Background
            } else {
                Match::Between
            }
        };
        boxes.iter().zip(&overlaps).map(of).collect()
    }
}

/// A random choice of so many matches, of which at most a share found something: places of those that did and of those that are background.
pub fn sample(matches: &[Match], count: usize, share: f32, rng: &mut StdRng) -> (Vec<usize>, Vec<usize>) {
    let of = |wanted: fn(&Match) -> bool| -> Vec<usize> {
        (0..matches.len()).filter(|place| wanted(&matches[*place])).collect()
    };
    let mut found = of(|this| matches!(this, Match::Found(_)));
    let mut background = of(|this| *this == Match::Background);
    found.shuffle(rng);
    background.shuffle(rng);
    found.truncate((count as f32 * share) as usize);
    background.truncate(count - found.len());
    (found, background)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn boxes_find_what_they_overlap() {
        let truths = [[0.0, 0.0, 10.0, 10.0], [100.0, 100.0, 110.0, 110.0]];
        let boxes = [
            [0.0, 0.0, 10.0, 9.0],
            [0.0, 0.0, 10.0, 5.0],
            [50.0, 50.0, 60.0, 60.0],
            [105.0, 105.0, 115.0, 115.0],
        ];
        let rpn = Matcher::PROPOSALS.of(&boxes, &truths);
        assert_eq!(rpn, [Match::Found(0), Match::Between, Match::Background, Match::Found(1)]);
        let regions = Matcher::REGIONS.of(&boxes, &truths);
        assert_eq!(regions, [Match::Found(0), Match::Found(0), Match::Background, Match::Background]);
        assert!(Matcher::PROPOSALS.of(&boxes, &[]).iter().all(|this| *this == Match::Background));
        let (found, background) = sample(&rpn, 2, 0.5, &mut StdRng::seed_from_u64(1));
        assert_eq!((found.len(), background), (1, vec![2]));
    }
}
