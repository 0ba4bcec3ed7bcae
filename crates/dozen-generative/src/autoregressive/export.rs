//! A model in other programs' terms.

use std::path::Path;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use dozen_data::{Column, Matrix, Table, Values};
use dozen_nn::{Error, PrefixLinear, write_tensors};

use super::Model;
use super::layout::to_host;
use super::networks::Network;

/// The most columns whose states are written out.
const MOST_TABLE_COLUMNS: usize = 16;

/// Writes a one-order MADE or FVSBN as PyTorch `nn.Linear` tensors in a safetensors file: `hidden.K.weight`
/// `[out, in]` (masked already), `hidden.K.bias`, `output.weight`, `output.bias`, `direct.weight`, `direct.bias`, and
/// `order`, the column of each input and output.
pub fn export_pytorch(model: &Model, path: &Path) -> Result<(), Error> {
    let [Network::Made(network)] = model.networks.as_slice() else {
        return Err(Error::Request(
            "only a single fvsbn or made along one order is exported to PyTorch; this model is another"
                .into(),
        ));
    };
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    let mut put = |name: String, layer: &PrefixLinear| {
        let weight = |weight: &Param<Tensor<2>>| to_host(weight.val().transpose());
        let [inputs, outputs] = layer.weight.dims();
        tensors.push((format!("{name}.weight"), vec![outputs, inputs], weight(&layer.weight)));
        tensors.push((format!("{name}.bias"), vec![outputs], to_host(layer.bias.val())));
    };
    network.hidden.iter().enumerate().for_each(|(index, layer)| put(format!("hidden.{index}"), layer));
    network.output.iter().for_each(|layer| put("output".into(), layer));
    network.direct.iter().for_each(|layer| put("direct".into(), layer));
    let order: Vec<f32> = model.layout.order.iter().map(|&column| column as f32).collect();
    tensors.push(("order".into(), vec![order.len()], order));
    let tensors: Vec<(String, TensorData)> =
        tensors.into_iter().map(|(name, shape, values)| (name, TensorData::new(values, shape))).collect();
    write_tensors(path, &tensors)
}

/// The conditional of each column of a binary model as a table: one row for each state of the columns before it in
/// the order, with the probability of a one. The column at step `s` has `2^s` rows, the last `2^(n-1)`.
///
/// # Errors
/// When the model has other than binary columns, more than one order, or too many columns.
pub fn conditional_tables(model: &Model) -> Result<Vec<(String, Table)>, Error> {
    let n = model.layout.len();
    let one_order = model.networks.len() == 1 && model.networks[0].orders() == 1;
    if !model.layout.is_binary() || !one_order || n > MOST_TABLE_COLUMNS {
        return Err(Error::Request(format!(
            "tables are written for a single model of at most {MOST_TABLE_COLUMNS} binary columns along one order"
        )));
    }
    let order = &model.layout.order;
    let name = |step: usize| model.config().columns.columns[order[step]].name.clone();
    (0..n)
        .map(|step| {
            let states = 1_usize << step;
            let bit = |state: usize, s: usize| (state >> (step - 1 - s) & 1) as u8;
            let mut cells = vec![0.0; states * n];
            for state in 0..states {
                (0..step).for_each(|s| cells[state * n + order[s]] = f32::from(bit(state, s)));
                cells[state * n + order[step]] = 1.0;
            }
            let log_probs = model.log_prob_by_column(&Matrix::new(cells, n));
            let ones = (0..states).map(|state| log_probs[state * n + order[step]].exp()).collect();
            let mut columns: Vec<Column> = (0..step)
                .map(|s| Column::new(name(s), Values::Byte((0..states).map(|state| bit(state, s)).collect())))
                .collect();
            columns.push(Column::new(format!("p_{}", name(step)), Values::Number(ones)));
            Ok((name(step), Table::new(columns)?))
        })
        .collect()
}
