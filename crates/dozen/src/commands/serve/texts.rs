//! Models of text.

use dozen::run::stop_point;
use dozen::sequence::{Model, Sampling, Task};
use dozen::text::Tokenizer;
use dozen::text::word2vec::{AnalogyScore, WordVectors};
use dozen_serve::{Bound, Refusal, Request, Served, Takes, Verb};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::refused;
use crate::commands::rnn::Writer;
use crate::commands::tokenizer::shown;

/// Tokens of one answer: each takes a hundred bytes on its way.
const MOST_TOKENS: usize = 500_000;

/// A tokenizer.
pub(super) struct Tokens(pub(super) Tokenizer);

impl Tokens {
    fn told(&self, verb: &str, request: &Request) -> Result<Value, Refusal> {
        match verb {
            "count" => {
                Ok(json!({ "tokens": self.0.count(request.text("text")?.as_bytes()).map_err(refused)? }))
            }
            "decode" => {
                let ids = request.get("ids").and_then(Value::as_array);
                let ids = ids.ok_or_else(|| Refusal::request("`ids` is missing: an array of numbers"))?;
                let id = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
                let ids: Option<Vec<u32>> = ids.iter().map(id).collect();
                let ids = ids.ok_or_else(|| Refusal::request("`ids` has something that is no id"))?;
                Ok(json!({ "text": self.0.decode(&ids).map_err(refused)? }))
            }
            _ => {
                let ids = self.0.encode_ordinary(request.text("text")?).map_err(refused)?;
                if ids.len() > MOST_TOKENS {
                    let found = ids.len();
                    return Err(Refusal::request(format!(
                        "the text has {found} tokens, and at most {MOST_TOKENS} are told; ask `count`, or send it in parts"
                    )));
                }
                let token = |id: &u32| shown(self.0.token(*id).unwrap_or_default());
                Ok(json!({ "ids": ids, "tokens": ids.iter().map(token).collect::<Vec<_>>() }))
            }
        }
    }
}

impl Served for Tokens {
    fn family(&self) -> &'static str {
        "tokenizer"
    }

    fn panel(&self) -> &'static str {
        "tokenizer"
    }

    fn verbs(&self) -> Vec<Verb> {
        let text = || Takes::Json(json!({ "text": "A text." }));
        vec![
            Verb::new(
                "encode",
                "The ids and tokens of a text; special tokens are text like any other",
                text(),
            )
            .needing(&["text"]),
            Verb::new("count", "How many tokens a text has", text()).needing(&["text"]),
            Verb::new("decode", "The text of ids", Takes::Json(json!({ "ids": [0] })))
                .needing(&["ids"])
                .bounded("ids", Bound::Ids),
        ]
    }

    fn about(&self) -> Value {
        json!({ "tokens": self.0.len() })
    }

    fn answer(&mut self, verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
        requests.iter().map(|request| self.told(verb, request)).collect()
    }
}

/// Word vectors.
pub(super) struct Words(pub(super) WordVectors);

impl Words {
    fn told(&self, verb: &str, request: &Request) -> Result<Value, Refusal> {
        let count = request.count_or("count", 10, [1, 1000])?;
        let found = if verb == "neighbours" {
            self.0.nearest(&[request.text("word")?], count)
        } else {
            let [a, b, c] = [request.text("a")?, request.text("b")?, request.text("c")?];
            self.0.analogy(&[b, c], &[a], count, AnalogyScore::CosAdd)
        };
        let dictionary = self.0.dictionary();
        let named = |one: &dozen::text::word2vec::Neighbour| json!({ "word": dictionary.word(one.word), "score": one.score });
        Ok(json!({ "words": found.map_err(refused)?.iter().map(named).collect::<Value>() }))
    }
}

impl Served for Words {
    fn family(&self) -> &'static str {
        "word2vec"
    }

    fn panel(&self) -> &'static str {
        "words"
    }

    fn verbs(&self) -> Vec<Verb> {
        let word = |place: usize| self.0.dictionary().words().nth(place).unwrap_or("").to_owned();
        vec![
            Verb::new(
                "neighbours",
                "The words nearest to a word",
                Takes::Json(json!({ "word": word(0), "count": 10 })),
            )
            .needing(&["word"])
            .bounded("count", Bound::Whole([1, 1000])),
            Verb::new(
                "analogy",
                "The words that are to c as b is to a",
                Takes::Json(json!({ "a": word(0), "b": word(1), "c": word(2), "count": 5 })),
            )
            .needing(&["a", "b", "c"])
            .bounded("count", Bound::Whole([1, 1000])),
        ]
    }

    fn about(&self) -> Value {
        json!({ "words": self.0.dictionary().len(), "dimensions": self.0.dim() })
    }

    fn answer(&mut self, verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
        requests.iter().map(|request| self.told(verb, request)).collect()
    }
}

/// A recurrent language model.
pub(super) struct Recurrent(pub(super) Model);

/// The most units of a continuation.
const LONGEST: usize = 10_000;

impl Recurrent {
    fn told(&self, request: &Request) -> Result<Value, Refusal> {
        let prompt = if request.get("prompt").is_some() { request.text("prompt")? } else { "" };
        let length = request.count_or("length", 200, [1, LONGEST])?;
        let seed = request.count_or("seed", 0, [0, 1 << 50])? as u64;
        let temperature = request.number_or("temperature", 0.8)?;
        let sampling = Sampling { temperature, top_k: None, top_p: None };
        let mut writer =
            Writer::new(&self.0, prompt, 1, &[]).map_err(|failure| Refusal::Request(failure.sentence()))?;
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..length {
            let new = writer.step(&sampling, &mut rng);
            stop_point();
            if !new.is_empty() && !request.piece(new) {
                break;
            }
        }
        Ok(json!({ "text": writer.finish().remove(0) }))
    }
}

impl Served for Recurrent {
    fn family(&self) -> &'static str {
        "rnn"
    }

    fn panel(&self) -> &'static str {
        if self.0.config().task == Task::LanguageModel { "writer" } else { "" }
    }

    fn verbs(&self) -> Vec<Verb> {
        if self.0.config().task != Task::LanguageModel {
            return Vec::new();
        }
        let example = json!({ "prompt": "", "length": 200, "temperature": 0.8, "seed": 0 });
        vec![
            Verb::streaming("generate", "A continuation of a prompt", Takes::Json(example))
                .bounded("length", Bound::Whole([1, LONGEST as u64]))
                .bounded("temperature", Bound::Number([0.0, 1e6]))
                .bounded("seed", Bound::Whole([0, 1 << 50])),
        ]
    }

    fn answer(&mut self, _verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
        requests.iter().map(|request| self.told(request)).collect()
    }
}
