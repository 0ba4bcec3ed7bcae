//! Every format reads back what was written, and every fault is a sentence that says where it is.

use std::io::Write;
use std::path::{Path, PathBuf};

use dozen_data::*;
use proptest::prelude::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path: PathBuf = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn read(path: &str) -> Result<Table, DataError> {
    read_table(path, &ReadOptions::default())
}

fn fault(bytes: impl AsRef<[u8]>) -> String {
    let folder = folder();
    let path = file(folder.path(), "t.csv", bytes);
    read(&path).unwrap_err().to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn headers_and_types_are_told_from_the_cells() {
    let folder = folder();
    let table = read(&file(folder.path(), "t.csv", "a,b,c\n1,2.5,x\n0,-3e2,y y\n")).unwrap();
    assert_eq!(table.column("a").unwrap().values, Values::Byte(vec![1, 0]));
    assert_eq!(table.column("b").unwrap().values, Values::Number(vec![2.5, -300.0]));
    assert_eq!(table.column("c").unwrap().values, Values::Text(vec!["x".into(), "y y".into()]));
    let table = read(&file(folder.path(), "u.csv", "1,2\n3,4")).unwrap();
    assert_eq!(table.columns()[1].name, "column_2");
    assert_eq!(table.rows(), 2);
    let header_forced = ReadOptions { header: Header::Yes, ..ReadOptions::default() };
    assert_eq!(read_table(&file(folder.path(), "v.csv", "1,2\n3,4"), &header_forced).unwrap().rows(), 1);
}

#[test]
fn every_separator_and_compression_reads_the_same() {
    let folder = folder();
    let expected = read(&file(folder.path(), "t.csv", "1,20,300\n4,5,6\n")).unwrap();
    for text in ["1\t20\t300\n4\t5\t6\n", "1;20;300\n4;5;6\n", "  1  20 300 \n\n4 5 6", "1|20|300\n4|5|6"] {
        assert_eq!(read(&file(folder.path(), "u", text)).unwrap().columns(), expected.columns(), "{text:?}");
    }
    let text = b"1,20,300\n4,5,6\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(text).unwrap();
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    bz.write_all(text).unwrap();
    for bytes in [gz.finish().unwrap(), bz.finish().unwrap(), zstd::encode_all(&text[..], 0).unwrap()] {
        assert_eq!(read(&file(folder.path(), "packed", bytes)).unwrap().columns(), expected.columns());
    }
}

#[test]
fn small_codes_turn_into_numbers_or_text_without_loss() {
    let folder = folder();
    let table = read(&file(folder.path(), "t.csv", "a,b\n1,1\n300,x\n")).unwrap();
    assert_eq!(table.columns()[0].values, Values::Number(vec![1.0, 300.0]));
    assert_eq!(table.columns()[1].values, Values::Text(vec!["1".into(), "x".into()]));
    let text = ReadOptions { text: vec!["a".into()], ..ReadOptions::default() };
    let table = read_table(&file(folder.path(), "u.csv", "a\n007\n1.50\n"), &text).unwrap();
    assert_eq!(table.columns()[0].values, Values::Text(vec!["007".into(), "1.50".into()]));
}

#[test]
fn faults_say_where_they_are() {
    assert!(
        fault("a,b\n1,2\n3\n").contains("`t.csv`, line 3: this row has 1 cells where the first row has 2")
    );
    assert!(fault("a,b\n1,2\n3,\n").contains("line 3, column `b`: this cell is empty"));
    assert!(fault("a\n0.5\nnan\n").contains("line 3, column `a`: `nan` is not a finite number"));
    assert!(fault("a\n0.5\ninf\n").contains("`inf` is not a finite number"));
    assert!(fault("a\n0.5\nabc\n").contains("`abc` is not a number, while the 1 rows before it are"));
    assert!(fault(b"a\nx\n\xff\xfe\n").contains("line 3, column `a`"));
    assert!(fault(b"a\nx\n\xff\xfe\n").contains("not valid UTF-8"));
    assert!(fault("a,a\n1,2\n").contains("two columns are named `a`"));
    assert!(fault("").contains("the file is empty"));
    assert!(fault("a,b\n").contains("there are no rows"));
    let error = read("/nowhere/t.csv").unwrap_err().to_string();
    assert!(error.starts_with("cannot open `/nowhere/t.csv`"), "{error}");
    let folder = folder();
    assert!(read(&folder.path().display().to_string()).unwrap_err().to_string().contains("no images"));
}

#[test]
fn written_tables_read_back() {
    let folder = folder();
    let text = Values::Text(vec!["plain".into(), "with, comma".into(), "\"quoted\"".into()]);
    let columns = vec![
        Column::new("bits", Values::Byte(vec![0, 1, 255])),
        Column::new("numbers", Values::Number(vec![0.1, -2.5e-30, 1e300])),
        Column::new("text", text),
    ];
    let table = Table::new(columns).unwrap();
    for name in ["t.csv", "t.tsv", "t.parquet"] {
        let path = folder.path().join(name);
        write_table(&path, [Ok(table.clone())]).unwrap();
        assert_eq!(read(&path.display().to_string()).unwrap().columns(), table.columns(), "{name}");
    }
    let numbers = Table::new(table.columns()[..2].to_vec()).unwrap();
    let path = folder.path().join("t.npy");
    write_table(&path, [Ok(numbers.clone()), Ok(numbers.clone())]).unwrap();
    let back = read(&path.display().to_string()).unwrap();
    assert_eq!(back.rows(), 6);
    assert_eq!(back.columns()[1].values.number(5), Some(1e300));
    let error = write_table(&path, [Ok(table)]).unwrap_err().to_string();
    assert!(error.contains("holds text, which .npy cannot"), "{error}");
    assert!(
        write_table(Path::new("t.xyz"), [Ok(numbers)]).unwrap_err().to_string().contains("end it in .csv")
    );
}

#[test]
fn chunks_are_the_table_in_pieces() {
    let folder = folder();
    let Made { table, .. } = make::two_moons(1000, 1);
    for name in ["t.csv", "t.parquet"] {
        let path = folder.path().join(name);
        write_table(&path, [Ok(table.clone())]).unwrap();
        let reader = open_table(&path.display().to_string(), &ReadOptions::default(), 300).unwrap();
        let chunks: Vec<Table> = reader.map(Result::unwrap).collect();
        assert_eq!(chunks.iter().map(Table::rows).collect::<Vec<_>>(), [300, 300, 300, 100], "{name}");
        assert_eq!(chunks[3].row_in_file(0), 901);
        assert_eq!(chunks[2].columns()[0].values.number(7), table.columns()[0].values.number(607));
    }
    let limited = ReadOptions { limit: Some(450), ..ReadOptions::default() };
    let path = folder.path().join("t.csv").display().to_string();
    assert_eq!(open_table(&path, &limited, 300).unwrap().map(|c| c.unwrap().rows()).sum::<usize>(), 450);
}

fn idx(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|d| d.to_be_bytes()));
    bytes.extend(values);
    bytes
}

