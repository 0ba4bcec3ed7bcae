//! Who may ask: tokens, and what browsers must not be led to.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What every request is held against, but those of `/health`.
pub(crate) struct Access {
    /// Requests must have it, where there is one.
    pub(crate) token: Option<String>,
    /// The server listens on this machine alone.
    pub(crate) loopback: bool,
}

impl Access {
    /// # Errors
    /// With the status and the sentence of a refusal.
    pub(crate) fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), (StatusCode, &'static str)> {
        if self.loopback && !names_this_machine(headers, uri) {
            return Err((
                StatusCode::FORBIDDEN,
                "this server is for this machine alone: ask it at 127.0.0.1 or localhost",
            ));
        }
        if !from_here(headers) {
            return Err((StatusCode::FORBIDDEN, "pages of other sites may not ask this server"));
        }
        match &self.token {
            Some(token) if !given(headers).is_some_and(|given| same(given.as_bytes(), token.as_bytes())) => {
                Err((
                    StatusCode::UNAUTHORIZED,
                    "this address wants the token as `Authorization: Bearer TOKEN`, or as the password of a browser's question",
                ))
            }
            _ => Ok(()),
        }
    }
}

/// The host of `name:port` or `[address]:port`.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Another site's name that leads here (DNS rebinding) would let its page ask as if it were ours.
fn names_this_machine(headers: &HeaderMap, uri: &Uri) -> bool {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(named) = uri.authority().map(axum::http::uri::Authority::as_str).or(named) else { return false };
    let host = host(named);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A browser says which page asks; programs say nothing.
fn from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host))
        }
        (Some(_), None) => false,
    }
}

/// The token of a `Bearer`, or the password of `Basic`, which browsers ask for.
fn given(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, rest) = value.split_once(' ')?;
    if kind.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    let pair = kind.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok()).flatten()?;
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// Takes the same time however many bytes are right.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differ = b.iter().enumerate().fold(0, |differ, (at, byte)| differ | (a.get(at).unwrap_or(&0) ^ byte));
    a.len() == b.len() && std::hint::black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn checked(access: &Access, pairs: &[(&'static str, &'static str)]) -> u16 {
        let headers = pairs.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        let found = access.check(&headers.collect(), &Uri::from_static("/v1/models"));
        found.map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn other_sites_are_told_apart_from_this_machine() {
        let access = Access { token: None, loopback: true };
        for (host, status) in [
            ("127.0.0.1:8080", 200),
            ("localhost", 200),
            ("[::1]:8080", 200),
            ("evil.example:8080", 403),
            ("127.0.0.1.evil.example", 403),
            ("", 403),
        ] {
            assert_eq!(checked(&access, &[("host", host)]), status, "{host}");
        }
        assert_eq!(checked(&access, &[]), 403);
        for (origin, status) in [
            ("http://localhost:80", 200),
            ("http://evil.example", 403),
            ("null", 403),
            ("http://localhost:81", 403),
        ] {
            assert_eq!(checked(&access, &[("host", "localhost:80"), ("origin", origin)]), status, "{origin}");
        }
        let open = Access { token: None, loopback: false };
        assert_eq!(checked(&open, &[("host", "models.example")]), 200);
        assert_eq!(checked(&open, &[("host", "models.example"), ("origin", "http://evil.example")]), 403);
    }

    #[test]
    fn a_token_comes_in_two_forms() {
        let access = Access { token: Some("sixteen letters!".into()), loopback: false };
        for (given, status) in [
            ("Bearer sixteen letters!", 200),
            ("bearer sixteen letters!", 200),
            ("Basic eDpzaXh0ZWVuIGxldHRlcnMh", 200),
            ("Bearer sixteen letters", 401),
            ("Bearer sixteen letters!!", 401),
            ("Basic !", 401),
            ("sixteen letters!", 401),
        ] {
            assert_eq!(checked(&access, &[("authorization", given)]), status, "{given}");
        }
        assert_eq!(checked(&access, &[]), 401);
    }
}
