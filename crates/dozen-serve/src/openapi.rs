//! The OpenAPI document, from the verbs of the models that are served.

use serde_json::{Map, Value, json};

use crate::limits::Limits;
use crate::{Bound, Takes, Verb};

/// A model as the document has it.
pub(crate) struct Described<'a> {
    pub(crate) name: &'a str,
    pub(crate) family: &'a str,
    pub(crate) verbs: &'a [Verb],
}

/// OpenAPI 3.1.
pub(crate) fn document<'a>(
    models: impl Iterator<Item = Described<'a>>,
    limits: &Limits,
    version: &str,
) -> Value {
    let plain = |summary: &str, kind: &str| {
        let schema = if kind == "application/json" {
            json!({ "type": "object" })
        } else {
            json!({ "type": "string" })
        };
        json!({ "get": {
            "summary": summary,
            "responses": {
                "200": { "description": "It is", "content": { kind: { "schema": schema } } },
                "401": refused("The token is missing"),
                "403": refused("The request comes from elsewhere"),
            },
        } })
    };
    let mut paths = json!({
        "/health": plain("Whether the server is up", "application/json"),
        "/metrics": plain("Counts and times for Prometheus", "text/plain"),
        "/v1/models": plain("The models and their verbs", "application/json"),
    });
    for Described { name, family, verbs } in models {
        for verb in verbs {
            let operation = operation(verb, family, limits);
            paths[format!("/v1/models/{name}/{}", verb.name)] = json!({ "post": operation });
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "dozen", "version": version },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Refusal": {
                "type": "object",
                "properties": { "error": { "type": "string" } },
                "required": ["error"],
            } },
        },
    })
}

fn refused(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refusal" } } },
    })
}

fn operation(verb: &Verb, family: &str, limits: &Limits) -> Value {
    let (content, options) = match &verb.takes {
        Takes::Json(example) => {
            let schema = object(example, verb, limits);
            (json!({ "application/json": { "schema": schema, "example": example } }), Value::Null)
        }
        Takes::Picture(options) => {
            let binary =
                json!({ "schema": { "type": "string", "format": "binary", "maxLength": limits.body } });
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
        .map(|(name, example)| {
            json!({ "name": name, "in": "query", "schema": bounded(name, example, verb, limits), "example": example })
        })
        .collect();
    let mut answer = json!({ "application/json": { "schema": { "type": "object" } } });
    if verb.streams {
        parameters.push(json!({ "name": "stream", "in": "query", "schema": { "type": "boolean" } }));
        answer["text/plain"] = json!({ "schema": { "type": "string" } });
    }
    json!({
        "summary": verb.summary,
        "tags": [family],
        "parameters": parameters,
        "requestBody": { "required": true, "content": content },
        "responses": {
            "200": { "description": "The answer", "content": answer },
            "400": refused("The request is wrong"),
            "401": refused("The token is missing"),
            "403": refused("The request comes from elsewhere"),
            "408": refused("The body took too long to arrive"),
            "413": refused("The body is larger than the limit"),
            "429": refused("Too many requests wait already"),
            "500": refused("The model failed"),
            "504": refused("The answer took longer than the limit"),
        },
    })
}

/// The schema of a JSON body.
fn object(example: &Value, verb: &Verb, limits: &Limits) -> Value {
    let properties: Map<String, Value> = example
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, example)| (name.clone(), bounded(name, example, verb, limits)))
        .collect();
    let mut properties = properties;
    for name in &verb.may {
        properties.insert((*name).to_owned(), json!({}));
    }
    json!({ "type": "object", "properties": properties, "required": verb.needs, "additionalProperties": false })
}

/// The type of an example, and what a verb says of its bounds.
fn bounded(name: &str, example: &Value, verb: &Verb, limits: &Limits) -> Value {
    let mut schema = schema(example);
    match verb.bounds.iter().find(|(bounded, _)| *bounded == name).map(|(_, bound)| *bound) {
        None => {}
        Some(Bound::Whole([least, most])) => {
            schema = json!({ "type": "integer", "minimum": least, "maximum": most });
        }
        Some(Bound::Number([least, most])) => {
            schema = json!({ "type": "number", "minimum": least, "maximum": most });
        }
        Some(Bound::Count) => schema = json!({ "type": "integer", "minimum": 1, "maximum": limits.rows }),
        Some(Bound::Rows(most)) => {
            schema["minItems"] = 1.into();
            schema["maxItems"] = most.min(limits.rows).into();
        }
        Some(Bound::Ids) => schema["items"] = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
    }
    // What may be left out may be null.
    if !verb.needs.contains(&name)
        && let Some(kind) = schema.get("type").cloned()
        && matches!(verb.takes, Takes::Json(_))
    {
        schema["type"] = json!([kind, "null"]);
    }
    schema
}

/// The type of an example.
fn schema(example: &Value) -> Value {
    match example {
        Value::Null => json!({}),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(_) => json!({ "type": "number" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => json!({ "type": "array", "items": items.first().map_or(json!({}), schema) }),
        Value::Object(fields) => {
            let properties: Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), schema(value))).collect();
            json!({ "type": "object", "properties": properties, "required": fields.keys().collect::<Vec<_>>() })
        }
    }
}
