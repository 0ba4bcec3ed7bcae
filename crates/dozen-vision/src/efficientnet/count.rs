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
    let mut cost = Cost { parameters: 0, multiply_adds: 0 };
    let mut side = config.scaling.resolution as u64;
    let [stem, head] = config.ends().map(|channels| channels as u64);
    // A convolution without bias, and the two numbers that batch normalisation has for each of its channels.
    let convolution = |cost: &mut Cost, per_output: u64, outputs: u64, side: u64| {
        cost.parameters += per_output * outputs + 2 * outputs;
        cost.multiply_adds += per_output * outputs * side * side;
    };
    side = side.div_ceil(config.stem_stride as u64);
    convolution(&mut cost, 27, stem, side);
    let mut channels = stem;
    for stage in config.stages() {
        for repeat in 0..stage.repeats {
            let (taps, outputs) = (stage.taps as u64, stage.outputs as u64);
            let middle = channels * stage.expansion as u64;
            if stage.expansion > 1 {
                convolution(&mut cost, channels, middle, side);
            }
            side = side.div_ceil(if repeat == 0 { stage.stride as u64 } else { 1 });
            convolution(&mut cost, taps * taps, middle, side);
            let squeezed = (channels / 4).max(1);
            cost.parameters += 2 * middle * squeezed + squeezed + middle;
            cost.multiply_adds += 2 * middle * squeezed;
            convolution(&mut cost, middle, outputs, side);
            channels = outputs;
        }
    }
    convolution(&mut cost, channels, head, side);
    let classes = config.classes as u64;
    cost.parameters += head * classes + classes;
    cost.multiply_adds += head * classes;
    cost
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
