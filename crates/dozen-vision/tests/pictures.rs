//! Pictures of all kinds are what Pillow sees in them; `parity/pictures.py` made them.

use std::path::Path;

use dozen_vision::picture::{Filter, Picture, Preprocessing, Resized};
use serde_json::Value;

#[test]
fn every_kind_of_picture_is_what_pillow_sees() {
    let golden: Value = serde_json::from_str(include_str!("../../../parity/pictures.json")).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/pictures");
    for (name, seen) in golden.as_object().unwrap() {
        let picture = Picture::read(&folder.join(name)).unwrap();
        assert_eq!(
            [picture.width as u64, picture.height as u64],
            [&seen["width"], &seen["height"]].map(|side| side.as_u64().unwrap()),
            "{name}"
        );
        // Decoders of lossy files may round otherwise, and colours of ink have no one way to be seen.
        let most = match name.rsplit('.').next().unwrap() {
            "jpg" | "webp" if !name.contains("lossless") => 4,
            _ => 0,
        };
        let pixels = picture.pixels.iter().step_by(5);
        for (found, expected) in pixels.zip(seen["pixels"].as_array().unwrap()) {
            let off = i64::from(*found) - expected.as_i64().unwrap();
            assert!(off.abs() <= most, "{name}: {off}");
        }
    }
}

#[test]
fn what_is_no_picture_is_said_to_be_none() {
    assert!(Picture::decode(b"").unwrap_err().contains("no PNG, JPEG, BMP or WebP"));
    assert!(Picture::decode(b"hello, I am text").unwrap_err().contains("no PNG"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/pictures");
    let whole = std::fs::read(folder.join("plain.jpg")).unwrap();
    assert!(Picture::decode(&whole[..40]).unwrap_err().contains("does not decode"));
    // A header that promises 60,000 lines of as many pixels.
    let mut png = std::fs::read(folder.join("grey.png")).unwrap();
    png[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    assert!(Picture::decode(&png).unwrap_err().contains("does not decode"));
}

#[test]
fn one_pixel_is_enough_for_a_network() {
    let pixel = Picture { width: 1, height: 1, pixels: vec![10, 20, 30] };
    let line = Picture { width: 300, height: 1, pixels: [10, 20, 30].repeat(300) };
    let plain = Preprocessing::imagenet(32);
    for preprocessing in
        [plain, Preprocessing { resized: Resized::Squash, filter: Filter::Bilinear, ..plain }]
    {
        for picture in [&pixel, &line] {
            let square = preprocessing.square(picture);
            assert_eq!((square.width, square.height), (32, 32));
            assert!(square.pixels.chunks_exact(3).all(|pixel| pixel == [10, 20, 30]));
        }
    }
}
