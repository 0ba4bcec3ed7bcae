//! Which of the networks.

use dozen_nn::Error;
use serde::{Deserialize, Serialize};

use crate::picture::MOST_PIXELS;

/// How much wider, deeper and finer than the first network, and how much is dropped before the classifier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Factor of channels.
    pub width: f64,
    /// Factor of repeated blocks.
    pub depth: f64,
    /// Sides of the images in pixels.
    pub resolution: usize,
    /// Share of features dropped before the classifier in training.
    pub dropout: f64,
}

/// Of B0 to B7 (the authors' `efficientnet_builder.py`). They are a table, and not powers of one rule's factors.
const VARIANTS: [Scaling; 8] = [
    Scaling { width: 1.0, depth: 1.0, resolution: 224, dropout: 0.2 },
    Scaling { width: 1.0, depth: 1.1, resolution: 240, dropout: 0.2 },
    Scaling { width: 1.1, depth: 1.2, resolution: 260, dropout: 0.3 },
    Scaling { width: 1.2, depth: 1.4, resolution: 300, dropout: 0.3 },
    Scaling { width: 1.4, depth: 1.8, resolution: 380, dropout: 0.4 },
    Scaling { width: 1.6, depth: 2.2, resolution: 456, dropout: 0.4 },
    Scaling { width: 1.8, depth: 2.6, resolution: 528, dropout: 0.5 },
    Scaling { width: 2.0, depth: 3.1, resolution: 600, dropout: 0.5 },
];

impl Scaling {
    /// That of B0 to B7.
    ///
    /// # Errors
    /// For any other number.
    pub fn of_variant(number: usize) -> Result<Self, Error> {
        let found = VARIANTS.get(number).copied();
        found.ok_or_else(|| Error::Request(format!("there is no EfficientNet-B{number}; they are b0 to b7")))
    }

    /// The compound rule: `depth = alpha^phi`, `width = beta^phi`, `resolution = 224 gamma^phi`, with `alpha beta^2 gamma^2` near 2 so that the work grows
    /// by `2^phi` (Tan and Le 2019, eq. 3).
    pub fn compound(phi: f64, [alpha, beta, gamma]: [f64; 3]) -> Self {
        Self {
            width: beta.powf(phi),
            depth: alpha.powf(phi),
            resolution: (224.0 * gamma.powf(phi)).round() as usize,
            dropout: 0.2,
        }
    }
}

/// What tells implementations apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Numerics {
    /// timm's `efficientnet_*`: the same zeros on all sides, epsilon 1e-5.
    Timm,
    /// timm's `tf_efficientnet_*` and Keras: zeros as TensorFlow's SAME has them, epsilon 1e-3.
    Tf,
    /// torchvision's: as timm's, but for epsilon 1e-3 and momentum 0.01 from B5 up.
    Torchvision,
}

/// A network's shape.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantConfig {
    /// Factors.
    pub scaling: Scaling,
    /// What tells implementations apart.
    pub numerics: Numerics,
    /// Classes to tell.
    pub classes: usize,
    /// Pixels between the outputs of the first convolution: 2, or 1 for small images.
    pub stem_stride: usize,
    /// The probability that a block is left out for an image in training, which grows from zero at the first block towards this.
    pub drop_path: f64,
}

/// Blocks of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Factor of channels inside a block.
    pub expansion: usize,
    /// Taps of the depthwise convolution on a side.
    pub taps: usize,
    /// Pixels between outputs of the first block.
    pub stride: usize,
    /// Channels after each block.
    pub outputs: usize,
    /// Blocks.
    pub repeats: usize,
}

/// Of B0 (Tan and Le 2019, table 1): expansion, taps, stride, outputs, repeats.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 16, 1],
    [6, 3, 2, 24, 2],
    [6, 5, 2, 40, 2],
    [6, 3, 2, 80, 3],
    [6, 5, 1, 112, 3],
    [6, 5, 2, 192, 4],
    [6, 3, 1, 320, 1],
];

/// Channels of the first and of the last convolution of B0.
const ENDS: [usize; 2] = [32, 1280];

/// Classes that a network tells.
const MOST_CLASSES: usize = 10_000_000;

/// The multiple of eight nearest to a width, but not less than nine tenths of it.
fn channels(of_b0: usize, width: f64) -> usize {
    let wanted = of_b0 as f64 * width;
    let nearest = (((wanted + 4.0) / 8.0).floor() as usize * 8).max(8);
    if (nearest as f64) < 0.9 * wanted { nearest + 8 } else { nearest }
}

