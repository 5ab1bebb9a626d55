//! Pages in a real browser. Without Chromium (Debian: `apt install chromium`), tests that need it are skipped and print
//! why, unless `LENET_NEED_BROWSER` is set, as in CI.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

/// Prints why a test is skipped, or fails if it must not be.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("LENET_NEED_BROWSER").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}

pub fn chromium() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok());
    if found.is_none() {
        skip("there is no Chromium; on Debian: apt install chromium");
    }
    found
}

/// What a browser shows of a page of a given width.
pub struct Rendered {
    /// What the script returned.
    pub found: Value,
    /// What the browser logged.
    pub console: Vec<String>,
}

/// Opens a page in a frame, which can be as narrow as a phone, and runs a script outside of it. The script is the body of an
/// async function: `frame` is the frame, `page` its document, `view` its window, `DATA` what is given; it returns what it
/// found.
pub fn look(browser: &str, page: &Path, width: usize, dark: bool, data: &Value, script: &str) -> Rendered {
    let folder = tempfile::tempdir().unwrap();
    let frame = folder.path().join("frame.html");
    fs::write(folder.path().join("data.js"), format!("const DATA = {data};")).unwrap();
    let html = format!(
        "<!doctype html><meta charset=utf-8><script src=data.js></script>
         <body><iframe id=frame width={width} height=900 src=\"file://{}\"></iframe><script>
         const look = async (page, view) => {{ {script} }};
         frame.onload = () => look(frame.contentDocument, frame.contentWindow)
             .catch(error => ({{ error: error.stack }}))
             .then(found => document.body.textContent = 'FOUND:' + JSON.stringify(found) + ':END');
         </script>",
        page.canonicalize().unwrap().display()
    );
    fs::write(&frame, html).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--allow-file-access-from-files"])
        .args(["--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=10000", "--window-size=1400,1000"])
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .args(["--dump-dom", &format!("file://{}", frame.display())])
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    let found = dom.split("FOUND:").nth(1).and_then(|rest| rest.split(":END").next());
    assert!(found.is_some(), "the browser shows nothing: {dom}\n{log}");
    let escapes = [("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", "\u{a0}"), ("&amp;", "&")];
    let found = escapes.iter().fold(found.unwrap().to_owned(), |text, (from, to)| text.replace(from, to));
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["error"], Value::Null, "{}", found["error"].as_str().unwrap_or_default());
    Rendered { found, console: log.lines().filter(|line| line.contains("CONSOLE")).map(ToOwned::to_owned).collect() }
}
