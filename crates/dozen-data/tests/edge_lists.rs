//! Graph files of every format, whole and broken.

use std::io::Write;
use std::path::Path;

use dozen_data::{EdgeList, ReadOptions, read_edge_list, read_tsplib};

const DIMACS: &str = "c a triangle\np sp 3 3\na 1 2 1.5\na 2 3 2\na 3 1 -1\n";
const MATRIX: &str =
    "%%MatrixMarket matrix coordinate real symmetric\n% a triangle\n3 3 3\n2 1 1.5\n3 2 2\n3 1 -1\n";
const METIS: &str = "% a triangle\n3 3 1\n2 15 3 -10\n1 15 3 20\n2 20 1 -10\n";
const TABLE: &str = "u,v,weight\n0,1,1.5\n1,2,2\n2,0,-1\n";
const TSPLIB: &str = "NAME: x\nNODE_COORD_SECTION\n1 0.5 1\n2 3e1 -4\nEOF\n";

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn read(path: &str) -> Result<EdgeList, String> {
    read_edge_list(path, &ReadOptions::default()).map_err(|e| e.to_string())
}

fn edges(list: &EdgeList) -> Vec<(u32, u32, f64)> {
    let mut edges: Vec<(u32, u32, f64)> = (0..list.weights.len())
        .map(|i| {
            (list.sources[i].min(list.targets[i]), list.sources[i].max(list.targets[i]), list.weights[i])
        })
        .collect();
    edges.sort_by(|a, b| a.partial_cmp(b).unwrap());
    edges
}

#[test]
fn every_format_gives_the_triangle() {
    let folder = tempfile::tempdir().unwrap();
    let expected = vec![(0, 1, 1.5), (0, 2, -1.0), (1, 2, 2.0)];
    for (name, text) in [("t.gr", DIMACS), ("t.mtx", MATRIX), ("t.csv", TABLE)] {
        let list = read(&write(folder.path(), name, text)).unwrap();
        assert_eq!((edges(&list), list.nodes), (expected.clone(), 3), "{name}");
    }
    let list = read(&write(folder.path(), "t.metis", METIS)).unwrap();
    assert_eq!(edges(&list), [(0, 1, 15.0), (0, 2, -10.0), (1, 2, 20.0)]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(DIMACS.as_bytes()).unwrap();
    assert_eq!(edges(&read(&write(folder.path(), "t.gr.gz", gz.finish().unwrap())).unwrap()), expected);
    let points = read_tsplib(&write(folder.path(), "t.tsp", TSPLIB)).unwrap();
    assert_eq!((points.rows(), points.column("y").unwrap().values.number(1)), (2, Some(-4.0)));
}

#[test]
fn names_and_numbers_far_apart_are_counted_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let list = read(&write(folder.path(), "n.csv", "from,to,cost\nparis,rome,3\nrome,oslo,4\n")).unwrap();
    assert_eq!((list.nodes, list.names.join(" ")), (3, "paris rome oslo".to_owned()));
    assert_eq!(edges(&list), [(0, 1, 3.0), (1, 2, 4.0)]);
    let list = read(&write(folder.path(), "h.csv", "u,v\n4000000000,7\n7,123456789012\n")).unwrap();
    assert_eq!((list.nodes, list.names.len(), list.weights), (3, 3, vec![1.0, 1.0]));
}

#[test]
fn broken_files_are_sentences_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, sentence) in [
        ("a.gr", &b"p sp 3 1\na 1 4 2\n"[..], "line 2: node 4 is outside of the 3 nodes, counted from 1"),
        ("b.gr", b"p sp 3 2\na 1 2 2\n", "there are 1 edges where the file says 2; it may be cut off"),
        ("c.gr", b"a 1 2 2\n", "line 1: `a` is no DIMACS line"),
        ("d.gr", b"p sp 3 1\na 1 2 x\n", "line 2: `x` is not a weight"),
        ("e.gr", b"p sp 3 1\na 1 \xff 2\n", "line 2: this is not UTF-8 text"),
        ("f.gr", b"p sp 99999999999 1\n", "line 1: 99999999999 nodes are more than 32 bits count"),
        ("g.gr", b"p sp 3 1\na 1 2 nan\n", "line 2: the weight is NaN"),
        ("a.mtx", b"hello\n", "line 1: this is not the head of a sparse matrix"),
        (
            "b.mtx",
            b"%%MatrixMarket matrix coordinate real general\n2 3 1\n",
            "line 2: a graph's matrix is square",
        ),
        (
            "c.mtx",
            b"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1\n",
            "line 3: a weight is missing",
        ),
        ("a.metis", b"2 1\n2\n", "there are 1 lines for 2 nodes; it may be cut off"),
        ("b.metis", b"2 1\n2\n1\n2\n", "line 4: there are more lines than the 2 nodes"),
        ("a.csv", b"u,v,weight\n0,1,heavy\n", "column `weight`: it holds text"),
        ("b.csv", b"u\n1\n", "edges have two columns of ends"),
        ("a.npz", b"PK\x03\x04broken", "a.npz"),
    ] {
        let said = read(&write(folder.path(), name, bytes)).unwrap_err();
        assert!(said.contains(sentence), "{name}: {said}");
    }
    let said =
        read_tsplib(&write(folder.path(), "a.tsp", "NODE_COORD_SECTION\n1 2\n")).unwrap_err().to_string();
    assert!(said.contains("line 2: a coordinate is missing"), "{said}");
}

#[test]
fn whatever_stands_in_a_file_it_is_read_or_refused() {
    // Every cut, and every byte changed in a few ways: never a panic, and never an end outside of the nodes.
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("t.gr", DIMACS), ("t.mtx", MATRIX), ("t.metis", METIS), ("t.csv", TABLE)] {
        let bytes = text.as_bytes();
        let cuts = (0..bytes.len()).map(|end| bytes[..end].to_vec());
        let changes = (0..bytes.len()).flat_map(|at| {
            [b'9', b'-', b' ', b'\n', 0, 0xff].map(|byte| {
                let mut changed = bytes.to_vec();
                changed[at] = byte;
                changed
            })
        });
        for broken in cuts.chain(changes) {
            if let Ok(list) = read(&write(folder.path(), name, &broken)) {
                assert!(list.sources.iter().chain(&list.targets).all(|end| (*end as usize) < list.nodes));
                assert_eq!(
                    (list.sources.len(), list.targets.len()),
                    (list.weights.len(), list.weights.len())
                );
            }
        }
    }
}
