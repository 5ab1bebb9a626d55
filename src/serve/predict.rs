//! `POST /v1/predict`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{
    App,
    answer::{Entry, answer},
    body::receive,
    pictures::{Pictures, parse},
    problem::Problem,
    query::Query,
};
use crate::{Error, Result, inference::Trained};

pub(super) async fn predict(State(app): State<Arc<App>>, request: Request) -> std::result::Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query(), app.trained.classes().len())?;
    let received = receive(&parts.headers, body, app.limits.body_bytes, app.times.body, &app.queue).await?;
    let pictures = parse(&parts.headers, received.bytes).await?;
    let (count, cost) = (pictures.len(), query.cost(&pictures)?);
    let is_short = query.layers.is_empty() && pictures.are_small();
    let here = Arc::clone(&app);
    let work = move || {
        // Kept as long as the body.
        let _memory = received.memory;
        json(&here.trained, &pictures, &query)
    };
    let outcome = app.queue.run(cost, is_short, work).await?.map_err(|e| Problem::internal(&e))?;
    app.metrics.count_pictures(count);
    let json = outcome.map_err(|fault| Problem::unprocessable(format!("the picture {fault}")))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// The answer, or what is wrong with a single picture; among several, its entry says so.
fn json(trained: &Trained, pictures: &Pictures, query: &Query) -> Result<std::result::Result<Vec<u8>, String>> {
    let mut entries = answer(trained, pictures, query)?;
    if let [Entry::Failed { error, .. }] = &mut entries[..] {
        return Ok(Err(std::mem::take(error)));
    }
    serde_json::to_vec(&entries).map(Ok).map_err(Error::json("the answer"))
}
