//! Weights as PyTorch names them, out and in: `embedding.weight`, `rnn.weight_ih_l0` and so on, `head.weight`, `head.bias`.

use std::collections::HashMap;
use std::path::Path;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use dozen_nn::{Error, OptimizerConfig, Schedule, TrainConfig, TrainingRecord, read_tensors, write_tensors};

use crate::network::{Network, RecurrentLayer};
use crate::{CellKind, Config, DropoutConfig, Model, NetworkConfig, Task, Units};

/// Writes a network as the `state_dict` of a module with an `nn.Embedding` (if inputs are tokens), an `nn.RNN`, `nn.LSTM` or `nn.GRU` named `rnn`
/// and an `nn.Linear` named `head`, in a safetensors file; a CRF's scores as `crf.transitions`, `crf.first` and `crf.last`.
///
/// # Errors
/// When the network has what these modules lack.
pub fn export_pytorch(model: &Model, path: &Path) -> Result<(), Error> {
    let (network, config) = (&model.network, &model.config.model);
    if config.layer_norm || config.learned_state || config.dropout.zoneout > 0.0 {
        return Err(Error::Request(
            "PyTorch's recurrent modules have no layer normalisation, learnt state or zoneout, which this model has".into(),
        ));
    }
    let mut tensors: Vec<(String, TensorData)> = Vec::new();
    let data = |tensor: Tensor<2>| tensor.into_data();
    if let Some(table) = &network.embedding {
        tensors.push(("embedding.weight".into(), data(table.val())));
    }
    for (index, layer) in network.layers.layers.iter().enumerate() {
        let ending = ending(index, config.directions());
        let mut put = |name: &str, data: TensorData| tensors.push((format!("rnn.{name}_{ending}"), data));
        put("weight_ih", data(layer.weight_ih.val().transpose()));
        put("weight_hh", data(layer.weight_hh.val().transpose()));
        put("bias_ih", layer.bias_ih.val().into_data());
        put("bias_hh", layer.bias_hh.val().into_data());
        if let Some(projection) = &layer.projection {
            put("weight_hr", data(projection.val().transpose()));
        }
    }
    tensors.push(("head.weight".into(), data(network.head_weight().transpose())));
    tensors.push(("head.bias".into(), network.head_bias.val().into_data()));
    if let Some(crf) = &network.crf {
        let scores = [("transitions", &crf.transitions), ("first", &crf.first), ("last", &crf.last)];
        tensors.extend(scores.map(|(name, scores)| (format!("crf.{name}"), data(scores.val()))));
    }
    write_tensors(path, &tensors)
}

/// PyTorch's ending of a layer's names.
fn ending(index: usize, directions: usize) -> String {
    let reverse = if index % directions == 1 { "_reverse" } else { "" };
    format!("l{}{reverse}", index / directions)
}

/// Reads a network from a `state_dict` in a safetensors file. The names before `weight_ih_l0` are free; the embedding is the other matrix without a bias,
/// the head the one with. One gate's rows are a plain cell, tanh unless `cell` says relu.
///
/// # Errors
/// When the file does not hold such a network, or it does not fit the vocabulary or the labels.
pub fn import_pytorch(
    path: &Path,
    task: Task,
    units: Option<Units>,
    cell: Option<CellKind>,
    device: &Device,
) -> Result<Model, Error> {
    let tensors = read_tensors(path)?;
    let found =
        Found::of(&tensors).map_err(|problem| Error::Request(format!("`{}` {problem}", path.display())))?;
    let model = NetworkConfig { cell: found.cell(cell)?, ..found.config.clone() };
    let config = Config {
        model,
        task,
        sequence_length: 50,
        record: TrainingRecord {
            training: TrainConfig {
                epochs: 0,
                batch_size: 1,
                patience: None,
                schedule: Schedule { rate: 0.001, warm_up: 0, decay: dozen_nn::Decay::Constant },
                seed: 0,
                tensorboard: false,
            },
            optimizer: OptimizerConfig::adam(0.0),
            clip_norm: None,
            ema: None,
        },
        data: Vec::new(),
    };
    config.model.validate()?;
    let mut model = Model::fresh(config, units, device);
    model.network = found.network(model.network, &tensors, path, device)?;
    Ok(model)
}

/// Which tensors are what.
struct Found {
    /// What stands before `weight_ih_l0`.
    prefix: String,
    embedding: Option<String>,
    /// The head's weight and bias.
    head: Option<[String; 2]>,
    config: NetworkConfig,
    gates: usize,
}

