//! Anchors: the boxes that a region proposal network corrects.

use super::boxes::Rect;

/// The sizes and proportions at each place of one feature map.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchors {
    base: Vec<Rect>,
}

impl Anchors {
    /// Of each ratio (height over width) all scales, `sqrt(scale^2)` being the root of the area; corners are rounded to whole pixels, halves to the even, as torchvision rounds
    /// them.
    pub fn new(scales: &[f32], ratios: &[f32]) -> Self {
        let rect = |ratio: f32, scale: f32| {
            let height = ratio.sqrt();
            let (width, height) = (scale / height, scale * height);
            [-width, -height, width, height].map(|side| (side / 2.0).round_ties_even())
        };
        let base = ratios.iter().flat_map(|ratio| scales.iter().map(move |scale| rect(*ratio, *scale)));
        Self { base: base.collect() }
    }

    /// How many there are at each place.
    pub fn at_each_place(&self) -> usize {
        self.base.len()
    }

    /// All anchors of a map of `[height, width]` places with strides of `[down, right]` pixels: line by line, place by place, and at each in the order of [`Anchors::new`].
    pub fn of_map(&self, [height, width]: [usize; 2], [down, right]: [usize; 2]) -> Vec<Rect> {
        let mut anchors = Vec::with_capacity(height * width * self.base.len());
        for line in 0..height {
            for column in 0..width {
                let (x, y) = ((column * right) as f32, (line * down) as f32);
                anchors.extend(self.base.iter().map(|[l, t, r, b]| [l + x, t + y, r + x, b + y]));
            }
        }
        anchors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_torchvisions() {
        let anchors = Anchors::new(&[32.0], &[0.5, 1.0, 2.0]);
        assert_eq!(
            anchors.base,
            [[-23.0, -11.0, 23.0, 11.0], [-16.0, -16.0, 16.0, 16.0], [-11.0, -23.0, 11.0, 23.0]]
        );
        let all = anchors.of_map([2, 3], [4, 8]);
        assert_eq!((all.len(), all[3 * 4 + 1]), (18, [-8.0, -12.0, 24.0, 20.0]));
    }
}
