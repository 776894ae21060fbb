//! A document as it was written: values that remember file, line and column.
//!
//! Promises: keys are in the order of the file, and no map has one twice. Leaves out: what the values mean.

/// Where something stands. Lines and columns count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Index into the files that were read.
    pub(crate) file: usize,
    /// Line.
    pub(crate) line: usize,
    /// Column.
    pub(crate) column: usize,
}

/// One value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Where it begins.
    pub(crate) at: Position,
    /// What it is.
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number below zero.
    Negative(i64),
    /// A whole number.
    Whole(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Vec<Entry>),
}

/// One member of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Where its key stands.
    pub(crate) at: Position,
    /// Its key.
    pub(crate) key: String,
    /// Its value.
    pub(crate) value: Node,
}

/// One step of a path into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a map.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

impl Node {
    /// The member with this key; none where this is no map.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value of the member with this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value of the member with this key, to change it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.content {
            Content::Map(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value),
            _ => None,
        }
    }

    /// The elements; none where this is no list.
    pub(crate) fn elements(&self) -> &[Self] {
        match &self.content {
            Content::List(elements) => elements,
            _ => &[],
        }
    }

    /// The elements, to change them.
    pub(crate) fn elements_mut(&mut self) -> &mut [Self] {
        match &mut self.content {
            Content::List(elements) => elements,
            _ => &mut [],
        }
    }

    /// The text, where it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of the member with this key.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Self::text)
    }

    /// Where `path` leads, or as far as it can be followed: a missing member is reported where its parent stands.
    pub(crate) fn follow(&self, path: &[Step]) -> Position {
        let Some((step, rest)) = path.split_first() else { return self.at };
        match step {
            Step::Key(key) => self.entry(key).map_or(self.at, |entry| if rest.is_empty() { entry.at } else { entry.value.follow(rest) }),
            Step::Index(index) => self.elements().get(*index).map_or(self.at, |element| element.follow(rest)),
        }
    }
}

/// `rules[2].if` as steps.
pub(crate) fn parse_path(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        if let Some(key) = pieces.next().filter(|key| !key.is_empty()) {
            steps.push(Step::Key(key.to_owned()));
        }
        steps.extend(pieces.filter_map(|index| index.trim_end_matches(']').parse().ok()).map(Step::Index));
    }
    steps
}

/// Steps as `rules[2].if`.
pub(crate) fn render_path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Step::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_it_is_written() {
        for path in ["", "name", "rules[2].if", "a.b[0][1].c"] {
            assert_eq!(render_path(&parse_path(path)), path);
        }
    }
}
