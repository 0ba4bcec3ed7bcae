//! Training, for all tasks: one step down the loss of a batch.

use std::path::Path;

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use dozen_nn::{
    Error, History, Learner, Observer, Progress, RunFolder, RunObserver, StepContext, Terms, Trained,
    read_tensors, train, write_tensors,
};

use crate::examples::{judge, judge_all, terms};
use crate::language::{Streams, cross_entropies, stream_nats};
use crate::network::{Inputs, LayerState, Network, Noise, Packed, State};
use crate::{Config, Example, Model, Units};

/// What to learn from.
#[derive(Clone, Copy, Debug)]
pub enum Data<'d> {
    /// A text in units.
    Text {
        /// To train on.
        train: &'d [u32],
        /// Held out, for early stopping; may be empty.
        valid: &'d [u32],
    },
    /// Sequences with targets.
    Examples {
        /// To train on.
        train: &'d [Example],
        /// Held out, for early stopping; may be empty.
        valid: &'d [Example],
    },
}

/// Everything that training a model needs.
#[derive(Debug)]
pub struct TrainRequest<'d> {
    /// The configuration.
    pub config: Config,
    /// The vocabulary, where inputs are tokens.
    pub units: Option<Units>,
    /// What to learn from.
    pub data: Data<'d>,
    /// Vectors that the embedding begins with, each by the number of its token.
    pub vectors: Vec<(u32, Vec<f32>)>,
}

/// Trains a model and leaves its configuration, vocabulary and weights in the run's folder.
///
/// # Errors
/// As [`fit`], and when the disk fails.
pub fn train_model(
    request: TrainRequest,
    run: &RunFolder,
    device: &Device,
    progress: Progress,
) -> Result<(Model, History), Error> {
    let mut observer = RunObserver::new(run, progress, request.config.record.training.tensorboard)?;
    let (model, history) = fit(request, device, &mut observer)?;
    drop(observer);
    model.write(run)?;
    Ok((model, history))
}

/// Trains a model; with `&mut ()` as the observer in memory.
///
/// # Errors
/// When the request does not make sense, or as [`train`] says.
pub fn fit(
    request: TrainRequest,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<(Model, History), Error> {
    let TrainRequest { config, units, data, vectors } = request;
    config.record.validate()?;
    config.model.validate()?;
    let sizes = config.sizes(units.as_ref());
    device.seed(config.record.training.seed);
    let mut network = Network::new(&config.model, sizes, config.has_crf(), &device.clone().autodiff());
    if !vectors.is_empty() {
        network.embedding = network.embedding.map(|table| with_vectors(table, &vectors));
    }
    let fit = Fit { network: config.record.begin(network), device: device.clone() };
    let (network, history) = match data {
        Data::Text { train: ids, valid } => {
            let mut learner = text_learner(fit, &config, units.as_ref(), ids, valid)?;
            let rows = learner.train.pieces() * learner.train.count;
            let history = train(&mut learner, rows, &config.record.training, observer)?;
            (learner.fit.network.evaluated(), history)
        }
        Data::Examples { train: examples, valid } => {
            let mut learner = ExampleLearner { fit, train: examples, valid };
            let history = train(&mut learner, examples.len(), &config.record.training, observer)?;
            (learner.fit.network.evaluated(), history)
        }
    };
    Ok((Model::new(config, units, network, device), history))
}

fn with_vectors(table: Param<Tensor<2>>, vectors: &[(u32, Vec<f32>)]) -> Param<Tensor<2>> {
    let [tokens, width] = table.dims();
    let mut values = crate::host(&table.val());
    for (token, vector) in vectors {
        values[*token as usize * width..][..width].copy_from_slice(vector);
    }
    let data = burn::tensor::TensorData::new(values, [tokens, width]);
    Param::from_tensor(Tensor::from_data(data, &table.val().device()))
}

/// The network in training.
struct Fit {
    network: Trained<Network>,
    device: Device,
}

impl Fit {
    /// One step down a loss; its value.
    fn descend(&mut self, loss: &Tensor<1>, rate: f64) -> f64 {
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if value.is_finite() {
            self.network.descend(loss, rate);
        }
        value
    }
}

/// Learns a text piece by piece, with the state carried on and the gradient going back to the piece's beginning (truncated
/// back-propagation through time; Williams and Peng 1990).
struct TextLearner<'d> {
    fit: Fit,
    train: Streams<'d>,
    valid: Option<Streams<'d>>,
    /// After the last piece, and its number.
    state: Option<State>,
}

