//! A network as an ONNX graph: `images` `[batch, 3, height, width]` to `logits` `[batch, classes]`, batch normalisation folded into the convolutions.

use burn::tensor::Tensor;
use dozen_kernels::Activation;
use dozen_nn::PrefixLinear;
use dozen_nn::onnx::{Attribute, Dim, Element, Graph};

use super::block::Block;
use super::engine::{floats, folded};
use super::{EfficientNet, Numerics};
use crate::unit::Unit;

/// The bytes of an ONNX file (opset 17).
///
/// Height and width are free, but with TensorFlow's numerics: there zeros go by the size, and the graph is for squares of `size` pixels.
pub fn onnx(network: &EfficientNet, size: usize) -> Vec<u8> {
    let mut graph = Graph::default();
    let free = network.config().numerics != Numerics::Tf;
    let sides = if free { [Dim::Named("height"), Dim::Named("width")] } else { [Dim::Of(size); 2] };
    graph.input("images", Element::Float, &[Dim::Named("batch"), Dim::Of(3), sides[0], sides[1]]);
    let mut writer = Writer { graph, sides: [size; 2] };
    let mut x = writer.unit("stem", &network.stem, "images");
    for (number, block) in network.blocks.iter().enumerate() {
        x = writer.block(&format!("block{number}"), block, &x);
    }
    x = writer.unit("head", &network.head, &x);
    let mut graph = writer.graph;
    graph.node("GlobalAveragePool", &[&x], &["means"], &[]);
    graph.node("Flatten", &["means"], &["features"], &[]);
    let classifier = &network.classifier;
    graph.floats("classifier.weight", &classifier.weight.val().dims(), &floats(classifier.weight.val()));
    let bias = floats(classifier.bias.val());
    graph.floats("classifier.bias", &[bias.len()], &bias);
    graph.node("Gemm", &["features", "classifier.weight", "classifier.bias"], &["logits"], &[]);
    graph.output("logits", &[Dim::Named("batch"), Dim::Of(bias.len())]);
    graph.model()
}

struct Writer {
    graph: Graph,
    /// Height and width at the node that comes next.
    sides: [usize; 2],
}

impl Writer {
    /// A convolution with its activation; the name of what it gives.
    fn unit(&mut self, name: &str, unit: &Unit, x: &str) -> String {
        let (weights, bias) = folded(unit);
        let [outputs, inputs, height, width] = unit.weight.val().dims();
        let geometry = unit.geometry(self.sides);
        let [[top, bottom], [left, right]] = geometry.padding;
        let [weight_name, bias_name] = ["weight", "bias"].map(|part| format!("{name}.{part}"));
        self.graph.floats(&weight_name, &[outputs, inputs, height, width], &weights);
        self.graph.floats(&bias_name, &[outputs], &bias);
        let out = format!("{name}.out");
        self.graph.node(
            "Conv",
            &[x, &weight_name, &bias_name],
            &[&out],
            &[
                Attribute::Integer("group", geometry.groups),
                Attribute::Integers("kernel_shape", &[height, width]),
                Attribute::Integers("pads", &[top, left, bottom, right]),
                Attribute::Integers("strides", &[geometry.stride; 2]),
            ],
        );
        self.sides = geometry.outputs(self.sides, [height, width]);
        if unit.activation() == Some(Activation::Silu) { self.silu(&out) } else { out }
    }

    fn silu(&mut self, x: &str) -> String {
        let [gate, out] = ["gate", "silu"].map(|part| format!("{x}.{part}"));
        self.graph.node("Sigmoid", &[x], &[&gate], &[]);
        self.graph.node("Mul", &[x, &gate], &[&out], &[]);
        out
    }

    /// A linear layer as a convolution of one tap.
    fn linear(&mut self, name: &str, layer: &PrefixLinear, x: &str) -> String {
        let weight: Tensor<2> = layer.weight.val().transpose();
        let [outputs, inputs] = weight.dims();
        let [weight_name, bias_name, out] = ["weight", "bias", "out"].map(|part| format!("{name}.{part}"));
        self.graph.floats(&weight_name, &[outputs, inputs, 1, 1], &floats(weight));
        self.graph.floats(&bias_name, &[outputs], &floats(layer.bias.val()));
        self.graph.node("Conv", &[x, &weight_name, &bias_name], &[&out], &[]);
        out
    }

    fn block(&mut self, name: &str, block: &Block, input: &str) -> String {
        let of = |part: &str| format!("{name}.{part}");
        let mut x = input.to_owned();
        if let Some(expand) = &block.expand {
            x = self.unit(&of("expand"), expand, &x);
        }
        x = self.unit(&of("depthwise"), &block.depthwise, &x);
        let [means, factors, scaled, sum] = ["means", "factors", "scaled", "sum"].map(of);
        self.graph.node("GlobalAveragePool", &[&x], &[&means], &[]);
        let reduced = self.linear(&of("reduce"), &block.reduce, &means);
        let reduced = self.silu(&reduced);
        let excited = self.linear(&of("excite"), &block.excite, &reduced);
        self.graph.node("Sigmoid", &[&excited], &[&factors], &[]);
        self.graph.node("Mul", &[&x, &factors], &[&scaled], &[]);
        let y = self.unit(&of("project"), &block.project, &scaled);
        if !block.skip {
            return y;
        }
        self.graph.node("Add", &[&y, input], &[&sum], &[]);
        sum
    }
}
