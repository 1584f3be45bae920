//! Bodies of requests as JSON.

use serde::de::{DeserializeOwned, Error as _};

/// Reads an object. Without this check an array would do as well: its items as the members in order.
pub(crate) fn read_object<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|first| *first != b'{') {
        return Err(serde_json::Error::custom("it is not an object"));
    }
    serde_json::from_slice(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Body {
        name: String,
    }

    #[test]
    fn object_alone_is_read() {
        let body: Body = read_object(b" \n{\"name\": \"n\"}").unwrap();
        assert_eq!(body.name, "n");
        for wrong in ["", " ", "[\"n\"]", "\"n\"", "{", "{\"name\":1}", "null"] {
            assert!(read_object::<Body>(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
