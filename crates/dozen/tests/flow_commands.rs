//! `dozen flow ...` as its users call it.

mod program;

use program::{json, number, refused};
use serde_json::Value;

#[test]
fn a_flow_is_trained_evaluated_scored_and_drawn_from() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let made = json(path, "make checkerboard -n 5000 --out board.csv");
    let trained = json(
        path,
        "flow train board.csv --columns x,y --hidden 32,32 --epochs 20 --rate 0.005 --split 0.8,0.1,0.1 --out m",
    );
    let found = number(&trained, "valid_log_prob_nats_per_row");
    let best = -number(&made, "entropy_nats_per_row");
    // A Gaussian has -2.9; nothing is above the truth but by chance.
    assert!(found > best - 0.45 && found < best + 0.1, "{found} {best}");
    let page = std::fs::read_to_string(path.join("m/report.html")).unwrap();
    assert!(page.contains("The way from the data to the base") && page.contains("Calibration"));
    let eval = json(path, "flow eval m board.csv");
    assert!((number(&eval, "log_prob_nats_per_row") - found).abs() < 0.1);
    assert!(number(&eval, "wasserstein_to_samples") < 2.0 * number(&eval, "wasserstein_between_halves"));
    json(path, "flow score m board.csv --out scores.csv");
    let scores = std::fs::read_to_string(path.join("scores.csv")).unwrap();
    assert!(scores.starts_with("log_prob_nats,p_value,z_x,z_y\n") && scores.lines().count() == 5001);
    json(path, "flow sample m -n 100 --out s.csv");
    let again = json(path, "flow sample m -n 3 --seed 5");
    assert_eq!(again["values"], json(path, "flow sample m -n 3 --seed 5")["values"]);
    // The way between two rows begins and ends with them.
    let way = json(path, "flow interpolate m s.csv --rows 3,7 -n 5");
    let cell = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let text = std::fs::read_to_string(path.join("s.csv")).unwrap();
    for (row, place) in [(3, 0), (7, 4)] {
        let there: Vec<f64> = text.lines().nth(row).unwrap().split(',').map(|c| c.parse().unwrap()).collect();
        assert!((0..2).all(|j| (cell(&way["values"][place][j]) - there[j]).abs() < 1e-3), "{way}");
    }
    assert!(refused(path, "flow interpolate m s.csv --rows 1,101").contains("there is no row 101"));
    // There and back: the rows as they were.
    json(path, "flow encode m s.csv --out z.csv");
    json(path, "flow decode m z.csv --out back.csv");
    let rows = |name: &str| -> Vec<f64> {
        let text = std::fs::read_to_string(path.join(name)).unwrap();
        text.lines()
            .skip(1)
            .flat_map(|line| line.split(',').map(|cell| cell.parse::<f64>().unwrap()).collect::<Vec<_>>())
            .collect()
    };
    let worst = rows("s.csv").iter().zip(rows("back.csv")).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn conditions_and_whole_numbers() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make blobs -n 2000 --out blobs.csv");
    json(
        path,
        "flow train blobs.csv --condition label --preset nsf-coupling --hidden 32 --steps 2 --epochs 15 --rate 0.005 --out m",
    );
    let drawn = json(path, "flow sample m -n 200 --given label=part_1");
    let mean = drawn["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[1].as_str().unwrap().parse::<f64>().unwrap())
        .sum::<f64>()
        / 200.0;
    assert!((mean - 4.0).abs() < 0.5, "{mean}");
    assert!(refused(path, "flow sample m -n 2").contains("give a value of `label` with --given"));
    assert!(refused(path, "flow sample m --given label=part_9").contains("part_9"));
    let text: String =
        (0..600).map(|i| format!("{},{}\n", i * 37 % 5, f64::from(i * 11 % 17) / 3.0)).collect();
    std::fs::write(path.join("counts.csv"), format!("count,size\n{text}")).unwrap();
    json(path, "flow train counts.csv --dequantize count --hidden 16 --steps 2 --epochs 5 --out whole");
    let drawn = json(path, "flow sample whole -n 50");
    let counts = drawn["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap().parse::<f64>().unwrap());
    assert!(counts.into_iter().all(|count| (count - count.round()).abs() < 1e-4));
    assert!(refused(path, "flow train counts.csv --dequantize size --out x").contains("is no whole number"));
}

#[test]
fn tables_that_have_no_density_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    write("constant.csv", &format!("a,b\n{}", (0..40).map(|i| format!("{i}.5,3.5\n")).collect::<String>()));
    write(
        "kinds.csv",
        &format!("a,b,c\n{}", (0..40).map(|i| format!("{i}.5,w{},{}\n", i % 3, i % 2)).collect::<String>()),
    );
    let line = |i: usize| format!("{i}.5,{i}.25,{i}.75,{i}.125,{i}.3,{i}.2\n");
    write("wide.csv", &format!("a,b,c,d,e,f\n{}", (0..8).map(line).collect::<String>()));
    write(
        "gap.csv",
        &format!("a,b\n{}1.5,\n", (0..40).map(|i| format!("{i}.5,{i}.25\n")).collect::<String>()),
    );
    write(
        "infinite.csv",
        &format!("a,b\n{}1.5,inf\n", (0..40).map(|i| format!("{i}.5,{i}.25\n")).collect::<String>()),
    );
    for (line, sentence) in [
        ("flow train constant.csv --out x", "every row has the same value"),
        ("flow train kinds.csv --out x", "column `b` is categorical, and a flow models numbers"),
        ("flow train kinds.csv --columns a,c --out x", "column `c` has only zeros and ones"),
        ("flow train kinds.csv --columns z --out x", "there is no column `z`"),
        ("flow train gap.csv --out x", "gap.csv"),
        ("flow train infinite.csv --out x", "infinite.csv"),
        ("flow train kinds.csv --columns a --preset realnvp --out x", "coupling needs two columns"),
        ("flow train kinds.csv --columns a --image 3x5 --out x", "images of 1x3x5 have 15 values"),
        ("flow train constant.csv --columns a --image 1x1 --out x", "0.5 is no level of a pixel"),
        ("flow train constant.csv --columns a --image 28 --out x", "no shape of images such as 28x28"),
        ("flow train constant.csv --columns a --variational --out x", "--variational is about the columns"),
        (
            "flow train wide.csv --split 0.5,0.5 --out x",
            "4 training rows cannot tell the density of 6 columns",
        ),
    ] {
        let error = refused(path, line);
        assert!(error.contains(sentence), "dozen {line}: {error}");
    }
}

