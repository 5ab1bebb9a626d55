//! A request's body, within its limits of size and time.

use std::time::{Duration, Instant};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::{
    problem::Problem,
    queue::{Memory, Queue},
};

/// Of a body that is too large, this much is still read, so that the client gets to read why it is refused.
const DRAINED: usize = 64 << 20;
/// And for this long.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// Memory for so many bytes is taken on the word of the client alone.
const MAX_TRUSTED: usize = 1 << 20;

/// A body, and its share of the memory for bodies.
pub(super) struct Received {
    pub bytes: Bytes,
    pub memory: Memory,
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn receive(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    time: Duration,
    queue: &Queue,
) -> Result<Received, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let too_large = || {
        let detail =
            format!("the body is larger than {limit} bytes; send fewer or smaller pictures, or raise --max-body");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    };
    if announced.is_some_and(|length| length > limit as u64) {
        // A client that asks first has not sent anything.
        if !headers.contains_key(header::EXPECT) {
            drain(body).await;
        }
        return Err(too_large());
    }
    // A body without an announced length may have the limit's.
    let memory = queue.memory(announced.unwrap_or(limit as u64))?;
    let deadline = Instant::now() + time;
    let announced = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(announced.min(MAX_TRUSTED));
    while let Some(frame) =
        timeout(deadline.saturating_duration_since(Instant::now()), body.frame()).await.map_err(|_| late(time))?
    {
        let frame = frame.map_err(|_| Problem::bad_request("the body ended early or is not valid HTTP"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            drain(body).await;
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes: bytes.into(), memory })
}

fn late(time: Duration) -> Problem {
    let detail = format!("the body did not arrive within {} seconds", time.as_secs_f32());
    Problem::new(StatusCode::REQUEST_TIMEOUT, detail).with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// Reads on and forgets it.
async fn drain(mut body: Body) {
    let rest = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.into_data().map_or(0, |data| data.len());
            if read > DRAINED {
                break;
            }
        }
    };
    let _ = timeout(DRAIN_TIME, rest).await;
}
