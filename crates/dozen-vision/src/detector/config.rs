//! What a detector is made of.

use dozen_kernels::{Border, Pooling};
use dozen_nn::{Error, dense_weights};
use serde::{Deserialize, Serialize};

use super::sides::Sides;
use crate::detection::Anchors;
use crate::efficientnet::{VariantConfig, cost};

/// The networks that a detector is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {
    /// What sees the image.
    pub backbone: Backbone,
    /// Which of its maps are looked at.
    pub neck: Neck,
    /// What tells the categories of proposals.
    pub head: Head,
    /// Trident units in the stage before the last (Li et al. 2019).
    pub branches: Option<Branches>,
    /// Sides of square anchors in pixels: all at each place of the one map, or one for each map of a pyramid.
    pub scales: Vec<f32>,
    /// Heights of anchors over their widths.
    pub ratios: Vec<f32>,
    /// Categories, without the background.
    pub categories: usize,
    /// How boxes are chosen.
    pub boxes: BoxesConfig,
}

/// What sees the image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backbone {
    /// He et al. 2016.
    Resnet(ResNetConfig),
    /// Tan and Le 2019.
    Efficientnet(VariantConfig),
}

/// How many layers, as in ResNet-50.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// 18, 34, 50 or 101.
    pub layers: usize,
    /// Channels of the stem, and of the first stage's filters: 64 as published; fewer for small images on a CPU.
    pub width: usize,
    /// What is added to variances: 1e-5, but 0 for some of torchvision's detectors.
    pub epsilon: f64,
}

impl ResNetConfig {
    /// As published, with PyTorch's epsilon.
    pub fn of_layers(layers: usize) -> Self {
        Self { layers, width: 64, epsilon: 1e-5 }
    }

    pub(super) fn repeats(self) -> [usize; 4] {
        match self.layers {
            18 => [2, 2, 2, 2],
            101 => [3, 4, 23, 3],
            _ => [3, 4, 6, 3],
        }
    }

    pub(super) fn bottleneck(self) -> bool {
        self.layers >= 50
    }

    /// What a stage, of 0 to 3, gives.
    pub(super) fn channels(self, stage: usize) -> usize {
        (self.width << stage) * if self.bottleneck() { 4 } else { 1 }
    }
}

/// Which maps are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Neck {
    /// One map of stride 16.
    C4,
    /// A pyramid of strides 4 to 64 (Lin et al. 2017).
    Fpn,
}

/// What tells the categories of proposals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Head {
    /// The backbone's last stage on each proposal's features (He et al. 2016).
    Stage,
    /// Two linear layers on each proposal's features.
    Linear {
        /// Of each.
        units: usize,
    },
    /// Maps for each part of a box, of which each proposal's parts vote (Dai et al. 2016): R-FCN.
    Votes {
        /// Parts along a side, k.
        parts: usize,
        /// Channels of the convolution before the maps.
        channels: usize,
        /// How boxes become pixels.
        pooling: VotePooling,
    },
}

/// How the parts of a box become pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum VotePooling {
    /// As R-FCN's authors do.
    Rfcn,
    /// As torchvision's `ps_roi_pool`, which leaves out a map's last line and column.
    Torchvision,
    /// Points between pixels.
    Align,
}

impl VotePooling {
    pub(super) fn pooling(self) -> Pooling {
        match self {
            Self::Rfcn => Pooling::PositionSensitive { border: Border::Rfcn },
            Self::Torchvision => Pooling::PositionSensitive { border: Border::Torchvision },
            Self::Align => Pooling::PositionSensitiveAlign { points: 2 },
        }
    }
}

/// Trident units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branches {
    /// Of each branch's 3 x 3 convolutions.
    pub dilations: Vec<usize>,
    /// Whether all branches have the same weights.
    pub shared: bool,
    /// Whether the stage's first unit has no branches, as in the authors' code; elsewhere all have.
    pub first_plain: bool,
    /// Of boxes that each branch learns and gives, in pixels that the network sees; empty for all (scale-aware training).
    pub sides: Vec<Sides>,
    /// The one branch that is used after training; `None` for all.
    pub only: Option<usize>,
}

impl Branches {
    /// The first unit with branches.
    pub(super) fn first(&self) -> usize {
        usize::from(self.first_plain)
    }
}

/// Which proposals a step learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Examples {
    /// Any.
    Random,
    /// Those with the greatest losses (Shrivastava et al. 2016).
    Hard,
}

/// What becomes of the less sure of two detections that overlap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// Above this overlap it goes.
    Hard(f32),
    /// Its score is lower by `e^(-overlap^2 / sigma)` (Bodla et al. 2017).
    Soft {
        /// Usually 0.5.
        sigma: f32,
    },
}