fn text_learner<'d>(
    fit: Fit,
    config: &Config,
    units: Option<&Units>,
    ids: &'d [u32],
    valid: &'d [u32],
) -> Result<TextLearner<'d>, Error> {
    let steps = config.sequence_length;
    if ids.len() <= steps {
        let name = units.map_or("units", Units::name);
        return Err(Error::Request(format!(
            "the text to train on has {} {name}, which is less than one sequence and the {} after it; give more text, or a \
             --sequence-length below {}",
            ids.len(),
            name.trim_end_matches('s'),
            ids.len().max(1)
        )));
    }
    let train = Streams::new(ids, config.record.training.batch_size, steps);
    // Longer streams start cold less often.
    let held_out = (valid.len() > 1).then(|| Streams::new(valid, train.count.min(valid.len() / 1000), 100));
    Ok(TextLearner { fit, train, valid: held_out, state: None })
}

impl Learner for TextLearner<'_> {
    /// A row is a piece of a stream; a step takes the next piece of all streams.
    fn batches(&self, rows: usize, _: usize, _: u64) -> Vec<Vec<usize>> {
        let rows: Vec<usize> = (0..rows).collect();
        rows.chunks(self.train.count).map(<[usize]>::to_vec).collect()
    }

    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms {
        let number = rows[0] / self.train.count;
        if number == 0 {
            self.state = None;
        }
        let (ids, targets, steps) = self.train.piece(number);
        let packed = Packed::even(self.train.count, steps);
        let (network, noise) = (self.fit.network.module(), Noise::Seed(context.seed));
        let features = network.features(Inputs::Tokens(ids), &packed, self.state.as_ref(), noise);
        let outputs = network.outputs(features.steps, packed.sequences(), noise);
        let device = self.fit.device.clone().autodiff();
        let loss = cross_entropies(outputs, &targets, &device).mean();
        self.state = Some(features.state.detached());
        vec![("nats_per_token", self.fit.descend(&loss, context.rate))]
    }

    fn validate(&mut self) -> Terms {
        let Some(valid) = &self.valid else { return Vec::new() };
        let network = self.fit.network.evaluated();
        let outputs = |inputs: Inputs, packed: &Packed, state: Option<&State>| {
            let features = network.features(inputs, packed, state, Noise::None);
            (network.outputs(features.steps, packed.sequences(), Noise::None), features.state)
        };
        vec![("nats_per_token", stream_nats(valid, outputs, &self.fit.device))]
    }

    fn save(&self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.fit.network.save(folder, "model", with_optimizer)?;
        let Some(state) = self.state.as_ref().filter(|_| with_optimizer) else { return Ok(()) };
        let mut tensors = Vec::new();
        for (layer, state) in state.0.iter().enumerate() {
            tensors.push((format!("h{layer}"), state.h.clone().into_data()));
            tensors.extend(state.c.clone().map(|c| (format!("c{layer}"), c.into_data())));
        }
        write_tensors(&folder.join(STATE), &tensors)
    }

    fn load(&mut self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.fit.network.load(folder, "model", with_optimizer)?;
        let file = folder.join(STATE);
        if !with_optimizer || !file.exists() {
            return Ok(());
        }
        let (mut tensors, device) = (read_tensors(&file)?, self.fit.device.clone().autodiff());
        let mut layers = Vec::new();
        while let Some(h) = tensors.remove(&format!("h{}", layers.len())) {
            let c = tensors.remove(&format!("c{}", layers.len()));
            let tensor = |data| Tensor::from_data(data, &device);
            layers.push(LayerState { h: tensor(h), c: c.map(tensor) });
        }
        self.state = Some(State(layers));
        Ok(())
    }

    fn remember(&mut self) {
        self.fit.network.remember();
    }

    fn recall(&mut self) {
        self.fit.network.recall();
    }

    fn device(&self) -> Device {
        self.fit.device.clone()
    }
}

/// The state that a text learner goes on with, beside the weights of a checkpoint.
const STATE: &str = "state.safetensors";

struct ExampleLearner<'d> {
    fit: Fit,
    train: &'d [Example],
    valid: &'d [Example],
}

impl Learner for ExampleLearner<'_> {
    fn step(&mut self, rows: &[usize], context: StepContext) -> Terms {
        let batch: Vec<&Example> = rows.iter().map(|&row| &self.train[row]).collect();
        let device = self.fit.device.clone().autodiff();
        let judged = judge(self.fit.network.module(), &batch, Noise::Seed(context.seed), &device);
        terms(self.fit.descend(&judged.loss, context.rate), judged.errors)
    }

    fn validate(&mut self) -> Terms {
        if self.valid.is_empty() {
            return Vec::new();
        }
        judge_all(&self.fit.network.evaluated(), self.valid, &self.fit.device)
    }

    fn save(&self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.fit.network.save(folder, "model", with_optimizer)
    }

    fn load(&mut self, folder: &Path, with_optimizer: bool) -> Result<(), Error> {
        self.fit.network.load(folder, "model", with_optimizer)
    }

    fn remember(&mut self) {
        self.fit.network.remember();
    }

    fn recall(&mut self) {
        self.fit.network.recall();
    }

    fn device(&self) -> Device {
        self.fit.device.clone()
    }
}
