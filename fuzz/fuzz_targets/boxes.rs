//! No bytes may make a reader of boxes panic, and boxes that were read have area and lie in their images.
#![no_main]

use std::fs;
use std::path::Path;

use dozen_vision::detection::DetectionSet;

/// The files of a data set in one of the four formats, and where it is.
fn laid_out(folder: &Path, format: u8, bytes: &[u8]) -> std::io::Result<String> {
    let at = |name: &str| folder.join(name);
    let place = match format % 4 {
        0 => at("boxes.json"),
        1 => at("boxes.csv"),
        2 => {
            fs::create_dir_all(at("voc/Annotations"))?;
            fs::write(at("voc/Annotations/a.xml"), bytes)?;
            return Ok(at("voc").display().to_string());
        }
        _ => {
            for part in ["images", "labels"] {
                fs::create_dir_all(at("yolo").join(part))?;
            }
            fs::write(at("yolo/classes.txt"), "cat\ndog\n")?;
            // A picture of one black pixel.
            let picture = dozen_vision::picture::Picture { width: 1, height: 1, pixels: vec![0; 3] };
            fs::write(at("yolo/images/a.png"), picture.png())?;
            fs::write(at("yolo/labels/a.txt"), bytes)?;
            return Ok(at("yolo").display().to_string());
        }
    };
    fs::write(&place, bytes)?;
    Ok(place.display().to_string())
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [format, bytes @ ..] = bytes else { return };
    let folder = std::env::temp_dir().join(format!("dozen-fuzz-boxes-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    if let Ok(place) = laid_out(&folder, *format, bytes)
        && let Ok(set) = DetectionSet::read(&place, None, None)
    {
        for annotation in &set.boxes {
            let [left, top, right, bottom] = annotation.rect;
            let image = &set.images[annotation.image];
            assert!(0.0 <= left && left < right && right <= image.width as f64);
            assert!(0.0 <= top && top < bottom && bottom <= image.height as f64);
            assert!(annotation.category < set.categories.len());
        }
        assert_eq!(set.truths().len(), set.boxes.len());
    }
});
