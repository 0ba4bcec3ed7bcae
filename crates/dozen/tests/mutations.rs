//! No small file, however it was damaged, makes a reader panic, hang or take much memory: thousands of mutations of valid
//! files of every format, the same in each run, in a process of its own whose memory is limited.

#![cfg(unix)]

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dozen::data::{
    Column, DataError, ReadOptions, Table, Values, make, read_edge_list, read_table, read_tsplib, write_table,
};
use dozen::run::guarded;
use dozen::text::Tokenizer;
use dozen::text::word2vec::formats::{read_fast_text, read_matrices, read_vectors};
use dozen::vision::detection::DetectionSet;
use dozen::vision::labelled::Labelled;
use dozen::vision::picture::Picture;
use dozen::vision::weights::read_weights;

/// Kilobytes that the process with the readers may address.
const MEMORY: u64 = 1 << 20;

/// Mutations of each file (`DOZEN_MUTATIONS` sets another number), and the time that one may take.
const MUTATIONS: usize = 1000;
const SLOWEST: Duration = Duration::from_secs(5);

/// Set in the process that does the reading.
const READS: &str = "DOZEN_READS_MUTATIONS";

type Reader = fn(&Path);

#[test]
fn no_mutation_of_a_small_file_breaks_its_reader() {
    if std::env::var_os(READS).is_some() {
        return read_all();
    }
    // The limit holds for the whole process, and so it gets one.
    let command = format!(
        "ulimit -v {MEMORY} && exec \"$0\" no_mutation_of_a_small_file_breaks_its_reader --exact --nocapture"
    );
    let tests = std::env::current_exe().unwrap();
    let read = Command::new("sh").args(["-c", &command]).arg(&tests).env(READS, "1").output().unwrap();
    let said = String::from_utf8_lossy(&read.stdout);
    assert!(read.status.success(), "{:?}\n{said}\n{}", read.status, String::from_utf8_lossy(&read.stderr));
    assert!(said.contains("mutations were read"), "{said}");
}

#[expect(clippy::print_stdout, reason = "the other process looks for it")]
fn read_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(1);
    let (mut count, mut broken) = (0, Vec::new());
    for (name, bytes, reader) in seeds(folder.path()) {
        let path = folder.path().join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        reader(&path);
        let mutations = std::env::var("DOZEN_MUTATIONS").map_or(MUTATIONS, |count| count.parse().unwrap());
        for mutation in 0..mutations {
            let mutated = random.mutate(&bytes);
            std::fs::write(&path, &mutated).unwrap();
            let begun = Instant::now();
            let outcome = guarded(|| reader(&path));
            if outcome.is_err() || begun.elapsed() > SLOWEST {
                let message = outcome.err().unwrap_or_else(|| "slow".into());
                broken.push(format!("{name}, mutation {mutation}: {message}"));
            }
            count += 1;
        }
    }
    assert!(broken.is_empty(), "{} broke their readers:\n{}", broken.len(), broken.join("\n"));
    println!("{count} mutations were read");
}

/// Numbers that follow from a seed (a linear congruence of Knuth's).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }

    /// One to three changes of a kind that damage, a careless program or an ill will makes.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut mutated = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(mutated.len());
            match self.below(8) {
                0 => mutated.truncate(at),
                1 => mutated[at] ^= 1 << self.below(8),
                2 => mutated[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                // A length or a size of two to eight bytes.
                3 => {
                    let end = mutated.len().min(at + [2, 4, 8][self.below(3)]);
                    let byte = [0, 0x7f, 0xff][self.below(3)];
                    mutated[at..end].fill(byte);
                }
                // A number in a text.
                4 => {
                    let number = mutated.iter().skip(at).position(u8::is_ascii_digit).map(|digit| at + digit);
                    if let Some(at) = number {
                        let huge = ["99999999999999999999", "-1", "4294967296", "1e308", "nan", "1048577"];
                        mutated.splice(at..=at, huge[self.below(6)].bytes());
                    }
                }
                5 => {
                    let end = mutated.len().min(at + 1 + self.below(40));
                    let part = mutated[at..end].to_vec();
                    mutated.splice(at..at, part);
                }
                6 => {
                    let end = mutated.len().min(at + 1 + self.below(20));
                    mutated.drain(at..end);
                }
                _ => {
                    let other = self.below(mutated.len());
                    mutated.swap(at, other);
                }
            }
            if mutated.is_empty() {
                break;
            }
        }
        mutated
    }
}

fn table(path: &Path) {
    for missing in [false, true] {
        let options = ReadOptions { missing, ..ReadOptions::default() };
        let _ = read_table(path.to_str().unwrap(), &options);
    }
}

