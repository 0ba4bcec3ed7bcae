//! Small files that lie about their sizes, or lead out of their folder: each is refused by a sentence, in little memory.

#![cfg(unix)]

use std::io::Write;
use std::path::Path;
use std::process::Command;

mod program;

/// Kilobytes that the program may address.
const MEMORY: u64 = 1_500_000;

/// Runs the program within the limit, and gives its sentence.
fn refused(folder: &Path, line: &str) -> String {
    let program = assert_cmd::cargo::cargo_bin("dozen");
    let command = format!("ulimit -v {MEMORY} && exec {} {line} --threads 2", program.display());
    let output = Command::new("sh").args(["-c", &command]).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "dozen {line}: {said}");
    said
}

fn npy(shape: &str, kind: &str, data: &[u8]) -> Vec<u8> {
    let mut head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    head.push_str(&" ".repeat(63 - (head.len() + 10) % 64));
    head.push('\n');
    [b"\x93NUMPY\x01\x00", &(head.len() as u16).to_le_bytes()[..], head.as_bytes(), data].concat()
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn headers_are_believed_when_the_bytes_are_there() {
    let place = tempfile::tempdir().unwrap();
    let says = |file: &str, bytes: &[u8], line: &str, words: &str| {
        std::fs::write(place.path().join(file), bytes).unwrap();
        let said = refused(place.path(), line);
        assert!(said.contains(words), "{file}: {said}");
    };
    for width in ["10000000", "1000000000", "1000000000000"] {
        says(
            "a.npy",
            &npy(&format!("(1, {width})"), "|u1", &[]),
            "graph emst a.npy",
            "the file ends before that",
        );
    }
    let idx =
        [&[0, 0, 8, 3][..], &1_u32.to_be_bytes(), &4096_u32.to_be_bytes(), &4096_u32.to_be_bytes()].concat();
    says("a.idx", &idx, "graph emst a.idx", "items of size [4096, 4096]");
    says("a.gr", b"p sp 400000000 1\na 1 2 1\n", "graph mst a.gr", "nearly all would be alone");
    let head = "%%MatrixMarket matrix coordinate real general\n4294967294 4294967294 1\n1 2 1\n";
    says("a.mtx", head.as_bytes(), "graph mst a.mtx", "nearly all would be alone");
    let pair = |a: i64, b: i64| [a.to_le_bytes(), b.to_le_bytes()].concat();
    let lying = zipped(&[
        ("shape.npy", &npy("(2,)", "<i8", &pair(2, 2))),
        ("data.npy", &npy("(1,)", "<f8", &1.0_f64.to_le_bytes())),
        ("indices.npy", &npy("(1,)", "<i8", &1_i64.to_le_bytes())),
        (
            "indptr.npy",
            &npy("(3,)", "<i8", &[pair(0, 1 << 40), (1_i64 << 40).to_le_bytes().to_vec()].concat()),
        ),
    ]);
    says("a.npz", &lying, "graph mst a.npz", "do not rise from row to row");
    let bomb = zipped(&[("a.npy", &npy("(629145600, 1)", "|u1", &vec![0; 600 << 20]))]);
    says("b.npz", &bomb, "graph emst b.npz", "unpacks to more than 100 times its size");
    let mut line = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    (0..100).for_each(|_| line.write_all(&vec![b'1'; 1 << 20]).unwrap());
    says("a.csv.gz", &line.finish().unwrap(), "graph emst a.csv.gz", "a line has more than 64 MiB");
}

#[test]
fn pickles_that_nest_without_end_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let nested = |count: usize| [&b"\x80\x02)"[..], &vec![0x85; count], b"."].concat();
    let lists = [&b"\x80\x02"[..], &vec![b']'; 500_000], &vec![b'a'; 499_999], b"."].concat();
    let doubled = [&b"\x80\x02)"[..], &b"2\x86".repeat(40), b"."].concat();
    for pickle in [nested(500_000), doubled, lists] {
        let file = zipped(&[("a/data.pkl", &pickle), ("a/byteorder", b"little")]);
        std::fs::write(place.path().join("w.pth"), file).unwrap();
        let said = refused(place.path(), "efficientnet import w.pth --variant b0 --out o");
        assert!(said.contains("holds no dictionary of tensors"), "{said}");
    }
}

