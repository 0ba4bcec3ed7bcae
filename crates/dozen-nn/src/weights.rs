//! A module's tensors in a safetensors file, by their path in the module.

use std::collections::HashMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Tensor, TensorData, bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::Error;

/// Writes a module's parameters.
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<(), Error> {
    write_tensors(path, &named_tensors(module))
}

/// A module's parameters and running averages by their paths in it, as in `blocks.3.expand.weight`.
pub fn named_tensors<M: Module>(module: &M) -> Vec<(String, TensorData)> {
    parameters(module).into_iter().map(|parameter| (parameter.path, parameter.data)).collect()
}

/// Reads a module's parameters.
///
/// # Errors
/// When the file is broken, lacks one of the module's tensors or holds it in another shape.
pub fn load_weights<M: Module>(module: M, path: &Path) -> Result<M, Error> {
    let tensors = read_tensors(path)?;
    with_tensors(module, tensors).map_err(|problem| Error::folder(path, problem))
}

/// A module with the values of all its tensors from elsewhere, by their paths.
///
/// # Errors
/// With what is wrong, when a tensor is missing or has another shape.
pub fn with_tensors<M: Module>(
    module: M,
    tensors: impl IntoIterator<Item = (String, TensorData)>,
) -> Result<M, String> {
    let tensors = tensors.into_iter().collect();
    let mut loader = Loader { path: Vec::new(), tensors: &tensors, problem: None };
    let module = module.map(&mut loader);
    match loader.problem {
        Some(problem) => Err(problem),
        None => Ok(module),
    }
}

/// A float parameter as a visit sees it.
pub(crate) struct Parameter {
    pub(crate) id: ParamId,
    pub(crate) path: String,
    pub(crate) data: TensorData,
}

/// All float parameters of a module, in its order.
pub(crate) fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    #[derive(Default)]
    struct Collector {
        path: Vec<String>,
        found: Vec<Parameter>,
    }
    impl ModuleVisitor for Collector {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let path = self.path.join(".");
            self.found.push(Parameter { id: param.id, path, data: param.val().into_data() });
        }
    }
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.found
}

struct Loader<'a> {
    path: Vec<String>,
    tensors: &'a HashMap<String, TensorData>,
    problem: Option<String>,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let expected = param.val().shape();
        match self.tensors.get(&path) {
            Some(data) if data.shape() == &expected => {
                let data = data.clone();
                param.map(|old| {
                    let new = Tensor::from_data(data, &old.device());
                    if old.is_require_grad() { new.require_grad() } else { new }
                })
            }
            Some(data) => {
                self.problem = Some(format!(
                    "holds the tensor `{path}` in shape {:?}, where the configuration says {:?}; they belong to different models",
                    data.shape(),
                    expected
                ));
                param
            }
            None => {
                self.problem =
                    Some(format!("lacks the tensor `{path}`; the file is not whole, or of another model"));
                param
            }
        }
    }
}

/// Writes named tensors.
pub fn write_tensors(path: &Path, tensors: &[(String, TensorData)]) -> Result<(), Error> {
    let views = tensors.iter().map(|(name, data)| {
        let dtype = if data.dtype() == DType::F64 { Dtype::F64 } else { Dtype::F32 };
        let view = TensorView::new(dtype, data.shape().to_vec(), data.as_bytes());
        (name, view.expect("a tensor's bytes fit its shape"))
    });
    let failed = |source: std::io::Error| Error::io("write", path, source);
    let bytes = safetensors::serialize(views, None).map_err(|e| failed(std::io::Error::other(e)))?;
    dozen_run::write_file(path, bytes).map_err(failed)
}

/// Reads the named tensors of a safetensors file.
///
/// # Errors
/// When the file is broken, or holds other types than floats and I64. Half precision becomes F32.
pub fn read_tensors(path: &Path) -> Result<HashMap<String, TensorData>, Error> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| Error::folder(path, format!("is not a whole safetensors file: {e}")))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        let shape = view.shape().to_vec();
        let bytes = view.data();
        let data = match view.dtype() {
            Dtype::F32 => {
                let values: Vec<f32> =
                    bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
                TensorData::new(values, shape)
            }
            Dtype::F64 => {
                let values: Vec<f64> =
                    bytes.as_chunks::<8>().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
                TensorData::new(values, shape)
            }
            Dtype::F16 => {
                let value = |&bytes: &[u8; 2]| f16::from_le_bytes(bytes).to_f32();
                TensorData::new(bytes.as_chunks::<2>().0.iter().map(value).collect::<Vec<f32>>(), shape)
            }
            Dtype::BF16 => {
                let value = |&bytes: &[u8; 2]| bf16::from_le_bytes(bytes).to_f32();
                TensorData::new(bytes.as_chunks::<2>().0.iter().map(value).collect::<Vec<f32>>(), shape)
            }
            // Counters, as PyTorch's batch normalisation has one.
            Dtype::I64 => {
                let values: Vec<i64> =
                    bytes.as_chunks::<8>().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect();
                TensorData::new(values, shape)
            }
            other => {
                return Err(Error::folder(
                    path,
                    format!("holds `{name}` as {other:?}, where floats are needed"),
                ));
            }
        };
        tensors.insert(name, data);
    }
    Ok(tensors)
}

/// How many weights there are between layers of these sizes, one after the other: in floating point, where nothing overflows.
pub fn dense_weights(sizes: &[usize]) -> f64 {
    sizes.windows(2).map(|pair| pair[0] as f64 * pair[1] as f64).sum()
}
