//! From a body to the pictures in it.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{
    limits::{MAX_IMAGES, MAX_PICTURES, PICTURE_COST},
    problem::Problem,
};
use crate::{data::PIXELS, formats::Format};

/// A JSON body of fewer bytes is parsed at once, a longer one in another thread.
const SHORT: usize = 64 << 10;

/// Images in MNIST's format that are read at once.
const SMALL_IMAGES: usize = 32;
/// A PNG file of at most so many bytes, and of sides of so many pixels, is read at once.
const SMALL_FILE: usize = 4 << 10;
const SMALL_SIDE: u32 = 64;

/// What is to be read.
pub(super) enum Pictures {
    /// Images in MNIST's format: 784 pixels from 0 (background) to 255 (foreground), row by row.
    Framed(Bytes),
    /// Picture files.
    Files(Vec<File>),
}

/// A picture file.
pub(super) struct File {
    /// As the client calls it.
    pub name: Option<String>,
    /// The file itself.
    pub bytes: Bytes,
}

impl Pictures {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Framed(images) => images.len() / PIXELS,
            Self::Files(files) => files.len(),
        }
    }

    /// The work that they make, in images.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Framed(images) => images.len() / PIXELS,
            Self::Files(files) => files.len() * PICTURE_COST,
        }
    }

    /// Whether they are read within about a millisecond: a few images, or a PNG file that is hardly larger than one.
    pub(super) fn are_small(&self) -> bool {
        match self {
            Self::Framed(images) => images.len() <= SMALL_IMAGES * PIXELS,
            Self::Files(files) => matches!(&files[..], [file] if file.is_small()),
        }
    }

    fn checked(self) -> Result<Self, Problem> {
        let limit = if matches!(self, Self::Framed(_)) { MAX_IMAGES } else { MAX_PICTURES };
        match self.len() {
            0 => Err(Problem::bad_request("there is no picture in the body")),
            n if n > limit => {
                let detail = format!("{n} pictures are too many: {limit} may be sent at a time; send several requests");
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
            }
            _ => Ok(self),
        }
    }
}

impl File {
    fn is_small(&self) -> bool {
        // The work of other formats does not follow from their headers: a GIF's frame may be larger than its screen.
        let sides = if self.bytes.len() <= SMALL_FILE { png_sides(&self.bytes) } else { None };
        sides.is_some_and(|sides| sides.iter().all(|side| *side <= SMALL_SIDE))
    }
}

/// Width and height of a PNG file as its first chunk says.
///
/// Source: <https://www.w3.org/TR/png-3/#11IHDR>.
fn png_sides(bytes: &[u8]) -> Option<[u32; 2]> {
    let (start, sides) = (bytes.get(..16)?, bytes.get(16..24)?);
    let is_png = start[..8] == *b"\x89PNG\r\n\x1a\n" && start[12..] == *b"IHDR";
    let side = |at: usize| Some(u32::from_be_bytes(*sides[at..].first_chunk()?));
    is_png.then_some([side(0)?, side(4)?])
}

/// Finds the pictures in a body, by its content type. Without one, or with curl's own, it is a picture file.
pub(super) async fn parse(headers: &HeaderMap, bytes: Bytes) -> Result<Pictures, Problem> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let detail = "compressed bodies are not read: send it without Content-Encoding";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let content = headers.get(header::CONTENT_TYPE).map_or(Ok(""), |value| value.to_str());
    let content = content.map_err(|_| Problem::bad_request("the content type is not plain text"))?;
    let kind = content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let pictures = match kind.as_str() {
        "" | "application/x-www-form-urlencoded" => file(bytes),
        kind if kind.starts_with("image/") => file(bytes),
        "application/octet-stream" => framed(bytes)?,
        "application/json" if bytes.len() < SHORT => json(&bytes)?,
        "application/json" => {
            tokio::task::spawn_blocking(move || json(&bytes)).await.map_err(|e| Problem::internal(&e))??
        }
        "multipart/form-data" => multipart(content, bytes).await?,
        other => {
            let detail = format!(
                "{other} is not read; send a picture as image/png, image/jpeg or whatever it is, several as \
                 multipart/form-data or application/json, or images of 28x28 bytes as application/octet-stream"
            );
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    pictures.checked()
}

fn file(bytes: Bytes) -> Pictures {
    Pictures::Files(if bytes.is_empty() { Vec::new() } else { vec![File { name: None, bytes }] })
}

fn framed(bytes: Bytes) -> Result<Pictures, Problem> {
    if bytes.len().is_multiple_of(PIXELS) {
        return Ok(Pictures::Framed(bytes));
    }
    let hint = if Format::of(&bytes).is_picture() {
        "; this is a picture file: send it as image/png or image/jpeg"
    } else {
        ""
    };
    Err(Problem::unprocessable(format!(
        "{} bytes are not a number of images: application/octet-stream is {PIXELS} bytes an image, 28x28 pixels from 0 \
         (background) to 255 (foreground){hint}",
        bytes.len()
    )))
}

/// A body of pictures in base64, or of pixels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    pictures: Option<Vec<String>>,
    images: Option<Vec<Vec<u8>>>,
}