#[test]
fn names_do_not_lead_out_of_their_folder() {
    let place = tempfile::tempdir().unwrap();
    let inside = place.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    for name in [place.path().join("a.png").to_str().unwrap(), "../b.png", "x/../../c.png", "..\\d.png"] {
        let file = serde_json::json!({
            "images": [{"id": 1, "file_name": name, "width": 24, "height": 24}],
            "categories": [{"id": 1, "name": "a"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}],
        });
        std::fs::write(inside.join("c.json"), file.to_string()).unwrap();
        for (form, out) in [("yolo", "o"), ("voc", "o"), ("csv", "o.csv"), ("coco", "o.json")] {
            let said =
                refused(&inside, &format!("detector convert c.json --images . --to {form} --out {out}"));
            assert!(said.contains("leads out of"), "{said}");
        }
    }
    assert_eq!(place.path().read_dir().unwrap().count(), 1);
}

#[test]
fn pictures_are_bounded_and_decoders_may_break() {
    let place = tempfile::tempdir().unwrap();
    // A grey PNG of 11,000 x 11,000 pixels in a few kilobytes.
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 11_000, 11_000);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![0; 11_000 * 1375]).unwrap();
    writer.finish().unwrap();
    std::fs::write(place.path().join("large.png"), png).unwrap();
    let said = refused(place.path(), "graph smooth large.png --out o.png");
    assert!(
        said.contains("11000 x 11000 pixels, and at most 100000000 are read (--max-pixels sets that)"),
        "{said}"
    );
    let said = refused(place.path(), "graph smooth large.png --out o.png --max-pixels 500");
    assert!(said.contains("at most 500 are read"), "{said}");
    // A palette of less than three bytes, at which the decoder panics.
    let mut broken = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in [
        (b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0][..]),
        (b"PLTE", &[1, 2]),
        (b"IDAT", &[0x78, 1, 1, 2, 0, 0xfd, 0xff, 0, 0, 0, 2, 0, 1]),
        (b"IEND", &[]),
    ] {
        broken.extend((body.len() as u32).to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(body);
        broken.extend(kind);
        broken.extend(body);
        broken.extend(crc.sum().to_be_bytes());
    }
    std::fs::write(place.path().join("broken.png"), broken).unwrap();
    let said = refused(place.path(), "graph smooth broken.png --out o.png");
    assert!(said.starts_with("error: `broken.png` ") && !said.contains("panicked"), "{said}");
}

#[test]
fn time_grows_with_the_size_only() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let names: Vec<String> = (0..30_000).map(|at| format!("c{at}")).collect();
    let row = vec!["0.5"; 30_000].join(",");
    std::fs::write(path.join("wide.csv"), format!("{}\n{row}\n{row}\n", names.join(","))).unwrap();
    // A token of 131,072 bytes, made by merges of itself with itself.
    let mut vocabulary = serde_json::Map::new();
    for byte in 0..=255_u8 {
        let name = dozen_names(byte);
        vocabulary.insert(name.to_string(), byte.into());
    }
    let (mut token, mut merges) = ("a".to_owned(), Vec::new());
    while token.len() < 131_072 {
        merges.push(format!("{token} {token}"));
        token = token.repeat(2);
        vocabulary.insert(token.clone(), (vocabulary.len() as u64).into());
    }
    let file = serde_json::json!({
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
        "added_tokens": [],
    });
    std::fs::write(path.join("long.json"), file.to_string()).unwrap();
    let added = file
        .to_string()
        .replace("\"added_tokens\":[]", "\"added_tokens\":[{\"id\":4294967596,\"content\":\"<x>\"}]");
    std::fs::write(path.join("added.json"), added).unwrap();
    assert!(
        refused(path, "tokenizer info added.json").contains("4294967596, which is more than 32 bits hold")
    );
    let begun = std::time::Instant::now();
    for line in ["graph emst wide.csv", "tokenizer info long.json"] {
        let output = program::dozen(path, line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

/// What byte-level BPE writes a byte as (GPT-2's `bytes_to_unicode`).
fn dozen_names(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return byte as char;
    }
    let before = (0..byte).filter(|other| !printable(*other)).count() as u32;
    char::from_u32(0x100 + before).unwrap()
}
