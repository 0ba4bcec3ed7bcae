//! No bytes may make the table reader panic or ask for memory that they do not promise to fill.
#![no_main]

use dozen_data::{ReadOptions, read_table};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("dozen-fuzz-{}", std::process::id()));
    if std::fs::write(&path, bytes).is_ok() {
        let _ = read_table(&path.display().to_string(), &ReadOptions::default());
    }
});
