//! How much a request may have, and how long it may take.

use std::time::Duration;

use serde::Serialize;

/// Connections at a time; others wait to be accepted.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// Bytes of bodies in memory at a time; a request beyond them is refused as busy.
pub(super) const MAX_BODIES: usize = 256 << 20;
/// Images of 28x28 in a request.
pub(super) const MAX_IMAGES: usize = 10_000;
/// Picture files in a request.
pub(super) const MAX_PICTURES: usize = 100;
/// Pixels of a picture, in millions.
pub(super) const MEGAPIXELS: u64 = 25;
/// What a picture file counts, in images: it is read in some forty ways.
pub(super) const PICTURE_COST: usize = 40;

/// What a request may have, as `/v1/model` tells it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Limits {
    pub body_bytes: usize,
    pub images: usize,
    pub pictures: usize,
    pub megapixels: u64,
}

impl Limits {
    pub(super) fn new(body_bytes: usize) -> Self {
        Self { body_bytes, images: MAX_IMAGES, pictures: MAX_PICTURES, megapixels: MEGAPIXELS }
    }
}

/// How long the service waits.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For a request's header, and between two requests of a connection.
    pub header: Duration,
    /// For a request's body.
    pub body: Duration,
    /// For a client that takes nothing of its answer.
    pub answer: Duration,
    /// For what is under way when the service ends.
    pub end: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { header: seconds(10), body: seconds(30), answer: seconds(30), end: seconds(10) }
    }
}