impl VariantConfig {
    /// The stages.
    pub fn stages(&self) -> Vec<Stage> {
        let Scaling { width, depth, .. } = self.scaling;
        let stage = |[expansion, taps, stride, outputs, repeats]: [usize; 5]| Stage {
            expansion,
            taps,
            stride,
            outputs: channels(outputs, width),
            repeats: (repeats as f64 * depth).ceil() as usize,
        };
        STAGES.into_iter().map(stage).collect()
    }

    /// Channels of the first and of the last convolution.
    pub fn ends(&self) -> [usize; 2] {
        ENDS.map(|of_b0| channels(of_b0, self.scaling.width))
    }

    /// Channels of the last output of each scale, as [`super::EfficientNet::features`] gives them.
    pub fn scales(&self) -> Vec<usize> {
        let (mut scales, mut last) = (Vec::new(), self.ends()[0]);
        for stage in self.stages() {
            if stage.stride > 1 {
                scales.push(last);
            }
            last = stage.outputs;
        }
        scales.push(last);
        scales
    }

    /// What is added to variances, and a batch's share in their averages.
    pub fn norm(&self) -> [f64; 2] {
        match self.numerics {
            Numerics::Tf => [1e-3, 0.1],
            Numerics::Torchvision if self.scaling.depth > 2.0 => [1e-3, 0.01],
            Numerics::Timm | Numerics::Torchvision => [1e-5, 0.1],
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// When there is nothing to build.
    pub fn validate(&self) -> Result<(), Error> {
        let Scaling { width, depth, resolution, dropout } = self.scaling;
        let refuse = |problem: String| Err(Error::Setting(problem));
        let built = |factor: f64| factor > 0.0 && factor < 100.0;
        if !(built(width) && built(depth) && (1..=MOST_PIXELS).contains(&resolution)) {
            return refuse(format!(
                "a network of width {width}, depth {depth} and {resolution} pixels cannot be built"
            ));
        }
        if self.classes > MOST_CLASSES {
            return refuse(format!(
                "{} classes are more than the {MOST_CLASSES} that a network tells",
                self.classes
            ));
        }
        if self.classes == 0 || !(1..=2).contains(&self.stem_stride) {
            return refuse("a network needs a class, and its first stride is 1 or 2".into());
        }
        if !(0.0..1.0).contains(&dropout) || !(0.0..1.0).contains(&self.drop_path) {
            return refuse("`dropout` and `drop_path` lie in [0, 1)".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_stages_are_the_published_ones() {
        let config = |variant| VariantConfig {
            scaling: Scaling::of_variant(variant).unwrap(),
            numerics: Numerics::Timm,
            classes: 1000,
            stem_stride: 2,
            drop_path: 0.0,
        };
        let shape = |variant: usize| {
            let stages = config(variant).stages();
            let of = |f: fn(&Stage) -> usize| stages.iter().map(f).collect::<Vec<_>>();
            (config(variant).ends(), of(|s| s.outputs), of(|s| s.repeats))
        };
        assert_eq!(shape(0), ([32, 1280], vec![16, 24, 40, 80, 112, 192, 320], vec![1, 2, 2, 3, 3, 4, 1]));
        assert_eq!(shape(3), ([40, 1536], vec![24, 32, 48, 96, 136, 232, 384], vec![2, 3, 3, 5, 5, 6, 2]));
        assert_eq!(
            shape(7),
            ([64, 2560], vec![32, 48, 80, 160, 224, 384, 640], vec![4, 7, 7, 10, 10, 13, 4])
        );
        assert!(Scaling::of_variant(8).unwrap_err().to_string().contains("b0 to b7"));
        let rule = Scaling::compound(1.0, [1.2, 1.1, 1.15]);
        assert_eq!((rule.resolution, rule.depth, rule.width), (258, 1.2, 1.1));
    }
}

/// How the loss and the steps are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the other classes share of a target (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// How much mixed pictures are mixed; 0 for not at all.
    pub mixup: f64,
    /// The probability that the pictures of a batch get a rectangle of each other instead (Yun et al. 2019).
    pub cutmix: f64,
    /// The weight of each class in the loss.
    pub class_weights: Option<Vec<f32>>,
    /// Epochs in which only the classifier learns, from features that stay as they are.
    pub frozen_epochs: u64,
    /// The rate of a block over that of the block after it; 1 for one rate.
    pub layer_decay: f64,
}