fn json(bytes: &[u8]) -> Result<Pictures, Problem> {
    let expected = "expected {\"pictures\": [\"BASE64\", ...]} or {\"images\": [[784 pixels], ...]}";
    let json: Json = serde_json::from_slice(bytes).map_err(|e| Problem::bad_request(format!("{e}; {expected}")))?;
    match json {
        Json { pictures: Some(pictures), images: None } => {
            let file = |(i, text): (usize, &String)| {
                let bytes = STANDARD
                    .decode(text)
                    .map_err(|e| Problem::bad_request(format!("picture {i} is not base64: {e}")))?;
                Ok(File { name: None, bytes: bytes.into() })
            };
            pictures.iter().enumerate().map(file).collect::<Result<_, _>>().map(Pictures::Files)
        }
        Json { images: Some(images), pictures: None } => {
            if let Some((i, image)) = images.iter().enumerate().find(|(_, image)| image.len() != PIXELS) {
                let count = image.len();
                return Err(Problem::bad_request(format!("image {i} has {count} pixels, not {PIXELS}")));
            }
            Ok(Pictures::Framed(images.concat().into()))
        }
        _ => Err(Problem::bad_request(expected)),
    }
}

/// Every part is a picture file.
async fn multipart(content: &str, bytes: Bytes) -> Result<Pictures, Problem> {
    let wrong = |e: multer::Error| Problem::bad_request(format!("the body is not valid multipart/form-data: {e}"));
    let boundary = multer::parse_boundary(content).map_err(wrong)?;
    let mut parts = multer::Multipart::new(Body::from(bytes).into_data_stream(), boundary);
    let mut files = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(wrong)? {
        let name = part.file_name().or(part.name()).map(ToOwned::to_owned);
        files.push(File { name, bytes: part.bytes().await.map_err(wrong)? });
        if files.len() > MAX_PICTURES {
            break;
        }
    }
    Ok(Pictures::Files(files))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{GrayImage, ImageFormat};

    use super::*;

    #[test]
    fn what_takes_long_is_left_to_another_thread() {
        let picture = |side: u32, format: ImageFormat| {
            let mut bytes = Cursor::new(Vec::new());
            GrayImage::new(side, side).write_to(&mut bytes, format).unwrap();
            bytes.into_inner()
        };
        let are_small = |bytes: Vec<u8>| file(bytes.into()).are_small();
        assert!(are_small(picture(28, ImageFormat::Png)) && are_small(picture(64, ImageFormat::Png)));
        assert!(!are_small(picture(65, ImageFormat::Png)) && !are_small(picture(28, ImageFormat::Bmp)));
        let (mut large, cut) = (picture(28, ImageFormat::Png), picture(28, ImageFormat::Png)[..18].to_vec());
        large.resize(SMALL_FILE + 1, 0);
        assert!(!are_small(large) && !are_small(cut) && !are_small(Vec::new()));
        let framed = |count: usize| Pictures::Framed(vec![0; count * PIXELS].into());
        assert!(framed(32).are_small() && !framed(33).are_small());
    }
}
