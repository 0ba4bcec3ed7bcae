//! Model folders whose `config.json` says of sizes that belong to no file: refused by a sentence, before memory is asked for.

mod program;

use std::path::Path;

use dozen::generative::{autoregressive, flow, gan, vae};
use dozen::nn::{Device, Error};
use dozen::sequence;
use dozen::vision::{detector, efficientnet};
use program::json;
use serde_json::Value;

/// More than any memory holds, and more than any sum of them fits into.
const ABSURD: [u64; 2] = [1 << 40, u64::MAX >> 1];

/// The pointers to all whole numbers of a value.
fn whole_numbers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(number) if number.is_u64() => found.push(at.to_owned()),
        Value::Array(values) => {
            let each = values.iter().enumerate();
            each.for_each(|(place, value)| whole_numbers(value, &format!("{at}/{place}"), found));
        }
        Value::Object(values) => {
            values.iter().for_each(|(name, value)| whole_numbers(value, &format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

/// Opens a folder again and again, each time with one size absurd, and gives which sizes were refused.
fn refused_sizes(folder: &Path, open: impl Fn(&Path) -> Result<(), Error>) -> Vec<String> {
    let config: Value = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    open(folder).unwrap();
    let mut sizes = Vec::new();
    for part in ["model", "preprocessing", "input", "layout", "order"] {
        if let Some(value) = config.get(part) {
            whole_numbers(value, &format!("/{part}"), &mut sizes);
        }
    }
    let is_refused = |size: &String| {
        let results = ABSURD.map(|absurd| {
            let mut config = config.clone();
            *config.pointer_mut(size).unwrap() = absurd.into();
            std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
            open(folder)
        });
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            assert!(error.is_request() && error.to_string().contains("config.json"), "{size}: {error}");
        }
        results.iter().all(Result::is_err)
    };
    sizes.into_iter().filter(is_refused).collect()
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let device = Device::flex();
    json(path, "make gaussian-mixture -n 400 --out rows.csv");
    json(path, "make detection --rows 12 --image-size 64 --out scenes");
    json(path, "make shapes --rows 24 --image-size 32 --out shapes");
    let text: String = (0..400).map(|word| format!("word{} ", word % 7)).collect();
    std::fs::write(path.join("text.txt"), text).unwrap();

    let check = |out: &str, line: &str, names: &[&str], open: &dyn Fn(&Path) -> Result<(), Error>| {
        json(path, &format!("{line} --out {out}"));
        let refused = refused_sizes(&path.join(out), open);
        for name in names {
            assert!(refused.iter().any(|size| size.contains(name)), "{out}: {name} is not among {refused:?}");
        }
    };
    let flow = |folder: &Path| flow::Model::open(folder, &device).map(drop);
    check(
        "f",
        "flow train rows.csv --columns x,y --epochs 1 --hidden 8 --bins 4",
        &["hidden/0", "bins"],
        &flow,
    );
    check(
        "r",
        "flow train rows.csv --columns x,y --preset rectified --epochs 1 --hidden 8",
        &["hidden/0", "steps"],
        &flow,
    );
    let vae = |folder: &Path| vae::Model::open(folder, &device).map(drop);
    let line = "vae train rows.csv --epochs 1 --hidden 8 --latent 2";
    check("v", &format!("{line} --prior mixture --parts 2"), &["hidden/0", "latent", "parts"], &vae);
    check("i", &format!("{line} --posterior iaf"), &["posterior/hidden/0", "steps"], &vae);
    let gan = |folder: &Path| gan::Model::open(folder, &device).map(drop);
    let line = "gan train rows.csv --iterations 2 --hidden 8 --critic-hidden 8 --minibatch-features 2";
    check("g", line, &["generator/0", "critic/0", "noise", "minibatch_features", "layout"], &gan);
    let ar = |folder: &Path| autoregressive::Model::open(folder, &device).map(drop);
    let line = "autoregressive train rows.csv --epochs 1 --hidden 8";
    let names = ["hidden/0", "mixtures", "members", "orders", "/order/0"];
    check("made", &format!("{line} --model made"), &names, &ar);
    check("nade", &format!("{line} --model nade"), &names, &ar);
    let rnn = |folder: &Path| sequence::Model::open(folder, &device).map(drop);
    let line = "rnn train text.txt --tokens bytes --epochs 1 --hidden 8 --embedding 4 --batch-size 2";
    check("n", line, &["hidden", "layers", "embedding"], &rnn);
    let net = |folder: &Path| efficientnet::Model::open(folder, &device).map(drop);
    let line = "efficientnet train shapes --image-size 32 --width 0.2 --depth 0.2 --epochs 1 --batch-size 4";
    check("e", line, &["classes", "resolution", "preprocessing/size"], &net);
    let boxes = |folder: &Path| detector::Model::open(folder, &device).map(drop);
    let line = "detector train scenes/boxes.json --image-size 64 --longest 64 --width 8 --epochs 1";
    let names = ["width", "categories", "input/short", "input/long"];
    check(
        "p",
        &format!("{line} --arch rfcn --parts 2"),
        &[&names[..], &["parts", "channels"]].concat(),
        &boxes,
    );
    check(
        "t",
        &format!("{line} --arch tridentnet --units 8"),
        &[&names[..], &["units", "dilations/0"]].concat(),
        &boxes,
    );
}
