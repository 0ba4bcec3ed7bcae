//! No bytes may make a reader of labelled pictures panic: archives, tables, MNIST's and CIFAR's files.
#![no_main]

use dozen_vision::labelled::Labelled;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [kind, bytes @ ..] = bytes else { return };
    let endings = [".tar", ".tar.gz", ".csv", "-images-idx3-ubyte", ".bin"];
    let ending = endings[*kind as usize % endings.len()];
    let at = |ending: &str| {
        std::env::temp_dir().join(format!("dozen-fuzz-labelled-{}{ending}", std::process::id()))
    };
    let path = at(ending);
    // Two labels, 1 and 0, for images in MNIST's format.
    let labels = [0, 0, 8, 1, 0, 0, 0, 2, 1, 0];
    if std::fs::write(&path, bytes).is_ok() && std::fs::write(at("-labels-idx1-ubyte"), labels).is_ok() {
        let _ = Labelled::read(&path.display().to_string(), None);
    }
});
