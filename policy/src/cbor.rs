//! How shared strings and times are written in CBOR, for `#[cbor(with = …)]`: what the codec does not know by itself.
//!
//! A time is whole nanoseconds since 1970, which ends in the year 2262. Leaves out: which fields there are (`event`).

/// A shared string.
pub(crate) mod text {
    use std::sync::Arc;

    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    pub(crate) fn encode<C, W: Write>(value: &Arc<str>, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.str(value).map(drop)
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Arc<str>, Error> {
        d.str().map(Arc::from)
    }
}

/// A shared string that may be absent.
pub(crate) mod optional_text {
    use std::sync::Arc;

    use minicbor::data::Type;
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    pub(crate) fn encode<C, W: Write>(value: &Option<Arc<str>>, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        match value {
            Some(text) => e.str(text).map(drop),
            None => e.null().map(drop),
        }
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Option<Arc<str>>, Error> {
        match d.datatype()? {
            Type::Null => d.skip().map(|()| None),
            _ => d.str().map(|text| Some(Arc::from(text))),
        }
    }

    pub(crate) fn is_nil(value: &Option<Arc<str>>) -> bool {
        value.is_none()
    }

    /// What a message of a version without the field means.
    pub(crate) fn nil() -> Option<Option<Arc<str>>> {
        Some(None)
    }
}

/// Yes, or nothing.
pub(crate) mod flag {
    use minicbor::data::Type;
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    pub(crate) fn encode<C, W: Write>(value: &bool, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        if *value { e.bool(true) } else { e.null() }.map(drop)
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<bool, Error> {
        match d.datatype()? {
            Type::Null => d.skip().map(|()| false),
            _ => d.bool(),
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the codec asks by reference")]
    pub(crate) fn is_nil(value: &bool) -> bool {
        !*value
    }

    /// What a message of a version without the field means.
    #[expect(clippy::unnecessary_wraps, reason = "the codec asks for a value that may be missing")]
    pub(crate) fn nil() -> Option<bool> {
        Some(false)
    }
}

/// A time.
pub(crate) mod time {
    use chrono::{DateTime, Utc};
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    pub(crate) fn encode<C, W: Write>(value: &DateTime<Utc>, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        let limit = if value.timestamp() < 0 { i64::MIN } else { i64::MAX };
        e.i64(value.timestamp_nanos_opt().unwrap_or(limit)).map(drop)
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<DateTime<Utc>, Error> {
        d.i64().map(DateTime::from_timestamp_nanos)
    }
}

/// An address: its four or sixteen bytes.
pub(crate) mod address {
    use std::net::IpAddr;

    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    pub(crate) fn encode<C, W: Write>(value: &IpAddr, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        match value {
            IpAddr::V4(address) => e.bytes(&address.octets()).map(drop),
            IpAddr::V6(address) => e.bytes(&address.octets()).map(drop),
        }
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<IpAddr, Error> {
        let bytes = d.bytes()?;
        let short = || <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        short().or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).map_err(|_| Error::message("an address has 4 or 16 bytes"))
    }
}
