//! Writing ONNX graphs (opset 17), weights inside.
//!
//! The messages are those of onnx.proto3 at IR version 8; only what the families' graphs are made of is here.

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

/// The type of a tensor's elements, by its number in onnx.proto3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `f32`.
    Float = 1,
    /// `i32`.
    Int32 = 6,
    /// `i64`.
    Int64 = 7,
}

/// A dimension of an input or output: known or named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// So many.
    Of(usize),
    /// As many as whoever runs the graph gives.
    Named(&'static str),
}

/// An attribute of a node: its name and its value.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    /// One number.
    Integer(&'a str, usize),
    /// Several.
    Integers(&'a str, &'a [usize]),
    /// A text.
    Text(&'a str, &'a str),
    /// Several.
    Texts(&'a str, &'a [&'a str]),
}

impl Attribute<'_> {
    fn message(&self) -> Message {
        let named = |name: &str| Message::default().text(1, name);
        match *self {
            Self::Integer(name, value) => named(name).int(3, value as u64).int(20, 2),
            Self::Integers(name, values) => {
                values.iter().fold(named(name), |message, value| message.int(8, *value as u64)).int(20, 7)
            }
            Self::Text(name, text) => named(name).text(4, text).int(20, 3),
            Self::Texts(name, texts) => {
                texts.iter().fold(named(name), |message, text| message.text(9, text)).int(20, 8)
            }
        }
    }
}

/// A graph in the making: add its inputs, weights, nodes in the order in which they run, and outputs.
#[derive(Clone, Debug, Default)]
pub struct Graph(Message);

impl Graph {
    /// An operator from the tensors of some names to those of others. A node is named as the first of its outputs.
    pub fn node(&mut self, kind: &str, inputs: &[&str], outputs: &[&str], attributes: &[Attribute<'_>]) {
        let mut node = Message::default();
        for input in inputs {
            node = node.text(1, input);
        }
        for output in outputs {
            node = node.text(2, output);
        }
        node = node.text(3, outputs[0]).text(4, kind);
        for attribute in attributes {
            node = node.message(5, &attribute.message());
        }
        self.add(1, &node);
    }

    /// A constant tensor of floats.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, Element::Float, shape, &raw);
    }

    /// A constant vector of whole numbers.
    pub fn integers(&mut self, name: &str, values: &[i64]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, Element::Int64, &[values.len()], &raw);
    }

    /// What whoever runs the graph gives.
    pub fn input(&mut self, name: &str, element: Element, shape: &[Dim]) {
        self.add(11, &value_info(name, element, shape));
    }

    /// What the graph gives, in floats.
    pub fn output(&mut self, name: &str, shape: &[Dim]) {
        self.add(12, &value_info(name, Element::Float, shape));
    }

    /// The file.
    pub fn model(self) -> Vec<u8> {
        let opset = Message::default().text(1, "").int(2, 17);
        let graph = self.0.text(2, "dozen");
        Message::default().int(1, 8).text(2, "dozen").message(7, &graph).message(8, &opset).0
    }

    fn tensor(&mut self, name: &str, element: Element, shape: &[usize], raw: &[u8]) {
        let mut tensor = Message::default();
        for size in shape {
            tensor = tensor.int(1, *size as u64);
        }
        self.add(5, &tensor.int(2, element as u64).text(8, name).bytes(9, raw));
    }

    fn add(&mut self, field: u64, message: &Message) {
        self.0 = std::mem::take(&mut self.0).message(field, message);
    }
}

fn value_info(name: &str, element: Element, shape: &[Dim]) -> Message {
    let mut dims = Message::default();
    for dim in shape {
        let dim = match dim {
            Dim::Of(size) => Message::default().int(1, *size as u64),
            Dim::Named(name) => Message::default().text(2, name),
        };
        dims = dims.message(1, &dim);
    }
    let tensor = Message::default().int(1, element as u64).message(2, &dims);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}