#[test]
fn images_are_drawn_as_pictures() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    // Bars of light at one of four heights, with some noise.
    let names: Vec<String> = (1..=32).map(|pixel| format!("pixel_{pixel}")).collect();
    let row = |image: usize| -> String {
        let level = |pixel: usize| {
            let noise = (image * 7919 + pixel * 104_729) % 32;
            if pixel / 8 == image % 4 { 200 + noise } else { noise }
        };
        (0..32).map(|pixel| level(pixel).to_string()).collect::<Vec<_>>().join(",") + "\n"
    };
    let rows: String = (0..800).map(row).collect();
    std::fs::write(path.join("bars.csv"), format!("{}\n{rows}", names.join(","))).unwrap();
    for preset in ["glow", "realnvp"] {
        let line =
            "flow train bars.csv --image 4x8 --steps 2 --hidden 8 --epochs 6 --rate 0.003 --batch-size 32";
        json(path, &format!("{line} --preset {preset} --out {preset}"));
        let bits = number(&json(path, &format!("flow eval {preset} bars.csv")), "bits_per_dimension");
        // Uniform levels have 8; the noise alone has 5.
        assert!((4.5..7.2).contains(&bits), "{preset}: {bits}");
        let page = std::fs::read_to_string(path.join(preset).join("report.html")).unwrap();
        assert!(page.contains("Drawn from the flow") && page.contains("data:image/png"));
    }
    json(path, "flow sample glow -n 15 --out drawn.png");
    let picture = image::open(path.join("drawn.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (98, 10));
}

#[test]
fn a_rectified_flow_is_made_straighter() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make checkerboard -n 4000 --out board.csv");
    let line = "flow train board.csv --columns x,y --epochs 25 --rate 0.003 --hidden 64,64";
    json(path, &format!("{line} --preset rectified --solver euler --ode-steps 2 --out bent"));
    json(path, &format!("{line} --reflow bent --out straight"));
    let far =
        |model: &str| number(&json(path, &format!("flow eval {model} board.csv")), "wasserstein_to_samples");
    let (bent, straight) = (far("bent"), far("straight"));
    assert!(straight < 0.9 * bent, "{straight} {bent}");
    json(path, "flow train board.csv --columns x,y --preset maf --epochs 1 --out maf");
    assert!(
        refused(path, &format!("{line} --reflow maf --out x"))
            .contains("takes a model of --preset rectified")
    );
}

#[test]
fn noise_that_is_learnt_makes_the_bound_tighter() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    // Pairs of whole numbers of which the second says the first.
    let text: String = (0..3000).map(|i| format!("{},{}\n", i * 37 % 4, (i * 37 % 4 + i % 2) % 4)).collect();
    std::fs::write(path.join("pairs.csv"), format!("a,b\n{text}")).unwrap();
    let bound = |flags: &str, out: &str| {
        let line = "flow train pairs.csv --dequantize a,b --preset maf --hidden 32 --steps 3 --epochs 40 --rate 0.005";
        let trained = json(path, &format!("{line} {flags} --seed 3 --out {out}"));
        number(&trained, "valid_log_prob_nats_per_row")
    };
    let (uniform, learnt) = (bound("", "u"), bound("--variational", "v"));
    // Four pairs are equally many.
    let truth = -(4.0_f64.ln());
    assert!(uniform < learnt && learnt < truth + 0.1, "{uniform} {learnt} {truth}");
    let drawn = json(path, "flow sample v -n 20");
    let cell = |row: &Value| row[0].as_str().unwrap().parse::<f64>().unwrap();
    assert!(
        drawn["values"].as_array().unwrap().iter().all(|row| (cell(row) - cell(row).round()).abs() < 1e-4)
    );
}

#[test]
fn batches_are_shared_out_to_devices() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make two-moons -n 600 --out moons.csv");
    let train = |flags: &str, out: &str| {
        let line = format!(
            "flow train moons.csv --columns x,y --hidden 16 --epochs 3 --rate 0.01 {flags} --out {out}"
        );
        number(&json(path, &line), "valid_log_prob_nats_per_row")
    };
    let whole = train("", "one");
    for (number, flags) in ["--devices cpu,cpu", "--devices cpu,cpu,cpu --threads 1"].into_iter().enumerate()
    {
        let shared = train(flags, &format!("shared{number}"));
        assert!((shared - whole).abs() < 1e-3, "{shared} {whole}");
    }
    let told = refused(path, "vae train moons.csv --columns x,y --devices cpu,cpu --out v");
    assert!(told.contains("batches of autoregressive, flow, efficientnet can be shared out"), "{told}");
    let told = refused(path, "flow train moons.csv --columns x,y --devices cpu,wgpu --out f");
    assert!(told.contains("wgpu"), "{told}");
    let told =
        refused(path, "flow train moons.csv --columns x,y --preset rectified --devices cpu,cpu --out f");
    assert!(told.contains("draws random numbers"), "{told}");
}
