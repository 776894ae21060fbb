//! Reading parts.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{super::fields::Fields, CallIds, read_signature};
use crate::{
    convert::{Image, ImageSource, Json, Media, Part, Signature, ToolCall, ToolResult},
    dialect::Dialect,
    request::ReadRequestError,
};

/// Where files lie that were uploaded before, and which nobody else can read.
const UPLOADED: [&str; 3] = ["https://generativelanguage.googleapis.com/", "gs://", "files/"];

/// A piece of what was said.
#[derive(Debug)]
pub(in crate::dialect::gemini) enum Piece<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Thought.
    Thought(Cow<'a, str>, Option<Signature<'a>>),
    /// The signature of the text before it.
    TextSigned(Signature<'a>),
    /// Anything else; it is never part of a greater whole.
    Whole(Part<'a>),
}

impl<'a> Piece<'a> {
    /// The part that it is by itself.
    pub(in crate::dialect::gemini) fn into_part(self) -> Part<'a> {
        match self {
            Self::Text(text) => Part::Text { text, cache: None },
            Self::Thought(text, signature) => Part::Thinking { text, signature },
            Self::TextSigned(signature) => Part::Thinking { text: Cow::Borrowed(""), signature: Some(signature) },
            Self::Whole(part) => part,
        }
    }
}

/// Reads parts one after the other.
#[derive(Debug, Default)]
pub(in crate::dialect::gemini) struct PieceReader<'a> {
    /// Ids of the calls so far.
    pub(in crate::dialect::gemini) calls: CallIds<'a>,
    /// Members that say something about a part and have no place in the middle.
    pub(in crate::dialect::gemini) others: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> PieceReader<'a> {
    /// Reads the parts of a content.
    pub(in crate::dialect::gemini) fn read_parts(&mut self, content: &mut Fields<'a>) -> Result<Vec<Piece<'a>>, ReadRequestError> {
        let mut pieces = Vec::new();
        for (number, part) in content.list("parts")?.into_iter().enumerate() {
            self.read_part(&content.field(&format!("parts[{number}]")), part, &mut pieces)?;
        }
        Ok(pieces)
    }

    fn read_part(&mut self, path: &str, json: &'a RawValue, pieces: &mut Vec<Piece<'a>>) -> Result<(), ReadRequestError> {
        let mut fields = Fields::read(path, json)?;
        let signature = fields.text("thoughtSignature")?.map(read_signature);
        let thought = fields.flag("thought")?.unwrap_or(false);
        if let Some(text) = fields.text("text")? {
            if thought {
                pieces.push(Piece::Thought(text, signature));
            } else {
                pieces.push(Piece::Text(text));
                pieces.extend(signature.map(Piece::TextSigned));
            }
        } else if let Some(call) = fields.object("functionCall")? {
            pieces.push(Piece::Whole(Part::ToolCall(self.read_call(call, signature)?)));
        } else if let Some(response) = fields.object("functionResponse")? {
            pieces.push(Piece::Whole(Part::ToolResult(self.read_result(response)?)));
        } else if let Some(blob) = fields.object("inlineData")? {
            pieces.push(Piece::Whole(self.read_blob(blob)?));
            pieces.extend(signature.map(Piece::TextSigned));
        } else if let Some(file) = fields.object("fileData")? {
            pieces.push(Piece::Whole(self.read_file(file)?));
        } else {
            pieces.push(match signature {
                // A signature that comes alone is that of the text before it.
                Some(signature) if fields.is_empty() => Piece::TextSigned(signature),
                _ => Piece::Whole(Part::Opaque { dialect: Dialect::Gemini, json: Cow::Borrowed(json) }),
            });
            return Ok(());
        }
        self.keep_rest("contents.parts", fields);
        Ok(())
    }

    fn read_call(&mut self, mut call: Fields<'a>, signature: Option<Signature<'a>>) -> Result<ToolCall<'a>, ReadRequestError> {
        let name = call.required_text("name")?;
        let id = self.calls.of_call(call.text("id")?, &name);
        let arguments = call.take("args")?.map_or("{}", RawValue::get);
        self.keep_rest("contents.parts.functionCall", call);
        Ok(ToolCall { id, name, arguments: Cow::Borrowed(arguments), signature, cache: None })
    }

    fn read_result(&mut self, mut response: Fields<'a>) -> Result<ToolResult<'a>, ReadRequestError> {
        let name = response.required_text("name")?;
        let call_id = self.calls.of_result(response.text("id")?, &name);
        let (text, is_error) = response.take("response")?.map_or((Cow::Borrowed(""), false), read_response);
        let mut parts = vec![Part::Text { text, cache: None }];
        for piece in self.read_parts(&mut response)? {
            parts.push(piece.into_part());
        }
        self.keep_rest("contents.parts.functionResponse", response);
        Ok(ToolResult { call_id, name: Some(name), parts, is_error, cache: None })
    }

    fn read_blob(&mut self, mut blob: Fields<'a>) -> Result<Part<'a>, ReadRequestError> {
        let media_type = blob.required_text("mimeType")?;
        let data = blob.required_text("data")?;
        let name = blob.text("displayName")?;
        let is_image = media_type.starts_with("image/");
        let source = ImageSource::Inline { media_type, data };
        self.keep_rest("contents.parts.inlineData", blob);
        Ok(picture_or_file(is_image, source, name))
    }

    fn read_file(&mut self, mut file: Fields<'a>) -> Result<Part<'a>, ReadRequestError> {
        let uri = file.required_text("fileUri")?;
        let media_type = file.text("mimeType")?;
        let name = file.text("displayName")?;
        let guessed = media_type_of(&uri);
        let is_image = media_type.as_deref().or(guessed).is_some_and(|media_type| media_type.starts_with("image/"));
        let uploaded = UPLOADED.iter().any(|place| uri.starts_with(place));
        let source = if uploaded { ImageSource::File(uri) } else { ImageSource::Url(uri) };
        self.keep_rest("contents.parts.fileData", file);
        Ok(picture_or_file(is_image, source, name))
    }

    fn keep_rest(&mut self, path: &str, fields: Fields<'a>) {
        let named = |(name, value): (Cow<'a, str>, &'a RawValue)| {
            let name = name.rsplit('.').next().unwrap_or_default();
            (Cow::Owned(format!("{path}.{name}")), Cow::Borrowed(value))
        };
        self.others.extend(fields.rest().map(named));
    }
}

fn picture_or_file<'a>(is_image: bool, source: ImageSource<'a>, name: Option<Cow<'a, str>>) -> Part<'a> {
    if is_image {
        return Part::Image(Image { source, detail: None, cache: None });
    }
    Part::Media(Media { source, name, cache: None })
}

/// The media type that an address gives away by its end.
pub(in crate::dialect::gemini) fn media_type_of(address: &str) -> Option<&'static str> {
    let path = address.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        _ => return None,
    })
}

/// What a tool said: `{"output": …}` and its like are opened, any other object is the result itself.
fn read_response(response: &RawValue) -> (Cow<'_, str>, bool) {
    let whole = (Cow::Borrowed(response.get()), false);
    let Ok(mut fields) = Fields::read("response", response) else { return whole };
    for (name, is_error) in [("output", false), ("result", false), ("error", true)] {
        if let Ok(Some(value)) = fields.take(name) {
            let text = crate::convert::text_of(value).unwrap_or(Cow::Borrowed(value.get()));
            return if fields.is_empty() { (text, is_error) } else { whole };
        }
    }
    whole
}
