//! The second stage: which category a proposal is of, and how its box is corrected.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use dozen_kernels::{Activation, Pooling, Prefix, Region, cross_entropy, global_mean, pool_regions};
use dozen_nn::PrefixLinear;

use super::config::{BoxesConfig, Examples, Head};
use super::proposals::{BETA, of_four, rows_at, smooth_l1};
use super::resnet::ResNet;
use super::truths::Sampled;
use crate::detection::boxes::{BoxCoder, Rect, area};
use crate::unit::Conv;

/// Linear layers on features of each proposal, or maps whose parts vote.
#[derive(Module, Debug)]
pub struct SecondStage {
    /// Linear layers before the outputs.
    pub hidden: Vec<PrefixLinear>,
    /// The outputs of linear layers: categories (the background first) and corrections.
    pub linear: Option<[PrefixLinear; 2]>,
    /// A convolution before the maps, and the maps of categories and of corrections, each for every part.
    pub maps: Option<[Conv; 3]>,
    #[module(skip)]
    head: Head,
}

/// What the second stage says of proposals.
pub(super) struct Told {
    /// `[proposals, categories + 1]`, the background first.
    pub(super) logits: Tensor<2>,
    /// `[proposals, 4 groups]`; see [`super::Regression`].
    pub(super) corrections: Tensor<2>,
}

/// Parts along a side of a proposal's features for linear layers, and for a last stage of stride two.
const BINS: [usize; 2] = [7, 14];
/// Mean of 2 x 2 points for each part, as torchvision and detectron2's Faster R-CNN have it.
const ALIGN: Pooling = Pooling::Align { points: 2, aligned: false };
/// The level of a proposal as large as ImageNet's pictures (Lin et al. 2017, eq. 1).
const CANONICAL: (f32, f32) = (224.0, 4.0);

impl SecondStage {
    /// For maps of so many channels, of which the last stage makes `last`.
    pub fn new(
        head: Head,
        boxes: &BoxesConfig,
        categories: usize,
        [channels, last]: [usize; 2],
        device: &Device,
    ) -> Self {
        let classes = categories + 1;
        let corrections = 4 * boxes.regression.groups(classes);
        let linear = |inputs: usize, outputs: usize, gain: f64| {
            PrefixLinear::new(Prefix::dense(inputs, outputs), gain, device)
        };
        // So that every proposal begins near its own box, and no category ahead.
        let outputs = |inputs: usize| Some([linear(inputs, classes, 0.1), linear(inputs, corrections, 0.01)]);
        match head {
            Head::Stage => Self { hidden: Vec::new(), linear: outputs(last), maps: None, head },
            Head::Linear { units } => {
                let first = linear(channels * BINS[0] * BINS[0], units, 0.5);
                Self {
                    hidden: vec![first, linear(units, units, 0.5)],
                    linear: outputs(units),
                    maps: None,
                    head,
                }
            }
            Head::Votes { parts, channels: middle, .. } => {
                let conv = |inputs: usize, outputs: usize, activation| {
                    Conv::new([inputs, outputs, 1], 0.01, activation, device)
                };
                // Of He et al. 2015: a convolution with a rectifier after it keeps the size of what it sees.
                let deviation = (2.0 / channels as f64).sqrt();
                let first = Conv::new([channels, middle, 1], deviation, Some(Activation::Relu), device);
                let places = parts * parts;
                let maps =
                    [first, conv(middle, classes * places, None), conv(middle, corrections * places, None)];
                Self { hidden: Vec::new(), linear: None, maps: Some(maps), head }
            }
        }
    }

    /// Of proposals on maps with these strides. `resnet` gives the last stage, `by_batch` whether it normalises by the batch.
    pub(super) fn forward(
        &self,
        maps: &[Tensor<4>],
        strides: &[usize],
        proposals: &[Region],
        resnet: Option<&ResNet>,
        by_batch: bool,
    ) -> Told {
        if let (Head::Votes { .. }, Some(layers)) = (self.head, &self.maps) {
            let seen = layers[0].forward(maps[0].clone());
            let [logits, corrections] = [1, 2].map(|at| {
                let pooled = self.votes(layers[at].forward(seen.clone()), strides[0], proposals);
                let [count, outputs, down, right] = pooled.dims();
                pooled.reshape([count, outputs, down * right]).mean_dim(2).reshape([count, outputs])
            });
            return Told { logits, corrections };
        }
        let [categories, corrections] = self.linear.as_ref().expect("a head without votes is linear");
        let features = if let (Head::Stage, Some(resnet)) = (self.head, resnet) {
            let scale = 1.0 / strides[0] as f32;
            let pooled = pool_regions(maps[0].clone(), proposals, [BINS[1]; 2], scale, ALIGN);
            global_mean(resnet.last_stage(pooled, by_batch))
        } else {
            let flat = by_level(maps, strides, proposals).flatten::<2>(1, 3);
            let relu = |x, layer: &PrefixLinear| layer.forward_activate(x, Activation::Relu);
            self.hidden.iter().fold(flat, relu)
        };
        Told { logits: categories.forward(features.clone()), corrections: corrections.forward(features) }
    }

