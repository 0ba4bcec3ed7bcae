//! The OpenAPI document, from the verbs of the models that are served.

use serde_json::{Value, json};

use crate::{Takes, Verb};

/// A model as the document has it.
pub(crate) struct Described<'a> {
    pub(crate) name: &'a str,
    pub(crate) family: &'a str,
    pub(crate) verbs: &'a [Verb],
}

/// OpenAPI 3.1.
pub(crate) fn document<'a>(models: impl Iterator<Item = Described<'a>>, version: &str) -> Value {
    let mut paths = json!({
        "/health": { "get": { "summary": "Whether the server is up", "responses": { "200": { "description": "It is" } } } },
        "/metrics": { "get": { "summary": "Counts and times for Prometheus", "responses": { "200": { "description": "Text" } } } },
        "/v1/models": { "get": { "summary": "The models and their verbs", "responses": { "200": { "description": "JSON" } } } },
    });
    for Described { name, family, verbs } in models {
        for verb in verbs {
            paths[format!("/v1/models/{name}/{}", verb.name)] = json!({ "post": operation(verb, family) });
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "dozen", "version": version },
        "paths": paths,
        "components": { "schemas": { "Refusal": {
            "type": "object",
            "properties": { "error": { "type": "string" } },
            "required": ["error"],
        } } },
    })
}

fn operation(verb: &Verb, family: &str) -> Value {
    let refusal = |description: &str| {
        json!({
            "description": description,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refusal" } } },
        })
    };
    let (content, options) = match &verb.takes {
        Takes::Json(example) => {
            (json!({ "application/json": { "schema": schema(example), "example": example } }), Value::Null)
        }
        Takes::Picture(options) => {
            let binary = json!({ "schema": { "type": "string", "format": "binary" } });
            (
                json!({ "image/png": binary, "image/jpeg": binary, "image/webp": binary, "image/bmp": binary }),
                options.clone(),
            )
        }
    };
    let mut parameters: Vec<Value> = options
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, example)| json!({ "name": name, "in": "query", "schema": schema(example), "example": example }))
        .collect();
    if verb.streams {
        parameters.push(json!({ "name": "stream", "in": "query", "schema": { "type": "boolean" } }));
    }
    json!({
        "summary": verb.summary,
        "tags": [family],
        "parameters": parameters,
        "requestBody": { "required": true, "content": content },
        "responses": {
            "200": { "description": "The answer", "content": { "application/json": {} } },
            "400": refusal("The request is wrong"),
            "413": refusal("The body is larger than the limit"),
            "429": refusal("Too many requests wait already"),
            "504": refusal("The answer took longer than the limit"),
        },
    })
}

/// The type of an example.
fn schema(example: &Value) -> Value {
    match example {
        Value::Null => json!({}),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(number) if number.is_u64() || number.is_i64() => json!({ "type": "integer" }),
        Value::Number(_) => json!({ "type": "number" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => json!({ "type": "array", "items": items.first().map_or(json!({}), schema) }),
        Value::Object(fields) => {
            let properties: serde_json::Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), schema(value))).collect();
            json!({ "type": "object", "properties": properties })
        }
    }
}
