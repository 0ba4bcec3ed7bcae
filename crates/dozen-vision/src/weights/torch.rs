//! PyTorch's `.pth` and `.pt`: a zip archive of a pickle and of the bytes of each storage (`torch.save` since 1.6).

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::tensor::{TensorData, bf16, f16};
use zip::ZipArchive;

use super::Tensors;
use super::pickle::{self, Id, Pickle};

/// What a checkpoint keeps its weights under, the best first.
const KEYS: [&str; 5] = ["state_dict_ema", "model_ema", "state_dict", "model", "weights"];

/// More bytes than this no pickle of a file of weights has.
const LARGEST_PICKLE: u64 = 1 << 26;

pub(super) fn read(path: &Path) -> Result<Tensors, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let size = file.metadata().map_or(0, |data| data.len());
    let mut archive = ZipArchive::new(file).map_err(|error| format!("is no whole archive: {error}"))?;
    let mut names = archive.file_names().flatten().map(std::borrow::Cow::into_owned);
    let pickle = names.find(|name| name.ends_with("/data.pkl") || name == "data.pkl");
    drop(names);
    let pickle = pickle.ok_or("is an archive without PyTorch's data.pkl")?;
    let folder = pickle.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    let order = entry(&mut archive, &format!("{folder}byteorder"), 16);
    if order.is_ok_and(|order| order == b"big") {
        return Err("has its bytes in big-endian order".into());
    }
    let pickle = pickle::read(&entry(&mut archive, &pickle, LARGEST_PICKLE)?)?;
    let room = size.saturating_mul(4).max(ROOM);
    let mut storages =
        Storages { archive, folder, pickle: &pickle, largest: size, room, known: HashMap::new() };
    let mut tensors = Tensors::new();
    for (name, value) in state_dict(&pickle)? {
        if let Some(tensor) = storages.tensor(value)? {
            tensors.insert(name.strip_prefix("module.").unwrap_or(&name).to_owned(), tensor);
        }
    }
    if tensors.is_empty() {
        return Err("holds no tensors by their names".into());
    }
    Ok(tensors)
}

/// The bytes of an entry of an archive, no more than `largest`.
fn entry(archive: &mut ZipArchive<File>, name: &str, largest: u64) -> Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|error| format!("lacks `{name}`: {error}"))?;
    let mut bytes = Vec::new();
    entry
        .take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("has a broken `{name}`: {error}"))?;
    if bytes.len() as u64 > largest {
        return Err(format!("has a `{name}` of more bytes than the file"));
    }
    Ok(bytes)
}

/// The names and values of the weights: the whole, or what a checkpoint keeps them under.
fn state_dict(pickle: &Pickle) -> Result<Vec<(String, Id)>, String> {
    let entries = pickle
        .entries(pickle.whole)
        .ok_or("holds no dictionary of tensors (a whole pickled module?); save its state_dict()")?;
    let under = KEYS.iter().find_map(|key| {
        let (_, value) = entries.iter().find(|(name, _)| pickle.text(*name) == Some(*key))?;
        pickle.entries(*value)
    });
    let named = |(name, value): &(Id, Id)| Some((pickle.text(*name)?.to_owned(), *value));
    Ok(under.unwrap_or(entries).iter().filter_map(named).collect())
}

/// Bytes of storages and tensors in all, for files whose four times are less.
const ROOM: u64 = 1 << 29;

struct Storages<'p> {
    archive: ZipArchive<File>,
    folder: String,
    pickle: &'p Pickle,
    /// Bytes of the file, which no storage can have more of: PyTorch does not compress.
    largest: u64,
    /// Bytes that storages and tensors may still take: many tensors may share a storage.
    room: u64,
    known: HashMap<String, Vec<u8>>,
}

