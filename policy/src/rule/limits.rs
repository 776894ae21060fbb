//! What a rule may cost: refused before it is parsed, after it is parsed, and never found out at run time.
//!
//! [`admit`] is a lexer that knows just enough of CEL (strings, comments, brackets, operators) to keep the parser's recursion and
//! time small. It refuses strings and brackets it can't follow, so that it and the parser, which passes over what it does not
//! understand, never disagree about where one ends. [`measure`] bounds depth and steps of the parsed tree.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use smallvec::SmallVec;

use super::RuleError;
use super::position;

/// Longest source, in bytes.
pub(super) const MAX_SOURCE: usize = 2048;
/// Deepest nesting of brackets of any sort.
pub(super) const MAX_NESTING: usize = 16;
/// Most operators; also most field accesses, and most opening brackets.
pub(super) const MAX_OPERATORS: u32 = 200;
/// Most elements of a list.
pub(super) const MAX_ELEMENTS: usize = 200;
/// Deepest tree.
pub(super) const MAX_DEPTH: u32 = 40;
/// Deepest tree given to the interpreter, whose frames take some 30 kB each without optimisation: a third of a 2 MiB stack.
pub(super) const MAX_INTERPRETED_DEPTH: u32 = 24;
/// Most steps of one evaluation.
pub(super) const MAX_STEPS: u64 = 20_000;
/// Most tags that a rule walks; with more of them it errors.
pub(super) const MAX_TAGS: usize = 64;
/// Largest compiled pattern, in bytes.
pub(super) const MAX_PATTERN: usize = 1 << 20;

