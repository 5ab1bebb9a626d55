//! The values of `lenet serve`'s options.

use axum::http::{
    Uri,
    uri::{Authority, PathAndQuery},
};

/// A number of bytes, such as 10MiB.
pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err("the unit must be KiB or MiB".into()),
    };
    let size =
        digits.parse::<usize>().ok().and_then(|n| n.checked_mul(unit)).ok_or("it is not a size, such as 10MiB")?;
    // Less than half of the memory for bodies, so that several fit.
    if (1..=100 << 20).contains(&size) { Ok(size) } else { Err("it must be 1 to 100MiB".into()) }
}

/// The name of a host, as in the header `Host`, whatever the port.
pub(super) fn parse_host(text: &str) -> Result<String, String> {
    let is_name = text.parse::<Authority>().is_ok_and(|authority| authority.host() == text);
    if is_name { Ok(text.to_owned()) } else { Err("it must be a name alone, such as lenet.example.org".into()) }
}

/// The origin of pages, as in the header `Origin`.
pub(super) fn parse_origin(text: &str) -> Result<String, String> {
    let wrong = || Err("it must be an origin, such as https://example.org or http://localhost:3000".into());
    let Ok(uri) = text.parse::<Uri>() else { return wrong() };
    let is_bare = uri.path_and_query().is_none_or(|path| *path == PathAndQuery::from_static("/"));
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) if is_bare && !authority.as_str().contains('@') => {
            // Browsers leave the usual port out.
            let usual = if scheme == "http" { ":80" } else { ":443" };
            let authority = authority.as_str().to_ascii_lowercase();
            Ok(format!("{scheme}://{}", authority.strip_suffix(usual).unwrap_or(&authority)))
        }
        _ => wrong(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_understood_or_refused() {
        assert_eq!(["500KiB", "10MiB", "7", "7B"].map(parse_size), [Ok(512_000), Ok(10 << 20), Ok(7), Ok(7)]);
        for wrong in ["", "MiB", "10MB", "0", "101MiB", "99999999999999999999", "-1", "1.5MiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_host("lenet.example.org"), Ok("lenet.example.org".into()));
        for wrong in ["", "http://example.org", "example.org:8080", "me@example.org", "a b", "a/b", "*"] {
            assert_eq!(parse_host(wrong).is_ok(), wrong == "*", "{wrong}");
        }
        let origins = ["https://Example.org", "https://example.org:443/", "http://localhost:3000"];
        let expected = ["https://example.org", "https://example.org", "http://localhost:3000"];
        assert_eq!(origins.map(|origin| parse_origin(origin).unwrap()), expected);
        for wrong in
            ["", "null", "*", "example.org", "https://a/b", "https://a?b", "file:///a", "https://me@a", "http://"]
        {
            assert!(parse_origin(wrong).is_err(), "{wrong}");
        }
    }
}
