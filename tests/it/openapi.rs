//! `/openapi.json` and `/docs` describe every route of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::app::App;
use crate::support::schema;

/// Hint for a missing route.
const HINT: &str =
    "annotate the handler with #[utoipa::path(…)] and name it in src/api/openapi/document.rs";
/// The methods that a path can have.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(verbatim::api::openapi()).unwrap()
}

/// Path and methods of every route in the code.
fn registered() -> BTreeMap<String, BTreeSet<String>> {
    let code = include_str!("../../src/api/routes.rs");
    let mut routes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rest in code.split("at(\"").skip(1) {
        let (path, rest) = rest.split_once('"').unwrap();
        let chain = rest.split(".service(").next().unwrap();
        let methods = METHODS.into_iter().filter(|method| chain.contains(&format!(".{method}(")));
        routes.entry(path.to_owned()).or_default().extend(methods.map(str::to_owned));
    }
    for path in ["/webhook", "/webhook/{source}"] {
        routes.insert(path.to_owned(), BTreeSet::from(["post".to_owned()]));
    }
    routes
}

/// Path and methods of every route in the document.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let document = document();
    let methods = |item: &Value| item.as_object().unwrap().keys().cloned().collect();
    let paths = document["paths"].as_object().unwrap().iter();
    paths.map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// Every operation with its name and resolved references.
fn operations() -> Vec<(String, Value)> {
    let document = document();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut operation = operation.clone();
            for part in ["parameters", "responses"] {
                let each: Vec<&mut Value> = match &mut operation[part] {
                    Value::Array(each) => each.iter_mut().collect(),
                    Value::Object(each) => each.values_mut().collect(),
                    _ => Vec::new(),
                };
                for one in each {
                    if let Some(target) = one["$ref"].as_str() {
                        *one = document
                            .pointer(&target[1..])
                            .expect("target of the reference")
                            .clone();
                    }
                }
            }
            all.push((format!("{method} {path}"), operation));
        }
    }
    all
}

#[test]
fn document_has_exactly_the_routes_of_the_code() {
    let (registered, documented) = (registered(), documented());
    assert!(registered.len() > 15 && registered["/v1/keys"].len() == 2, "{registered:?}");
    for (path, methods) in &registered {
        let described = documented.get(path).cloned().unwrap_or_default();
        assert_eq!(methods, &described, "{path} as registered, and as documented: {HINT}");
    }
    for path in documented.keys() {
        assert!(registered.contains_key(path), "{path} is documented, and there is no such route");
    }
}

#[test]
fn references_in_the_document_resolve() {
    let document = document();
    for rest in verbatim::api::openapi().split("\"$ref\": \"#").skip(1) {
        let target = rest.split('"').next().unwrap();
        assert!(
            document.pointer(target).is_some(),
            "{target}: name it under `components` or inline it"
        );
    }
}

#[test]
fn committed_document_matches_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("RENEW_OPENAPI").is_some() {
        std::fs::write(&file, verbatim::api::openapi()).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        committed == verbatim::api::openapi(),
        "openapi.json is out of date: run `make openapi`"
    );
}

#[test]
fn every_parameter_answer_and_error_is_described_with_an_example() {
    let mut missing = Vec::new();
    for (name, operation) in operations() {
        let described =
            |what: &Value| what["description"].as_str().is_some_and(|text| !text.is_empty());
        if operation["summary"].as_str().is_none_or(str::is_empty) {
            missing.push(format!("{name}: a summary, the first line of the handler's comment"));
        }
        for param in operation["parameters"].as_array().into_iter().flatten() {
            if !described(param) || param.get("example").is_none() {
                missing.push(format!("{name}: description or example of {}", param["name"]));
            }
        }
        let responses = operation["responses"].as_object().unwrap();
        let answers = responses.iter().map(|(status, response)| (status.as_str(), response));
        for (what, part) in answers.chain(operation.get("requestBody").map(|body| ("body", body))) {
            if what != "body" && !described(part) {
                missing.push(format!("{name}: description of {what}"));
            }
            for (media, content) in part["content"].as_object().into_iter().flatten() {
                if content.get("example").is_none() && content.get("examples").is_none() {
                    missing.push(format!("{name}: example of {what} {media}"));
                }
            }
        }
    }
    let how = "describe it at the handler; give each field an example";
    assert!(missing.is_empty(), "missing ({how}):\n{}", missing.join("\n"));
}

