//! The cursor: pull keys and elements, enter or pass over values.

use super::{
    Kind, MAX_DEPTH, SyntaxError, Value,
    scan::{number_prefix, plain_prefix},
};

/// Where a walk through one array or object has got to. Made by the cursor's `begin_*` and given back to its `next_*`.
#[derive(Debug, Default)]
#[must_use]
pub struct Walk {
    started: bool,
}

/// A position in a JSON document.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning of a document.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// Starts at `at`, behind a member's value inside of one object or array.
    pub(crate) fn behind_member(bytes: &'a [u8], at: usize) -> (Self, Walk) {
        (Self { bytes, at, depth: 1 }, Walk { started: true })
    }

    /// Offset of the next byte to be read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The kind of the value that comes next, by its first byte.
    pub fn kind(&mut self) -> Result<Kind, SyntaxError> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Enters an object; its keys follow by [`Cursor::next_key`].
    pub fn begin_object(&mut self) -> Result<Walk, SyntaxError> {
        self.begin(b'{', "an object")
    }

    /// Enters an array; its elements follow by [`Cursor::next_element`].
    pub fn begin_array(&mut self) -> Result<Walk, SyntaxError> {
        self.begin(b'[', "an array")
    }

    /// The next key of the object, with the cursor left before its value; `None` past the closing brace.
    #[inline]
    pub fn next_key(&mut self, walk: &mut Walk) -> Result<Option<Value<'a>>, SyntaxError> {
        self.skip_space();
        if self.close(b'}') {
            return Ok(None);
        }
        self.separate(walk, "`,` or `}`")?;
        self.key().map(Some)
    }

    /// Whether the array has another element, with the cursor left before it.
    pub fn next_element(&mut self, walk: &mut Walk) -> Result<bool, SyntaxError> {
        self.skip_space();
        if self.close(b']') {
            return Ok(false);
        }
        self.separate(walk, "`,` or `]`")?;
        self.skip_space();
        if walk.started && self.peek() == Some(b']') {
            return Err(self.unexpected("a value"));
        }
        Ok(true)
    }

    /// Passes over the next value and says where it stands.
    pub fn value(&mut self) -> Result<Value<'a>, SyntaxError> {
        let kind = self.kind()?;
        let start = self.at;
        let mut escaped = false;
        match kind {
            Kind::Array | Kind::Object => self.skip_nested()?,
            Kind::String => escaped = self.skip_string()?,
            Kind::Number => self.skip_number()?,
            Kind::Bool | Kind::Null => self.skip_literal()?,
        }
        Ok(self.taken(kind, start, escaped))
    }

    /// Checks that nothing but white space follows.
    pub fn end(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err(SyntaxError::Trailing { at: self.at });
        }
        Ok(())
    }

    fn begin(&mut self, bracket: u8, expected: &'static str) -> Result<Walk, SyntaxError> {
        self.skip_space();
        if self.peek() != Some(bracket) {
            return Err(self.unexpected(expected));
        }
        if self.depth >= MAX_DEPTH {
            return Err(SyntaxError::Depth { at: self.at });
        }
        self.depth = self.depth.saturating_add(1);
        self.advance(1);
        Ok(Walk::default())
    }

    #[inline]
    fn close(&mut self, bracket: u8) -> bool {
        let closes = self.peek() == Some(bracket);
        if closes {
            self.advance(1);
            self.depth = self.depth.saturating_sub(1);
        }
        closes
    }

    #[inline]
    fn separate(&mut self, walk: &mut Walk, expected: &'static str) -> Result<(), SyntaxError> {
        if walk.started {
            if self.peek() != Some(b',') {
                return Err(self.unexpected(expected));
            }
            self.advance(1);
        }
        walk.started = true;
        Ok(())
    }

    #[inline]
    fn key(&mut self) -> Result<Value<'a>, SyntaxError> {
        self.skip_space();
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key"));
        }
        let escaped = self.skip_string()?;
        let key = self.taken(Kind::String, start, escaped);
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.advance(1);
        self.skip_space();
        Ok(key)
    }

    /// Passes over an array or object without recursion: `objects` has a bit for each open bracket, set for a brace.
    fn skip_nested(&mut self) -> Result<(), SyntaxError> {
        let mut objects = 0_u128;
        let mut open = 0_u32;
        loop {
            self.skip_space();
            let opening = match self.peek() {
                Some(b'{') => Some(1_u128),
                Some(b'[') => Some(0),
                _ => None,
            };
            if let Some(bit) = opening {
                if self.depth.saturating_add(open) >= MAX_DEPTH {
                    return Err(SyntaxError::Depth { at: self.at });
                }
                objects = (objects << 1) | bit;
                open = open.saturating_add(1);
                self.advance(1);
                self.skip_space();
                if self.peek() != Some(closing(objects)) {
                    if bit == 1 {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.skip_scalar()?;
            }
            while open > 0 {
                self.skip_space();
                match self.peek() {
                    Some(b',') => break,
                    Some(bracket) if bracket == closing(objects) => {
                        self.advance(1);
                        objects >>= 1;
                        open = open.saturating_sub(1);
                    }
                    _ => return Err(self.unexpected("`,` or a closing bracket")),
                }
            }
            if open == 0 {
                return Ok(());
            }
            self.advance(1);
            if objects & 1 == 1 {
                self.key()?;
            }
        }
    }

    fn skip_scalar(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            Some(b'"') => self.skip_string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.skip_number(),
            _ => self.skip_literal(),
        }
    }

    /// Passes over a string and says whether anything in it is escaped.
    #[inline]
    fn skip_string(&mut self) -> Result<bool, SyntaxError> {
        self.advance(1);
        let mut escaped = false;
        loop {
            self.advance(plain_prefix(self.rest()));
            match self.peek() {
                Some(b'"') => {
                    self.advance(1);
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.skip_escape()?;
                }
                Some(_) => return Err(SyntaxError::Text { at: self.at }),
                None => return Err(SyntaxError::End { at: self.at }),
            }
        }
    }

    #[inline]
    fn skip_escape(&mut self) -> Result<(), SyntaxError> {
        let length = match self.rest() {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [_, b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(SyntaxError::Text { at: self.at }),
        };
        self.advance(length);
        Ok(())
    }

    fn skip_number(&mut self) -> Result<(), SyntaxError> {
        let length = number_prefix(self.rest()).ok_or(SyntaxError::Number { at: self.at })?;
        self.advance(length);
        Ok(())
    }

    fn skip_literal(&mut self) -> Result<(), SyntaxError> {
        let rest = self.rest();
        let known = [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word));
        let word = known.ok_or_else(|| self.unexpected("a value"))?;
        self.advance(word.len());
        Ok(())
    }

    #[inline]
    fn taken(&self, kind: Kind, start: usize, escaped: bool) -> Value<'a> {
        Value::new(kind, start, self.bytes.get(start..self.at).unwrap_or_default(), escaped)
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn advance(&mut self, by: usize) {
        self.at = self.at.saturating_add(by);
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.advance(1);
        }
    }

    fn unexpected(&self, expected: &'static str) -> SyntaxError {
        if self.at >= self.bytes.len() {
            return SyntaxError::End { at: self.bytes.len() };
        }
        SyntaxError::Unexpected { at: self.at, expected }
    }
}

fn closing(objects: u128) -> u8 {
    if objects & 1 == 1 { b'}' } else { b']' }
}