/// For what the second stage corrects boxes; four numbers each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Regression {
    /// For all categories alike: 4 k^2 maps of votes (Dai et al. 2016).
    Agnostic,
    /// For the background and for all categories alike, of which the background's are never used: the 8 k^2 maps of the authors' code.
    Foreground,
    /// For each category and the background by itself.
    PerClass,
}

impl Regression {
    /// How many times four numbers there are, with so many classes, the background among them.
    pub(super) fn groups(self, classes: usize) -> usize {
        match self {
            Self::Agnostic => 1,
            Self::Foreground => 2,
            Self::PerClass => classes,
        }
    }

    /// Which of them are a class's, the background being 0.
    pub(super) fn group(self, class: usize) -> usize {
        match self {
            Self::Agnostic => 0,
            Self::Foreground => class.min(1),
            Self::PerClass => class,
        }
    }
}

/// How boxes are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxesConfig {
    /// Anchors of each map that may become proposals, in training and in use.
    pub before_nms: [usize; 2],
    /// Proposals of an image, in training and in use.
    pub proposals: [usize; 2],
    /// Overlap above which the less sure of two proposals goes.
    pub proposal_overlap: f32,
    /// Anchors of an image that a step learns from.
    pub anchors_sampled: usize,
    /// Proposals of an image that a step learns from.
    pub sampled: usize,
    /// At most this share of them has found something.
    pub positive: f32,
    /// Which of them.
    pub examples: Examples,
    /// Whether true boxes are among the proposals in training.
    pub truths_proposed: bool,
    /// For what boxes are corrected.
    pub regression: Regression,
    /// Least score of a detection.
    pub least_score: f32,
    /// What becomes of the less sure of two detections of a category that overlap.
    pub suppression: Suppression,
    /// Detections of an image.
    pub most: usize,
}

impl BoxesConfig {
    /// torchvision's for Faster R-CNN.
    pub const TORCHVISION: Self = Self {
        before_nms: [2000, 1000],
        proposals: [2000, 1000],
        proposal_overlap: 0.7,
        anchors_sampled: 256,
        sampled: 512,
        positive: 0.25,
        examples: Examples::Random,
        truths_proposed: true,
        regression: Regression::PerClass,
        least_score: 0.05,
        suppression: Suppression::Hard(0.5),
        most: 100,
    };

    /// R-FCN's.
    pub const RFCN: Self = Self {
        before_nms: [6000, 6000],
        proposals: [300, 300],
        sampled: 128,
        regression: Regression::Agnostic,
        suppression: Suppression::Hard(0.3),
        ..Self::TORCHVISION
    };

    /// TridentNet's.
    pub const TRIDENT: Self = Self {
        before_nms: [6000, 6000],
        proposals: [500, 300],
        sampled: 128,
        positive: 0.5,
        truths_proposed: false,
        regression: Regression::Agnostic,
        ..Self::TORCHVISION
    };
}

/// Branches of a trident unit, and their dilations.
const MOST_BRANCHES: usize = 16;

impl ResNetConfig {
    /// At most as many numbers as its stage, of 0 to 3, has without its first unit: each unit has a 3 x 3 convolution at the least.
    fn least_parameters(self, stage: usize) -> f64 {
        let middle = self.width as f64 * f64::from(1_u32 << stage);
        (self.repeats()[stage] - 1) as f64 * 9.0 * middle * middle
    }
}

