//! What is answered.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use axum::{
    Json, Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use burn::module::Module;
use serde_json::{Value, json};

use super::{App, connections::Local, feedback::correct, predict::predict, problem::Problem};

/// Every route, as in `openapi.json`.
pub const ROUTES: [(&str, &str); 8] = [
    ("get", "/"),
    ("post", "/v1/predict"),
    ("get", "/v1/model"),
    ("post", "/v1/feedback"),
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/openapi.json"),
];
const OPENAPI: &str = include_str!("openapi.json");

type Answer = Result<Response, Problem>;

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/v1/predict", post(predict))
        .route("/v1/model", get(model))
        .route("/v1/feedback", post(correct))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(|| async { ([(header::CONTENT_TYPE, "application/json")], OPENAPI) }))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing here; /openapi.json says what there is")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this method is not answered here; /openapi.json says which is",
            )
        })
        .layer(from_fn_with_state(Arc::clone(&app), around))
        .with_state(app)
}

/// Around every request: who asks, how long it takes, and headers that all answers have.
async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let _under_way = app.metrics.begin();
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let cors = app.guard.cors(request.headers());
    let mut response = guarded(&app, request, next).await.unwrap_or_else(IntoResponse::into_response);
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in cors {
        headers.insert(name, value);
    }
    app.metrics.count(&route, response.status().as_u16(), start.elapsed());
    response
}

async fn guarded(app: &App, request: Request, next: Next) -> Answer {
    let (parts, body) = request.into_parts();
    let Some(Local(local)) = parts.extensions.get::<Local>().copied() else {
        return Err(Problem::internal(&"a request without the address that it was sent to"));
    };
    app.guard.check(&parts, local)?;
    // A browser asks first whether a page of another origin may ask; `around` adds the answer.
    if parts.method == Method::OPTIONS && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if app.ending.load(Ordering::Relaxed) && parts.method == Method::POST {
        return Err(Problem::ending());
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

async fn page(State(app): State<Arc<App>>) -> Answer {
    let policy = format!("{}; frame-ancestors 'none'", app.page.policy);
    let policy = HeaderValue::from_str(&policy).map_err(|e| Problem::internal(&e))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, app.page.html.clone()).into_response())
}

async fn ready(State(app): State<Arc<App>>) -> Answer {
    if app.ending.load(Ordering::Relaxed) { Err(Problem::ending()) } else { Ok("ok\n".into_response()) }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let content = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content)], app.metrics.text()).into_response()
}

async fn model(State(app): State<Arc<App>>) -> Json<Value> {
    let card = &app.trained.card;
    Json(json!({
        "classes": card.classes,
        "parameters": app.trained.net.num_params(),
        "sha256": app.trained.model_sha256,
        "accuracy": card.test_accuracy,
        "data": card.data,
        "limits": app.limits,
        "version": env!("CARGO_PKG_VERSION"),
    }))
}
