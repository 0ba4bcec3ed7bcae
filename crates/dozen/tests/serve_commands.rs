//! `dozen serve` as its users call it.

#![cfg(unix)]

mod program;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use program::{json, refused};
use serde_json::Value;

/// The program, serving; and where.
struct Serving(Child, String);

impl Serving {
    fn start(folder: &Path, line: &str) -> Self {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("dozen"))
            .current_dir(folder)
            .args(["serve", "--port", "0", "--json", "--quiet"])
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        Self(child, said["address"].as_str().unwrap().to_owned())
    }

    fn ask(&self, verb: &str, body: &[u8]) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(1)))
            .build()
            .into();
        let mut response = agent.post(format!("{}/v1/models/{verb}", self.1)).send(body).unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap())
    }

    /// Stops as a service manager does, and gives the exit code.
    fn stop(mut self) -> Option<i32> {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        self.0.wait().unwrap().code()
    }
}

#[test]
fn models_are_served_as_the_command_line_uses_them() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make two-moons --rows 300 --out moons.csv");
    json(path, "flow train moons.csv --columns x,y --epochs 2 --out flow");
    json(path, "make shapes --rows 16 --image-size 24 --out shapes");
    json(
        path,
        "efficientnet train shapes --image-size 24 --stem-stride 1 --epochs 1 --batch-size 8 --out classes",
    );
    std::fs::write(path.join("text.txt"), "the cat and the hat and the bat ".repeat(50)).unwrap();
    json(path, "tokenizer train text.txt --vocab-size 280 --out tokens");
    let server = Serving::start(path, "flow classes words=tokens --row-limit 50 --pixel-limit 1000");
    // Rows.
    let (status, scored) =
        server.ask("flow/score", br#"{"rows": [{"x": 0.5, "y": 0.5}, {"x": 30, "y": 0}]}"#);
    let scores = scored["log_prob_nats"].as_array().unwrap();
    assert!(status == 200 && scores[0].as_f64() > scores[1].as_f64(), "{scored}");
    let drawn = server.ask("flow/sample", br#"{"count": 3, "seed": 1}"#).1;
    assert_eq!(drawn["rows"].as_array().unwrap().len(), 3);
    assert_eq!(drawn, server.ask("flow/sample", br#"{"count": 3, "seed": 1}"#).1);
    assert_eq!(server.ask("flow/sample", br#"{"count": 51}"#).0, 400);
    // Pictures: many at once get what each gets alone.
    let name = "shapes/star/00006.png";
    let alone = json(path, &format!("efficientnet predict classes {name} --top 2"));
    let picture = std::fs::read(path.join(name)).unwrap();
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            (0..12).map(|_| scope.spawn(|| server.ask("classes/classify?top=2", &picture))).collect();
        for thread in asked {
            let (status, found) = thread.join().unwrap();
            let (ours, theirs) = (&found["classes"][0], &alone["predictions"][0]["classes"][0]);
            assert_eq!((status, &ours["class"]), (200, &theirs["class"]));
            let apart = ours["probability"].as_f64().unwrap() - theirs["probability"].as_f64().unwrap();
            assert!(apart.abs() < 1e-4, "{ours} {theirs}");
        }
    });
    let large = image::RgbImage::new(40, 40);
    large.save(path.join("large.png")).unwrap();
    let (status, said) = server.ask("classes/classify", &std::fs::read(path.join("large.png")).unwrap());
    assert!(status == 400 && said["error"].as_str().unwrap().contains("at most 1000"), "{said}");
    assert_eq!(server.ask("classes/classify", &picture[..60]).0, 400);
    // Texts and points.
    let encoded = server.ask("words/encode", br#"{"text": "the cat"}"#).1;
    let back = server.ask("words/decode", format!("{{\"ids\": {}}}", encoded["ids"]).as_bytes()).1;
    assert_eq!(back["text"], "the cat");
    let plan = server.ask("transport/plan", br#"{"from": [[0, 0]], "to": [[3, 4]]}"#).1;
    assert_eq!(plan["distance"], 5.0);
    let tree = server.ask("graph/tree", br#"{"points": [[0, 0], [3, 4], [3, 5]]}"#).1;
    assert_eq!(tree["total_weight"], 6.0);
    assert_eq!(server.ask("graph/tree", br#"{"points": [[0, 0], [1]]}"#).0, 400);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn what_cannot_be_served_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    assert!(refused(path, "serve nowhere --port 0").contains("nowhere"));
    std::fs::write(path.join("short"), "secret\n").unwrap();
    assert!(refused(path, "serve --port 0 --token short").contains("16 characters"));
    assert!(refused(path, "serve --port 0 --time-limit 0").contains("--time-limit"));
}
