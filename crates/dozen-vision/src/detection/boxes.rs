//! Boxes as `[left, top, right, bottom]` in pixels, right and bottom exclusive: overlap, and the numbers that a network corrects them by.

/// Left, top, right and bottom.
pub type Rect = [f32; 4];

/// The area; negative sides count as they are, as torchvision's do.
pub fn area([left, top, right, bottom]: Rect) -> f32 {
    (right - left) * (bottom - top)
}

/// The area that both cover.
pub fn intersection(a: Rect, b: Rect) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    width * height
}

/// Intersection over union. NaN for two boxes without area, which is greater than no threshold.
pub fn iou(a: Rect, b: Rect) -> f32 {
    let both = intersection(a, b);
    both / (area(a) + area(b) - both)
}

/// Intersection over union, less the share of the least box around both that neither covers (Rezatofighi et al. 2019).
pub fn generalized_iou(a: Rect, b: Rect) -> f32 {
    let both = intersection(a, b);
    let union = area(a) + area(b) - both;
    let around = (a[2].max(b[2]) - a[0].min(b[0])).max(0.0) * (a[3].max(b[3]) - a[1].min(b[1])).max(0.0);
    both / union - (around - union) / around
}

/// A box within an image.
pub fn clip([left, top, right, bottom]: Rect, [height, width]: [f32; 2]) -> Rect {
    [left.clamp(0.0, width), top.clamp(0.0, height), right.clamp(0.0, width), bottom.clamp(0.0, height)]
}

/// How a network's four numbers move and stretch a box (Girshick et al. 2014, appendix C): the middle by shares of the sides, the sides by powers of e, each number over its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxCoder {
    /// Of x, y, width and height.
    pub weights: [f32; 4],
}

/// `ln(1000 / 16)`: a box grows to no more than so much.
const MOST_GROWTH: f32 = 4.135_166_6;

impl BoxCoder {
    /// Of a region proposal network.
    pub const PROPOSALS: Self = Self { weights: [1.0; 4] };
    /// Of a second stage.
    pub const REGIONS: Self = Self { weights: [10.0, 10.0, 5.0, 5.0] };

    /// The numbers that make `from` to `to`.
    pub fn encode(&self, from: Rect, to: Rect) -> [f32; 4] {
        let [x, y, width, height] = middle(from);
        let [to_x, to_y, to_width, to_height] = middle(to);
        let [wx, wy, ww, wh] = self.weights;
        [
            wx * (to_x - x) / width,
            wy * (to_y - y) / height,
            ww * (to_width / width).ln(),
            wh * (to_height / height).ln(),
        ]
    }

    /// What the numbers make of `from`.
    pub fn decode(&self, from: Rect, numbers: [f32; 4]) -> Rect {
        let [x, y, width, height] = middle(from);
        let [wx, wy, ww, wh] = self.weights;
        let x = numbers[0] / wx * width + x;
        let y = numbers[1] / wy * height + y;
        let width = (numbers[2] / ww).min(MOST_GROWTH).exp() * width;
        let height = (numbers[3] / wh).min(MOST_GROWTH).exp() * height;
        [x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height]
    }
}

/// Middle and sides.
fn middle([left, top, right, bottom]: Rect) -> [f32; 4] {
    let (width, height) = (right - left, bottom - top);
    [left + 0.5 * width, top + 0.5 * height, width, height]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_overlap_and_come_back_from_their_numbers() {
        let (a, b) = ([0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 15.0, 20.0]);
        assert!((iou(a, b) - 25.0 / 225.0).abs() < 1e-6);
        assert!((generalized_iou(a, b) - (25.0 / 225.0 - (300.0 - 225.0) / 300.0)).abs() < 1e-6);
        assert!(iou([1.0; 4], [1.0; 4]).is_nan());
        for coder in [BoxCoder::PROPOSALS, BoxCoder::REGIONS] {
            let back = coder.decode(a, coder.encode(a, b));
            assert!(back.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-4));
        }
        let grown = BoxCoder::PROPOSALS.decode(a, [0.0, 0.0, 100.0, 0.0]);
        assert!((grown[2] - grown[0] - 625.0).abs() < 0.01);
        assert_eq!(clip([-3.0, 4.0, 30.0, 5.0], [10.0, 20.0]), [0.0, 4.0, 20.0, 5.0]);
    }
}
