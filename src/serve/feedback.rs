//! `POST /v1/feedback`: images under their right classes, to train on.

use std::{
    ffi::OsStr,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use serde_json::json;

use super::{App, body::receive, problem::Problem};
use crate::{
    Error, Result,
    data::{IMAGE_SIDE, PIXELS, listed},
    files::{sha256, write_atomically},
};

/// A folder that has a folder of pictures for each class.
pub(super) struct Feedback {
    folder: PathBuf,
    classes: Vec<String>,
}

impl Feedback {
    /// Creates the folder if it is not there.
    ///
    /// # Errors
    /// It cannot be written, or a class's name cannot be that of a folder.
    pub(super) fn new(folder: PathBuf, classes: &[String]) -> Result<Self> {
        if let Some(class) = classes.iter().find(|class| !is_file_name(class)) {
            return Err(Error::Serve(format!(
                "corrections cannot be saved: the class {class:?} has a name that no folder can have"
            )));
        }
        std::fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder))?;
        tempfile::tempfile_in(&folder).map_err(Error::io("write into", &folder))?;
        Ok(Self { folder, classes: classes.to_vec() })
    }

    /// The class that a query names, `class=7`.
    fn class(&self, query: Option<&str>) -> std::result::Result<&str, Problem> {
        let query = query.unwrap_or_default().as_bytes();
        let name = form_urlencoded::parse(query).find(|(key, _)| key == "class").map(|(_, name)| name);
        let class = self.classes.iter().find(|class| name.as_ref().is_some_and(|name| name == class.as_str()));
        class.map(String::as_str).ok_or_else(|| {
            Problem::bad_request(format!("class must name one of the classes: {}", listed(&self.classes)))
        })
    }

    /// Saves an image as a PNG file under a name made of its content, so that the same image twice is one file; in another
    /// class's folder, that file is removed: the last word counts. Returns the file's name.
    fn save(&self, class: &str, image: &[u8; PIXELS]) -> Result<String> {
        let name = format!("{}.png", &sha256(image)[..16]);
        let folder = self.folder.join(class);
        std::fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder))?;
        write_atomically(&folder.join(&name), &png(image)?)?;
        for other in self.classes.iter().filter(|other| *other != class) {
            // Usually there is none.
            let _ = std::fs::remove_file(self.folder.join(other).join(&name));
        }
        Ok(name)
    }
}

/// Whether a name is one of a file that is not hidden, not a path.
fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let only = (components.next(), components.next());
    only == (Some(Component::Normal(OsStr::new(name))), None) && !name.starts_with('.') && !name.contains('\\')
}

fn png(image: &[u8; PIXELS]) -> Result<Vec<u8>> {
    let side = u32::try_from(IMAGE_SIDE).unwrap_or_default();
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(image, side, side, ExtendedColorType::L8)
        .map_err(|e| Error::Serve(format!("an image cannot be encoded: {e}")))?;
    Ok(png)
}

/// Saves an image under its right class.
pub(super) async fn correct(State(app): State<Arc<App>>, request: Request) -> std::result::Result<Response, Problem> {
    let Some(feedback) = app.feedback.clone() else {
        let detail = "corrections are not taken; start the service with --feedback DIR";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let (parts, body) = request.into_parts();
    let class = feedback.class(parts.uri.query())?.to_owned();
    let received = receive(&parts.headers, body, app.limits.body_bytes, app.times.body, &app.queue).await?;
    let image: [u8; PIXELS] = received.bytes.as_ref().try_into().map_err(|_| {
        Problem::unprocessable(format!(
            "the body must be {PIXELS} bytes: 28x28 pixels from 0 (background) to 255 (foreground)"
        ))
    })?;
    let saved = tokio::task::spawn_blocking(move || feedback.save(&class, &image)).await;
    let name = saved.map_err(|e| Problem::internal(&e))?.map_err(|e| Problem::internal(&e))?;
    Ok((StatusCode::CREATED, Json(json!({ "name": name }))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_folders_become_folders() {
        for name in ["7", "a b", "ä", "a.b", "__"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in ["", ".", "..", "/", "a/b", "a/", "./a", "/a", "a\\b", ".hidden"] {
            assert!(!is_file_name(name), "{name}");
        }
    }
}
