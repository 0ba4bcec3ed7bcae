//! `dozen gan ...` as its users call it.

mod program;

use program::{dozen, json, number, refused};

#[test]
fn a_ring_is_learnt_and_measured() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make gaussian-mixture -n 4000 --out ring.csv");
    json(path, "make gaussian-mixture -n 1000 --seed 1 --out other.csv");
    let small = "--noise 8 --hidden 64,64 --critic-hidden 64,64 --batch-size 128";
    let trained = json(
        path,
        &format!(
            "gan train ring.csv --loss wasserstein --penalty 1 {small} --rate 0.002 --linear-decay --iterations 600 --out m"
        ),
    );
    assert_eq!(number(&trained, "iterations"), 600.0);
    // The rates have fallen to zero: the last weights stand, whichever look came nearest by chance.
    assert_eq!(number(&trained, "best_iteration"), 600.0);
    let eval = json(path, "gan eval m other.csv --rows 500 --train ring.csv");
    assert!(number(&eval, "modes_found") >= 7.0 && number(&eval, "modes") == 8.0, "{eval}");
    // Half of the ring's distance to its middle.
    assert!(number(&eval, "wasserstein1") < 0.5 && number(&eval, "recall") > 0.3, "{eval}");
    let copies = number(&eval, "nearer_to_training_than_held_out");
    assert!((0.0..0.7).contains(&copies), "{copies}");
    let page = std::fs::read_to_string(path.join("m/report.html")).unwrap();
    assert!(page.contains("exact transport") && page.contains("Modes") && page.contains("part_7"));
    json(path, "gan sample m -n 200 --out drawn.csv");
    let drawn = std::fs::read_to_string(path.join("drawn.csv")).unwrap();
    assert!(drawn.starts_with("x,y\n") && drawn.lines().count() == 201);
    assert_eq!(
        json(path, "gan sample m -n 3 --seed 4")["values"],
        json(path, "gan sample m -n 3 --seed 4")["values"]
    );
    json(path, "gan score m other.csv --out values.csv");
    assert_eq!(std::fs::read_to_string(path.join("values.csv")).unwrap().lines().count(), 1001);
    assert_eq!(json(path, "gan interpolate m -n 6")["values"].as_array().unwrap().len(), 6);
    // Every loss and every way of holding slopes runs.
    for (loss, more) in [
        ("minimax", "--label-smoothing 0.1 --minibatch-features 4"),
        ("minimax", "--unrolled 3"),
        ("non-saturating", "--lipschitz r1 --ema 0.9"),
        ("least-squares", "--dropout 0.2 --batch-norm --critic-batch-norm"),
        ("hinge", ""),
        ("wasserstein", "--lipschitz clip"),
        ("wasserstein", "--lipschitz spectral --critic-steps 2"),
    ] {
        let line = format!(
            "gan train ring.csv --loss {loss} {more} {small} --iterations 30 --out {loss} --overwrite"
        );
        let found = json(path, &line);
        assert!(number(&found, "wasserstein1").is_finite(), "{line}");
    }
}

#[test]
fn tables_of_all_kinds_and_classes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make blobs -n 2000 --out blobs.csv");
    let line = "gan train blobs.csv --noise 8 --hidden 64,64 --critic-hidden 64,64 --batch-size 128 --loss wasserstein --penalty 1 --rate 0.002 --linear-decay";
    json(path, &format!("{line} --conditional --iterations 400 --out given"));
    json(path, "gan sample given -n 300 --class part_1 --out drawn.csv");
    let drawn = std::fs::read_to_string(path.join("drawn.csv")).unwrap();
    let heights: Vec<f64> =
        drawn.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    let mean = heights.iter().sum::<f64>() / heights.len() as f64;
    assert!((mean - 4.0).abs() < 1.0, "{mean}");
    assert!(refused(path, "gan sample given -n 3").contains("give a value of `label`"));
    assert!(refused(path, "gan sample given -n 3 --class part_9").contains("part_9"));
    json(path, &format!("{line} --columns x,y,label --numbers modes --iterations 300 --out mixed"));
    let drawn = json(path, "gan sample mixed -n 200");
    let labels: std::collections::BTreeSet<&str> =
        drawn["values"].as_array().unwrap().iter().map(|row| row[2].as_str().unwrap()).collect();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["part_0", "part_1", "part_2"]);
}