#[test]
fn idx_images_are_rows_of_pixels_and_can_become_bits() {
    let folder = folder();
    let path = file(folder.path(), "i", idx(&[2, 2, 2], &[0, 127, 128, 255, 255, 0, 0, 1]));
    let table = read(&path).unwrap();
    assert_eq!(table.rows(), 2);
    assert_eq!(table.column("pixel_2").unwrap().values, Values::Byte(vec![127, 0]));
    let threshold = ReadOptions { binarize: Some(Binarize::Threshold), ..ReadOptions::default() };
    let bits = read_table(&path, &threshold).unwrap();
    let row: Vec<_> = bits.columns().iter().map(|c| c.values.number(0).unwrap()).collect();
    assert_eq!(row, [0.0, 0.0, 1.0, 1.0]);
    let short = file(folder.path(), "short", idx(&[3, 2, 2], &[0; 5]));
    assert!(read(&short).unwrap_err().to_string().contains("promises 3 items of 4 bytes"));
}

#[test]
fn stochastic_bits_have_the_levels_as_means_and_do_not_depend_on_chunks() {
    let folder = folder();
    let path = file(folder.path(), "i", idx(&[4000, 1, 2], &[64, 191].repeat(4000)));
    let options = ReadOptions { binarize: Some(Binarize::Stochastic { seed: 4 }), ..ReadOptions::default() };
    let whole = read_table(&path, &options).unwrap();
    let mean =
        |c: usize| (0..4000).filter_map(|row| whole.columns()[c].values.number(row)).sum::<f64>() / 4000.0;
    assert!((mean(0) - 64.0 / 255.0).abs() < 0.03 && (mean(1) - 191.0 / 255.0).abs() < 0.03);
    let second = open_table(&path, &options, 1000).unwrap().nth(1).unwrap().unwrap();
    assert_eq!(second.columns()[0].values.number(5), whole.columns()[0].values.number(1005));
}

