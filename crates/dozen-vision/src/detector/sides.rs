//! Ranges of the sizes of boxes.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::detection::boxes::{Rect, area};

/// The sides of boxes, as roots of their areas in pixels, that a branch or a size of the image is for; written `FROM-TO`, or `FROM-` for all from there on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sides {
    /// The least.
    pub from: f32,
    /// The greatest, where there is one.
    pub to: Option<f32>,
}

impl Sides {
    /// All there are.
    pub const ALL: Self = Self { from: 0.0, to: None };

    /// Whether a box is among them.
    pub fn hold(self, rect: Rect) -> bool {
        let side = area(rect).max(0.0).sqrt();
        self.from <= side && self.to.is_none_or(|to| side <= to)
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let to = match (self.to, other.to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { from: self.from.max(other.from), to }
    }
}

impl FromStr for Sides {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("`{text}` is no range of sides, as in 0-60 or 90-");
        let (from, to) = text.split_once('-').ok_or_else(problem)?;
        let number = |text: &str| text.trim().parse::<f32>().map_err(|_| problem());
        let sides =
            Self { from: number(from)?, to: if to.trim().is_empty() { None } else { Some(number(to)?) } };
        let grows = sides.from >= 0.0 && sides.to.is_none_or(|to| sides.from < to);
        if grows { Ok(sides) } else { Err(problem()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_read_and_hold_their_boxes() {
        let small: Sides = "0-30".parse().unwrap();
        let large: Sides = "20-".parse().unwrap();
        let rect = |side: f32| [0.0, 0.0, side, side];
        assert!(
            small.hold(rect(30.0))
                && !small.hold(rect(31.0))
                && large.hold(rect(1e6))
                && !large.hold(rect(19.0))
        );
        assert_eq!(small.and(large), Sides { from: 20.0, to: Some(30.0) });
        for wrong in ["30", "30-20", "a-b", "-5-3"] {
            assert!(wrong.parse::<Sides>().unwrap_err().contains("no range of sides"));
        }
    }
}
