//! The detector: a backbone, proposals, and a second stage.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dozen_kernels::{Region, softmax};
use rand::rngs::StdRng;

use super::config::{Backbone, BoxesConfig, DetectorConfig, Head, Learning, Neck, Suppression};
use super::proposals::{ProposalHead, Proposed};
use super::pyramid::Pyramid;
use super::resnet::ResNet;
use super::second_stage::{SecondStage, Told};
use super::sides::Sides;
use super::truths::{Truths, View, sampled};
use crate::detection::boxes::{BoxCoder, Rect, clip};
use crate::detection::{Softening, batched_nms, soft_nms};
use crate::efficientnet::EfficientNet;

/// A two-stage detector.
#[derive(Module, Debug)]
pub struct Detector {
    /// The backbone, where it is a ResNet.
    pub resnet: Option<ResNet>,
    /// The backbone, where it is an EfficientNet; its last convolution and its classifier are not used.
    pub efficientnet: Option<EfficientNet>,
    /// The pyramid, where there is one.
    pub pyramid: Option<Pyramid>,
    /// The first stage.
    pub proposals: ProposalHead,
    /// The second stage.
    pub second: SecondStage,
    #[module(skip)]
    config: DetectorConfig,
}

/// A box that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// In pixels that the network saw.
    pub rect: Rect,
    /// The place of its category.
    pub category: usize,
    /// Its probability.
    pub score: f32,
    /// The branch that found it; 0 where there are none.
    pub branch: usize,
}

/// The losses of a step.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Of objectness and of the corrections of proposals.
    pub proposals: [Tensor<1>; 2],
    /// Of categories and of the corrections of detections.
    pub detections: [Tensor<1>; 2],
}

/// An image as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Height and width in pixels, without what it is padded with.
    pub size: [f32; 2],
    /// Of boxes that are looked for; of an image at several sizes each is for some (Singh and Davis 2018).
    pub sides: Sides,
}

impl Look {
    /// For boxes of all sizes.
    pub fn at_all(size: [f32; 2]) -> Self {
        Self { size, sides: Sides::ALL }
    }
}

/// Maps for both stages.
struct Maps {
    proposals: Vec<Tensor<4>>,
    regions: Vec<Tensor<4>>,
    strides: Vec<usize>,
}

/// A shorter side than this no detection has.
const LEAST_SIDE: f32 = 1e-2;
/// Channels of a pyramid.
const PYRAMID: usize = 256;

impl Detector {
    /// With starting weights.
    ///
    /// # Panics
    /// When the configuration does not hold together.
    pub fn new(config: &DetectorConfig, device: &Device) -> Self {
        config.validate().expect("a configuration that was checked");
        let (resnet, efficientnet, channels) = match config.backbone {
            Backbone::Resnet(size) => {
                let network = ResNet::new(size, config.a_trous(), config.branches.as_ref(), device);
                (Some(network), None, (0..4).map(|stage| size.channels(stage)).collect::<Vec<_>>())
            }
            Backbone::Efficientnet(variant) => {
                (None, Some(EfficientNet::new(&variant, device)), variant.scales()[1..].to_vec())
            }
        };
        let pyramid = (config.neck == Neck::Fpn).then(|| Pyramid::new(&channels, PYRAMID, device));
        let (first, second) = match (config.neck, config.head) {
            (Neck::Fpn, _) => (PYRAMID, PYRAMID),
            (Neck::C4, Head::Votes { .. }) if resnet.is_some() => (channels[2], channels[3]),
            (Neck::C4, _) => (channels[2], channels[2]),
        };
        let at_each_place = config.anchors()[0].at_each_place();
        Self {
            resnet,
            efficientnet,
            pyramid,
            proposals: ProposalHead::new(first, at_each_place, device),
            second: SecondStage::new(
                config.head,
                &config.boxes,
                config.categories,
                [second, channels[3]],
                device,
            ),
            config: config.clone(),
        }
    }

    /// What it is made of.
    pub fn config(&self) -> &DetectorConfig {
        &self.config
    }