impl Storages<'_> {
    /// The tensor that a value stands for, if it is one.
    fn tensor(&mut self, mut value: Id) -> Result<Option<TensorData>, String> {
        let pickle = self.pickle;
        let called = |value: Id| {
            let (callable, arguments) = pickle.call(value)?;
            Some((pickle.global(callable)?, pickle.tuple(arguments)?))
        };
        // A parameter is a tensor with a few words about it.
        if let Some((("torch._utils", "_rebuild_parameter"), [tensor, ..])) = called(value) {
            value = *tensor;
        }
        let Some((("torch._utils", "_rebuild_tensor_v2"), [storage, offset, shape, strides, ..])) =
            called(value)
        else {
            return Ok(None);
        };
        let Some(storage) = pickle.persistent(*storage) else { return Ok(None) };
        let sizes = |value: Id| {
            let sizes = pickle.tuple(value)?.iter().map(|size| usize::try_from(pickle.integer(*size)?).ok());
            sizes.collect::<Option<Vec<usize>>>()
        };
        let place = pickle.integer(*offset).and_then(|offset| usize::try_from(offset).ok());
        let (Some(offset), Some(shape), Some(strides)) = (place, sizes(*shape), sizes(*strides)) else {
            return Err("has a tensor without a shape".into());
        };
        self.gather(storage, offset, &shape, &strides).map(Some)
    }

    /// Takes memory for so many bytes, if the file can be meant to need them.
    fn take_room(&mut self, bytes: usize) -> Result<(), String> {
        self.room =
            self.room.checked_sub(bytes as u64).ok_or("asks for far more memory than its size explains")?;
        Ok(())
    }

    fn gather(
        &mut self,
        storage: Id,
        offset: usize,
        shape: &[usize],
        strides: &[usize],
    ) -> Result<TensorData, String> {
        let pickle = self.pickle;
        let Some([_, kind, key, ..]) = pickle.tuple(storage) else {
            return Err("has a tensor without a storage".into());
        };
        let (_, kind) = pickle.global(*kind).ok_or("has a storage without a type")?;
        let key = pickle.text(*key).ok_or("has a storage without a name")?.to_owned();
        if !self.known.contains_key(&key) {
            let name = format!("{}data/{key}", self.folder);
            let bytes = entry(&mut self.archive, &name, self.largest.min(self.room))?;
            self.take_room(bytes.len())?;
            self.known.insert(key.clone(), bytes);
        }
        if shape.len() > MOST_AXES {
            return Err("has a tensor of an absurd shape".into());
        }
        self.take_room(shape.iter().fold(8_usize, |bytes, size| bytes.saturating_mul(*size)))?;
        let bytes = &self.known[&key];
        let places = places(offset, shape, strides).ok_or("has a tensor of an absurd shape")?;
        let lacking = || format!("has a tensor that reaches beyond its storage `{key}`");
        macro_rules! read {
            ($type:ty, $to:expr) => {{
                const SIZE: usize = size_of::<$type>();
                let (elements, _) = bytes.as_chunks::<SIZE>();
                if shape.iter().product::<usize>() > elements.len() {
                    return Err(lacking());
                }
                let value = |place: usize| {
                    let element = elements.get(place).ok_or_else(lacking)?;
                    Ok($to(<$type>::from_le_bytes(*element)))
                };
                let values = places.map(value).collect::<Result<Vec<_>, String>>()?;
                Ok(TensorData::new(values, shape.to_vec()))
            }};
        }
        match kind {
            "FloatStorage" => read!(f32, |x: f32| x),
            "DoubleStorage" => read!(f64, |x: f64| x),
            "HalfStorage" => read!(f16, |x: f16| x.to_f32()),
            "BFloat16Storage" => read!(bf16, |x: bf16| x.to_f32()),
            "LongStorage" => read!(i64, |x: i64| x),
            "IntStorage" => read!(i32, |x: i32| x),
            other => Err(format!("has a tensor of the type `{other}`, which is none of weights")),
        }
    }
}

/// Axes that a tensor may have.
const MOST_AXES: usize = 8;

/// The places of a tensor's elements in its storage, the last axis fastest.
fn places(offset: usize, shape: &[usize], strides: &[usize]) -> Option<impl Iterator<Item = usize> + use<>> {
    let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size))?;
    if shape.len() != strides.len() {
        return None;
    }
    let axes: Vec<(usize, usize)> = shape.iter().copied().zip(strides.iter().copied()).rev().collect();
    Some((0..count).map(move |mut index| {
        let mut place = offset;
        for (size, stride) in &axes {
            place = place.saturating_add((index % size).saturating_mul(*stride));
            index /= size;
        }
        place
    }))
}
