//! `dozen efficientnet ...` as its users call it.

mod program;

use std::path::Path;

use program::{json, number, refused};

/// Pictures of 40 x 36 pixels of two classes: light above or light below, in any colour.
fn pictures(folder: &Path, each: u32) {
    for (class, upper) in [("above", true), ("below", false)] {
        std::fs::create_dir_all(folder.join(class)).unwrap();
        for picture in 0..each {
            let pixel = |x: u32, y: u32| {
                let noise = ((x * 7919 + y * 104_729 + picture * 31) % 40) as u8;
                let light = (y < 18) == upper;
                let colour = [picture % 3 != 0, picture % 3 != 1, picture % 3 != 2];
                image::Rgb(colour.map(|on| if light && on { 215 - noise } else { noise }))
            };
            let name = folder.join(class).join(format!("{picture}.png"));
            image::RgbImage::from_fn(40, 36, pixel).save(name).unwrap();
        }
    }
}

#[test]
fn classes_are_learnt_told_and_carried_over() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    pictures(&path.join("photos"), 40);
    pictures(&path.join("held"), 10);
    std::fs::write(path.join("held/above/broken.png"), b"no picture").unwrap();
    let line = "efficientnet train photos --valid held --image-size 32 --stem-stride 1 --crop 1 --epochs 5 --batch-size 8 --rate 0.003 --drop-path 0 --ema 0.8 --out m";
    let trained = json(path, line);
    assert_eq!(number(&trained, "parameters"), 4_010_110.0);
    assert_eq!((number(&trained, "skipped"), number(&trained, "classes")), (1.0, 2.0));
    let eval = json(path, "efficientnet eval m held");
    assert!(number(&eval, "top1") > 0.9 && number(&eval, "images") == 20.0, "{eval}");
    assert!((number(&eval, "top1") - number(&trained, "valid_top1")).abs() < 1e-9);
    assert!(refused(path, "efficientnet eval m held --strict").contains("broken.png"));
    let told = json(path, "efficientnet predict m held/above/0.png held/below/3.png --top 2");
    assert_eq!(told["predictions"][0]["classes"][0]["class"], "above");
    assert_eq!(told["predictions"][1]["classes"][0]["class"], "below");
    let page = std::fs::read_to_string(path.join("m/report.html")).unwrap();
    assert!(page.contains("Which classes are taken for which"));
    // Out under each of the names, and in again: the same weights.
    for naming in ["timm", "torchvision", "keras"] {
        json(path, &format!("efficientnet export m --to {naming} --out {naming}.safetensors"));
    }
    json(path, "efficientnet import torchvision.safetensors --variant b0 --numerics timm --out again");
    json(path, "efficientnet export again --to timm --out again.safetensors");
    let [before, after] =
        ["timm.safetensors", "again.safetensors"].map(|file| std::fs::read(path.join(file)).unwrap());
    assert!(before == after);
    // From those weights other classes are learnt.
    let line = "efficientnet train photos --valid held --weights timm.safetensors --image-size 32 --stem-stride 1 --epochs 1 --out fine";
    assert!(number(&json(path, line), "valid_top1") > 0.4);
    let wrong = refused(path, "efficientnet import timm.safetensors --variant b1 --out x");
    assert!(wrong.contains("is missing") && wrong.contains("check the variant"), "{wrong}");
}

#[test]
fn costs_are_known_before_building() {
    let place = tempfile::tempdir().unwrap();
    let found = json(place.path(), "efficientnet scale --variant b7");
    assert_eq!((number(&found, "parameters"), number(&found, "resolution")), (66_347_960.0, 600.0));
    let rule = json(place.path(), "efficientnet scale --phi 1 --alpha 1.2 --beta 1.1 --gamma 1.15");
    let plain = json(place.path(), "efficientnet scale --phi 0");
    let growth = number(&rule, "multiply_adds") / number(&plain, "multiply_adds");
    // Two to the power of phi, but for blocks and channels that are rounded up.
    assert!((1.6..2.8).contains(&growth), "{growth}");
}

