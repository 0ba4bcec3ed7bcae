//! `dozen vae ...` as its users call it.

mod program;

use std::path::Path;

use program::{json, number, refused};

/// The cells of a CSV file's column.
fn column(path: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let at = text.lines().next().unwrap().split(',').position(|column| column == name).unwrap();
    text.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().to_owned()).collect()
}

fn numbers(path: &Path, name: &str) -> Vec<f64> {
    column(path, name).iter().map(|cell| cell.parse().unwrap()).collect()
}

#[test]
fn bits_of_known_entropy_are_bounded() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let made = json(path, "make binary-tree -n 4000 --columns 12 --out bits.csv");
    let line = "vae train bits.csv --latent 6 --hidden 64 --importance-draws 5 --rate 0.003 --epochs 20 --split 0.8,0.1,0.1 --out m";
    let trained = json(path, line);
    let (elbo, best) = (number(&trained, "valid_elbo_nats_per_row"), -number(&made, "entropy_nats_per_row"));
    assert!(number(&trained, "kl_nats_per_row") > 0.5);
    let eval = json(path, "vae eval m bits.csv --importance-samples 100");
    let bounds: Vec<f64> =
        eval["bounds"].as_array().unwrap().iter().map(|bound| number(bound, "nats_per_row")).collect();
    assert_eq!(bounds.len(), 3);
    assert!(bounds[0] < bounds[1] && bounds[1] < bounds[2] && bounds[2] < best + 0.1, "{bounds:?} {best}");
    // Independent bits have about -7.9.
    assert!(bounds[2] > best - 0.4, "{bounds:?} {best}");
    assert!((number(&eval, "elbo_nats_per_row") - bounds[0]).abs() < 0.5 && (elbo - bounds[0]).abs() < 1.0);
    let parts = number(&eval, "kl_of_means") + number(&eval, "kl_of_deviations");
    assert!((parts - number(&eval, "kl_nats_per_row")).abs() < 1e-4);
    assert!(number(&eval, "wasserstein_to_samples") < 2.0 * number(&eval, "wasserstein_between_halves"));
    json(path, "vae score m bits.csv --out scores.csv");
    let scores = numbers(&path.join("scores.csv"), "log_prob_bound_nats");
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!((mean - bounds[2]).abs() < 0.02, "{mean} {bounds:?}");
    let page = std::fs::read_to_string(path.join("m/report.html")).unwrap();
    assert!(page.contains("evidence lower bound") && page.contains("Divergence by latent column"));
}

#[test]
fn missing_cells_are_filled() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    // Three columns that are nearly one, and a text that says its sign.
    let row = |i: usize| {
        let t = ((i * 7919 % 2000) as f64 / 1000.0 - 1.0) * 3.0;
        let noise = (i * 104_729 % 100) as f64 / 1000.0;
        format!("{t},{},{},{}\n", 2.0 * t + noise + 5.0, noise - t, if t > 0.0 { "plus" } else { "minus" })
    };
    let whole: String = (0..2000).map(row).collect();
    std::fs::write(path.join("whole.csv"), format!("a,b,c,sign\n{whole}")).unwrap();
    let cut = |(i, line): (usize, &str)| {
        let gap = |(j, cell): (usize, &str)| {
            if (i * 31 + 1) % 8 == j { String::new() } else { cell.to_owned() }
        };
        line.split(',').enumerate().map(gap).collect::<Vec<_>>().join(",") + "\n"
    };
    let holes: String = whole.lines().enumerate().map(cut).collect();
    std::fs::write(path.join("holes.csv"), format!("a,b,c,sign\n{holes}")).unwrap();
    json(path, "vae train holes.csv --latent 2 --hidden 32 --rate 0.005 --epochs 30 --out m");
    let done = json(path, "vae impute m holes.csv --out filled.csv");
    let text = std::fs::read_to_string(path.join("filled.csv")).unwrap();
    assert!(number(&done, "cells_filled") > 500.0 && !text.contains(",,") && !text.contains("NaN"));
    let (truth, filled) = (numbers(&path.join("whole.csv"), "b"), numbers(&path.join("filled.csv"), "b"));
    let before = column(&path.join("holes.csv"), "b");
    let mut squares = Vec::new();
    for ((truth, filled), before) in truth.iter().zip(&filled).zip(&before) {
        match before.as_str() {
            "" => squares.push((truth - filled).powi(2)),
            cell => assert_eq!(cell.parse::<f64>().unwrap().to_bits(), filled.to_bits()),
        }
    }
    let error = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    // The column's deviation is 3.5.
    assert!(error < 0.5, "{error}");
    let (truth, filled) = (column(&path.join("whole.csv"), "sign"), column(&path.join("filled.csv"), "sign"));
    let wrong = truth.iter().zip(&filled).filter(|(a, b)| a != b).count();
    assert!(wrong < 10, "{wrong}");
}