fn edges(path: &Path) {
    let _ = read_edge_list(path.to_str().unwrap(), &ReadOptions::default());
}

fn towns(path: &Path) {
    let _ = read_tsplib(path.to_str().unwrap());
}

fn tokenizer(path: &Path) {
    if let Ok(tokenizer) = Tokenizer::open(path, Some("cl100k"))
        && let Ok(ids) = tokenizer.encode_bytes(b"the cat sat")
    {
        let _ = tokenizer.decode_bytes(&ids);
    }
}

fn vectors(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let _ = read_vectors("vectors", &bytes[..]);
}

fn fast_text(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let _ = read_fast_text("vectors", &bytes[..]);
}

fn matrices(path: &Path) {
    let _ = read_matrices(path, ["input"]);
    let _ = dozen::nn::read_tensors(path);
}

fn weights(path: &Path) {
    let _ = read_weights(path);
}

fn picture(path: &Path) {
    let _ = Picture::read(path);
}

fn boxes(path: &Path) {
    let place = path.ancestors().find(|place| place.extension().is_some_and(|end| end == "set"));
    let place = place.map_or_else(|| path.display().to_string(), |place| place.display().to_string());
    let _ = DetectionSet::read(&place, None, None);
}

fn labelled(path: &Path) {
    let _ = Labelled::read(path.to_str().unwrap(), None);
}

fn parity(file: &str) -> Vec<u8> {
    std::fs::read(Path::new("../../parity").join(file)).unwrap()
}