#[test]
fn bad_input_gets_a_sentence() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    pictures(&path.join("photos"), 3);
    std::fs::create_dir_all(path.join("gap/full")).unwrap();
    std::fs::create_dir_all(path.join("gap/empty")).unwrap();
    image::GrayImage::new(1, 1).save(path.join("gap/full/dot.png")).unwrap();
    std::fs::write(path.join("w.safetensors"), b"short").unwrap();
    for (line, sentence) in [
        ("efficientnet train gap --out x", "the class `empty` in `gap` has no pictures"),
        ("efficientnet train nowhere --out x", "nowhere"),
        ("efficientnet train photos --variant b9 --out x", "they are b0 to b7"),
        ("efficientnet train photos --stem-stride 3 --out x", "first stride is 1 or 2"),
        ("efficientnet train photos --weights w.safetensors --out x", "not a whole safetensors file"),
        ("efficientnet import w.safetensors --variant b0 --out x", "not a whole safetensors file"),
        ("efficientnet scale --variant nine", "they are b0 to b7"),
    ] {
        let error = refused(path, line);
        assert!(error.contains(sentence), "dozen {line}: {error}");
    }
}

#[test]
fn shapes_are_learnt_from_a_table_of_paths_and_explained() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let made = json(path, "make shapes -n 64 --image-size 32 --out shapes");
    let again = refused(path, "make shapes -n 8 --image-size 32 --out shapes");
    assert!(again.contains("the folder `shapes` is not empty"), "{again}");
    assert_eq!(number(&made, "images"), 64.0);
    let mut table = "path,class\n".to_owned();
    for class in ["circle", "cross"] {
        for file in std::fs::read_dir(path.join("shapes").join(class)).unwrap() {
            table += &format!("shapes/{class}/{},{class}\n", file.unwrap().file_name().display());
        }
    }
    std::fs::write(path.join("table.csv"), table).unwrap();
    let line = "efficientnet train table.csv --valid table.csv --image-size 32 --stem-stride 1 --epochs 3 --freeze 1 --layer-decay 0.8 --cutmix 0.5 --batch-size 4 --optimizer rmsprop-tf --rate 0.002 --out m";
    let trained = json(path, line);
    assert_eq!((number(&trained, "classes"), number(&trained, "epochs")), (2.0, 3.0));
    for method in ["grad-cam", "occlusion"] {
        let picture = "shapes/cross/00003.png";
        let found = json(
            path,
            &format!("efficientnet explain m {picture} --method {method} --class cross --out cam.png"),
        );
        assert_eq!(found["class"], "cross");
        let map = found["map"].as_array().unwrap();
        assert!(map.len() >= 2 && map.iter().all(|line| line.as_array().unwrap().len() == map.len()));
        assert_eq!(image::open(path.join("cam.png")).unwrap().to_rgb8().dimensions(), (32, 32));
    }
    let unknown = refused(path, "efficientnet explain m shapes/cross/00003.png --class dog --out cam.png");
    assert!(unknown.contains("it knows circle, cross"), "{unknown}");
    // A table without a class, a picture that is not there.
    std::fs::write(path.join("bad.csv"), "path,colour\nx.png,red\n").unwrap();
    assert!(refused(path, "efficientnet train bad.csv --out x").contains("`path` and `class`"));
    std::fs::write(path.join("bad.csv"), "path,class\nnone.png,red\n").unwrap();
    assert!(refused(path, "efficientnet train bad.csv --out x").contains("none.png"));
    assert!(refused(path, "efficientnet train table.csv --weights hf:nobody --out x").contains("OWNER/NAME"));
    let graph = json(path, "efficientnet export m --to onnx --out m.onnx");
    assert!(graph["out"] == "m.onnx" && std::fs::metadata(path.join("m.onnx")).unwrap().len() > 15_000_000);
    let times = json(path, "efficientnet benchmark --image-size 32 --rounds 2 --layers");
    assert!(number(&times, "milliseconds") > 0.0 && times["layers"].as_array().unwrap().len() == 3 * 16 + 3);
}
