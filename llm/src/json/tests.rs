//! The reader against `serde_json`: the same documents are JSON, and values stand where it says.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn read_all(bytes: &[u8]) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::new(bytes);
    cursor.value()?;
    cursor.end()
}

/// Reads like [`read_all`], but enters everything in place of passing over it.
fn walk_all(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    match cursor.kind()? {
        Kind::Object => {
            let mut walk = cursor.begin_object()?;
            while cursor.next_key(&mut walk)?.is_some() {
                walk_all(cursor)?;
            }
        }
        Kind::Array => {
            let mut walk = cursor.begin_array()?;
            while cursor.next_element(&mut walk)? {
                walk_all(cursor)?;
            }
        }
        _ => {
            cursor.value()?;
        }
    }
    Ok(())
}

fn agrees_with_serde(text: &str) -> Result<(), TestCaseError> {
    let expected = serde_json::from_str::<IgnoredAny>(text).is_ok();
    prop_assert_eq!(read_all(text.as_bytes()).is_ok(), expected, "passing over {:?}", text);
    let mut cursor = Cursor::new(text.as_bytes());
    let walked = walk_all(&mut cursor).and_then(|()| cursor.end());
    prop_assert_eq!(walked.is_ok(), expected, "walking {:?}", text);
    Ok(())
}

#[test]
fn nesting_is_bounded_however_it_is_read() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read_all(nested(128).as_bytes()), Ok(()));
    assert_eq!(read_all(nested(129).as_bytes()), Err(SyntaxError::Depth { at: 128 }));
    assert_eq!(walk_all(&mut Cursor::new(nested(129).as_bytes())), Err(SyntaxError::Depth { at: 128 }));
    assert_eq!(read_all("[".repeat(4_000_000).as_bytes()), Err(SyntaxError::Depth { at: 128 }));
    let objects = format!("{}1{}", "{\"a\":".repeat(128), "}".repeat(128));
    assert_eq!(read_all(objects.as_bytes()), Ok(()));
}

#[test]
fn errors_say_where_and_what() {
    assert_eq!(read_all(b"{\"a\" 1}"), Err(SyntaxError::Unexpected { at: 5, expected: "`:`" }));
    assert_eq!(read_all(b"{\"a\":1"), Err(SyntaxError::End { at: 6 }));
    assert_eq!(read_all(b"\"a\tb\""), Err(SyntaxError::Text { at: 2 }));
    assert_eq!(read_all(b"\"\\x\""), Err(SyntaxError::Text { at: 1 }));
    assert_eq!(read_all(b"-"), Err(SyntaxError::Number { at: 0 }));
    assert_eq!(read_all(b"1 2"), Err(SyntaxError::Trailing { at: 2 }));
}

#[test]
fn corner_cases_are_judged_as_serde_does() {
    let cases = [
        "",
        " ",
        "[",
        "]",
        "[]",
        "[ ]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{}",
        "{ }",
        "{,}",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "[{},{}]",
        "[[],[[]]]",
        "{\"a\":[{}]}",
        "{\"a\":{}]",
        "[}",
        "01",
        "-0",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1E-07",
        "0.0e0",
        "tru",
        "true",
        "truefalse",
        "nul",
        "null",
        "\"",
        "\"\\",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"\\ud800\"",
        "\"\\/\"",
        "\u{feff}{}",
        "{\"a\":1}x",
        "\"abcdefgh\u{7f}ijklmn\u{1}op\"",
        "\"0123456789abcdef\\\"\"",
        "{\"a\":1,\"a\":2}",
        "[1,2,{\"b\":[null,true,false]}]",
    ];
    for case in cases {
        agrees_with_serde(case).unwrap();
    }
}

#[test]
fn a_value_knows_its_place_and_its_text() {
    let text = r#" {"k\u0065y": "a\nb" , "n": 12, "big": 18446744073709551616, "half": 1.5, "neg": -1} "#;
    let mut cursor = Cursor::new(text.as_bytes());
    let mut walk = cursor.begin_object().unwrap();
    let key = cursor.next_key(&mut walk).unwrap().unwrap();
    assert!(key.is_text("key"));
    let value = cursor.value().unwrap();
    assert_eq!(text.get(value.range()).unwrap(), r#""a\nb""#);
    assert_eq!(value.as_str().unwrap(), "a\nb");
    let mut numbers = Vec::new();
    while cursor.next_key(&mut walk).unwrap().is_some() {
        numbers.push(cursor.value().unwrap().as_u64());
    }
    assert_eq!(numbers, [Some(12), None, None, None]);
}

#[test]
fn a_lone_surrogate_is_json_but_no_text() {
    let mut cursor = Cursor::new(br#""\ud800""#);
    assert_eq!(cursor.value().unwrap().as_str(), None);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,24}".prop_map(Into::into),
        "[\\x00-\\x7f]{0,24}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            proptest::collection::hash_map("\\PC{0,6}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_serde_writes_is_read(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(read_all(text.as_bytes()), Ok(()));
        agrees_with_serde(&text)?;
    }

    #[test]
    fn damaged_documents_are_judged_as_serde_does(
        value in json(), at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:\\\\0-9a-f.eE+ \\n-]{0,3}", cut in 0_usize..3,
    ) {
        let mut characters: Vec<char> = serde_json::to_string(&value).unwrap().chars().collect();
        let start = at.index(characters.len());
        let end = (start + cut).min(characters.len());
        characters.splice(start..end, with.chars());
        agrees_with_serde(&characters.into_iter().collect::<String>())?;
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let read = read_all(&bytes).is_ok();
        let walked = walk_all(&mut Cursor::new(&bytes)).is_ok();
        prop_assert!(walked || !read);
    }

    #[test]
    fn long_strings_end_where_they_end(text in "[ -~é🦀\"\\\\]{0,80}") {
        let quoted = serde_json::Value::from(text.clone()).to_string();
        let mut cursor = Cursor::new(quoted.as_bytes());
        let value = cursor.value().unwrap();
        prop_assert_eq!(value.as_str().unwrap(), text);
        prop_assert_eq!(value.end(), quoted.len());
    }
}