/// Valid files, small, each with what reads it.
fn seeds(folder: &Path) -> Vec<(String, Vec<u8>, Reader)> {
    let mut seeds: Vec<(String, Vec<u8>, Reader)> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, reader: Reader| seeds.push((name.to_owned(), bytes, reader));
    let rows = make::gaussian_mixture(12, 2, 1).table;
    let numbers = rows.columns_where(|name| name != "label").unwrap();
    let written = |name: &str, table: &Table| -> Result<Vec<u8>, DataError> {
        let path = folder.join(name);
        write_table(&path, [Ok(table.clone())])?;
        Ok(std::fs::read(&path).unwrap())
    };
    for name in ["t.csv", "t.tsv", "t.parquet"] {
        add(name, written(name, &rows).unwrap(), table);
    }
    let npy = written("t.npy", &numbers).unwrap();
    add("t.npy", npy.clone(), table);
    add("t.npz", zipped(&[("a.npy", &npy)]), table);
    add("t.csv.gz", packed(&written("g.csv", &rows).unwrap()), table);
    add("quoted.csv", b"a;\"b \"\"c\"\"\"\n1,5;\"x\ny\"\n2,5;NA\n".to_vec(), table);
    add("blank.txt", b" 1 2.5\n3  -4e1\n".to_vec(), table);
    add("t.idx", [&[0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 4][..], &[7; 12]].concat(), table);
    add("t.tar", tarred(&[("a/1.png", &parity("pictures/grey.png"))]), table);
    add("e.csv", b"u,v,weight\n0,1,2.5\n1,2,1e-3\n2,0,7\n".to_vec(), edges);
    add("e.gr", b"c a graph\np sp 3 2\na 1 2 5\na 2 3 1\n".to_vec(), edges);
    add("e.mtx", b"%%MatrixMarket matrix coordinate real symmetric\n3 3 2\n2 1 0.5\n3 2 1\n".to_vec(), edges);
    add("e.metis", b"3 2 001\n2 5\n1 5 3 1\n2 1\n".to_vec(), edges);
    add("e.npz", sparse(), edges);
    add("p.tsp", b"NAME: a\nDIMENSION: 2\nNODE_COORD_SECTION\n1 0.5 1\n2 3 4e1\nEOF\n".to_vec(), towns);
    let json = br#"{"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4},"merges":["a b","ab c"]},
        "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"added_tokens":[{"id":5,"content":"<x>","special":true}]}"#;
    add("tokenizer.json", json.to_vec(), tokenizer);
    add("t.tiktoken", b"YQ== 0\nYg== 1\nYWI= 2\nYWJj 3\nYw== 4\n".to_vec(), tokenizer);
    add("t.model", sentence_piece(), tokenizer);
    add("v.txt", b"2 3\nthe 1 2 3\ncat -1 0.5 1e-3\n".to_vec(), vectors);
    add("v.bin", [&b"2 2\nab "[..], &[0; 8], b"\ncd ", &[0x3f; 8], b"\n"].concat(), vectors);
    add("v.ftz", fast_text_file(), fast_text);
    add("m.safetensors", safetensors(), matrices);
    add("w.safetensors", safetensors(), weights);
    for file in ["weights.pth", "weights_run.pth", "weights.h5"] {
        add(file, parity(file), weights);
    }
    for file in [
        "alpha.png",
        "bits.png",
        "palette.png",
        "grey16.png",
        "cmyk.jpg",
        "turned.jpg",
        "lossy.webp",
        "lossless.webp",
        "plain.bmp",
    ] {
        add(file, parity(&format!("pictures/{file}")), picture);
    }
    let coco = br#"{"images":[{"id":1,"file_name":"a.png","width":24,"height":24}],"categories":[{"id":1,"name":"cat"}],
        "annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[1,1,9,9],"area":81,"iscrowd":0}]}"#;
    add("c.json", coco.to_vec(), boxes);
    std::fs::write(folder.join("a.png"), parity("pictures/grey.png")).unwrap();
    add("b.csv", b"image,xmin,ymin,xmax,ymax,class\na.png,0,0,1,1,cat\na.png,,,,,\n".to_vec(), boxes);
    let voc = b"<annotation><filename>a.png</filename><size><width>9</width><height>9</height></size>\
        <object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>";
    add("voc.set/Annotations/a.xml", voc.to_vec(), boxes);
    for (file, bytes) in
        [("images/a.png", parity("pictures/grey.png")), ("classes.txt", b"cat\ndog\n".to_vec())]
    {
        let path = folder.join("yolo.set").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    add("yolo.set/labels/a.txt", b"0 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.1 0.1\n".to_vec(), boxes);
    add(
        "l.tar",
        tarred(&[("a/1.png", &parity("pictures/grey.png")), ("b/1.png", &parity("pictures/bits.png"))]),
        labelled,
    );
    add("l.csv", b"path,label\na.png,cat\na.png,dog\n".to_vec(), labelled);
    seeds
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tarred(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, PathBuf::from(name), *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

/// A matrix of SciPy's: rows, columns, and two entries.
fn sparse() -> Vec<u8> {
    let array = |values: &[f64]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let column = Column::new("a", Values::Number(values.to_vec()));
        write_table(&path, [Table::new(vec![column])]).unwrap();
        std::fs::read(&path).unwrap()
    };
    let arrays = [
        ("shape.npy", array(&[3.0, 3.0])),
        ("data.npy", array(&[0.5, 1.5])),
        ("indices.npy", array(&[1.0, 2.0])),
        ("indptr.npy", array(&[0.0, 1.0, 2.0, 2.0])),
    ];
    zipped(&arrays.iter().map(|(name, bytes)| (*name, &bytes[..])).collect::<Vec<_>>())
}

fn safetensors() -> Vec<u8> {
    let header = br#"{"input":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}  "#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[0x3e; 16]].concat()
}

/// A BPE model of SentencePiece: protobuf fields of pieces, of how it was trained and of how texts are normalized.
fn sentence_piece() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat();
    let piece = |name: &str, score: f32, kind: u8| {
        let message =
            [field(1, name.as_bytes()), vec![0x15], score.to_le_bytes().to_vec(), vec![0x18, kind]].concat();
        field(1, &message)
    };
    let mut file = piece("<unk>", 0.0, 2);
    (0..=255).for_each(|byte| file.extend(piece(&format!("<0x{byte:02X}>"), 0.0, 6)));
    for (name, score) in [("ab", -1.0), ("a", -2.0), ("b", -3.0), ("\u{2581}", -4.0)] {
        file.extend(piece(name, score, 1));
    }
    file.extend(field(2, &[0x18, 2]));
    file.extend(field(3, &[0x18, 1, 0x20, 0, 0x28, 1]));
    file
}

/// fastText's `.bin` with two words of two values.
fn fast_text_file() -> Vec<u8> {
    let mut file = Vec::new();
    for number in [793_712_314, 12, 2, 5, 5, 1, 5, 1, 2, 2, 0, 0, 0, 100] {
        file.extend(i32::to_le_bytes(number));
    }
    file.extend(1e-4_f64.to_le_bytes());
    for number in [2, 2, 0] {
        file.extend(i32::to_le_bytes(number));
    }
    file.extend([7_i64, -1].iter().flat_map(|number| number.to_le_bytes()));
    for word in [&b"the\0"[..], b"cat\0"] {
        file.extend(word);
        file.extend(3_i64.to_le_bytes());
        file.push(0);
    }
    file.push(0);
    file.extend([2_i64, 2].iter().flat_map(|number| number.to_le_bytes()));
    file.extend([1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()));
    file
}
