//! Inference: batch normalisation folded into the convolutions, activations and squeeze-and-excite's factors applied where values are made or read, each image
//! of a batch from layer to layer in one thread's cache.

use burn::module::Module;
use burn::tensor::Tensor;
use dozen_kernels::{
    Activation, Convolution, Fusion, conv2d_fused, each_image, fold_batch_norm, global_mean,
};

use super::EfficientNet;
use super::block::{Block, Unit};

/// A network whose weights stay as they are.
#[derive(Clone, Debug)]
pub struct Engine {
    network: EfficientNet,
    stem: Folded,
    blocks: Vec<FoldedBlock>,
    head: Folded,
}

/// A convolution that does what a unit does.
#[derive(Clone, Debug)]
struct Folded {
    weight: Tensor<4>,
    bias: Tensor<1>,
    activation: Option<Activation>,
}

#[derive(Clone, Debug)]
struct FoldedBlock {
    expand: Option<Folded>,
    depthwise: Folded,
    project: Folded,
}

impl Folded {
    fn of(unit: &Unit) -> Self {
        let norm = &unit.norm;
        let moments =
            [norm.gamma.val(), norm.beta.val(), norm.running_mean.value(), norm.running_variance.value()];
        let (weight, bias) = fold_batch_norm(unit.weight.val(), moments, norm.epsilon());
        Self { weight, bias, activation: unit.activation() }
    }

    fn forward(&self, x: Tensor<4>, scale: Option<Tensor<2>>, geometry: Convolution) -> Tensor<4> {
        let fusion = Fusion { scale, bias: Some(self.bias.clone()), activation: self.activation };
        conv2d_fused(x, self.weight.clone(), fusion, geometry)
    }
}

impl Engine {
    /// Of a network as it is now.
    pub fn new(network: &EfficientNet) -> Self {
        let network = network.valid();
        let fold = |block: &Block| FoldedBlock {
            expand: block.expand.as_ref().map(Folded::of),
            depthwise: Folded::of(&block.depthwise),
            project: Folded::of(&block.project),
        };
        Self {
            stem: Folded::of(&network.stem),
            blocks: network.blocks.iter().map(fold).collect(),
            head: Folded::of(&network.head),
            network,
        }
    }

    /// Logits: `[batch, 3, height, width]` to `[batch, classes]`.
    pub fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        each_image(x, |image| self.network.classifier.forward(self.of_images(image)))
    }

    /// The means of the last convolution's channels, `[batch, channels]`: what the classifier sees.
    pub fn features(&self, x: Tensor<4>) -> Tensor<2> {
        each_image(x, |image| self.of_images(image))
    }

    fn of_images(&self, x: Tensor<4>) -> Tensor<2> {
        let sides = |x: &Tensor<4>| [x.dims()[2], x.dims()[3]];
        let mut x = self.stem.forward(x.clone(), None, self.network.stem.geometry(sides(&x)));
        for (block, folded) in self.network.blocks.iter().zip(&self.blocks) {
            let input = x.clone();
            if let (Some(unit), Some(folded)) = (&block.expand, &folded.expand) {
                x = folded.forward(x.clone(), None, unit.geometry(sides(&x)));
            }
            x = folded.depthwise.forward(x.clone(), None, block.depthwise.geometry(sides(&x)));
            let factors = block.factors(global_mean(x.clone()));
            x = folded.project.forward(x.clone(), Some(factors), block.project.geometry(sides(&x)));
            if block.skip {
                x = x + input;
            }
        }
        global_mean(self.head.forward(x.clone(), None, self.network.head.geometry(sides(&x))))
    }
}