/// Refuses source that is too large to be given to the parser.
pub(super) fn admit(source: &str) -> Result<(), RuleError> {
    if source.len() > MAX_SOURCE {
        return Err(position::at(source, 0, format!("the expression is longer than {MAX_SOURCE} bytes")));
    }
    let mut lexer = Lexer { source, at: 0, open: SmallVec::new(), operators: 0, brackets: 0, dots: 0 };
    while lexer.step()? {}
    match lexer.open.last() {
        Some((at, _)) => Err(position::at(source, *at, "this bracket is not closed")),
        None => Ok(()),
    }
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    /// Where each bracket that is open stands, and what closes it.
    open: SmallVec<[(usize, u8); MAX_NESTING]>,
    operators: u32,
    brackets: u32,
    dots: u32,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at.saturating_add(ahead)).copied()
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    fn rest_starts_with(&self, text: &str) -> bool {
        self.source.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(text.as_bytes()))
    }

    fn refuse(&self, what: String) -> RuleError {
        position::at(self.source, self.at, what)
    }

    /// Passes one token; false at the end.
    fn step(&mut self) -> Result<bool, RuleError> {
        let Some(byte) = self.peek(0) else { return Ok(false) };
        match byte {
            b'\'' | b'"' => self.string(false)?,
            b'/' if self.peek(1) == Some(b'/') => {
                while self.peek(0).is_some_and(|byte| byte != b'\n') {
                    self.skip(1);
                }
            }
            b'(' => self.bracket(b')')?,
            b'[' => self.bracket(b']')?,
            b'{' => self.bracket(b'}')?,
            b')' | b']' | b'}' => self.close(byte)?,
            b'0'..=b'9' => self.number(),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => self.word()?,
            b'.' => {
                self.dots = self.dots.saturating_add(1);
                self.cap(self.dots, "field accesses")?;
                self.skip(1);
            }
            b'&' | b'|' | b'=' | b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%' | b'?' => self.operator()?,
            _ => self.skip(1),
        }
        Ok(true)
    }

    fn bracket(&mut self, closing: u8) -> Result<(), RuleError> {
        self.open.push((self.at, closing));
        self.brackets = self.brackets.saturating_add(1);
        if self.open.len() > MAX_NESTING {
            return Err(self.refuse(format!("brackets are nested deeper than {MAX_NESTING}")));
        }
        self.cap(self.brackets, "brackets")?;
        self.skip(1);
        Ok(())
    }

    /// A bracket that closes another sort, or nothing, is refused here: the parser would pass over it, and nest deeper than was counted.
    fn close(&mut self, closing: u8) -> Result<(), RuleError> {
        match self.open.pop() {
            Some((_, expected)) if expected == closing => {
                self.skip(1);
                Ok(())
            }
            _ => Err(self.refuse(format!("`{}` closes nothing here", char::from(closing)))),
        }
    }

    fn operator(&mut self) -> Result<(), RuleError> {
        self.operators = self.operators.saturating_add(1);
        self.cap(self.operators, "operators")?;
        let double = ["&&", "||", "==", "!=", "<=", ">="].iter().any(|operator| self.rest_starts_with(operator));
        self.skip(if double { 2 } else { 1 });
        Ok(())
    }

    fn cap(&self, count: u32, what: &str) -> Result<(), RuleError> {
        if count > MAX_OPERATORS {
            return Err(self.refuse(format!("the expression has more than {MAX_OPERATORS} {what}")));
        }
        Ok(())
    }

    /// Digits with what belongs to them, so that the point of `1.5` is no field access.
    fn number(&mut self) {
        while self.peek(0).is_some_and(|byte| byte.is_ascii_alphanumeric())
            || (self.peek(0) == Some(b'.') && self.peek(1).is_some_and(|byte| byte.is_ascii_digit()))
        {
            self.skip(1);
        }
    }

    fn word(&mut self) -> Result<(), RuleError> {
        let start = self.at;
        while self.peek(0).is_some_and(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            self.skip(1);
        }
        let word = self.source.get(start..self.at).unwrap_or_default();
        if matches!(self.peek(0), Some(b'\'' | b'"')) {
            return match word {
                "r" | "R" | "br" | "bR" | "Br" | "BR" => self.string(true),
                "b" | "B" => self.string(false),
                _ => Err(self.refuse(format!("a string can't follow `{word}`"))),
            };
        }
        if word == "in" {
            self.operators = self.operators.saturating_add(1);
            self.cap(self.operators, "operators")?;
        }
        Ok(())
    }

    /// One string from its opening quote, or a refusal where it does not end.
    fn string(&mut self, raw: bool) -> Result<(), RuleError> {
        let (source, start) = (self.source, self.at);
        let unterminated = || position::at(source, start, "this string does not end");
        let single = if self.peek(0) == Some(b'\'') { "'" } else { "\"" };
        let triple = single.repeat(3);
        let long = self.rest_starts_with(&triple);
        let end = if long { triple.as_str() } else { single };
        self.skip(end.len());
        while !self.rest_starts_with(end) {
            match self.peek(0).ok_or_else(unterminated)? {
                b'\n' | b'\r' if !long => return Err(unterminated()),
                b'\\' if !raw => self.escape()?,
                _ => self.skip(1),
            }
        }
        self.skip(end.len());
        Ok(())
    }

    fn escape(&mut self) -> Result<(), RuleError> {
        let octal = matches!(self.peek(1), Some(b'0'..=b'3'));
        let digits: usize = match self.peek(1) {
            Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`') => 0,
            Some(b'x' | b'X' | b'0'..=b'3') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => return Err(self.refuse("unknown escape in a string; a backslash is `\\\\`, or write `r'…'`".to_owned())),
        };
        let is_digit = |byte: u8| if octal { matches!(byte, b'0'..=b'7') } else { byte.is_ascii_hexdigit() };
        if !(0..digits).all(|digit| self.peek(digit.saturating_add(2)).is_some_and(is_digit)) {
            return Err(self.refuse("incomplete escape in a string".to_owned()));
        }
        self.skip(digits.saturating_add(2));
        Ok(())
    }
}

/// What a tree costs at most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) depth: u32,
    pub(super) steps: u64,
}

impl Cost {
    /// This and then `next`, side by side below one parent.
    fn beside(self, next: Self) -> Self {
        Self { depth: self.depth.max(next.depth), steps: self.steps.saturating_add(next.steps) }
    }

    fn times(self, count: u64) -> Self {
        Self { steps: self.steps.saturating_mul(count), ..self }
    }
}

/// Depth of the tree and the most steps an evaluation of it can take.
pub(super) fn measure(node: &IdedExpr) -> Cost {
    let parts = |parts: &[IdedExpr]| parts.iter().map(measure).fold(Cost::default(), Cost::beside);
    let below = match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Cost::default(),
        Expr::Select(select) => measure(&select.operand),
        Expr::Call(call) => parts(&call.args).beside(call.target.as_deref().map(measure).unwrap_or_default()),
        Expr::List(list) => parts(&list.elements),
        Expr::Map(map) => map.entries.iter().map(|entry| measure_entry(&entry.expr)).fold(Cost::default(), Cost::beside),
        Expr::Struct(value) => value.entries.iter().map(|entry| measure_entry(&entry.expr)).fold(Cost::default(), Cost::beside),
        Expr::Comprehension(comprehension) => {
            let rounds = match &comprehension.iter_range.expr {
                Expr::List(list) => u64::try_from(list.elements.len()).unwrap_or(u64::MAX),
                _ => u64::try_from(MAX_TAGS).unwrap_or(u64::MAX),
            };
            let round = measure(&comprehension.loop_cond).beside(measure(&comprehension.loop_step));
            let around = measure(&comprehension.accu_init).beside(measure(&comprehension.result));
            measure(&comprehension.iter_range).beside(around).beside(round.times(rounds))
        }
    };
    Cost { depth: below.depth.saturating_add(1), steps: below.steps.saturating_add(1) }
}

fn measure_entry(entry: &EntryExpr) -> Cost {
    match entry {
        EntryExpr::StructField(field) => measure(&field.value),
        EntryExpr::MapEntry(entry) => measure(&entry.key).beside(measure(&entry.value)),
    }
}
