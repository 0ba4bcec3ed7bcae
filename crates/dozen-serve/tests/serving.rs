//! A server under good and bad requests.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread::{sleep, spawn};
use std::time::Duration;

use dozen_run::stop_point;
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
            "picky" => {
                assert!(request.number("x")? >= 0.0, "no negative numbers");
                sleep(Duration::from_millis(100));
                Ok(json!({ "y": request.number("x")? }))
            }
            // Work without end.
            "endless" => loop {
                stop_point();
                sleep(Duration::from_millis(1));
            },
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
        let example = || Takes::Json(json!({ "x": 1.5, "more": [1], "text": "" }));
        vec![
            Verb::new("double", "Twice a number", example()),
            Verb::new("slowly", "The same after a while", example()),
            Verb::new("fail", "Nothing", example()),
            Verb::new("picky", "The same, or a panic", example()),
            Verb::new("endless", "Nothing, ever", example()),
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
    let packed =
        agent().post(format!("{server}/v1/models/twice/count?stream=true")).header("Accept-Encoding", "gzip");
    assert_eq!(packed.send(r#"{"x": 3}"#).unwrap().body_mut().read_to_string().unwrap(), "0 1 2 ");
    assert_eq!(ask("count?stream=perhaps", br#"{"x": 4}"#).0, 400);
    let refused = |verb: &str, body: &[u8], status: u16, words: &str| {
        let (found, sentence) = ask(verb, body);
        assert!(found == status && sentence.contains(words), "{found} {sentence}");
    };
    refused("double", b"{}", 400, "`x` is missing");
    refused("double", br#"{"x": "two"}"#, 400, "a number is needed");
    refused("double", br#"{"x": 1, "z": 2}"#, 400, "`z` is not a value of double; it takes");
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
    assert!(of(200) >= 4 && of(429) >= 1 && of(200) + of(429) == count, "{statuses:?}");
    assert!(together.load(Ordering::SeqCst) > 1);
    let (hasty, _) = served(Limits { time: Duration::from_millis(40), ..Limits::default() }, None);
    assert_eq!(post(&format!("{hasty}/v1/models/twice/slowly"), br#"{"x": 2}"#).0, 504);
}

#[test]
fn a_token_is_wanted_where_there_is_one() {
    let (server, _) = served(Limits::default(), Some("a-token-of-some-length"));
    for path in ["/", "/page.js", "/openapi.json", "/metrics", "/v1/models", "/nowhere"] {
        assert_eq!(get(&format!("{server}{path}")).0, 401, "{path}");
    }
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

#[test]
fn one_bad_request_is_no_other_s_business() {
    let (server, together) = served(Limits::default(), None);
    let barrier = Arc::new(Barrier::new(16));
    let one = |number: usize| {
        let (address, barrier) = (format!("{server}/v1/models/twice/picky"), Arc::clone(&barrier));
        spawn(move || {
            barrier.wait();
            let x = if number == 5 { -1.0 } else { number as f64 };
            post(&address, format!("{{\"x\": {x}}}").as_bytes())
        })
    };
    let answers: Vec<(u16, String)> =
        (0..16).map(one).collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect();
    for (number, (status, body)) in answers.into_iter().enumerate() {
        let wanted = if number == 5 { 500 } else { 200 };
        assert_eq!(status, wanted, "{number}: {body}");
        assert!(number == 5 || body == format!("{{\"y\":{:?}}}", number as f64), "{number}: {body}");
    }
    assert!(together.load(Ordering::SeqCst) > 1);
}

#[test]
fn work_that_nobody_waits_for_stops() {
    let (server, _) = served(Limits { time: Duration::from_millis(200), ..Limits::default() }, None);
    assert_eq!(post(&format!("{server}/v1/models/twice/endless"), br#"{"x": 1}"#).0, 504);
    assert_eq!(post(&format!("{server}/v1/models/twice/double"), br#"{"x": 1}"#).0, 200);
    // Whoever goes away before need not be waited for, either.
    let address = server.strip_prefix("http://").unwrap();
    let mut gone = TcpStream::connect(address).unwrap();
    gone.write_all(
        b"POST /v1/models/twice/endless HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n{\"x\": 1}",
    )
    .unwrap();
    sleep(Duration::from_millis(50));
    drop(gone);
    sleep(Duration::from_millis(50));
    assert_eq!(post(&format!("{server}/v1/models/twice/double"), br#"{"x": 1}"#).0, 200);
}

#[test]
fn connections_that_do_nothing_give_way() {
    let (server, _) = served(Limits { connections: 8, ..Limits::default() }, None);
    let address = server.strip_prefix("http://").unwrap();
    let silent: Vec<TcpStream> = (0..40)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            // Half of them send the beginning of a head.
            if number % 2 == 0 {
                stream.write_all(b"POST /v1/models/twice/double HTTP/1.1\r\nHost: loc").unwrap();
            }
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(post(&format!("{server}/v1/models/twice/double"), br#"{"x": 1}"#).0, 200);
    }
    drop(silent);
}

#[test]
fn bodies_take_room_only_as_they_come_and_values_are_counted() {
    let limits = Limits { memory: 1 << 20, body: 1 << 20, cells: 100, ..Limits::default() };
    let (server, _) = served(limits, None);
    let ask = |body: &[u8]| post(&format!("{server}/v1/models/twice/double"), body);
    let address = server.strip_prefix("http://").unwrap();
    // Announced, and never sent.
    let announced: Vec<TcpStream> = (0..30)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"POST /v1/models/twice/double HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{").unwrap();
            stream
        })
        .collect();
    assert_eq!(ask(br#"{"x": 1}"#).0, 200);
    drop(announced);
    let many = format!("{{\"x\": 1, \"more\": [{}]}}", vec!["1"; 200].join(","));
    let (status, said) = ask(many.as_bytes());
    assert!(status == 400 && said.contains("203 values, and at most 100"), "{said}");
    // Brackets in a text are no values, and no depth.
    let text = format!("{{\"x\": 1, \"text\": \"{}\"}}", "[{,".repeat(500));
    assert_eq!(ask(text.as_bytes()).0, 200);
}

#[test]
fn other_sites_cannot_ask() {
    let (server, _) = served(Limits::default(), None);
    let with = |name: &str, value: &str| {
        agent()
            .post(format!("{server}/v1/models/twice/double"))
            .header(name, value)
            .send(r#"{"x": 1}"#)
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(with("Origin", "http://evil.example"), 403);
    assert_eq!(with("Host", "evil.example"), 403);
    assert_eq!(with("Origin", &server), 200);
    let named = agent().get(format!("{server}/v1/models")).header("X-Request-Id", "mine-7").call().unwrap();
    assert_eq!(named.headers()["x-request-id"], "mine-7");
}