#[test]
fn classes_codes_and_the_latent() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make blobs -n 2000 --out blobs.csv");
    let line = "vae train blobs.csv --latent 2 --hidden 32 --rate 0.005 --epochs 40";
    for (out, how) in [("means", "--conditional"), ("networks", "--condition label")] {
        json(path, &format!("{line} {how} --out {out}"));
        let drawn = json(path, &format!("vae sample {out} -n 300 --class part_1 --out {out}.csv"));
        assert_eq!(number(&drawn, "rows"), 300.0);
        let heights = numbers(&path.join(format!("{out}.csv")), "y");
        let mean = heights.iter().sum::<f64>() / 300.0;
        assert!((mean - 4.0).abs() < 0.7, "{how}: {mean}");
        assert!(refused(path, &format!("vae sample {out} -n 3 --class part_9")).contains("part_9"));
        assert!(refused(path, &format!("vae sample {out} -n 3")).contains("give a value of `label`"));
    }
    // Classes that training never saw.
    let text = std::fs::read_to_string(path.join("blobs.csv")).unwrap().replace("part_2", "part_7");
    std::fs::write(path.join("strange.csv"), text).unwrap();
    assert!(refused(path, "vae eval means strange.csv").contains("part_7"));
    json(path, "vae encode means blobs.csv --out z.csv");
    json(path, "vae decode means z.csv --out back.csv");
    let (there, back) = (numbers(&path.join("blobs.csv"), "y"), numbers(&path.join("back.csv"), "y"));
    let error = there.iter().zip(&back).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 2000.0;
    assert!(error.sqrt() < 1.5, "{error}");
    let way = json(path, "vae interpolate means blobs.csv --rows 3,8 -n 4 --spherical");
    assert_eq!(way["values"].as_array().unwrap().len(), 4);
    json(path, &format!("{line} --columns x,y --latent 4 --codes 16 --code-width 2 --out codes"));
    let eval = json(path, "vae eval codes blobs.csv");
    assert!(
        number(&eval, "code_perplexity") > 3.0 && eval["log_prob_bound_nats_per_row"].is_null(),
        "{eval}"
    );
    json(path, "vae sample codes -n 20 --out drawn.csv");
    json(path, &format!("{line} --columns x,y --deterministic --out plain"));
    json(path, &format!("{line} --columns x,y --posterior iaf --prior mixture --parts 3 --out bent"));
    let [bent, plain] = ["bent", "plain"].map(|m| json(path, &format!("vae eval {m} blobs.csv")));
    assert!(number(&bent, "kl_nats_per_row") > 0.1 && number(&plain, "kl_nats_per_row") == 0.0);
}

/// Bars of light at one of four heights, with some noise: images of 8 x 8.
fn bars(path: &Path) {
    let names: Vec<String> = (1..=64).map(|pixel| format!("pixel_{pixel}")).collect();
    let row = |image: usize| -> String {
        let level = |pixel: usize| {
            let noise = (image * 7919 + pixel * 104_729) % 32;
            if pixel / 16 == image % 4 { 200 + noise } else { noise }
        };
        (0..64).map(|pixel| level(pixel).to_string()).collect::<Vec<_>>().join(",") + "\n"
    };
    let rows: String = (0..600).map(row).collect();
    std::fs::write(path.join("bars.csv"), format!("{}\n{rows}", names.join(","))).unwrap();
    let labels: String = (0..600).map(|image| format!("bar_{}\n", image % 4)).collect();
    std::fs::write(path.join("labels.csv"), format!("label\n{labels}")).unwrap();
}

