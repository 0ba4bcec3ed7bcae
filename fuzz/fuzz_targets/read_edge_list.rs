//! No bytes may make a reader of graphs panic, or give an edge whose ends are no nodes.
#![no_main]

use dozen_data::{ReadOptions, read_edge_list, read_tsplib};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The first byte chooses the format.
    let Some((format, bytes)) = bytes.split_first() else { return };
    let endings = ["csv", "gr", "mtx", "metis", "npz", "tsp"];
    let ending = endings[*format as usize % endings.len()];
    let path = std::env::temp_dir().join(format!("dozen-fuzz-{}.{ending}", std::process::id()));
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    let path = path.display().to_string();
    if ending == "tsp" {
        let _ = read_tsplib(&path);
    } else if let Ok(list) = read_edge_list(&path, &ReadOptions::default()) {
        assert_eq!((list.sources.len(), list.targets.len()), (list.weights.len(), list.weights.len()));
        assert!(list.sources.iter().chain(&list.targets).all(|&node| (node as usize) < list.nodes));
    }
});