impl DetectorConfig {
    /// At most as many numbers as such a detector has.
    pub(super) fn least_parameters(&self) -> f64 {
        let (backbone, last) = match self.backbone {
            Backbone::Resnet(resnet) => {
                let own = self.branches.as_ref().filter(|branches| !branches.shared);
                let others = own.map_or(0, |branches| branches.dilations.len() - 1);
                let stages: f64 = (0..4).map(|stage| resnet.least_parameters(stage)).sum();
                (stages + others as f64 * resnet.least_parameters(2), resnet.width)
            }
            // Of what a detector takes of it.
            Backbone::Efficientnet(variant) => (cost(&variant).parameters as f64 / 2.0, 1),
        };
        let head = match self.head {
            Head::Stage => self.categories as f64,
            Head::Linear { units } => dense_weights(&[49, units, units, self.categories]),
            Head::Votes { parts, channels, .. } => {
                let maps = dense_weights(&[parts, parts]) * self.categories as f64;
                channels as f64 * (last as f64 + maps)
            }
        };
        backbone + head + dense_weights(&[self.scales.len() / 5, self.ratios.len()])
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// With what is wrong, as a sentence.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |problem: &str| Err(Error::Setting(problem.to_owned()));
        match self.backbone {
            Backbone::Resnet(ResNetConfig { width: 0, .. }) => return refuse("a ResNet has channels"),
            Backbone::Resnet(ResNetConfig { layers, .. }) if ![18, 34, 50, 101].contains(&layers) => {
                return refuse("a ResNet has 18, 34, 50 or 101 layers");
            }
            Backbone::Efficientnet(config) => {
                config.validate()?;
                if self.head == Head::Stage {
                    return refuse("the head of a last stage needs a ResNet; take `head` linear");
                }
                if self.branches.is_some() {
                    return refuse("trident units need a ResNet as the backbone");
                }
            }
            Backbone::Resnet(_) => {}
        }
        if self.neck == Neck::Fpn {
            if !matches!(self.head, Head::Linear { .. }) {
                return refuse("a pyramid goes with linear layers as the head: `neck` fpn `head` linear");
            }
            if self.branches.is_some() {
                return refuse("trident units go with one map: `neck` c4");
            }
            if self.scales.len() != 5 {
                return refuse("a pyramid has five maps: name five anchors");
            }
        }
        if self.categories == 0 {
            return refuse("there are no categories to detect");
        }
        let positive = |values: &[f32]| {
            !values.is_empty() && values.iter().all(|value| *value > 0.0 && value.is_finite())
        };
        if !positive(&self.scales) || !positive(&self.ratios) {
            return refuse("anchors have positive sides and ratios");
        }
        if let Some(Branches { dilations, sides, only, .. }) = &self.branches {
            if dilations.is_empty() || dilations.contains(&0) {
                return refuse("each branch has a dilation of at least 1");
            }
            if dilations.len() > MOST_BRANCHES || dilations.iter().any(|dilation| *dilation > MOST_BRANCHES) {
                return refuse("there are at most 16 branches, and dilations of at most 16");
            }
            if !sides.is_empty() && sides.len() != dilations.len() {
                return refuse("scale-aware training needs a range of sides for each branch");
            }
            if only.is_some_and(|only| only >= dilations.len()) {
                return refuse("the one branch in use is one of those there are");
            }
        }
        if let Head::Linear { units: 0 } = self.head {
            return refuse("`units` must be at least 1");
        }
        if let Head::Votes { parts: 0, .. } = self.head {
            return refuse("a box has at least one part");
        }
        Ok(())
    }

    /// The anchors of each map.
    pub fn anchors(&self) -> Vec<Anchors> {
        match self.neck {
            Neck::C4 => vec![Anchors::new(&self.scales, &self.ratios)],
            Neck::Fpn => self.scales.iter().map(|scale| Anchors::new(&[*scale], &self.ratios)).collect(),
        }
    }

    /// Views of each image in training: one, or one for each branch.
    pub fn views(&self, training: bool) -> usize {
        self.branches.as_ref().map_or(1, |branches| match branches.only {
            Some(_) if !training => 1,
            _ => branches.dilations.len(),
        })
    }

    /// The sides of boxes that a view is for.
    pub fn sides(&self, view: usize, training: bool) -> Sides {
        let branches = self.branches.as_ref().filter(|branches| training || branches.only.is_none());
        let sides = branches.and_then(|branches| branches.sides.get(view));
        sides.copied().unwrap_or(Sides::ALL)
    }

    /// Whether maps of stride 16 come of the last stage, by dilation: R-FCN on a ResNet.
    pub(super) fn a_trous(&self) -> bool {
        matches!(self.head, Head::Votes { .. })
    }
}

/// How the loss and the steps are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Shorter sides that a picture gets one of, in place of the input's; empty for that alone.
    pub sizes: Vec<usize>,
    /// Of boxes that are learnt at each of the sizes, in pixels of the network; empty for all (Singh and Davis 2018).
    pub sides: Vec<Sides>,
    /// Whether half of the pictures are mirrored.
    pub flip: bool,
    /// Whether batch normalisation of the backbone goes by the batch and learns.
    pub norms: bool,
    /// Stages of the backbone, the stem first, that stay as they are.
    pub frozen: usize,
    /// Ren et al. 2015 in four quarters of training: proposals; detections; proposals with the backbone as it is; detections likewise.
    pub alternating: bool,
}

/// What of a backbone learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learning {
    /// Whether batch normalisation goes by the batch; otherwise by the averages that came with the weights.
    pub by_batch: bool,
    /// Stages of the backbone, the stem being the first, that stay as they are.
    pub frozen: usize,
}
