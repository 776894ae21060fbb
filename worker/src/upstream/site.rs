//! A provider's `base_url`, taken apart.
//!
//! Reads only what a `base_url` may be: `http` or `https`, a host, a port, a path. No user, no query, no fragment; the compiler refuses
//! such bundles, and this refuses them again rather than guess.

/// Where a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// `https`.
    pub tls: bool,
    /// Host without brackets.
    pub host: String,
    /// Port, the scheme's own where none is written.
    pub port: u16,
    /// Host and port as the `Host` header wants them.
    pub authority: String,
    /// Path without a trailing slash; may be empty.
    pub path: String,
    /// Scheme and authority: what providers at one place have in common.
    pub origin: String,
}

impl Site {
    /// Takes `base_url` apart; `None` when it is none.
    pub(crate) fn parse(base_url: &str) -> Option<Self> {
        let (tls, rest) = match base_url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, base_url.strip_prefix("http://")?),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at_checked(at)?,
            None => (rest, ""),
        };
        let unfit = |byte: u8| byte <= b' ' || byte == 0x7f || matches!(byte, b'@' | b'?' | b'#' | b'\\');
        if authority.is_empty() || authority.bytes().any(unfit) || path.bytes().any(unfit) {
            return None;
        }
        let (host, port) = split_port(authority, if tls { 443 } else { 80 })?;
        let origin = format!("{}{authority}", if tls { "https://" } else { "http://" });
        let path = path.trim_end_matches('/').to_owned();
        Some(Self { tls, host: host.to_owned(), port, authority: authority.to_owned(), path, origin })
    }

    /// The whole address of a path that begins with this site's.
    pub(crate) fn url_of(&self, path: &[u8]) -> Option<String> {
        Some(format!("{}{}", self.origin, std::str::from_utf8(path).ok()?))
    }
}

fn split_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok()?)),
            None => after.is_empty().then_some((host, default)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => (!host.is_empty()).then_some((host, port.parse().ok()?)),
        None => Some((authority, default)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_apart() {
        let site = Site::parse("https://api.openai.com/v1/").expect("a site");
        assert_eq!((site.tls, site.port, &*site.host, &*site.authority), (true, 443, "api.openai.com", "api.openai.com"));
        assert_eq!((&*site.path, &*site.origin), ("/v1", "https://api.openai.com"));
        let site = Site::parse("http://[::1]:9000").expect("a site");
        assert_eq!((site.tls, site.port, &*site.host, &*site.authority), (false, 9000, "::1", "[::1]:9000"));
        assert_eq!((&*site.path, &*site.origin), ("", "http://[::1]:9000"));
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in ["", "ftp://x", "http://", "http://user@host/", "http://host:port", "http://host/a?b", "http://ho st/", "http://:80"] {
            assert_eq!(Site::parse(text), None, "{text}");
        }
    }
}
