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
    let bytes = Graph::of(model).model();
    std::fs::write(path, bytes).map_err(|source| Error::Io { action: "write", path: path.to_owned(), source })
}

/// A message of Protocol Buffers.
#[derive(Clone, Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    #[must_use]
    fn int(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    #[must_use]
    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    #[must_use]
    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    #[must_use]
    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }
}

/// Numbers of onnx.proto3: element types and kinds of attributes.
const FLOAT: u64 = 1;
const INT32: u64 = 6;
const INT64: u64 = 7;

/// A dimension: known or named.
enum Dim {
    Of(usize),
    Named(&'static str),
}

#[derive(Default)]
struct Graph(Message);

impl Graph {
    fn of(model: &Model) -> Self {
        let mut graph = Self::default();
        let (network, config) = (&model.network, &model.config);
        let carried = matches!(config.task, Task::LanguageModel | Task::Forecast { .. });
        let mut x = if let Some(table) = &network.embedding {
            graph.input("tokens", INT64, &[Dim::Named("steps"), Dim::Named("batch")]);
            graph.weight("embedding", table.val());
            graph.node("Gather", &["embedding", "tokens"], &["x"], &[]);
            "x".to_owned()
        } else {
            let columns = config.sizes(None).inputs;
            graph.input("values", FLOAT, &[Dim::Named("steps"), Dim::Named("batch"), Dim::Of(columns)]);
            "values".to_owned()
        };
        if !carried {
            graph.input("lengths", INT32, &[Dim::Named("batch")]);
        }
        graph.integers("beside", &[0, 0, -1]);
        let directions = config.model.directions();
        for (index, layers) in network.layers.layers.chunks_exact(directions).enumerate() {
            x = graph.layer(model, index, layers, &x, carried);
        }
        graph.weight("head", network.head_weight());
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
            graph.node("Transpose", &[&last], &["by_sequence"], &[integers_attribute("perm", &[1, 0, 2])]);
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
        &mut self,
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
        self.floats(&name("W"), &[directions, gates, inputs], &all(&|layer| rows(layer.weight_ih.val())));
        self.floats(&name("R"), &[directions, gates, hidden], &all(&|layer| rows(layer.weight_hh.val())));
        let biases = |layer: &RecurrentLayer| {
            let both = [&layer.bias_ih, &layer.bias_hh];
            both.into_iter().flat_map(|bias| in_onnx_order(cell, hidden, &host(&bias.val()))).collect()
        };
        self.floats(&name("B"), &[directions, 2 * gates], &all(&biases));
        let state = || [Dim::Of(directions), Dim::Named("batch"), Dim::Of(hidden)];
        let (mut states, mut after) = (Vec::new(), vec![name("h") + "_after"]);
        if cell == Cell::Lstm {
            after.push(name("c") + "_after");
        }
        if carried {
            states = if cell == Cell::Lstm { vec![name("h"), name("c")] } else { vec![name("h")] };
            for before in &states {
                self.input(before, FLOAT, &state());
            }
            for after in &after {
                self.output(after, &state());
            }
        }
        let mut attributes = vec![
            integer_attribute("hidden_size", hidden),
            text_attribute("direction", if directions == 2 { "bidirectional" } else { "forward" }),
        ];
        let kind = match cell {
            Cell::Lstm => "LSTM",
            Cell::Gru => {
                attributes.push(integer_attribute("linear_before_reset", 1));
                "GRU"
            }
            Cell::Tanh | Cell::Relu => {
                let function = if cell == Cell::Tanh { "Tanh" } else { "Relu" };
                attributes.push(texts_attribute("activations", &vec![function; directions]));
                "RNN"
            }
        };
        let lengths = if carried { String::new() } else { "lengths".into() };
        let inputs: Vec<String> =
            [x.to_owned(), name("W"), name("R"), name("B"), lengths].into_iter().chain(states).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let outputs: Vec<String> = std::iter::once(name("y")).chain(after).collect();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        self.node(kind, &inputs, &outputs, &attributes);
        // [steps, directions, batch, hidden] to [steps, batch, features].
        let (turned, joined) = (name("turned"), name("joined"));
        self.node("Transpose", &[&name("y")], &[&turned], &[integers_attribute("perm", &[0, 2, 1, 3])]);
        self.node("Reshape", &[&turned, "beside"], &[&joined], &[]);
        joined
    }

    fn node(&mut self, kind: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) {
        let mut node = Message::default();
        for input in inputs {
            node = node.text(1, input);
        }
        for output in outputs {
            node = node.text(2, output);
        }
        node = node.text(3, outputs[0]).text(4, kind);
        for attribute in attributes {
            node = node.message(5, attribute);
        }
        self.add(1, &node);
    }

    fn tensor(&mut self, name: &str, kind: u64, shape: &[usize], raw: &[u8]) {
        let mut tensor = Message::default();
        for size in shape {
            tensor = tensor.int(1, *size as u64);
        }
        self.add(5, &tensor.int(2, kind).text(8, name).bytes(9, raw));
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, FLOAT, shape, &raw);
    }

    fn integers(&mut self, name: &str, values: &[i64]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, INT64, &[values.len()], &raw);
    }

    fn weight(&mut self, name: &str, weight: Tensor<2>) {
        let shape = weight.dims();
        self.floats(name, &shape, &host(&weight));
    }

    fn input(&mut self, name: &str, kind: u64, shape: &[Dim]) {
        self.add(11, &value_info(name, kind, shape));
    }

    fn output(&mut self, name: &str, shape: &[Dim]) {
        self.add(12, &value_info(name, FLOAT, shape));
    }

    fn add(&mut self, field: u64, message: &Message) {
        self.0 = std::mem::take(&mut self.0).message(field, message);
    }

    fn model(self) -> Vec<u8> {
        let opset = Message::default().text(1, "").int(2, 17);
        let graph = self.0.text(2, "dozen");
        Message::default().int(1, 8).text(2, "dozen").message(7, &graph).message(8, &opset).0
    }
}

fn value_info(name: &str, kind: u64, shape: &[Dim]) -> Message {
    let mut dims = Message::default();
    for dim in shape {
        let dim = match dim {
            Dim::Of(size) => Message::default().int(1, *size as u64),
            Dim::Named(name) => Message::default().text(2, name),
        };
        dims = dims.message(1, &dim);
    }
    let tensor = Message::default().int(1, kind).message(2, &dims);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

fn integer_attribute(name: &str, value: usize) -> Message {
    Message::default().text(1, name).int(3, value as u64).int(20, 2)
}

fn integers_attribute(name: &str, values: &[u64]) -> Message {
    values.iter().fold(Message::default().text(1, name), |message, value| message.int(8, *value)).int(20, 7)
}

fn text_attribute(name: &str, text: &str) -> Message {
    Message::default().text(1, name).text(4, text).int(20, 3)
}

fn texts_attribute(name: &str, texts: &[&str]) -> Message {
    texts.iter().fold(Message::default().text(1, name), |message, text| message.text(9, text)).int(20, 8)
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