    /// The same weights for another configuration of boxes or branches in use.
    #[must_use]
    pub(super) fn with_config(mut self, config: &DetectorConfig) -> Self {
        self.config = config.clone();
        self
    }

    /// Makes evaluation faster.
    #[must_use]
    pub fn folded(mut self) -> Self {
        if let Some(resnet) = &mut self.resnet {
            resnet.fold();
        }
        self
    }

    /// The views of images, branch by branch.
    fn views(&self, looks: &[Look], training: bool) -> Vec<View> {
        let of_branch = |branch| {
            let own = self.config.sides(branch, training);
            looks.iter().enumerate().map(move |(image, look)| View {
                image,
                size: look.size,
                sides: own.and(look.sides),
            })
        };
        (0..self.config.views(training)).flat_map(of_branch).collect()
    }

    fn maps(&self, x: Tensor<4>, learning: Option<Learning>) -> Maps {
        let mut stages = match (&self.resnet, &self.efficientnet) {
            (Some(resnet), _) => {
                let needed = if self.config.neck == Neck::Fpn || self.config.a_trous() { 4 } else { 3 };
                resnet.stages(x, needed, self.config.branches.as_ref(), learning)
            }
            (None, Some(network)) => {
                network.features(x, learning.is_some_and(|learning| learning.by_batch)).split_off(1)
            }
            (None, None) => unreachable!("a detector has a backbone"),
        };
        if let Some(pyramid) = &self.pyramid {
            let proposals = pyramid.forward(&stages);
            let regions = proposals[..4].to_vec();
            return Maps { proposals, regions, strides: vec![4, 8, 16, 32] };
        }
        let conv4 = stages.swap_remove(2);
        let regions = if self.config.a_trous() && self.resnet.is_some() {
            // What was last has taken the place of what was removed.
            vec![stages.swap_remove(2)]
        } else {
            vec![conv4.clone()]
        };
        Maps { proposals: vec![conv4], regions, strides: vec![16] }
    }

    fn proposed(&self, maps: &Maps, image: [usize; 2]) -> Proposed {
        self.proposals.forward(&maps.proposals, &self.config.anchors(), image)
    }

    fn told(&self, maps: &Maps, proposals: &[Region], by_batch: bool) -> Told {
        self.second.forward(&maps.regions, &maps.strides, proposals, self.resnet.as_ref(), by_batch)
    }

    /// The losses of images `[batch, 3, height, width]`, of which a step learns from random proposals.
    pub fn losses(
        &self,
        x: Tensor<4>,
        looks: &[Look],
        truths: &[Truths],
        learning: Learning,
        rng: &mut StdRng,
    ) -> Losses {
        let [_, _, height, width] = x.dims();
        let (config, device) = (&self.config.boxes, x.device());
        let views = self.views(looks, true);
        let maps = self.maps(x, Some(learning));
        let proposed = self.proposed(&maps, [height, width]);
        let first = proposed.loss(&views, truths, config.anchors_sampled, rng);
        let proposals = proposed.proposals(&views, config, true);
        let chosen = sampled(&proposals, &views, truths, config, rng);
        if chosen.is_empty() {
            let none = || Tensor::zeros([1], &device);
            return Losses { proposals: first, detections: [none(), none()] };
        }
        let regions: Vec<Region> = chosen.iter().map(|this| (this.view, this.rect)).collect();
        let told = self.told(&maps, &regions, learning.by_batch);
        Losses { proposals: first, detections: told.loss(&chosen, config, views.len()) }
    }