#[test]
fn every_example_matches_its_schema() {
    let document = document();
    let (mut checked, mut wrong) = (0, Vec::new());
    let mut check = |what: String, schema: &Value, example: &Value| {
        checked += 1;
        if let Err(error) = schema::check(&document, schema, example) {
            wrong.push(format!("{what}: {error}"));
        }
    };
    for (name, operation) in operations() {
        for param in operation["parameters"].as_array().into_iter().flatten() {
            let what = format!("{name}, {}", param["name"]);
            check(what, &param["schema"], &param["example"]);
        }
        let responses = operation["responses"].as_object().unwrap().iter();
        let responses = responses.map(|(status, response)| (status.as_str(), response));
        let bodies = operation.get("requestBody").map(|body| ("body", body));
        for (what, part) in responses.chain(bodies) {
            for (media, content) in part["content"].as_object().into_iter().flatten() {
                let what = format!("{name}, {what} {media}");
                let several = content["examples"].as_object().into_iter().flatten();
                let several = several.map(|(_, example)| &example["value"]);
                for example in several.chain(content.get("example")) {
                    check(what.clone(), &content["schema"], example);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 200, "{checked} examples");
}

#[test]
fn example_that_violates_its_schema_is_found() {
    let document = document();
    let format = operations().into_iter().find(|(name, _)| name == "get /v1/export/messages");
    let params = format.unwrap().1["parameters"].clone();
    let schema = |wanted: &str| {
        let all = params.as_array().unwrap();
        all.iter().find(|param| param["name"] == wanted).unwrap()["schema"].clone()
    };
    for (name, wrong) in [("format", "txt"), ("after", "yesterday"), ("source", "")] {
        assert!(schema::check(&document, &schema(name), &wrong.into()).is_err(), "{name}");
    }
}

#[test]
fn every_sufficient_scope_is_documented() {
    let changes = operations().into_iter().find(|(name, _)| name == "get /v1/changes").unwrap().1;
    let text = changes["description"].as_str().unwrap();
    assert!(text.ends_with("Needs the scope `read` or `export`."), "{text}");
    let ways = changes["security"].to_string();
    assert_eq!(ways.matches("read").count() + ways.matches("export").count(), 6, "{ways}");
}

#[tokio::test]
async fn document_has_the_parameters_and_keys_of_the_code() {
    let app = App::start().await;
    for (name, operation) in operations() {
        let Some(path) = name.strip_prefix("get ") else { continue };
        let path = path.replace(['{', '}'], "");
        let open = operation["security"].as_array().unwrap().is_empty();
        let status = app.get_with(&path, &[]).await.status;
        // After many failures of one address the status is 429.
        let refused = matches!(status, 401 | 429);
        assert_eq!(open, !refused, "{name} answers {status} without a key");
        if !path.starts_with("/v1/") {
            continue;
        }
        let refused = app.get(&format!("{path}?no_such_parameter=1")).await;
        assert_eq!(refused.code(), "invalid_parameter", "{name}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        let known = detail.split("Known are: ").nth(1).unwrap().trim_end_matches('.').to_owned();
        let known: BTreeSet<_> = known.split(", ").filter(|name| *name != "none").collect();
        let params = operation["parameters"].as_array().into_iter().flatten();
        let documented: BTreeSet<_> = params
            .filter(|param| param["in"] == "query")
            .map(|param| param["name"].as_str().unwrap())
            .collect();
        assert_eq!(known, documented, "{name}: parameters of the code, and of the document");
    }
}

#[tokio::test]
async fn integer_parameter_is_accepted_only_within_documented_bounds() {
    let app = App::start().await;
    let mut requests = 0;
    for (name, operation) in operations() {
        let Some(path) = name.strip_prefix("get ") else { continue };
        for param in operation["parameters"].as_array().into_iter().flatten() {
            let (schema, param) = (&param["schema"], param["name"].as_str().unwrap());
            let Some(least) = schema["minimum"].as_i64() else { continue };
            let needed = match (path, param) {
                ("/v1/search", _) => "q=hours&",
                (_, "max_cell_chars") => "format=csv&",
                _ => "",
            };
            let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
            for (value, accepted) in [
                (i128::from(least) - 1, false),
                (i128::from(least), true),
                (i128::from(most), true),
                (i128::from(most) + 1, false),
            ] {
                let path = path.replace(['{', '}'], "");
                let status = app.get(&format!("{path}?{needed}{param}={value}")).await.status;
                assert_eq!(status != 400, accepted, "{name}: {param}={value} is answered {status}");
                requests += 1;
            }
        }
    }
    assert!(requests > 40, "{requests}");
}

#[tokio::test]
async fn document_and_page_need_no_key_and_load_nothing() {
    let app = App::start().await;
    let answer = app.get_with("/openapi.json", &[]).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, verbatim::api::openapi()));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.json()["openapi"], "3.1.0");

    let page = app.get_with("/docs", &[]).await;
    assert_eq!(
        (page.status, &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    // A URL in an example is text, and loads nothing.
    for loads in [
        "<script", "<link", "<img", "<iframe", "src=", "@import", "url(", "=\"http", "='http",
        "=http",
    ] {
        assert!(!page.text.contains(loads), "{loads}");
    }
    for path in documented().keys() {
        assert!(page.text.contains(&path.replace('/', "/<wbr>")), "{path} is on the page");
    }
}

#[tokio::test]
async fn unsupported_method_is_answered_405_with_allow() {
    let app = App::start().await;
    let client = crate::support::app::client();
    for (path, allow) in
        [("/healthz", "GET, HEAD"), ("/v1/keys", "GET, HEAD, POST"), ("/webhook", "POST")]
    {
        let url = format!("{}{path}", app.address);
        let answer = client.put(url).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["allow"]),
            (405, &allow.parse().unwrap()),
            "{path}"
        );
    }
    let head = client.head(format!("{}/readyz", app.address)).send().await.unwrap();
    assert_eq!(head.status(), 200);
}
