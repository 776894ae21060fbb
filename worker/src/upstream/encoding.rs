//! Answers that come compressed, although nobody asked for that: decoded as they arrive, so that they can be metered, converted and passed
//! on like any other.
//!
//! Providers are asked for `identity`, because what they send is small and in a hurry; some of what stands before them compresses all the
//! same. Promises: what a piece of the body decodes to is there at once, so that a stream stays one; a piece never grows beyond
//! [`PIECE_LIMIT`]; a body that ends before its own end is one that broke off. Leaves out: several codings one over the other, which no
//! provider sends.

use std::io::{self, Write};

use brotli::DecompressorWriter;
use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderValue;
use zstd::stream::write::Decoder as ZstdDecoder;

/// What one piece of a body, 64 kB at most, may decode to: far more than text does, far less than what is made to exhaust memory.
const PIECE_LIMIT: usize = 16 << 20;
/// What brotli writes at once.
const BUFFER: usize = 16 << 10;

/// Decodes one body.
pub(super) enum Decoder {
    Gzip(MultiGzDecoder<Bounded>),
    Deflate(ZlibDecoder<Bounded>),
    Brotli(Box<DecompressorWriter<Bounded>>),
    Zstd(ZstdDecoder<'static, Bounded>),
    /// Nothing of it can be read.
    Unknown,
}

impl Decoder {
    /// The decoder for a body in this coding; `None` where it is none.
    pub(super) fn of(coding: &HeaderValue) -> Option<Self> {
        let coding = coding.as_bytes().trim_ascii().to_ascii_lowercase();
        match coding.as_slice() {
            b"" | b"identity" => None,
            b"gzip" | b"x-gzip" => Some(Self::Gzip(MultiGzDecoder::new(Bounded::default()))),
            b"deflate" => Some(Self::Deflate(ZlibDecoder::new(Bounded::default()))),
            b"br" => Some(Self::Brotli(Box::new(DecompressorWriter::new(Bounded::default(), BUFFER)))),
            b"zstd" => Some(ZstdDecoder::new(Bounded::default()).map_or(Self::Unknown, Self::Zstd)),
            _ => Some(Self::Unknown),
        }
    }

    /// What `piece` decodes to; may be empty.
    pub(super) fn push(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        let writer: &mut dyn Write = match self {
            Self::Gzip(decoder) => decoder,
            Self::Deflate(decoder) => decoder,
            Self::Brotli(decoder) => decoder,
            Self::Zstd(decoder) => decoder,
            Self::Unknown => return Err(io::Error::other("the answer is in a content coding that is not known")),
        };
        writer.write_all(piece)?;
        writer.flush()?;
        Ok(self.take())
    }

    /// What is left at the end of the body, which has to be that of its coding too.
    pub(super) fn finish(&mut self) -> io::Result<Bytes> {
        match self {
            Self::Gzip(decoder) => decoder.try_finish()?,
            Self::Deflate(decoder) => decoder.try_finish()?,
            Self::Brotli(decoder) => decoder.close()?,
            Self::Zstd(decoder) => decoder.do_finish()?,
            Self::Unknown => {}
        }
        Ok(self.take())
    }

    fn take(&mut self) -> Bytes {
        let bounded = match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
            Self::Unknown => return Bytes::new(),
        };
        Bytes::from(std::mem::take(&mut bounded.0))
    }
}

/// What was decoded and not taken yet.
#[derive(Default)]
pub(super) struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > PIECE_LIMIT {
            return Err(io::Error::other("the answer grows beyond all measure when it is decompressed"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn gzip(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let mut encoded = Vec::new();
        for piece in pieces {
            encoder.write_all(piece).expect("room");
            encoder.flush().expect("room");
            encoded.push(std::mem::take(encoder.get_mut()));
        }
        encoded.push(encoder.finish().expect("an end"));
        encoded
    }

    fn decoder(coding: &'static str) -> Decoder {
        Decoder::of(&HeaderValue::from_static(coding)).expect("a decoder")
    }

    #[test]
    fn each_piece_is_there_as_soon_as_it_was_flushed() {
        let encoded = gzip(&[b"data: one\n\n", b"data: two\n\n"]);
        let mut gzip = decoder("GZIP");
        assert_eq!(gzip.push(&encoded[0]).expect("a piece"), "data: one\n\n");
        assert_eq!(gzip.push(&encoded[1]).expect("a piece"), "data: two\n\n");
        assert_eq!(gzip.push(&encoded[2]).expect("a piece"), "");
        assert_eq!(gzip.finish().expect("an end"), "");
    }

    #[test]
    fn every_coding_is_read_cut_anywhere() {
        let text = b"{\"choices\":[{\"message\":{\"content\":\"hello hello hello\"}}]}";
        let mut brotli = Vec::new();
        brotli::CompressorWriter::new(&mut brotli, 4096, 5, 20).write_all(text).expect("room");
        let zstd = zstd::encode_all(&text[..], 3).expect("room");
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(text).expect("room");
        let codings = [("gzip", gzip(&[text]).concat()), ("br", brotli), ("zstd", zstd), ("deflate", zlib.finish().expect("an end"))];
        for (coding, encoded) in codings {
            for at in 0..=encoded.len() {
                let (before, behind) = encoded.split_at(at);
                let mut decoder = decoder(coding);
                let mut decoded = decoder.push(before).expect("a piece").to_vec();
                decoded.extend_from_slice(&decoder.push(behind).expect("a piece"));
                decoded.extend_from_slice(&decoder.finish().expect("an end"));
                assert_eq!(decoded, text, "{coding} cut at {at}");
            }
        }
    }

    #[test]
    fn what_ends_too_soon_or_is_no_such_coding_is_an_error() {
        let encoded = gzip(&[b"data: one\n\n"]).concat();
        let mut cut = decoder("gzip");
        cut.push(&encoded[..encoded.len() - 6]).expect("a piece");
        assert!(cut.finish().is_err());
        assert!(decoder("zstd").push(b"plain text, not zstd").is_err());
        assert!(decoder("compress").push(b"x").is_err());
        assert!(Decoder::of(&HeaderValue::from_static("identity")).is_none());
    }

    #[test]
    fn a_piece_that_would_fill_the_memory_is_an_error() {
        let bomb = zstd::encode_all(io::repeat(0).take(64 << 20), 3).expect("room");
        assert!(bomb.len() < 128 << 10, "{}", bomb.len());
        assert!(decoder("zstd").push(&bomb).is_err());
    }
}
