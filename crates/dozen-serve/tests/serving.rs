//! A server under good and bad requests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread::{sleep, spawn};
use std::time::Duration;

use dozen_serve::{Limits, Refusal, Request, Served, Server, Takes, Verb};
use serde_json::{Value, json};

/// Doubles numbers, and counts how many come together at most.
struct Doubling(Arc<AtomicUsize>);

impl Doubling {
    fn told(verb: &str, request: &Request) -> Result<Value, Refusal> {
        match verb {
            "size" => Ok(json!({ "size": request.bytes.len() * request.count_or("times", 1, [1, 9])? })),
            "count" => {
                for number in 0..request.count_or("x", 3, [0, 1000])? {
                    if !request.piece(format!("{number} ")) {
                        break;
                    }
                }
                Ok(json!({}))
            }
            "fail" => panic!("as asked"),
            _ => {
                if verb == "slowly" {
                    sleep(Duration::from_millis(150));
                }
                Ok(json!({ "y": 2.0 * request.number("x")? }))
            }
        }
    }
}

impl Served for Doubling {
    fn family(&self) -> &'static str {
        "doubling"
    }

    fn verbs(&self) -> Vec<Verb> {
        let example = || Takes::Json(json!({ "x": 1.5 }));
        vec![
            Verb::new("double", "Twice a number", example()),
            Verb::new("slowly", "The same after a while", example()),
            Verb::new("fail", "Nothing", example()),
            Verb::streaming("count", "To a number", example()),
            Verb::new("size", "Of a picture's file", Takes::Picture(json!({ "times": 1 }))),
        ]
    }

    fn answer(&mut self, verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
        self.0.fetch_max(requests.len(), Ordering::SeqCst);
        requests.iter().map(|request| Self::told(verb, request)).collect()
    }
}

/// A server on a port of its own, and how many requests came together at most.
fn served(limits: Limits, token: Option<&str>) -> (String, Arc<AtomicUsize>) {
    let together = Arc::new(AtomicUsize::new(0));
    let model = Box::new(Doubling(Arc::clone(&together)));
    let models: Vec<(String, Box<dyn Served>)> = vec![("twice".into(), model)];
    let server = Server::new(models, limits, token.map(str::to_owned)).unwrap();
    let (sender, receiver) = channel();
    spawn(move || {
        let listening = server.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        sender.send(listening.address()).unwrap();
        listening.run();
    });
    (format!("http://{}", receiver.recv().unwrap()), together)
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    config.http_status_as_error(false).timeout_global(Some(Duration::from_secs(20))).build().into()
}

fn post(address: &str, body: &[u8]) -> (u16, String) {
    let mut response = agent().post(address).send(body).unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

fn get(address: &str) -> (u16, String) {
    let mut response = agent().get(address).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

#[test]
fn requests_are_answered_or_refused_in_words() {
    let (server, _) = served(Limits { body: 1000, ..Limits::default() }, None);
    let ask = |verb: &str, body: &[u8]| post(&format!("{server}/v1/models/twice/{verb}"), body);
    assert_eq!(ask("double", br#"{"x": 21}"#), (200, r#"{"y":42.0}"#.into()));
    assert_eq!(ask("size?times=3", b"12345"), (200, r#"{"size":15}"#.into()));
    assert_eq!(ask("count?stream=true", br#"{"x": 4}"#), (200, "0 1 2 3 ".into()));
    let refused = |verb: &str, body: &[u8], status: u16, words: &str| {
        let (found, sentence) = ask(verb, body);
        assert!(found == status && sentence.contains(words), "{found} {sentence}");
    };
    refused("double", b"{}", 400, "`x` is missing");
    refused("double", br#"{"x": "two"}"#, 400, "a number is needed");
    refused("double", b"no JSON", 400, "the body is not JSON");
    refused("double", b"[1]", 400, "a JSON object");
    refused("double", &[b'['; 900], 400, "recursion limit");
    refused("double", &[b' '; 2000], 413, "1000 bytes");
    refused("size", b"", 400, "the body is empty");
    refused("count?stream=true", br#"{"x": -1}"#, 400, "a whole number from 0");
    refused("triple", b"{}", 404, "it does double, slowly");
    refused("fail", b"{}", 500, "the model failed");
    // And goes on after that.
    assert_eq!(ask("double", br#"{"x": 1}"#).0, 200);
    assert_eq!(post(&format!("{server}/v1/models/..%2f..%2fetc/passwd"), b"{}").0, 404);
    assert_eq!(get(&format!("{server}/../Cargo.toml")).0, 404);
    assert_eq!(get(&format!("{server}/health")).1, r#"{"status":"ok"}"#);
    let document: Value = serde_json::from_str(&get(&format!("{server}/openapi.json")).1).unwrap();
    assert!(document["paths"]["/v1/models/twice/double"]["post"]["requestBody"].is_object());
    let counted = get(&format!("{server}/metrics")).1;
    let wanted = "dozen_requests_total{model=\"twice\",verb=\"double\",status=\"200\"} 2";
    assert!(counted.contains(wanted), "{counted}");
    assert!(get(&server).1.contains("page.js") && get(&format!("{server}/page.js")).0 == 200);
}

#[test]
fn what_waits_is_answered_together_and_too_much_is_refused() {
    let limits = Limits { queue: 4, time: Duration::from_secs(10), ..Limits::default() };
    let (server, together) = served(limits, None);
    let (count, barrier) = (12, Arc::new(Barrier::new(12)));
    let one = |_| {
        let (address, barrier) = (format!("{server}/v1/models/twice/slowly"), Arc::clone(&barrier));
        spawn(move || {
            barrier.wait();
            post(&address, br#"{"x": 2}"#).0
        })
    };
    let threads: Vec<_> = (0..count).map(one).collect();
    let statuses: Vec<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let of = |status: u16| statuses.iter().filter(|other| **other == status).count();
    assert!(of(200) >= 5 && of(429) >= 1 && of(200) + of(429) == count, "{statuses:?}");
    assert!(together.load(Ordering::SeqCst) > 1);
    let (hasty, _) = served(Limits { time: Duration::from_millis(40), ..Limits::default() }, None);
    assert_eq!(post(&format!("{hasty}/v1/models/twice/slowly"), br#"{"x": 2}"#).0, 504);
}

#[test]
fn a_token_is_wanted_where_there_is_one() {
    let (server, _) = served(Limits::default(), Some("a-token-of-some-length"));
    assert_eq!(get(&format!("{server}/v1/models")).0, 401);
    assert_eq!(get(&format!("{server}/health")).0, 200);
    let with = |token: &str| {
        let asked =
            agent().get(format!("{server}/v1/models")).header("Authorization", format!("Bearer {token}"));
        asked.call().unwrap().status().as_u16()
    };
    assert_eq!((with("a-token-of-some-length"), with("a-token-of-some-lengtH"), with("")), (200, 401, 401));
}

#[test]
fn names_stand_in_addresses() {
    let model = || Box::new(Doubling(Arc::default())) as Box<dyn Served>;
    let error = |names: &[&str]| {
        let models = names.iter().map(|name| ((*name).to_owned(), model())).collect();
        Server::new(models, Limits::default(), None).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(error(&["a/b"]).contains("cannot stand in an address"));
    assert!(error(&["a", "a"]).contains("two models are named `a`"));
    assert_eq!(error(&["a", "b.1"]), "");
}