#[test]
fn images_are_drawn_as_pictures() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    bars(path);
    for (network, likelihood) in [("mlp", "bernoulli"), ("convolutional", "continuous-bernoulli")] {
        let line = format!(
            "vae train bars.csv --labels labels.csv --network {network} --likelihood {likelihood} --channels 8,16 --hidden 64 --latent 2 --epochs 25 --rate 0.003"
        );
        json(path, &format!("{line} --out {network} --overwrite"));
        let page = std::fs::read_to_string(path.join(network).join("report.html")).unwrap();
        assert!(page.contains("The manifold") && page.contains("data:image/png") && page.contains("bar_3"));
        json(path, &format!("vae sample {network} -n 15 --out drawn.png"));
        let picture = image::open(path.join("drawn.png")).unwrap();
        assert_eq!((picture.width(), picture.height()), (98, 18));
        json(path, &format!("vae encode {network} bars.csv --out z.csv"));
        json(path, &format!("vae decode {network} z.csv --out back.csv"));
        let [there, back] = ["bars.csv", "back.csv"].map(|file| numbers(&path.join(file), "pixel_20"));
        let error = there.iter().zip(&back).map(|(a, b)| (a - b).abs()).sum::<f64>() / 600.0;
        assert!(error < 40.0, "{network}: {error}");
    }
    json(
        path,
        "vae train bars.csv --labels labels.csv --conditional --hidden 64 --latent 2 --epochs 40 --rate 0.003 --out given",
    );
    json(path, "vae sample given -n 9 --class bar_2 --out drawn.csv");
    let mean = |pixel: &str| numbers(&path.join("drawn.csv"), pixel).iter().sum::<f64>() / 9.0;
    // The third bar takes pixels 33 to 48.
    assert!(mean("pixel_40") > 150.0 && mean("pixel_8") < 100.0 && mean("pixel_60") < 100.0);
}

#[test]
fn one_seed_gives_one_model() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make blobs -n 500 --out blobs.csv");
    let line = "vae train blobs.csv --columns x,y --latent 2 --hidden 8";
    json(path, &format!("{line} --epochs 4 --out a"));
    json(path, &format!("{line} --epochs 4 --out b"));
    assert_eq!(
        std::fs::read(path.join("a/model.safetensors")).unwrap(),
        std::fs::read(path.join("b/model.safetensors")).unwrap()
    );
    assert!(refused(path, "vae train --resume a").contains("nothing to resume"));
}

#[test]
fn bad_input_gets_a_sentence() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    bars(path);
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    write("wide.csv", &format!("a,b\n{}0.5,1.5\n", "0.25,0.75\n".repeat(20)));
    write("negative.csv", &format!("pixel_1,pixel_2,pixel_3,pixel_4\n{}", "0,255,-3,9\n".repeat(20)));
    write("short.csv", "label\na\nb\n");
    write(
        "kinds.csv",
        &format!("a,b\n{}", (0..40).map(|i| format!("{i}.5,w{}\n", i % 3)).collect::<String>()),
    );
    let images = path.join("folder/class");
    std::fs::create_dir_all(&images).unwrap();
    image::GrayImage::new(4, 4).save(images.join("a.png")).unwrap();
    image::GrayImage::new(5, 4).save(images.join("b.png")).unwrap();
    for (line, sentence) in [
        ("vae train wide.csv --likelihood bernoulli --out x", "row 21, column `b`: 1.5 is outside [0, 1]"),
        ("vae train negative.csv --image 2x2 --out x", "-3 is outside [0, 255]"),
        ("vae train bars.csv --labels short.csv --out x", "has 600 rows and `short.csv` 2 labels"),
        ("vae train folder --out x", "b.png"),
        ("vae train kinds.csv --columns z --out x", "there is no column `z`"),
        ("vae train kinds.csv --conditional --out x", "--labels FILE adds it"),
        ("vae train kinds.csv --latent 0 --out x", "at least one"),
        ("vae train kinds.csv --network convolutional --out x", "say their --image shape"),
        ("vae train kinds.csv --codes 8 --latent 3 --code-width 2 --out x", "a width that divides it"),
        ("vae train kinds.csv --beta=-1 --out x", "at least 0"),
        ("vae train kinds.csv --deterministic --free-bits 1 --out x", "an autoencoder has no divergence"),
    ] {
        let error = refused(path, line);
        assert!(error.contains(sentence), "dozen {line}: {error}");
    }
}
