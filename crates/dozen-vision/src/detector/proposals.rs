//! The region proposal network (Ren et al. 2015): at each place of a map, which anchors have something in them, and how they are corrected.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use dozen_kernels::{Activation, bernoulli_log_prob};
use rand::rngs::StdRng;

use super::config::BoxesConfig;
use super::truths::{Truths, View};
use crate::detection::boxes::{BoxCoder, Rect, clip};
use crate::detection::{Anchors, Match, Matcher, batched_nms, sample};
use crate::unit::Conv;

/// A convolution, and two of one tap for what it says of each anchor.
#[derive(Module, Debug)]
pub struct ProposalHead {
    /// 3 x 3.
    pub convolution: Conv,
    /// A logit for each anchor.
    pub objectness: Conv,
    /// Four numbers for each anchor.
    pub corrections: Conv,
}

/// What the network says of all anchors of all views.
pub(super) struct Proposed {
    /// `[views, anchors]`.
    objectness: Tensor<2>,
    /// `[views anchors, 4]`.
    corrections: Tensor<2>,
    /// The anchors, map by map.
    anchors: Vec<Rect>,
    /// Anchors of each map.
    of_map: Vec<usize>,
}

/// Of the anchors of a view that a step learns from the greatest share that has found something.
const POSITIVE: f32 = 0.5;
/// A shorter side than this no proposal has.
const LEAST_SIDE: f32 = 1e-3;
/// Where the absolute difference takes over from its square, as torchvision has it.
pub(super) const BETA: f64 = 1.0 / 9.0;

impl ProposalHead {
    /// For maps of so many channels with so many anchors at each place.
    pub fn new(channels: usize, anchors: usize, device: &Device) -> Self {
        let middle = channels.min(512);
        let conv =
            |inputs, outputs, taps, activation| Conv::new([inputs, outputs, taps], 0.01, activation, device);
        Self {
            convolution: conv(channels, middle, 3, Some(Activation::Relu)),
            objectness: conv(middle, anchors, 1, None),
            corrections: conv(middle, 4 * anchors, 1, None),
        }
    }

    /// Of maps with their anchors, for an image padded to `image`, its height and width.
    pub(super) fn forward(&self, maps: &[Tensor<4>], anchors: &[Anchors], image: [usize; 2]) -> Proposed {
        let (mut objectness, mut corrections, mut all, mut of_map) = (vec![], vec![], vec![], vec![]);
        for (map, anchors) in maps.iter().zip(anchors) {
            let [views, _, height, width] = map.dims();
            let seen = self.convolution.forward(map.clone());
            let count = height * width * anchors.at_each_place();
            let by_place = |y: Tensor<4>| y.permute([0, 2, 3, 1]);
            objectness.push(by_place(self.objectness.forward(seen.clone())).reshape([views, count]));
            corrections.push(by_place(self.corrections.forward(seen)).reshape([views, count, 4]));
            all.extend(anchors.of_map([height, width], [image[0] / height, image[1] / width]));
            of_map.push(count);
        }
        let corrections = Tensor::cat(corrections, 1);
        let [views, count, _] = corrections.dims();
        Proposed {
            objectness: Tensor::cat(objectness, 1),
            corrections: corrections.reshape([views * count, 4]),
            anchors: all,
            of_map,
        }
    }
}

/// The rows of a table at these places.
pub(super) fn rows_at(table: Tensor<2>, places: &[usize]) -> Tensor<2> {
    let places: Vec<i64> = places.iter().map(|place| *place as i64).collect();
    let places = Tensor::<1, Int>::from_data(places.as_slice(), &table.device());
    table.select(0, places)
}

/// `x^2 / (2 beta)` where `|x| < beta`, else `|x| - beta / 2` (Girshick 2015, eq. 3, with beta): of each element.
pub(super) fn smooth_l1(x: Tensor<2>, beta: f64) -> Tensor<2> {
    let size = x.abs();
    let small = size.clone().clamp_max(beta);
    small.clone().square() * (0.5 / beta) + (size - small)
}

