//! `multipart/form-data`, read as strictly as it can be: names of parts and where their values stand.
//!
//! What decides (the model) must mean the same to us and to the provider, so a form in which anything could be read in two ways is refused:
//! a name that is written oddly or twice, a line that only looks like a boundary, text before the first part or behind the last.

use std::ops::Range;

use memchr::memmem;

/// No real form has more parts.
const PART_LIMIT: usize = 1024;
/// Bytes of the lines before a part's value at most.
const HEAD_LIMIT: usize = 8 << 10;

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// It is a file, or in an encoding of its own: not text that anybody here may read.
    pub(super) opaque: bool,
    /// Where its value stands in the body.
    pub(super) value: Range<usize>,
}

/// The boundary that a `Content-Type` names; an error where it is of another kind.
pub(super) fn boundary(content_type: &str) -> Result<&str, &'static str> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err("its `Content-Type` is not `multipart/form-data`");
    }
    let mut found = None;
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("boundary") && found.replace(value.trim()).is_some() {
            return Err("its `Content-Type` has two boundaries");
        }
    }
    let found = found.ok_or("its `Content-Type` has no boundary")?;
    let found = found.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(found);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    if found.is_empty() || found.len() > 70 || !found.bytes().all(fits) {
        return Err("its boundary is none");
    }
    Ok(found)
}

/// The parts of a form, in order.
pub(super) fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, &'static str> {
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    let finder = memmem::Finder::new(&delimiter);
    // The first one may stand at the very beginning, where no line ends before it.
    let opening = delimiter.get(2..).unwrap_or_default();
    let start = if body.starts_with(opening) { 0 } else { 2 };
    if !body.get(start..).is_some_and(|rest| rest.starts_with(opening)) || !(start == 0 || body.starts_with(b"\r\n")) {
        return Err("it does not begin with its boundary");
    }
    let mut at = start.saturating_add(opening.len());
    let mut parts = Vec::new();
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if let Some(behind) = rest.strip_prefix(b"--") {
            let ends = behind.iter().all(u8::is_ascii_whitespace);
            return if ends { Ok(parts) } else { Err("something follows its last boundary") };
        }
        if !rest.starts_with(b"\r\n") {
            return Err("a boundary is followed by something else than a line end");
        }
        if parts.len() >= PART_LIMIT {
            return Err("it has more than 1024 parts");
        }
        let head_start = at.saturating_add(2);
        let head = body.get(head_start..).unwrap_or_default();
        let head = head.get(..head.len().min(HEAD_LIMIT)).unwrap_or_default();
        let head_end = memmem::find(head, b"\r\n\r\n").ok_or("a part has no end of its head")?;
        let value_start = head_start.saturating_add(head_end).saturating_add(4);
        // A value may be empty: the line end before the boundary is then the one that ends the head.
        let search = value_start.saturating_sub(2);
        let found = finder.find(body.get(search..).unwrap_or_default()).ok_or("a part has no end")?;
        let end = search.saturating_add(found);
        let (name, opaque) = head_of(head.get(..head_end).unwrap_or_default())?;
        parts.push(Part { name, opaque, value: value_start..end.max(value_start) });
        at = end.saturating_add(delimiter.len());
    }
}

/// Name of a part, and whether it is a file or encoded.
fn head_of(head: &[u8]) -> Result<(&str, bool), &'static str> {
    let head = std::str::from_utf8(head).map_err(|_| "the head of a part is not UTF-8")?;
    let (mut name, mut opaque) = (None, false);
    for line in head.split("\r\n") {
        if line.contains(['\r', '\n', '\0']) || line.starts_with([' ', '\t']) {
            return Err("the head of a part has a line that is none");
        }
        let (field, value) = line.split_once(':').ok_or("the head of a part has a line without a name")?;
        let value = value.trim();
        if field.eq_ignore_ascii_case("content-disposition") {
            let (found, file) = disposition(value)?;
            opaque |= file;
            if name.replace(found).is_some() {
                return Err("a part has two names");
            }
        } else if field.eq_ignore_ascii_case("content-transfer-encoding") {
            let plain = ["binary", "8bit", "7bit"].iter().any(|plain| value.eq_ignore_ascii_case(plain));
            opaque |= !plain;
        } else if field.eq_ignore_ascii_case("content-type") {
            let charset = value.split(';').skip(1).find_map(|parameter| parameter.trim().split_once('='));
            let utf8 = |charset: &str| ["utf-8", "us-ascii"].iter().any(|plain| charset.trim_matches('"').eq_ignore_ascii_case(plain));
            opaque |= charset.is_some_and(|(name, charset)| name.eq_ignore_ascii_case("charset") && !utf8(charset));
        }
    }
    name.map(|name| (name, opaque)).ok_or("a part has no name")
}

/// `form-data; name="model"; filename="…"`: the name, and whether it is a file.
fn disposition(value: &str) -> Result<(&str, bool), &'static str> {
    const ODD: &str = "the name of a part is written in a way that could be read in two";
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err("a part is no form data");
    }
    let (mut name, mut file) = (None, false);
    while !rest.trim_start().is_empty() {
        let (parameter, behind) = rest.split_once('=').ok_or(ODD)?;
        let (text, behind) = text(behind.trim_start()).ok_or(ODD)?;
        let parameter = parameter.trim().to_ascii_lowercase();
        if parameter == "name" {
            if name.replace(text).is_some() {
                return Err(ODD);
            }
        } else if parameter.starts_with("name") {
            return Err(ODD);
        }
        file |= parameter.starts_with("filename");
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(';') {
            Some(rest) => rest,
            None if behind.is_empty() => "",
            None => return Err(ODD),
        };
    }
    let name = name.ok_or("a part has no name")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:[]".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) { Err(ODD) } else { Ok((name, file)) }
}

/// A token or what stands between quotes, and what follows it. An escape in quotes is passed over, not undone.
fn text(from: &str) -> Option<(&str, &str)> {
    let Some(quoted) = from.strip_prefix('"') else {
        return Some(from.split_at(from.find(';').unwrap_or(from.len()))).map(|(token, behind)| (token.trim_end(), behind));
    };
    let mut escaped = false;
    let end = quoted.char_indices().find_map(|(at, character)| {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == '"' {
            return Some(at);
        }
        None
    })?;
    Some((quoted.get(..end)?, quoted.get(end.checked_add(1)?..)?))
}
