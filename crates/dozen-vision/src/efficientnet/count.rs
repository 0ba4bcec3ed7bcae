//! What a network costs, before it is built.

use super::VariantConfig;

/// Of one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Trainable numbers.
    pub parameters: u64,
    /// Multiply-adds of one square image of the network's resolution.
    pub multiply_adds: u64,
}

/// Counts parameters, and multiply-adds of all convolutions and linear layers.
pub fn cost(config: &VariantConfig) -> Cost {
    let layers = layers(config, config.scaling.resolution);
    layers.into_iter().fold(Cost { parameters: 0, multiply_adds: 0 }, Cost::plus)
}

/// What each part of the network costs for a square image of so many pixels a side, in their order: the first convolution; of each block the expansion with the depthwise
/// convolution, squeeze-and-excite, and the projection; the last convolution; the classifier.
pub(super) fn layers(config: &VariantConfig, side: usize) -> Vec<Cost> {
    let mut side = (side as u64).div_ceil(config.stem_stride as u64);
    let [stem, head] = config.ends().map(|channels| channels as u64);
    let mut layers = vec![convolution(27, stem, side)];
    let mut channels = stem;
    for stage in config.stages() {
        for repeat in 0..stage.repeats {
            let (taps, outputs) = (stage.taps as u64, stage.outputs as u64);
            let middle = channels * stage.expansion as u64;
            let expansion = (stage.expansion > 1).then(|| convolution(channels, middle, side));
            side = side.div_ceil(if repeat == 0 { stage.stride as u64 } else { 1 });
            let depthwise = convolution(taps * taps, middle, side);
            layers.push(expansion.into_iter().fold(depthwise, Cost::plus));
            let squeezed = (channels / 4).max(1);
            layers.push(linear(middle, squeezed).plus(linear(squeezed, middle)));
            layers.push(convolution(middle, outputs, side));
            channels = outputs;
        }
    }
    layers.push(convolution(channels, head, side));
    layers.push(linear(head, config.classes as u64));
    layers
}

/// A convolution without bias, and the two numbers that batch normalisation has for each of its channels.
fn convolution(per_output: u64, outputs: u64, side: u64) -> Cost {
    Cost { parameters: per_output * outputs + 2 * outputs, multiply_adds: per_output * outputs * side * side }
}

fn linear(inputs: u64, outputs: u64) -> Cost {
    Cost { parameters: inputs * outputs + outputs, multiply_adds: inputs * outputs }
}

impl Cost {
    /// Of both.
    fn plus(self, other: Self) -> Self {
        Self {
            parameters: self.parameters + other.parameters,
            multiply_adds: self.multiply_adds + other.multiply_adds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Numerics, Scaling};
    use super::*;

    #[test]
    fn counts_are_the_published_ones() {
        let parameters =
            [5_288_548, 7_794_184, 9_109_994, 12_233_232, 19_341_616, 30_389_784, 43_040_704, 66_347_960];
        let giga = [0.386, 0.687, 0.994, 1.827, 4.394, 10.266, 19.068, 37.746];
        for (variant, (parameters, giga)) in parameters.into_iter().zip(giga).enumerate() {
            let found = cost(&VariantConfig {
                scaling: Scaling::of_variant(variant).unwrap(),
                numerics: Numerics::Timm,
                classes: 1000,
                stem_stride: 2,
                drop_path: 0.0,
            });
            assert_eq!(found.parameters, parameters, "B{variant}");
            assert!((found.multiply_adds as f64 / 1e9 - giga).abs() < 0.0051 * giga, "B{variant}: {found:?}");
        }
    }
}
