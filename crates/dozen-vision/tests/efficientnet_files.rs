//! Files of weights as PyTorch and Keras write them, and the ONNX graph that onnxruntime ran; `parity/efficientnet_files.py` made and checked them.

mod formula;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, TensorData};
use dozen_vision::efficientnet::{Numerics, onnx};
use dozen_vision::weights::read_weights;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity").join(name)
}

/// `i / 8 - 1` for each element of an array of the shape.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32 / 8.0 - 1.0).collect()
}

fn floats(data: &TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}

#[test]
fn pytorch_files_are_read_with_their_strides_and_types() {
    let tensors = read_weights(&file("weights.pth")).unwrap();
    assert_eq!(tensors.len(), 8);
    let of = |name: &str| (tensors[name].shape().to_vec(), floats(&tensors[name]));
    assert_eq!(of("whole"), (vec![2, 3], values(6)));
    let v = values(20);
    assert_eq!(of("turned"), (vec![2, 3], vec![v[0], v[2], v[4], v[1], v[3], v[5]]));
    assert_eq!(of("part"), (vec![2, 3], vec![v[7], v[8], v[9], v[12], v[13], v[14]]));
    for name in ["half", "brain"] {
        assert_eq!(of(name), (vec![5], values(5)), "{name}");
    }
    assert_eq!(of("double"), (vec![3], values(3)));
    assert_eq!(of("count"), (vec![], vec![7.0]));
    assert_eq!(of("parameter"), (vec![2], values(2)));
}

#[test]
fn nothing_in_a_pickle_is_run() {
    let tensors = read_weights(&file("weights_run.pth")).unwrap();
    assert_eq!(tensors.keys().collect::<Vec<_>>(), ["weight"]);
    assert!(!Path::new("dozen-was-run").exists());
}

#[test]
fn keras_files_are_read_by_layer_and_tensor() {
    let tensors = read_weights(&file("weights.h5")).unwrap();
    assert_eq!(tensors.len(), 2);
    assert_eq!(floats(&tensors["stem_conv/kernel"]), values(18));
    assert_eq!(tensors["stem_conv/kernel"].shape().to_vec(), [3, 3, 1, 2]);
    assert_eq!(floats(&tensors["block1a_dwconv/depthwise_kernel"]), values(4));
}

#[test]
fn broken_files_get_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["weights.pth", "weights.h5"] {
        let whole = std::fs::read(file(name)).unwrap();
        let path = folder.path().join(name);
        for cut in [9, 100, whole.len() / 2] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let error = read_weights(&path).unwrap_err().to_string();
            assert!(error.contains(name), "{name} cut at {cut}: {error}");
        }
        // Any byte may be wrong: an error or other numbers, but no panic.
        for at in (0..whole.len()).step_by(37) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            std::fs::write(&path, &bytes).unwrap();
            let _ = read_weights(&path);
        }
    }
    let old = folder.path().join("old.pth");
    std::fs::write(&old, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    assert!(read_weights(&old).unwrap_err().to_string().contains("before 1.6"));
}

#[test]
fn the_graph_is_the_one_that_onnxruntime_ran() {
    let network = formula::network(&formula::config(0, Numerics::Timm), &Device::flex());
    let bytes = onnx(&network, 224);
    if let Ok(folder) = std::env::var("DOZEN_WRITE_GOLDEN") {
        std::fs::write(Path::new(&folder).join("b0.onnx"), &bytes).unwrap();
    }
    let golden: Value =
        serde_json::from_str(include_str!("../../../parity/efficientnet_files.json")).unwrap();
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(golden["onnx_sha256"].as_str().unwrap(), hash);
}
