//! CIFAR's binary files (Krizhevsky 2009): a byte for the class, or one for the coarse and one for the fine class, then 32x32
//! reds, greens and blues.

use std::path::Path;

use crate::picture::Picture;

/// Pixels on a side.
const SIDE: usize = 32;

/// Bytes of a picture.
const BYTES: usize = 3 * SIDE * SIDE;

/// Which part of the set a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    Test,
}

/// The part of a file by its name as the authors' archives have it: `data_batch_3.bin`, `test_batch.bin`, `train.bin`, `test.bin`.
pub(crate) fn part(name: &Path) -> Option<Part> {
    let name = name.file_name()?.to_str()?.strip_suffix(".bin")?;
    match name {
        "test" | "test_batch" => Some(Part::Test),
        "train" => Some(Part::Train),
        _ => name.strip_prefix("data_batch_").map(|_| Part::Train),
    }
}

/// Whether a file holds the names of the classes, a line each; CIFAR-100's coarse ones are not used.
pub(crate) fn names_classes(name: &Path) -> bool {
    let name = name.file_name().and_then(|name| name.to_str());
    matches!(name, Some("batches.meta.txt" | "fine_label_names.txt"))
}

/// The classes and pictures of a file; `None` where it is no whole one.
pub(crate) fn pictures(bytes: &[u8]) -> Option<Vec<(usize, Picture)>> {
    // CIFAR-10 has one byte of class, CIFAR-100 two.
    let head = [1, 2].into_iter().find(|head| bytes.len().is_multiple_of(head + BYTES))?;
    let picture = |record: &[u8]| {
        let planes = &record[head..];
        let pixel = |at: usize| [0, 1, 2].map(|plane| planes[plane * SIDE * SIDE + at]);
        let pixels = (0..SIDE * SIDE).flat_map(pixel).collect();
        (usize::from(record[head - 1]), Picture { width: SIDE, height: SIDE, pixels })
    };
    Some(bytes.chunks_exact(head + BYTES).map(picture).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_both_sets_are_read() {
        for head in [1_usize, 2] {
            let record = |class: u8| {
                let planes = (0..BYTES).map(|at| (at / (SIDE * SIDE) * 50 + at % 32) as u8);
                vec![9; head - 1].into_iter().chain([class]).chain(planes).collect::<Vec<u8>>()
            };
            let found = pictures(&[record(3), record(7)].concat()).unwrap();
            assert_eq!(found.iter().map(|(class, _)| *class).collect::<Vec<_>>(), [3, 7]);
            let picture = &found[1].1;
            assert_eq!((picture.width, picture.height), (32, 32));
            assert_eq!(&picture.pixels[3 * 33..3 * 34], [1, 51, 101]);
        }
        assert!(pictures(&[0; 3072]).is_none());
        let of = |name: &str| part(Path::new(name));
        assert_eq!(of("cifar-10-batches-bin/data_batch_5.bin"), Some(Part::Train));
        assert_eq!(
            (of("x/test_batch.bin"), of("x/test.bin"), of("x/other.bin")),
            (Some(Part::Test), Some(Part::Test), None)
        );
    }
}
