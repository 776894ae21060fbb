//! Making a body that Anthropic takes into one that a cloud takes which serves its models: the model and the stream are said in the path
//! there, the version of the interface in the body.
//!
//! All other bytes stay as they came (R-45). Leaves out: which cloud is how, which is data of the caller's.

use bytes::Bytes;

use crate::{
    json::{Cursor, SyntaxError},
    splice::Edits,
};

/// How a cloud differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hosting<'h> {
    /// What it wants in `anthropic_version`.
    pub version: &'h str,
    /// Top-level members that it says elsewhere.
    pub elsewhere: &'h [&'h str],
    /// What goes into `anthropic_beta`, where the body has none of its own.
    pub betas: &'h [&'h str],
}

const VERSION: &[u8] = b"anthropic_version";
const BETAS: &[u8] = b"anthropic_beta";

/// Makes a body, that was read as a request before, one for the cloud.
///
/// # Errors
/// When it is not an object of valid JSON after all.
pub fn host(body: &Bytes, hosting: &Hosting<'_>) -> Result<Bytes, SyntaxError> {
    let mut cursor = Cursor::new(body);
    let mut walk = cursor.begin_object()?;
    let mut edits = Edits::new(body.len());
    let open = body.iter().position(|byte| *byte == b'{').map_or(0, |at| at.saturating_add(1));
    let (mut previous_end, mut follows_at_once, mut own_betas) = (open, false, false);
    let mut removed = Vec::with_capacity(3);
    while let Some(key) = cursor.next_key(&mut walk)? {
        let end = cursor.value()?.end();
        let name = key.key_bytes();
        if *name == *VERSION || hosting.elsewhere.iter().any(|elsewhere| elsewhere.as_bytes() == &*name) {
            removed.push(previous_end..end);
        } else {
            follows_at_once |= previous_end == open;
            own_betas |= *name == *BETAS;
        }
        previous_end = end;
    }
    cursor.end()?;
    let betas = if own_betas { &[][..] } else { hosting.betas };
    edits.insert(open, head(hosting.version, betas, follows_at_once));
    for range in removed {
        edits.remove(range);
    }
    Ok(edits.apply(body))
}

/// The members that stand in front of all others. What was not first has its comma already.
fn head(version: &str, betas: &[&str], comma: bool) -> Vec<u8> {
    let mut head = format!("\"anthropic_version\":{}", serde_json::Value::from(version));
    if !betas.is_empty() {
        head.push_str(&format!(",\"anthropic_beta\":{}", serde_json::Value::from(betas.to_vec())));
    }
    if comma {
        head.push(',');
    }
    head.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosted(body: &str, betas: &[&str]) -> String {
        let hosting = Hosting { version: "v-1", elsewhere: &["model", "stream"], betas };
        let body = host(&Bytes::copy_from_slice(body.as_bytes()), &hosting).unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn the_version_comes_and_what_the_path_says_goes_wherever_it_stands() {
        for (body, expected) in [
            (r#"{"model":"m","stream":true,"a":[1, 2]}"#, r#"{"anthropic_version":"v-1","a":[1, 2]}"#),
            (r#"{"a":1 , "model":"m","b":2}"#, r#"{"anthropic_version":"v-1","a":1,"b":2}"#),
            (r#" { "a":{"model":"x"}, "stream":false }"#, r#" {"anthropic_version":"v-1", "a":{"model":"x"} }"#),
            (r#"{"anthropic_version":"old","m\u006fdel":"m","a":1}"#, r#"{"anthropic_version":"v-1","a":1}"#),
            (r#"{"model":"m"}"#, r#"{"anthropic_version":"v-1"}"#),
            ("{}", r#"{"anthropic_version":"v-1"}"#),
        ] {
            assert_eq!(hosted(body, &[]), expected, "{body}");
        }
    }

    #[test]
    fn betas_go_into_the_body_unless_it_has_its_own() {
        assert_eq!(hosted(r#"{"a":1}"#, &["b-1", "b-2"]), r#"{"anthropic_version":"v-1","anthropic_beta":["b-1","b-2"],"a":1}"#);
        assert_eq!(hosted(r#"{"anthropic_beta":["c"]}"#, &["b-1"]), r#"{"anthropic_version":"v-1","anthropic_beta":["c"]}"#);
    }
}
