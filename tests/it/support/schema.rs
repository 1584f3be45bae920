//! Validates a value against a JSON schema. Supports the keywords of our document, and panics on
//! others, so that nothing is skipped.

use regex::Regex;
use serde_json::Value;

/// Keywords of a schema that do not restrict values.
const ANNOTATIONS: [&str; 6] =
    ["description", "example", "examples", "title", "default", "readOnly"];

/// Validates a value. Returns the reason if it is invalid.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(any) = schema.as_bool() {
        return if any { Ok(()) } else { Err(format!("{value} is not allowed")) };
    }
    let deeper = |schema: &Value| check(document, schema, value);
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let rules = || rule.as_array().expect("several");
        let fits = match keyword.as_str() {
            note if ANNOTATIONS.contains(&note) => true,
            "$ref" => {
                let path = rule.as_str().unwrap().strip_prefix('#').unwrap();
                deeper(document.pointer(path).expect("the target of the reference"))?;
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is(one.as_str().unwrap(), value)),
                one => is(one.as_str().unwrap(), value),
            },
            "const" => rule == value,
            "enum" => rules().contains(value),
            "allOf" => {
                rules().iter().try_for_each(&deeper)?;
                true
            }
            "anyOf" => rules().iter().any(|one| deeper(one).is_ok()),
            "oneOf" => rules().iter().filter(|one| deeper(one).is_ok()).count() == 1,
            "not" => deeper(rule).is_err(),
            "required" => rules().iter().all(|name| {
                value.as_object().is_none_or(|members| members.contains_key(name.as_str().unwrap()))
            }),
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    let Some(member) = value.get(name) else { continue };
                    check(document, schema, member).map_err(|wrong| format!("{name}: {wrong}"))?;
                }
                true
            }
            "additionalProperties" | "propertyNames" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    if keyword == "propertyNames" {
                        check(document, rule, &Value::from(name.as_str()))?;
                    } else if schema["properties"].get(name).is_none() {
                        check(document, rule, member)
                            .map_err(|wrong| format!("{name}: {wrong}"))?;
                    }
                }
                true
            }
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|item| {
                    check(document, rule, item).map_err(|wrong| format!("an item: {wrong}"))
                })?;
                true
            }
            "minItems" => value.as_array().is_none_or(|all| all.len() as u64 >= number(rule)),
            "maxItems" => value.as_array().is_none_or(|all| all.len() as u64 <= number(rule)),
            "uniqueItems" => true,
            "minLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 >= number(rule))
            }
            "maxLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 <= number(rule))
            }
            "minimum" => value.as_f64().is_none_or(|it| it >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|it| it <= rule.as_f64().unwrap()),
            "pattern" => {
                let pattern = Regex::new(rule.as_str().unwrap()).expect("a pattern");
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "format" => value.as_str().is_none_or(|text| has(rule.as_str().unwrap(), text)),
            other => panic!("keyword `{other}` is not supported"),
        };
        if !fits {
            return Err(format!("{value} does not fit {keyword}: {rule}"));
        }
    }
    Ok(())
}

fn number(rule: &Value) -> u64 {
    rule.as_u64().expect("a number")
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}

fn has(format: &str, text: &str) -> bool {
    match format {
        "uuid" => uuid::Uuid::try_parse(text).is_ok(),
        "date-time" => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        "int32" | "int64" | "double" | "float" | "binary" => true,
        other => panic!("format `{other}` is not supported"),
    }
}
