//! Pictures with their classes, from the files that people have.

use dozen_vision::labelled::Labelled;

#[test]
fn cifars_binary_archive_is_read_by_part_with_the_names_of_its_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cifar-10-binary.tar");
    let mut archive = tar::Builder::new(std::fs::File::create(&path).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("cifar-10-batches-bin/{name}"), bytes).unwrap();
    };
    let record = |class: u8| [&[class][..], &[class * 20; 3072]].concat();
    add("data_batch_1.bin", &[record(0), record(2)].concat());
    add("data_batch_2.bin", &record(1));
    add("test_batch.bin", &record(2));
    add("batches.meta.txt", b"airplane\nautomobile\nbird\n\n");
    add("readme.html", b"<html>");
    archive.finish().unwrap();
    let shown = path.display().to_string();
    let whole = Labelled::read(&shown, None).unwrap();
    assert_eq!((whole.classes.join(" "), whole.items.len()), ("airplane automobile bird".into(), 4));
    let train = Labelled::read(&format!("{shown}:train"), None).unwrap();
    assert_eq!(train.items.iter().map(|item| item.class).collect::<Vec<_>>(), [0, 2, 1]);
    assert!(train.items[1].picture().pixels.iter().all(|level| *level == 40));
    let test = Labelled::read(&format!("{shown}:test"), Some(&whole.classes)).unwrap();
    assert_eq!((test.items.len(), test.items[0].class), (1, 2));
    let mut archive = tar::Builder::new(std::fs::File::create(&path).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(100);
    archive.append_data(&mut header, "train.bin", &[0_u8; 100][..]).unwrap();
    archive.finish().unwrap();
    let refused = Labelled::read(&shown, None).unwrap_err().to_string();
    assert!(refused.ends_with("train.bin` holds no whole records of CIFAR-10 or CIFAR-100"), "{refused}");
}
