//! Reports as providers state them: finding one in a reply, reading its members, and putting together what a stream brings in parts.

use memchr::memmem;

use super::{ReadUsageError, Usage};
use crate::json::{Cursor, Kind, SyntaxError, Value};

/// How many places that look like the report are tried from the end before the whole reply is read.
const TRIES: usize = 4;

/// A report as one event of a stream or a whole reply states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// The figures as stated.
    pub(crate) stated: Usage,
    /// How they are meant.
    pub(crate) form: Form,
    /// Whether it stands even if nothing follows. One that doesn't is what was counted when the stream began, or in the middle of it.
    pub(crate) last: bool,
}

/// How the figures of a report are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Totals include their parts, and a report says everything: a later one takes its place.
    Whole,
    /// The input is without what was read from and written to the cache, and a report may say a part: a later one adds to it.
    Parts,
}

impl Report {
    /// A report that says everything.
    pub(crate) fn whole(stated: Usage) -> Self {
        Self { stated, form: Form::Whole, last: true }
    }

    /// A report whose input excludes the cache.
    pub(crate) fn parts(stated: Usage, last: bool) -> Self {
        Self { stated, form: Form::Parts, last }
    }

    /// What both say; where both say something, the later.
    pub(crate) fn then(self, later: Self) -> Self {
        if later.form == Form::Whole {
            return later;
        }
        let (old, new) = (self.stated, later.stated);
        let stated = Usage {
            input_tokens: new.input_tokens.or(old.input_tokens),
            cached_input_tokens: new.cached_input_tokens.or(old.cached_input_tokens),
            cache_write_tokens: new.cache_write_tokens.or(old.cache_write_tokens),
            cache_write_1h_tokens: new.cache_write_1h_tokens.or(old.cache_write_1h_tokens),
            input_audio_tokens: new.input_audio_tokens.or(old.input_audio_tokens),
            output_tokens: new.output_tokens.or(old.output_tokens),
            reasoning_tokens: new.reasoning_tokens.or(old.reasoning_tokens),
            output_audio_tokens: new.output_audio_tokens.or(old.output_audio_tokens),
            input_image_tokens: new.input_image_tokens.or(old.input_image_tokens),
            output_image_tokens: new.output_image_tokens.or(old.output_image_tokens),
            total_tokens: new.total_tokens.or(old.total_tokens),
        };
        Self { stated, ..later }
    }

    /// In the normal form: totals include their parts.
    pub(crate) fn usage(&self) -> Usage {
        let stated = self.stated;
        match self.form {
            Form::Whole => stated,
            Form::Parts => {
                let cache = stated.cached_input_tokens.unwrap_or(0).saturating_add(stated.cache_write_tokens.unwrap_or(0));
                Usage { input_tokens: stated.input_tokens.map(|input| input.saturating_add(cache)), ..stated }
            }
        }
    }
}

/// Finds the value of a member of a whole reply, such as `usage`.
///
/// The report stands near the end, so it is searched from there. What is found is believed only if it is a member of the
/// top-level object: a key in place (`,` or `{` before it, `:` behind), and behind its value nothing but further members,
/// one closing brace and the end. A quote inside a string is escaped, so text that talks about `"usage"` fails that.
/// Where it can't be found this way, the reply is read from the front.
pub(crate) fn find<'a>(reply: &'a [u8], name: &str) -> Result<Option<Value<'a>>, ReadUsageError> {
    let needle = [b"\"", name.as_bytes(), b"\""].concat();
    let mut end = reply.len();
    for _ in 0..TRIES {
        let Some(at) = memmem::rfind(reply.get(..end).unwrap_or_default(), &needle) else { break };
        if let Some(value) = top_level_value(reply, at, needle.len()) {
            return Ok(Some(value));
        }
        end = at;
    }
    find_from_front(reply, name)
}

/// The value of the key at `at`, if that is a key of the top-level object.
fn top_level_value(reply: &[u8], at: usize, key_length: usize) -> Option<Value<'_>> {
    let before = reply.get(..at)?.trim_ascii_end();
    if !matches!(before.last(), Some(b',' | b'{')) {
        return None;
    }
    let behind_key = at.checked_add(key_length)?;
    let gap = reply.get(behind_key..)?;
    let colon = gap.iter().position(|byte| !byte.is_ascii_whitespace())?;
    if gap.get(colon) != Some(&b':') {
        return None;
    }
    let (mut cursor, _) = Cursor::behind_member(reply, behind_key.checked_add(colon)?.checked_add(1)?);
    let value = cursor.value().ok()?;
    let (mut tail, mut walk) = Cursor::behind_member(reply, value.end());
    while tail.next_key(&mut walk).ok()?.is_some() {
        tail.value().ok()?;
    }
    tail.end().ok()?;
    Some(value)
}

pub(crate) fn find_from_front<'a>(reply: &'a [u8], name: &str) -> Result<Option<Value<'a>>, ReadUsageError> {
    let mut cursor = Cursor::new(reply);
    let whole = cursor.value()?;
    cursor.end()?;
    Ok(member_of(&whole, name)?)
}

/// The last member of this name of a value; what is no object has none. Its place is counted from the value's.
pub(crate) fn member_of<'a>(value: &Value<'a>, name: &str) -> Result<Option<Value<'a>>, SyntaxError> {
    if value.kind() != Kind::Object {
        return Ok(None);
    }
    let mut cursor = Cursor::new(value.raw());
    let mut walk = cursor.begin_object()?;
    let mut found = None;
    while let Some(key) = cursor.next_key(&mut walk)? {
        let member = cursor.value()?;
        if key.is_text(name) {
            found = Some(member);
        }
    }
    Ok(found)
}

/// Reads the members of a report; `null` is none, and members that are not known are passed over.
pub(crate) fn read_members<'a>(
    report: &Value<'a>,
    read: impl FnMut(&mut Usage, &[u8], Value<'a>) -> Result<(), ReadUsageError>,
) -> Result<Option<Usage>, ReadUsageError> {
    match report.kind() {
        Kind::Null => return Ok(None),
        Kind::Object => {}
        _ => return Err(ReadUsageError::NotAnObject),
    }
    let (mut usage, mut read) = (Usage::default(), read);
    each_member(report, |key, value| read(&mut usage, key, value))?;
    Ok(Some(usage))
}

/// Reads the members of an object; what is no object has none.
pub(crate) fn each_member<'a>(
    object: &Value<'a>,
    mut read: impl FnMut(&[u8], Value<'a>) -> Result<(), ReadUsageError>,
) -> Result<(), ReadUsageError> {
    if object.kind() != Kind::Object {
        return Ok(());
    }
    let mut cursor = Cursor::new(object.raw());
    let mut walk = cursor.begin_object()?;
    while let Some(key) = cursor.next_key(&mut walk)? {
        read(&key.key_bytes(), cursor.value()?)?;
    }
    Ok(())
}

/// A count; `null` is absent.
pub(crate) fn count(field: &'static str, value: Value<'_>) -> Result<Option<u64>, ReadUsageError> {
    if value.is_null() {
        return Ok(None);
    }
    // Ledgers keep counts as signed 64-bit integers.
    let count = value.as_u64().filter(|count| i64::try_from(*count).is_ok());
    count.map(Some).ok_or(ReadUsageError::NotACount { field })
}