/// `python -c "np.save('x.npy', ...)"` as bytes: header, then values.
fn npy(header: &str, values: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

#[test]
fn npy_arrays_of_every_kind_read() {
    let folder = folder();
    let case = |header: &str, values: &[u8]| read(&file(folder.path(), "a.npy", npy(header, values)));
    let floats: Vec<u8> = [1.5_f32, 2.0, -3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let table = case("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", &floats).unwrap();
    assert_eq!(table.columns()[0].values, Values::Number(vec![1.5, -3.0]));
    assert_eq!(table.columns()[1].values, Values::Byte(vec![2, 4]));
    let table = case("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", &floats).unwrap();
    assert_eq!(table.columns()[0].values, Values::Number(vec![1.5, 2.0]));
    let table = case("{'descr': '<f4', 'fortran_order': False, 'shape': (4L, 1L), }", &floats).unwrap();
    assert_eq!(table.rows(), 4);
    let signed: Vec<u8> = [-5_i16, 7].iter().flat_map(|v| v.to_le_bytes()).collect();
    let table = case("{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }", &signed).unwrap();
    assert_eq!(table.columns()[0].values, Values::Number(vec![-5.0, 7.0]));
    let nan = f64::NAN.to_le_bytes();
    let error =
        case("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }", &nan).unwrap_err().to_string();
    assert!(error.contains("row 1, column `column_1`: NaN is not a finite number"), "{error}");
    let error =
        case("{'descr': '<f8', 'fortran_order': False, 'shape': (9, 9), }", &nan).unwrap_err().to_string();
    assert!(error.contains("promises shape [9, 9]"), "{error}");
    assert!(case("{'descr': '>f8', 'fortran_order': False, 'shape': (1,), }", &nan).is_err());
    assert!(case("nonsense", &[]).is_err());
}

#[test]
fn a_schema_encodes_later_tables_as_it_did_the_first() {
    let folder = folder();
    let table =
        read(&file(folder.path(), "t.csv", "bit,city,size\n1,Rome,2\n0,Oslo,4.5\n1,Oslo,7\n")).unwrap();
    let schema = Schema::infer(&table, &[]).unwrap();
    let matrix = schema.encode(&table).unwrap();
    assert_eq!(matrix.row(0)[..2], [1.0, 1.0]);
    assert!((matrix.row(1)[2]).abs() < 1e-6);
    assert_eq!(schema.decode(&matrix).unwrap().columns()[1], table.columns()[1]);
    let other = |text: &str| schema.encode(&read(&file(folder.path(), "u.csv", text)).unwrap());
    assert_eq!(other("size,bit,city\n4.5,1,Rome\n").unwrap().row(0)[..2], [1.0, 1.0]);
    let error = other("bit,city,size\n1,Rome,2\n0,Bonn,2\n").unwrap_err().to_string();
    assert!(error.contains("row 2, column `city`: `Bonn` is none of the column's 2 values"), "{error}");
    let error = other("bit,city,size\n2,Rome,2\n").unwrap_err().to_string();
    assert!(error.contains("row 1, column `bit`: `2` is neither 0 nor 1"), "{error}");
    let error = other("bit,city\n1,Rome\n").unwrap_err().to_string();
    assert!(error.contains("there is no column `size`"), "{error}");
    let constant = read(&file(folder.path(), "c.csv", "x\n5\n5\n")).unwrap();
    assert!(Schema::infer(&constant, &[]).unwrap_err().to_string().contains("every row has the same value"));
    let numbers = read(&file(folder.path(), "n.csv", "x\n10\n9\n2\n")).unwrap();
    let schema = Schema::infer(&numbers, &["x".into()]).unwrap();
    let levels = ["2", "9", "10"].map(str::to_owned).to_vec();
    assert_eq!(schema.columns[0].kind, Kind::Categorical { levels });
}

#[test]
fn a_fingerprint_is_what_sha256sum_prints() {
    let folder = folder();
    let print = Fingerprint::of(&file(folder.path(), "t", "abc")).unwrap();
    assert_eq!(print.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(print.bytes, 3);
}

proptest! {
    #[test]
    fn any_numbers_survive_csv_and_parquet(numbers in proptest::collection::vec(-1e12_f64..1e12, 1..40)) {
        let folder = folder();
        let table = Table::new(vec![Column::new("x", Values::Number(numbers.clone()))]).unwrap();
        for name in ["t.csv", "t.parquet"] {
            let path = folder.path().join(name);
            write_table(&path, [Ok(table.clone())]).unwrap();
            let back = read(&path.display().to_string()).unwrap();
            let values: Vec<f64> = (0..numbers.len()).map(|row| back.columns()[0].values.number(row).unwrap()).collect();
            prop_assert_eq!(&values, &numbers);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), magic in 0..4_usize) {
        let folder = folder();
        let starts: [&[u8]; 4] = [b"", b"\x93NUMPY\x01\x00", b"\x00\x00\x08\x03", b"PK\x03\x04"];
        let path = file(folder.path(), "t", [starts[magic], &bytes].concat());
        let _ = read(&path);
    }
}
