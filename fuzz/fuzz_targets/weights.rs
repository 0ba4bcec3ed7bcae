//! No bytes may make a reader of weights panic: safetensors, PyTorch's archives of pickles, Keras' HDF5.
#![no_main]

use dozen_vision::weights::read_weights;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("dozen-fuzz-weights-{}", std::process::id()));
    if std::fs::write(&path, bytes).is_ok()
        && let Ok(tensors) = read_weights(&path)
    {
        for tensor in tensors.values() {
            assert_eq!(tensor.iter::<f32>().count(), tensor.shape().iter().product::<usize>());
        }
    }
});