/// A table of four numbers a row.
pub(super) fn of_four(rows: &[[f32; 4]], device: &Device) -> Tensor<2> {
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows.as_flattened().to_vec(), [count, 4]), device)
}

impl Proposed {
    /// The surest boxes of each view, the surest first.
    pub(super) fn proposals(&self, views: &[View], config: &BoxesConfig, training: bool) -> Vec<Vec<Rect>> {
        let count = self.anchors.len();
        let scores: Vec<f32> = self.objectness.clone().into_data().iter::<f32>().collect();
        let numbers: Vec<f32> = self.corrections.clone().into_data().iter::<f32>().collect();
        let at = usize::from(!training);
        let of_view = |(view, this): (usize, &View)| {
            let scores = &scores[view * count..][..count];
            let (mut boxes, mut kept, mut groups) = (Vec::new(), Vec::new(), Vec::new());
            let mut first = 0;
            for (map, anchors) in self.of_map.iter().enumerate() {
                for place in surest(&scores[first..first + anchors], config.before_nms[at]) {
                    let place = first + place;
                    let own = &numbers[(view * count + place) * 4..][..4];
                    let rect =
                        BoxCoder::PROPOSALS.decode(self.anchors[place], [own[0], own[1], own[2], own[3]]);
                    let rect = clip(rect, this.size);
                    if rect[2] - rect[0] >= LEAST_SIDE && rect[3] - rect[1] >= LEAST_SIDE {
                        boxes.push(rect);
                        kept.push(scores[place]);
                        groups.push(map);
                    }
                }
                first += anchors;
            }
            let mut order = batched_nms(&boxes, &kept, &groups, config.proposal_overlap);
            order.truncate(config.proposals[at]);
            order.into_iter().map(|place| boxes[place]).collect()
        };
        views.iter().enumerate().map(of_view).collect()
    }

    /// Binary cross-entropy of objectness and smooth L1 of corrections over sampled anchors, both over their number.
    pub(super) fn loss(
        &self,
        views: &[View],
        truths: &[Truths],
        sampled: usize,
        rng: &mut StdRng,
    ) -> [Tensor<1>; 2] {
        let device = self.corrections.device();
        let count = self.anchors.len();
        let (mut places, mut targets, mut corrected, mut wanted) = (vec![], vec![], vec![], vec![]);
        for (view, this) in views.iter().enumerate() {
            let truths = &truths[this.image];
            let mut matches = Matcher::PROPOSALS.of(&self.anchors, &truths.boxes);
            this.leave_out(&mut matches, &self.anchors, truths);
            let (found, background) = sample(&matches, sampled, POSITIVE, rng);
            for place in &found {
                let Match::Found(truth) = matches[*place] else { continue };
                corrected.push(view * count + place);
                wanted.push(BoxCoder::PROPOSALS.encode(self.anchors[*place], truths.boxes[truth]));
            }
            targets.extend(found.iter().map(|_| 1.0_f32).chain(background.iter().map(|_| 0.0)));
            places.extend(found.iter().chain(&background).map(|place| view * count + place));
        }
        let sampled = places.len();
        let logits = rows_at(self.objectness.clone().reshape([views.len() * count, 1]), &places);
        let targets = Tensor::from_data(TensorData::new(targets, [1, sampled]), &device);
        let objectness = bernoulli_log_prob(logits.reshape([1, sampled]), targets).neg();
        let corrections = if corrected.is_empty() {
            Tensor::zeros([1], &device)
        } else {
            let off = rows_at(self.corrections.clone(), &corrected) - of_four(&wanted, &device);
            smooth_l1(off, BETA).sum()
        };
        let over = sampled.max(1) as f64;
        [objectness.sum() / over, corrections / over]
    }
}

/// The places of the highest scores, the highest first; of equal ones the first first.
fn surest(scores: &[f32], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).collect();
    let order = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    if count < places.len() {
        places.select_nth_unstable_by(count, order);
        places.truncate(count);
    }
    places.sort_unstable_by(order);
    places
}