#[test]
fn images_are_drawn_as_pictures() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    // Bars of light at one of four heights, with some noise.
    let names: Vec<String> = (1..=64).map(|pixel| format!("pixel_{pixel}")).collect();
    let row = |image: usize| -> String {
        let level = |pixel: usize| {
            let noise = (image * 7919 + pixel * 104_729) % 32;
            if pixel / 16 == image % 4 { 200 + noise } else { noise }
        };
        (0..64).map(|pixel| level(pixel).to_string()).collect::<Vec<_>>().join(",") + "\n"
    };
    let rows: String = (0..400).map(row).collect();
    std::fs::write(path.join("bars.csv"), format!("{}\n{rows}", names.join(","))).unwrap();
    for (network, more) in [
        ("mlp", "--hidden 32 --critic-hidden 32"),
        ("dcgan", "--dropout 0.25"),
        ("dcgan", "--upsampling transposed --loss wasserstein --critic-steps 1"),
        ("residual", "--loss hinge --batch-norm false"),
    ] {
        let line = format!(
            "gan train bars.csv --network {network} {more} --channels 8,4 --critic-channels 4,8 --noise 8 --batch-size 16 --iterations 40 --look-every 10"
        );
        json(path, &format!("{line} --out {network} --overwrite"));
        let page = std::fs::read_to_string(path.join(network).join("report.html")).unwrap();
        assert!(page.contains("While it learnt") && page.contains("From one noise to another"));
        json(path, &format!("gan sample {network} -n 15 --out drawn.png"));
        let picture = image::open(path.join("drawn.png")).unwrap();
        assert_eq!((picture.width(), picture.height()), (98, 18));
        assert!(path.join(network).join("samples.png").exists());
    }
    json(path, "vae train bars.csv --latent 4 --hidden 32 --epochs 3 --out features");
    let eval = json(path, "gan eval mlp bars.csv --features features --rows 100");
    assert!(number(&eval, "frechet") >= 0.0 && number(&eval, "precision") <= 1.0);
}

#[test]
fn one_seed_gives_one_model_and_a_wild_rate_is_stopped() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make gaussian-grid -n 500 --out grid.csv");
    let line = "gan train grid.csv --noise 4 --hidden 16 --critic-hidden 16 --iterations 40";
    for out in ["a", "b"] {
        json(path, &format!("{line} --out {out}"));
    }
    for file in ["model.safetensors", "critic.safetensors"] {
        let [a, b] = ["a", "b"].map(|out| std::fs::read(path.join(out).join(file)).unwrap());
        assert!(a == b, "{file}");
    }
    let wild = dozen(
        path,
        &format!("{line} --loss wasserstein --lipschitz none --optimizer sgd --rate 1e30 --out wild"),
    );
    let sentence = String::from_utf8(wild.stderr).unwrap();
    assert_eq!(wild.status.code(), Some(1));
    assert!(
        sentence.contains("training stopped at step") && sentence.contains("A lower --rate"),
        "{sentence}"
    );
}

#[test]
fn bad_input_gets_a_sentence() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make blobs -n 100 --out blobs.csv");
    std::fs::write(path.join("gap.csv"), format!("a,b\n{}1.5,\n", "0.25,0.75\n0.5,0.1\n".repeat(20)))
        .unwrap();
    for (line, sentence) in [
        ("gan train gap.csv --out x", "gap.csv"),
        ("gan train blobs.csv --columns z --out x", "there is no column `z`"),
        ("gan train blobs.csv --network dcgan --out x", "say their --image shape"),
        ("gan train blobs.csv --loss wasserstein --dropout 0.5 --out x", "leave --dropout out"),
        ("gan train blobs.csv --loss wasserstein --critic-batch-norm --out x", "about each row alone"),
        ("gan train blobs.csv --loss hinge --label-smoothing 0.1 --out x", "losses with labels"),
        ("gan train blobs.csv --loss wasserstein --lipschitz clip --clip 0 --out x", "must be above 0"),
        ("gan train blobs.csv --rate 0 --out x", "--rate must be a positive number"),
        ("gan train blobs.csv --noise 0 --out x", "at least one each"),
        ("gan train blobs.csv --unrolled 5 --out x", "it goes with --loss minimax"),
        ("gan train blobs.csv --loss minimax --unrolled 5 --conditional --out x", "without a condition"),
        ("gan train blobs.csv --loss minimax --unrolled 5 --optimizer sgd --out x", "Adam's steps"),
        ("gan sample nowhere", "does not exist"),
    ] {
        let error = refused(path, line);
        assert!(error.contains(sentence), "dozen {line}: {error}");
    }
}
