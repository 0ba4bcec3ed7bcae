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

impl Drop for Serving {
    /// A test that failed, or that does not stop its server, leaves none behind.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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

/// Asks every verb of a model by its own example, and gives the answers.
fn every_verb(server: &Serving, name: &str, picture: &[u8]) -> Vec<(String, Value)> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_mins(1))).build().into();
    let listed =
        agent.get(format!("{}/v1/models", server.1)).call().unwrap().body_mut().read_to_string().unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let model =
        listed["models"].as_array().unwrap().iter().find(|model| model["name"] == name).unwrap().clone();
    let verbs = model["verbs"].as_array().unwrap();
    assert!(!verbs.is_empty(), "{name} has no verbs");
    let asked = verbs.iter().map(|verb| {
        let address = format!("{name}/{}", verb["name"].as_str().unwrap());
        let body = if verb["takes"] == "picture" {
            picture.to_vec()
        } else {
            verb["example"].to_string().into_bytes()
        };
        let (status, answer) = server.ask(&address, &body);
        assert_eq!(status, 200, "{address}: {answer}");
        (address, answer)
    });
    asked.collect()
}

#[test]
fn every_family_answers_every_verb_on_one_thread() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    json(path, "make two-moons --rows 200 --out moons.csv");
    json(path, "make binary-tree --rows 200 --columns 4 --out bits.csv");
    json(path, "make shapes --rows 8 --image-size 24 --out shapes");
    json(path, "make detection --rows 12 --image-size 48 --out scenes");
    std::fs::write(path.join("text.txt"), "the cat and the hat and the bat\n".repeat(60)).unwrap();
    json(path, "autoregressive train bits.csv --hidden 4 --epochs 1 --out autoregressive");
    json(path, "flow train moons.csv --columns x,y --epochs 1 --out flow");
    json(path, "vae train moons.csv --columns x,y --epochs 1 --out vae");
    json(path, "gan train moons.csv --columns x,y --iterations 4 --out gan");
    json(
        path,
        "efficientnet train shapes --image-size 24 --stem-stride 1 --epochs 1 --batch-size 8 --out classes",
    );
    json(
        path,
        "detector train scenes/boxes.json --epochs 1 --image-size 48 --backbone resnet18 --width 8 --out boxes",
    );
    json(path, "tokenizer train text.txt --vocab-size 270 --out tokens");
    json(path, "rnn train text.txt --tokens tokens --hidden 4 --embedding 4 --epochs 1 --out rnn");
    json(path, "word2vec train text.txt --dim 4 --min-count 1 --epochs 1 --out words");
    let models = "autoregressive flow vae gan classes boxes tokens rnn words";
    let server = Serving::start(path, &format!("{models} --threads 1"));
    let picture = std::fs::read(path.join("shapes/star/00006.png")).unwrap();
    for name in models.split(' ').chain(["transport", "graph"]) {
        let answers = every_verb(&server, name, &picture);
        if name == "rnn" {
            // It has a tokenizer of its own, and is no tokenizer.
            assert_eq!(answers[0].0, "rnn/generate");
        }
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn pictures_are_drawn_as_the_command_line_draws_them() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 4, 0, 0, 0, 4];
    images.extend((0..60 * 16).map(|at: u32| (at * 37 % 251) as u8));
    std::fs::write(path.join("images.idx"), images).unwrap();
    json(path, "vae train images.idx --likelihood gaussian --epochs 1 --out vae");
    let server = Serving::start(path, "vae");
    let (status, drawn) = server.ask("vae/sample", br#"{"count": 2, "seed": 3}"#);
    assert_eq!(status, 200, "{drawn}");
    json(path, "vae sample vae -n 2 --seed 3 --out drawn.csv");
    let text = std::fs::read_to_string(path.join("drawn.csv")).unwrap();
    let (names, rows) = text.split_once('\n').unwrap();
    for (row, line) in rows.lines().enumerate() {
        for (name, cell) in names.split(',').zip(line.split(',')) {
            assert_eq!(
                drawn["rows"][row][name].as_f64().unwrap(),
                cell.parse::<f64>().unwrap(),
                "{row} {name}"
            );
        }
    }
}

#[test]
fn signals_end_a_server_in_time_whatever_is_connected() {
    let place = tempfile::tempdir().unwrap();
    // Right after the line that says that it is ready.
    let server = Serving::start(place.path(), "");
    assert_eq!(server.stop(), Some(0));
    // With a connection that sent a byte, one that reads nothing, and one that is half through its body.
    let server = Serving::start(place.path(), "--drain 2s");
    let address = server.1.strip_prefix("http://").unwrap().to_owned();
    let heads =
        ["P", "POST /v1/models/graph/tree HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"];
    let open: Vec<std::net::TcpStream> = heads
        .iter()
        .map(|head| {
            let mut stream = std::net::TcpStream::connect(&address).unwrap();
            std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    let begun = std::time::Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(open);
    // A second signal does not wait.
    let server = Serving::start(place.path(), "--drain 60s");
    let mut stream = std::net::TcpStream::connect(server.1.strip_prefix("http://").unwrap()).unwrap();
    std::io::Write::write_all(&mut stream, heads[1].as_bytes()).unwrap();
    // A later connection was served, so that this one is known.
    let health = format!("{}/health", server.1);
    assert_eq!(ureq::get(health).call().unwrap().status(), 200);
    std::thread::sleep(Duration::from_millis(200));
    Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.stop(), Some(130));
}