    /// What each part of each proposal says: `[proposals, outputs, parts, parts]`.
    fn votes(&self, maps: Tensor<4>, stride: usize, proposals: &[Region]) -> Tensor<4> {
        let Head::Votes { parts, pooling, .. } = self.head else { unreachable!("a head of votes") };
        pool_regions(maps, proposals, [parts; 2], 1.0 / stride as f32, pooling.pooling())
    }

    /// The logits that the parts of proposals give each category: `[proposals, categories + 1, parts, parts]`; `None` where no parts vote.
    pub(super) fn category_votes(
        &self,
        map: Tensor<4>,
        stride: usize,
        proposals: &[Region],
    ) -> Option<Tensor<4>> {
        let layers = self.maps.as_ref()?;
        let seen = layers[1].forward(layers[0].forward(map));
        Some(self.votes(seen, stride, proposals))
    }
}

/// Features of each proposal from the map of its size: `[proposals, channels, bins, bins]`.
fn by_level(maps: &[Tensor<4>], strides: &[usize], proposals: &[Region]) -> Tensor<4> {
    let level = |rect: Rect| {
        let (side, level) = CANONICAL;
        let level = (level + (area(rect).max(0.0).sqrt() / side).log2() + 1e-6).floor();
        let finest = strides[0].trailing_zeros() as f32;
        (level - finest).clamp(0.0, (maps.len() - 1) as f32) as usize
    };
    let pooled = |map: usize, own: &[Region]| {
        pool_regions(maps[map].clone(), own, [BINS[0]; 2], 1.0 / strides[map] as f32, ALIGN)
    };
    if maps.len() == 1 {
        return pooled(0, proposals);
    }
    let mut members = vec![Vec::new(); maps.len()];
    proposals.iter().enumerate().for_each(|(place, (_, rect))| members[level(*rect)].push(place));
    let (mut parts, mut places) = (Vec::new(), vec![0; proposals.len()]);
    let mut first = 0;
    for (map, members) in members.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
        let own: Vec<Region> = members.iter().map(|place| proposals[*place]).collect();
        parts.push(pooled(map, &own));
        members.iter().enumerate().for_each(|(at, place)| places[*place] = first + at);
        first += members.len();
    }
    if parts.is_empty() {
        return pooled(0, proposals);
    }
    let all = Tensor::cat(parts, 0);
    let [_, channels, down, right] = all.dims();
    let rows = rows_at(all.flatten::<2>(1, 3), &places);
    rows.reshape([proposals.len(), channels, down, right])
}

impl Told {
    /// Cross-entropy of categories and smooth L1 of corrections, both over the number of proposals.
    pub(super) fn loss(self, chosen: &[Sampled], config: &BoxesConfig, views: usize) -> [Tensor<1>; 2] {
        let device = self.logits.device();
        let classes: Vec<i64> =
            chosen.iter().map(|this| this.target.map_or(0, |(category, _)| category as i64 + 1)).collect();
        let targets = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
        let of_category = cross_entropy(self.logits, targets);
        let found: Vec<usize> = (0..chosen.len()).filter(|place| chosen[*place].target.is_some()).collect();
        let wanted: Vec<[f32; 4]> = found
            .iter()
            .filter_map(|place| Some(BoxCoder::REGIONS.encode(chosen[*place].rect, chosen[*place].target?.1)))
            .collect();
        let of_box = (!found.is_empty()).then(|| {
            let [rows, width] = self.corrections.dims();
            let across = width / 4;
            let place = |row: &usize| row * across + config.regression.group(classes[*row] as usize);
            let places: Vec<usize> = found.iter().map(place).collect();
            let off =
                rows_at(self.corrections.reshape([rows * across, 4]), &places) - of_four(&wanted, &device);
            smooth_l1(off, BETA).sum_dim(1)
        });
        if config.examples == Examples::Hard {
            return hardest(of_category, of_box, &found, config.sampled * views);
        }
        let over = chosen.len() as f64;
        let corrections = of_box.map_or(Tensor::zeros([1], &device), Tensor::sum);
        [of_category.sum() / over, corrections / over]
    }
}

/// The means over the proposals with the greatest losses (online hard example mining).
fn hardest(
    of_category: Tensor<1>,
    of_box: Option<Tensor<2>>,
    found: &[usize],
    count: usize,
) -> [Tensor<1>; 2] {
    let device = of_category.device();
    let mut losses: Vec<f32> = of_category.clone().into_data().iter::<f32>().collect();
    if let Some(of_box) = &of_box {
        let values = of_box.clone().into_data();
        found.iter().zip(values.iter::<f32>()).for_each(|(place, value)| losses[*place] += value);
    }
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|a, b| losses[*b].total_cmp(&losses[*a]));
    order.truncate(count);
    let over = order.len().max(1) as f64;
    let rows = of_category.dims()[0];
    let categories = rows_at(of_category.reshape([rows, 1]), &order).sum() / over;
    let mut is_hard = vec![false; rows];
    for place in &order {
        is_hard[*place] = true;
    }
    let hard: Vec<usize> = (0..found.len()).filter(|at| is_hard[found[*at]]).collect();
    let corrections = match of_box {
        Some(of_box) if !hard.is_empty() => rows_at(of_box, &hard).sum() / over,
        _ => Tensor::zeros([1], &device),
    };
    [categories, corrections]
}