    /// What is found in images, before any is suppressed: of each image.
    pub fn candidates(&self, x: Tensor<4>, looks: &[Look]) -> Vec<Vec<Found>> {
        let [_, _, height, width] = x.dims();
        let views = self.views(looks, false);
        let maps = self.maps(x, None);
        let boxes = &self.config.boxes;
        let proposals = self.proposed(&maps, [height, width]).proposals(&views, boxes, false);
        let regions: Vec<Region> = proposals
            .iter()
            .enumerate()
            .flat_map(|(view, own)| own.iter().map(move |rect| (view, *rect)))
            .collect();
        let mut found = vec![Vec::new(); looks.len()];
        if regions.is_empty() {
            return found;
        }
        let told = self.told(&maps, &regions, false);
        let classes = self.config.categories + 1;
        let scores: Vec<f32> = softmax(told.logits).into_data().iter::<f32>().collect();
        let width = told.corrections.dims()[1];
        let numbers: Vec<f32> = told.corrections.into_data().iter::<f32>().collect();
        for (at, (view, rect)) in regions.iter().enumerate() {
            let this = views[*view];
            let branch = view / looks.len();
            for class in 1..classes {
                let score = scores[at * classes + class];
                // A probability that is no number is no detection either.
                if score.partial_cmp(&boxes.least_score) != Some(std::cmp::Ordering::Greater) {
                    continue;
                }
                let first = at * width + 4 * boxes.regression.group(class);
                let own = [0, 1, 2, 3].map(|number| numbers[first + number]);
                let rect = clip(BoxCoder::REGIONS.decode(*rect, own), this.size);
                let wide = rect[2] - rect[0] >= LEAST_SIDE && rect[3] - rect[1] >= LEAST_SIDE;
                if wide && this.sides.hold(rect) {
                    found[this.image].push(Found { rect, category: class - 1, score, branch });
                }
            }
        }
        found
    }

    /// What is found in images `[batch, 3, height, width]`, the surest first.
    pub fn detect(&self, x: Tensor<4>, looks: &[Look]) -> Vec<Vec<Found>> {
        self.candidates(x, looks).into_iter().map(|found| suppressed(found, &self.config.boxes)).collect()
    }

    /// What each part of a box says of each category and the background: `[boxes][categories + 1][parts parts]`; `None` where no parts vote.
    pub fn votes(&self, x: Tensor<4>, rects: &[Rect]) -> Option<Vec<Vec<Vec<f32>>>> {
        let maps = self.maps(x, None);
        let proposals: Vec<Region> = rects.iter().map(|rect| (0, *rect)).collect();
        let votes = self.second.category_votes(maps.regions[0].clone(), maps.strides[0], &proposals)?;
        let [_, classes, down, right] = votes.dims();
        let values: Vec<f32> = votes.into_data().iter::<f32>().collect();
        let of_box = |own: &[f32]| own.chunks_exact(down * right).map(<[f32]>::to_vec).collect();
        Some(values.chunks_exact(classes * down * right).map(of_box).collect())
    }
}

/// Of boxes of a category that overlap the surest, the surest of all first.
pub fn suppressed(found: Vec<Found>, config: &BoxesConfig) -> Vec<Found> {
    let boxes: Vec<Rect> = found.iter().map(|found| found.rect).collect();
    let scores: Vec<f32> = found.iter().map(|found| found.score).collect();
    let groups: Vec<usize> = found.iter().map(|found| found.category).collect();
    let mut kept: Vec<Found> = match config.suppression {
        Suppression::Hard(overlap) => {
            batched_nms(&boxes, &scores, &groups, overlap).into_iter().map(|place| found[place]).collect()
        }
        Suppression::Soft { sigma } => {
            let of_category = |category: usize| {
                let own: Vec<usize> = (0..found.len()).filter(|place| groups[*place] == category).collect();
                let rects: Vec<Rect> = own.iter().map(|place| boxes[*place]).collect();
                let own_scores: Vec<f32> = own.iter().map(|place| scores[*place]).collect();
                let kept = soft_nms(&rects, &own_scores, Softening::Gaussian { sigma }, config.least_score);
                kept.into_iter().map(|(at, score)| Found { score, ..found[own[at]] }).collect::<Vec<_>>()
            };
            let categories = groups.iter().copied().max().map_or(0, |last| last + 1);
            let mut all: Vec<Found> = (0..categories).flat_map(of_category).collect();
            all.sort_by(|a, b| b.score.total_cmp(&a.score));
            all
        }
    };
    kept.truncate(config.most);
    kept
}
