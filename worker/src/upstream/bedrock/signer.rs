//! AWS's Signature Version 4, over the bytes that are sent and no others.
//!
//! The signature is the crate's of AWS; here is what goes into it. Leaves out: where keys come from, and those that expire: who has a session
//! token declares the provider anew in time.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::{BufMut as _, BytesMut};
use policy::catalogue::AwsKeys;

use crate::clock;

/// The service in the signature's scope.
const SERVICE: &str = "bedrock";

/// Signs for one identity in one region.
pub(crate) struct Signer {
    credentials: Credentials,
    region: String,
}

impl Signer {
    /// A signer for requests to the region.
    pub(crate) fn new(keys: &AwsKeys<'_>, region: &str) -> Self {
        let token = keys.session_token.as_deref().map(str::to_owned);
        let credentials = Credentials::new(&*keys.access_key_id, &*keys.secret_access_key, token, None, "modelux");
        Self { credentials, region: region.to_owned() }
    }

    /// Writes the header lines that sign a POST of `body` to `url`; `false` when that can't be signed.
    pub(crate) fn write(&self, url: &str, body: &[u8], wire: &mut BytesMut) -> bool {
        self.write_at(clock::now().into(), ("POST", url), body, wire)
    }

    /// Writes the header lines that sign a GET of `url`; `false` when that can't be signed.
    pub(crate) fn write_get(&self, url: &str, wire: &mut BytesMut) -> bool {
        self.write_at(clock::now().into(), ("GET", url), &[], wire)
    }

    fn write_at(&self, time: SystemTime, (method, url): (&str, &str), body: &[u8], wire: &mut BytesMut) -> bool {
        let identity = self.credentials.clone().into();
        let settings = SigningSettings::default();
        let params = v4::SigningParams::builder().identity(&identity).region(&self.region).name(SERVICE).time(time).settings(settings);
        let headers = (method == "POST").then_some(("content-type", "application/json")).into_iter();
        let (Ok(params), Ok(request)) = (params.build(), SignableRequest::new(method, url, headers, SignableBody::Bytes(body))) else {
            return false;
        };
        let Ok(signed) = sign(request, &SigningParams::from(params)) else { return false };
        for (name, value) in signed.output().headers() {
            wire.put_slice(b"\r\n");
            wire.put_slice(name.as_bytes());
            wire.put_slice(b": ");
            wire.put_slice(value.as_bytes());
        }
        true
    }
}
