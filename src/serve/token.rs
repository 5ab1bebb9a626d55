//! The token that requests must show, if there is one.

use axum::http::{HeaderValue, Method, StatusCode, header, request::Parts};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{guard::one, problem::Problem};

/// Health is told without a token.
const HEALTH: [&str; 2] = ["/livez", "/readyz"];

/// The token's SHA-256: comparing hashes tells nothing of the token by the time that it takes.
pub(super) struct Token([u8; 32]);

impl Token {
    pub(super) fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Looks for it: `Bearer TOKEN`, or `Basic` with the token as the password, which browsers ask for.
    ///
    /// # Errors
    /// It is not there, or another one.
    pub(super) fn check(&self, request: &Parts) -> Result<(), Problem> {
        // Browsers ask beforehand without it.
        if HEALTH.contains(&request.uri.path()) || request.method == Method::OPTIONS {
            return Ok(());
        }
        let shown = one(&request.headers, &header::AUTHORIZATION)?.and_then(shown);
        if shown.is_some_and(|shown| Self::new(&shown).0 == self.0) {
            return Ok(());
        }
        let detail = "a token is needed: `Authorization: Bearer TOKEN`, or the token as the password in a browser";
        let challenge = HeaderValue::from_static("Basic realm=\"lenet\", charset=\"UTF-8\"");
        Err(Problem::new(StatusCode::UNAUTHORIZED, detail).with_header(header::WWW_AUTHENTICATE, challenge))
    }
}

/// The token in the value of `Authorization`.
fn shown(value: &str) -> Option<String> {
    let (scheme, value) = value.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(value.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
            pair.split_once(':').map(|(_, password)| password.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::{http::Request, response::IntoResponse};

    use super::*;

    fn status(target: &str, authorization: Option<&str>) -> u16 {
        let request = Request::post(target);
        let request = authorization.into_iter().fold(request, |r, value| r.header("authorization", value));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Token::new("secret").check(&parts).map_or_else(|problem| problem.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn the_token_is_needed_everywhere_but_for_health() {
        let ask = |value: &str| status("/v1/predict", Some(value));
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!([ask("Bearer secret"), ask("bearer secret"), ask(&basic("me:secret"))], [200; 3]);
        assert_eq!([ask("Bearer wrong"), ask("secret"), ask(&basic("secret")), ask("Basic ?"), ask("")], [401; 5]);
        assert_eq!([status("/v1/predict", None), status("/livez/", None), status("/livez", None)], [401, 401, 200]);
    }
}
