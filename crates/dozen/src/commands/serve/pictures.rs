//! Models of pictures.

use dozen::run::stop_point;
use dozen::vision::detector::{self, Found, Head};
use dozen::vision::efficientnet::{self, ranked};
use dozen::vision::picture::Picture;
use dozen_serve::{Bound, Refusal, Request, Served, Takes, Verb};
use rayon::prelude::*;
use serde_json::{Value, json};

/// The picture of a request, within its limits.
fn picture(request: &Request) -> Result<Picture, Refusal> {
    Picture::decode_within(&request.bytes, request.most_pixels)
        .map_err(|problem| Refusal::request(format!("the picture {problem}")))
}

/// An EfficientNet.
pub(super) struct Classes(pub(super) efficientnet::Model);

impl Served for Classes {
    fn family(&self) -> &'static str {
        "efficientnet"
    }

    fn panel(&self) -> &'static str {
        "classifier"
    }

    fn verbs(&self) -> Vec<Verb> {
        vec![
            Verb::new("classify", "The likeliest classes of a picture", Takes::Picture(json!({ "top": 5 })))
                .bounded("top", Bound::Whole([1, 1000])),
        ]
    }

    fn about(&self) -> Value {
        json!({ "classes": self.0.config().classes })
    }

    fn answer(&mut self, _verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
        // Those that decode go through the network together.
        // Of each picture only the square that the network sees is kept: a batch of large ones takes little memory.
        let asked = |request: &Request| {
            let square = self.0.config().preprocessing.square(&picture(request)?);
            Ok((square, request.count_or("top", 5, [1, 1000])?))
        };
        let decoded: Vec<Result<(Picture, usize), Refusal>> = requests.par_iter().map(asked).collect();
        let squares: Vec<&Picture> =
            decoded.iter().filter_map(|one| one.as_ref().ok()).map(|(square, _)| square).collect();
        let mut rows = self.0.probabilities_of_squares(&squares).into_iter();
        let classes = &self.0.config().classes;
        let told = |one: Result<(Picture, usize), Refusal>| {
            let (_, top) = one?;
            let row = rows.next().ok_or_else(|| Refusal::Failed("the network gave no answer".into()))?;
            let named = |class: usize| json!({ "class": classes[class], "probability": row[class] });
            Ok(json!({ "classes": ranked(&row).into_iter().take(top).map(named).collect::<Value>() }))
        };
        decoded.into_iter().map(told).collect()
    }
}

/// A detector.
pub(super) struct Boxes(pub(super) detector::Model);

impl Boxes {
    fn detect(&self, request: &Request) -> Result<Value, Refusal> {
        stop_point();
        let picture = picture(request)?;
        let least = request.number_or("least_score", 0.3)? as f32;
        let mut found = self.0.detect(std::slice::from_ref(&picture), &[]).remove(0);
        found.retain(|found| found.score >= least);
        let categories = &self.0.config().categories;
        let told = |found: &Found| {
            json!({
                "category": categories[found.category],
                "score": found.score,
                "box": found.rect,
                "branch": found.branch,
            })
        };
        let mut boxes: Vec<Value> = found.iter().map(told).collect();
        let rects: Vec<_> = found.iter().map(|found| found.rect).collect();
        if let Head::Votes { parts, .. } = self.0.config().model.head
            && !rects.is_empty()
            && let Some(votes) = self.0.votes(&picture, &rects)
        {
            // What each part says for the category rather than the background.
            for ((told, found), votes) in boxes.iter_mut().zip(&found).zip(votes) {
                let margin = votes[found.category + 1].iter().zip(&votes[0]).map(|(own, none)| own - none);
                let margin: Vec<f32> = margin.collect();
                told["votes"] = margin.chunks(parts).map(<[f32]>::to_vec).collect();
            }
        }
        Ok(json!({ "width": picture.width, "height": picture.height, "boxes": boxes }))
    }
}

impl Served for Boxes {
    fn family(&self) -> &'static str {
        "detector"
    }

    fn panel(&self) -> &'static str {
        "detector"
    }

    fn verbs(&self) -> Vec<Verb> {
        let options = json!({ "least_score": 0.3 });
        vec![
            Verb::new("detect", "The boxes of things in a picture", Takes::Picture(options))
                .bounded("least_score", Bound::Number([0.0, 1.0])),
        ]
    }

    fn about(&self) -> Value {
        json!({ "categories": self.0.config().categories })
    }

    fn answer(&mut self, _verb: &str, requests: &[Request]) -> Vec<Result<Value, Refusal>> {
        requests.iter().map(|request| self.detect(request)).collect()
    }
}
