//! Who may ask. A page anywhere on the web can make a browser send requests to this machine: with a name of its own in
//! `Host` (DNS rebinding), or with its own `Origin`.

use std::net::{IpAddr, SocketAddr};

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header,
    request::Parts,
    uri::{Authority, Scheme},
};

use super::{problem::Problem, token::Token};

/// The rules.
pub(super) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    token: Option<Token>,
}

impl Guard {
    pub(super) fn new(hosts: &[String], origins: &[String], token: Option<&str>) -> Self {
        Self {
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            origins: origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect(),
            token: token.map(Token::new),
        }
    }

    /// Refuses a request that is not meant for this service, or comes from elsewhere. `local` is the address that it was
    /// sent to.
    pub(super) fn check(&self, request: &Parts, local: SocketAddr) -> Result<(), Problem> {
        let host = host_of(request)?;
        if !self.is_ours(&host, local.ip()) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                format!("{} is not a name of this service; allow it with --allow-host", host.host()),
            ));
        }
        if let Some(origin) = one(&request.headers, &header::ORIGIN)?
            && !self.is_allowed(origin)
            && !is_same(origin, &host)
        {
            let detail = format!("pages of {origin} may not ask this service; allow them with --allow-origin");
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        if self.is_from_elsewhere(request) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "pages of other sites may not ask this service"));
        }
        self.token.as_ref().map_or(Ok(()), |token| token.check(request))
    }

    /// The headers that let a page of another, allowed origin read the answer; none for other requests.
    pub(super) fn cors(&self, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let Some(origin) = request.get(header::ORIGIN) else { return Vec::new() };
        if !origin.to_str().is_ok_and(|origin| self.is_allowed(origin)) {
            return Vec::new();
        }
        vec![
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type")),
            (header::VARY, HeaderValue::from_static("origin")),
        ]
    }

    /// An address cannot be forged as a name can: the browser must have connected to it.
    fn is_ours(&self, host: &Authority, local: IpAddr) -> bool {
        let name = host.host().trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || self.hosts.contains(&name) {
            return true;
        }
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let local = local.to_canonical();
        address.is_ok_and(|ip| ip.to_canonical() == local || (ip.is_loopback() && local.is_loopback()))
    }

    fn is_allowed(&self, origin: &str) -> bool {
        self.origins.contains(&origin.to_ascii_lowercase())
    }

    /// Whether a browser says that another site asks. A link to the page may be followed from anywhere.
    fn is_from_elsewhere(&self, request: &Parts) -> bool {
        let is = |name: &str, value: &str| request.headers.get(name).is_some_and(|v| v.as_bytes() == value.as_bytes());
        let follows_link = request.method == Method::GET
            && request.uri.path() == "/"
            && is("sec-fetch-mode", "navigate")
            && is("sec-fetch-dest", "document");
        let allowed =
            request.headers.get(header::ORIGIN).and_then(|v| v.to_str().ok()).is_some_and(|o| self.is_allowed(o));
        is("sec-fetch-site", "cross-site") && !follows_link && !allowed
    }
}

/// The value of a header that may be there once at most.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| Problem::bad_request(format!("the header {name} is not plain text")))
        }
        (Some(_), Some(_)) => Err(Problem::bad_request(format!("the header {name} is there more than once"))),
    }
}

/// Whom the request is for: the header `Host` and, if there is one, the name in the request's target must agree.
fn host_of(request: &Parts) -> Result<Authority, Problem> {
    let host =
        one(&request.headers, &header::HOST)?.ok_or_else(|| Problem::bad_request("the header Host is missing"))?;
    let host: Authority =
        host.parse().map_err(|_| Problem::bad_request("the header Host is not a name or an address"))?;
    match request.uri.authority() {
        Some(target) if *target != host => {
            Err(Problem::bad_request("the header Host differs from the request's target"))
        }
        _ => Ok(host),
    }
}

/// Whether a page's origin is the service itself.
fn is_same(origin: &str, host: &Authority) -> bool {
    origin.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme() == Some(&Scheme::HTTP)
            && uri.authority().is_some_and(|a| a.as_str().eq_ignore_ascii_case(host.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn status(guard: &Guard, headers: &[(&str, &str)]) -> u16 {
        status_of(guard, "/v1/predict", headers)
    }

    fn status_of(guard: &Guard, target: &str, headers: &[(&str, &str)]) -> u16 {
        let request = headers.iter().fold(Request::post(target), |r, (name, value)| r.header(*name, *value));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match guard.check(&parts, "127.0.0.1:8080".parse().unwrap()) {
            Ok(()) => 200,
            Err(problem) => axum::response::IntoResponse::into_response(problem).status().as_u16(),
        }
    }

    #[test]
    fn only_our_own_names_are_answered() {
        let guard = Guard::new(&["Lenet.example".into()], &[], None);
        let ours = [
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:8080",
            "lenet.EXAMPLE:80",
            "localhost.",
        ];
        for host in ours {
            assert_eq!(status(&guard, &[("host", host)]), 200, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "[::2]:8080", "user@evil.example"]
        {
            assert_eq!(status(&guard, &[("host", host)]), 421, "{host}");
        }
        for headers in
            [&[][..], &[("host", "")], &[("host", "a b")], &[("host", "localhost"), ("host", "evil.example")]]
        {
            assert_eq!(status(&guard, headers), 400, "{headers:?}");
        }
        assert_eq!(status_of(&guard, "http://evil.example/v1/predict", &[("host", "localhost")]), 400);
        assert_eq!(status_of(&guard, "http://localhost/v1/predict", &[("host", "localhost")]), 200);
    }

    #[test]
    fn only_our_own_pages_and_allowed_ones_may_ask() {
        let guard = Guard::new(&[], &["https://Allowed.example/".into()], None);
        let ask = |origin: &str| status(&guard, &[("host", "localhost:8080"), ("origin", origin)]);
        assert_eq!([ask("http://localhost:8080"), ask("https://allowed.example")], [200, 200]);
        let others = [
            "null",
            "http://localhost:3000",
            "https://localhost:8080",
            "http://127.0.0.1:8080",
            "http://evil.example",
            "",
            "x",
        ];
        for origin in others {
            assert_eq!(ask(origin), 403, "{origin}");
        }
        let cross = ("sec-fetch-site", "cross-site");
        assert_eq!(status(&guard, &[("host", "localhost:8080"), cross]), 403);
        assert_eq!(status(&guard, &[("host", "localhost:8080"), cross, ("origin", "https://allowed.example")]), 200);
        assert_eq!(status(&guard, &[("host", "localhost:8080"), ("sec-fetch-site", "same-origin")]), 200);
    }
}
