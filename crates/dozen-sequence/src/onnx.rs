//! A model as an ONNX graph (opset 17), weights inside.
//!
//! | task | inputs | outputs |
//! |---|---|---|
//! | language model | `tokens` `[steps, batch]`, `h0`, for an LSTM `c0`, and so on for each layer | `logits` `[steps, batch, units]`, `h0_after` ... |
//! | tags | `tokens`, `lengths` `[batch]` | `logits` `[steps, batch, labels]` |
//! | classes | `tokens`, `lengths` | `logits` `[batch, labels]` |
//! | forecast | `values` `[steps, batch, columns]`, states | `outputs` `[steps, batch, columns]`, states |

use std::path::Path;

use burn::tensor::Tensor;
use dozen_kernels::Cell;
use dozen_nn::Error;
use dozen_nn::onnx::{Attribute, Dim, Element, Graph};

use crate::network::RecurrentLayer;
use crate::{Model, Task, host};

/// Writes a model as ONNX.
///
/// # Errors
/// When the network has what ONNX's recurrent operators lack, or the file cannot be written.
pub fn export_onnx(model: &Model, path: &Path) -> Result<(), Error> {
    let config = &model.config.model;
    let lacking = [
        (config.projection.is_some(), "a projection"),
        (config.layer_norm, "layer normalisation"),
        (config.learned_state, "a learnt first state"),
        (config.dropout.zoneout > 0.0, "zoneout"),
        (model.config.has_crf(), "a CRF (its scores are in the PyTorch export)"),
    ];
    if let Some((_, what)) = lacking.iter().find(|(has, _)| *has) {
        return Err(Error::Request(format!("ONNX's recurrent operators lack {what}, which this model has")));
    }
    let bytes = graph_of(model).model();
    dozen_run::write_file(path, bytes).map_err(|source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// The graph of a model.
fn graph_of(model: &Model) -> Graph {
    let mut graph = Graph::default();
    let (network, config) = (&model.network, &model.config);
    let carried = matches!(config.task, Task::LanguageModel | Task::Forecast { .. });
    let mut x = if let Some(table) = &network.embedding {
        graph.input("tokens", Element::Int64, &[Dim::Named("steps"), Dim::Named("batch")]);
        weight(&mut graph, "embedding", table.val());
        graph.node("Gather", &["embedding", "tokens"], &["x"], &[]);
        "x".to_owned()
    } else {
        let columns = config.sizes(None).inputs;
        graph.input("values", Element::Float, &[Dim::Named("steps"), Dim::Named("batch"), Dim::Of(columns)]);
        "values".to_owned()
    };
    if !carried {
        graph.input("lengths", Element::Int32, &[Dim::Named("batch")]);
    }
    graph.integers("beside", &[0, 0, -1]);
    let directions = config.model.directions();
    for (index, layers) in network.layers.layers.chunks_exact(directions).enumerate() {
        x = layer(&mut graph, model, index, layers, &x, carried);
    }
    weight(&mut graph, "head", network.head_weight());
    let bias = host(&network.head_bias.val());
    graph.floats("head_bias", &[bias.len()], &bias);
    let outputs = bias.len();
    let name = if config.sizes(model.units.as_ref()).inputs > 0 && network.embedding.is_none() {
        "outputs"
    } else {
        "logits"
    };
    if matches!(config.task, Task::Classify { .. }) {
        let last = format!("h{}_after", config.model.layers - 1);
        graph.node("Transpose", &[&last], &["by_sequence"], &[Attribute::Integers("perm", &[1, 0, 2])]);
        graph.integers("flat", &[0, -1]);
        graph.node("Reshape", &["by_sequence", "flat"], &["features"], &[]);
        graph.node("MatMul", &["features", "head"], &["product"], &[]);
        graph.output(name, &[Dim::Named("batch"), Dim::Of(outputs)]);
    } else {
        graph.node("MatMul", &[&x, "head"], &["product"], &[]);
        graph.output(name, &[Dim::Named("steps"), Dim::Named("batch"), Dim::Of(outputs)]);
    }
    graph.node("Add", &["product", "head_bias"], &[name], &[]);
    graph
}

/// One layer in all its directions; the name of what it gives.
fn layer(
    graph: &mut Graph,
    model: &Model,
    index: usize,
    layers: &[RecurrentLayer],
    x: &str,
    carried: bool,
) -> String {
    let config = &model.config.model;
    let (cell, hidden, directions) = (config.cell.cell(), config.hidden, layers.len());
    let gates = cell.gates() * hidden;
    let name = |part: &str| format!("{part}{index}");
    let all = |of: &dyn Fn(&RecurrentLayer) -> Vec<f32>| layers.iter().flat_map(of).collect::<Vec<f32>>();
    let rows = |weight: Tensor<2>| {
        let columns = weight.dims()[0];
        in_onnx_order(cell, hidden * columns, &host(&weight.transpose()))
    };
    let inputs = layers[0].weight_ih.dims()[0];
    graph.floats(&name("W"), &[directions, gates, inputs], &all(&|layer| rows(layer.weight_ih.val())));
    graph.floats(&name("R"), &[directions, gates, hidden], &all(&|layer| rows(layer.weight_hh.val())));
    let biases = |layer: &RecurrentLayer| {
        let both = [&layer.bias_ih, &layer.bias_hh];
        both.into_iter().flat_map(|bias| in_onnx_order(cell, hidden, &host(&bias.val()))).collect()
    };
    graph.floats(&name("B"), &[directions, 2 * gates], &all(&biases));
    let state = || [Dim::Of(directions), Dim::Named("batch"), Dim::Of(hidden)];
    let (mut states, mut after) = (Vec::new(), vec![name("h") + "_after"]);
    if cell == Cell::Lstm {
        after.push(name("c") + "_after");
    }
    if carried {
        states = if cell == Cell::Lstm { vec![name("h"), name("c")] } else { vec![name("h")] };
        for before in &states {
            graph.input(before, Element::Float, &state());
        }
        for after in &after {
            graph.output(after, &state());
        }
    }
    let mut attributes = vec![
        Attribute::Integer("hidden_size", hidden),
        Attribute::Text("direction", if directions == 2 { "bidirectional" } else { "forward" }),
    ];
    let functions = [if cell == Cell::Tanh { "Tanh" } else { "Relu" }; 2];
    let kind = match cell {
        Cell::Lstm => "LSTM",
        Cell::Gru => {
            attributes.push(Attribute::Integer("linear_before_reset", 1));
            "GRU"
        }
        Cell::Tanh | Cell::Relu => {
            attributes.push(Attribute::Texts("activations", &functions[..directions]));
            "RNN"
        }
    };
    let lengths = if carried { String::new() } else { "lengths".into() };
    let inputs: Vec<String> =
        [x.to_owned(), name("W"), name("R"), name("B"), lengths].into_iter().chain(states).collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let outputs: Vec<String> = std::iter::once(name("y")).chain(after).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    graph.node(kind, &inputs, &outputs, &attributes);
    // [steps, directions, batch, hidden] to [steps, batch, features].
    let (turned, joined) = (name("turned"), name("joined"));
    graph.node("Transpose", &[&name("y")], &[&turned], &[Attribute::Integers("perm", &[0, 2, 1, 3])]);
    graph.node("Reshape", &[&turned, "beside"], &[&joined], &[]);
    joined
}

/// A constant matrix.
fn weight(graph: &mut Graph, name: &str, weight: Tensor<2>) {
    let shape = weight.dims();
    graph.floats(name, &shape, &host(&weight));
}

/// Gates, each of `size` values, in ONNX's order: `[i, o, f, g]` for an LSTM, `[z, r, n]` for a GRU.
fn in_onnx_order(cell: Cell, size: usize, gates: &[f32]) -> Vec<f32> {
    let order: &[usize] = match cell {
        Cell::Lstm => &[0, 3, 1, 2],
        Cell::Gru => &[1, 0, 2],
        Cell::Tanh | Cell::Relu => &[0],
    };
    order.iter().flat_map(|&gate| &gates[gate * size..(gate + 1) * size]).copied().collect()
}