impl Found {
    fn of(tensors: &HashMap<String, TensorData>) -> Result<Self, String> {
        let first = tensors.keys().find(|name| name.ends_with("weight_ih_l0"));
        let first = first.ok_or("holds no recurrent layer: no tensor's name ends in weight_ih_l0")?;
        let prefix = first.trim_end_matches("weight_ih_l0").to_owned();
        let has = |name: &str| tensors.contains_key(&format!("{prefix}{name}"));
        if !has("bias_ih_l0") {
            return Err("holds recurrent layers without biases, which dozen does not have".into());
        }
        let shape = |name: &str| tensors.get(&format!("{prefix}{name}")).map(|data| data.shape().to_vec());
        let [rows, width] = *shape("weight_hh_l0").ok_or("lacks weight_hh_l0")? else {
            return Err("holds a weight_hh_l0 that is no matrix".into());
        };
        let projection = shape("weight_hr_l0").map(|_| width);
        let hidden = shape("weight_hr_l0").map_or(width, |shape| shape[1]);
        let layers = (0..tensors.len()).take_while(|layer| has(&format!("weight_ih_l{layer}"))).count();
        let others = || {
            let mut names: Vec<&String> = tensors.keys().filter(|name| !name.starts_with(&prefix)).collect();
            names.sort();
            names.into_iter().filter(|name| name.ends_with("weight") && tensors[*name].shape().len() == 2)
        };
        let bias = |name: &String| format!("{}bias", name.trim_end_matches("weight"));
        let embedding = others().find(|name| !tensors.contains_key(&bias(name))).cloned();
        let head =
            others().find(|name| tensors.contains_key(&bias(name))).map(|name| [name.clone(), bias(name)]);
        let config = NetworkConfig {
            cell: CellKind::Lstm,
            hidden,
            layers,
            bidirectional: has("weight_ih_l0_reverse"),
            projection,
            layer_norm: false,
            embedding: embedding.as_ref().map_or(0, |name| tensors[name].shape()[1]),
            tied: false,
            learned_state: false,
            forget_bias: 0.0,
            dropout: DropoutConfig::default(),
        };
        Ok(Self { prefix, embedding, head, config, gates: rows / hidden.max(1) })
    }

    fn cell(&self, asked: Option<CellKind>) -> Result<CellKind, Error> {
        let found = match self.gates {
            1 => asked.unwrap_or(CellKind::Tanh),
            3 => CellKind::Gru,
            4 => CellKind::Lstm,
            other => {
                return Err(Error::Request(format!(
                    "the recurrent layers have {other} gates; an LSTM has 4, a GRU 3"
                )));
            }
        };
        match asked {
            Some(asked) if asked.cell().gates() != self.gates => Err(Error::Setting(format!(
                "`cell` does not fit the file, whose layers have {} gates",
                self.gates
            ))),
            _ => Ok(found),
        }
    }

    fn network(
        &self,
        mut network: Network,
        tensors: &HashMap<String, TensorData>,
        path: &Path,
        device: &Device,
    ) -> Result<Network, Error> {
        let read = Read { tensors, path, device };
        if let (Some(table), Some(name)) = (&mut network.embedding, &self.embedding) {
            *table = read.matrix(name, table.dims(), false)?;
        }
        let directions = self.config.directions();
        for (index, layer) in network.layers.layers.iter_mut().enumerate() {
            let ending = ending(index, directions);
            let name = |part: &str| format!("{}{part}_{ending}", self.prefix);
            let RecurrentLayer { weight_ih, weight_hh, bias_ih, bias_hh, projection, .. } = layer;
            *weight_ih = read.matrix(&name("weight_ih"), weight_ih.dims(), true)?;
            *weight_hh = read.matrix(&name("weight_hh"), weight_hh.dims(), true)?;
            *bias_ih = read.vector(&name("bias_ih"), bias_ih.dims())?;
            *bias_hh = read.vector(&name("bias_hh"), bias_hh.dims())?;
            if let Some(projection) = projection {
                *projection = read.matrix(&name("weight_hr"), projection.dims(), true)?;
            }
        }
        let head = self.head.as_ref().ok_or_else(|| {
            Error::Request(format!(
                "`{}` has no linear layer (a matrix with a bias) for the head",
                path.display()
            ))
        })?;
        if let Some(weight) = &mut network.head {
            *weight = read.matrix(&head[0], weight.dims(), true)?;
        }
        network.head_bias = read.vector(&head[1], network.head_bias.dims())?;
        if let Some(crf) = &mut network.crf {
            for (name, scores) in
                [("transitions", &mut crf.transitions), ("first", &mut crf.first), ("last", &mut crf.last)]
            {
                *scores = read.matrix(&format!("crf.{name}"), scores.dims(), false)?;
            }
        }
        Ok(network)
    }
}

struct Read<'f> {
    tensors: &'f HashMap<String, TensorData>,
    path: &'f Path,
    device: &'f Device,
}

impl Read<'_> {
    fn data(&self, name: &str, shape: &[usize]) -> Result<TensorData, Error> {
        let path = self.path.display();
        let data = self.tensors.get(name);
        let data = data.ok_or_else(|| Error::Request(format!("`{path}` lacks the tensor `{name}`")))?;
        if **data.shape() != *shape {
            return Err(Error::Request(format!(
                "`{path}` holds `{name}` in shape {:?}, where the vocabulary, the labels and the other tensors ask for {shape:?}",
                data.shape().to_vec()
            )));
        }
        Ok(data.clone())
    }

    /// A matrix of these dimensions; or of the transpose of what is stored.
    fn matrix(
        &self,
        name: &str,
        [rows, columns]: [usize; 2],
        transposed: bool,
    ) -> Result<Param<Tensor<2>>, Error> {
        let stored = if transposed { [columns, rows] } else { [rows, columns] };
        let tensor = Tensor::<2>::from_data(self.data(name, &stored)?.convert::<f32>(), self.device);
        Ok(Param::from_tensor(if transposed { tensor.transpose() } else { tensor }))
    }

    fn vector(&self, name: &str, shape: [usize; 1]) -> Result<Param<Tensor<1>>, Error> {
        Ok(Param::from_tensor(Tensor::from_data(self.data(name, &shape)?.convert::<f32>(), self.device)))
    }
}
