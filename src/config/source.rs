//! From a file and overrides to a [`Config`], and from a mistake back to where it was written.

use std::{ops::Range, path::Path};

use serde::Deserialize;
use toml::{Table, Value, de::DeTable};

use super::Config;
use crate::{Error, Result};

pub(super) fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Config> {
    let mut config: Config =
        toml::from_str(text).map_err(|e| Error::Config(point_at(path, text, e.span(), &plain(e.message()))))?;
    for entry in overrides {
        config = apply(&config, entry)?;
    }
    let Some((key, what)) = config.fault() else { return Ok(config) };
    let set_by = overrides.iter().rev().find(|entry| entry.split('=').next().is_some_and(|k| k.trim() == key));
    Err(Error::Config(match set_by {
        Some(entry) => format!("--set {entry}: {key} {what}"),
        None => point_at(path, text, span_of(text, key), &format!("{key} {what}")),
    }))
}

/// What is said of a folder that was given instead of a config file.
pub(super) fn complaint_about_folder(path: &Path) -> String {
    let inside = path.join("config.toml");
    let instead = if inside.is_file() { inside } else { "configs/lenet.toml".into() };
    format!("{} is a folder; give a config file, such as {}", path.display(), instead.display())
}

/// Applies one `section.key=value`. What is not a TOML value counts as a string, so that names need no quotes.
fn apply(config: &Config, entry: &str) -> Result<Config> {
    let fail = |what: &str| Error::Config(format!("--set {entry}: {what}"));
    let (key, value) =
        entry.split_once('=').ok_or_else(|| fail("expected KEY=VALUE, such as optimizer.learning_rate=0.1"))?;
    let (key, value) = (key.trim(), value.trim());
    let written = value.to_owned();
    let value = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));

    let mut table = to_table(config)?;
    let slot = slot(&mut table, key).map_err(|what| fail(&what))?;
    *slot = match (&*slot, value) {
        (Value::String(_), Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_)) => {
            Value::String(written)
        }
        (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
        (_, value) => value,
    };
    Config::deserialize(table).map_err(|e| fail(&plain(e.message())))
}

/// The value of a dotted key, to be replaced.
fn slot<'a>(table: &'a mut Table, key: &str) -> std::result::Result<&'a mut Value, String> {
    let keys = |table: &Table| table.keys().cloned().collect::<Vec<_>>().join(", ");
    let sections = keys(table);
    let (section, table, name) = match key.split_once('.') {
        None => ("the config", table, key),
        Some((section, name)) => match table.get_mut(section) {
            Some(Value::Table(inner)) => (section, inner, name),
            Some(_) => return Err(format!("`{section}` has no keys below it")),
            None => return Err(format!("there is no section `{section}`; the config has: {sections}")),
        },
    };
    let known = keys(table);
    match table.get_mut(name) {
        Some(Value::Table(inner)) => Err(format!("`{name}` is a section; set one of its keys: {}", keys(inner))),
        Some(value) => Ok(value),
        None => Err(format!("there is no key `{name}`; {section} has: {known}")),
    }
}

/// Replaces Serde's words by those that a person who writes configs would use.
fn plain(message: &str) -> String {
    message
        .replace("unknown field", "unknown key")
        .replace("unknown variant", "unknown value")
        .replace("expected usize", "expected a whole number from 0")
        .replace("expected u64", "expected a whole number from 0")
        .replace("expected f64", "expected a number")
        .replace("expected a sequence", "expected a list such as [\"one\", \"two\"]")
}

pub(super) fn differences(ours: &Config, theirs: &Config) -> Result<Vec<(String, String)>> {
    let (ours, theirs) = (flatten(&to_table(ours)?), flatten(&to_table(theirs)?));
    Ok(ours
        .into_iter()
        .zip(theirs)
        .filter(|(a, b)| a != b)
        .map(|((key, a), (_, b))| (key, format!("{a} -> {b}")))
        .collect())
}

fn to_table(config: &Config) -> Result<Table> {
    Table::try_from(config).map_err(|e| Error::Config(format!("the config cannot be written as TOML: {e}")))
}

fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => flat.extend(flatten(inner).into_iter().map(|(k, v)| (format!("{key}.{k}"), v))),
            value => flat.push((key.clone(), value.clone())),
        }
    }
    flat
}

/// The position of a dotted key's value in the text, if it is there.
fn span_of(text: &str, key: &str) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut parts = key.split('.').peekable();
    loop {
        let value = table.get(parts.next()?)?;
        if parts.peek().is_none() {
            return Some(value.span());
        }
        table = value.get_ref().as_table()?;
    }
}

/// A message with file, line and column, the line itself, and carets below what is wrong.
fn point_at(path: &Path, text: &str, span: Option<Range<usize>>, message: &str) -> String {
    let path = path.display();
    let Some(span) = span else { return format!("{path}: {message}") };
    let start = text.floor_char_boundary(span.start);
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let (number, column) = (before.matches('\n').count() + 1, text[line_start..start].chars().count());
    let end = text.floor_char_boundary(span.end.clamp(start, line_start + line.len()).max(start));
    let carets = "^".repeat(text[start..end].chars().count().max(1));
    let gutter = " ".repeat(number.to_string().len());
    let indent: String = line.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let (column, message) = (column + 1, message.trim_end());
    format!("{path}:{number}:{column}: {message}\n{gutter} |\n{number} | {line}\n{gutter} | {indent}{carets}")
}
