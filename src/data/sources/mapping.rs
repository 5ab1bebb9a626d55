//! The names of EMNIST's classes: `emnist-letters-mapping.txt` has a label and the codes of its characters in each line.
//!
//! Source: Cohen et al. 2017, <https://www.nist.gov/itl/products-and-services/emnist-dataset>.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{Error, Result, files::text};

/// The names by labels, from the mapping file beside a data file whose name begins with `prefix`; empty without such a file.
///
/// # Errors
/// The file cannot be read, or a line is not of numbers.
pub(super) fn beside(file: &Path, prefix: &str) -> Result<BTreeMap<u8, String>> {
    let mapping = file.with_file_name(format!("{prefix}-mapping.txt"));
    if prefix.is_empty() || !mapping.is_file() {
        return Ok(BTreeMap::new());
    }
    let bytes = fs::read(&mapping).map_err(Error::io("read", &mapping))?;
    text(bytes).and_then(|text| parse(&text)).map_err(|what| Error::Data(format!("{}: {what}", mapping.display())))
}

/// Whether a file is such a mapping, by its name.
pub(super) fn is_mapping(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().ends_with("-mapping.txt"))
}

/// A label and the code of a character in each line; for letters, the code of the small one follows that of the capital.
fn parse(text: &str) -> std::result::Result<BTreeMap<u8, String>, String> {
    let line = |(number, line): (usize, &str)| {
        let fault = || format!("line {}: expected a label and the code of its character, as in `1 65 97`", number + 1);
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let label = numbers.next().and_then(|label| label.ok()?.try_into().ok());
        let character = numbers.next().and_then(|code| char::from_u32(code.ok()?)).filter(|c| !c.is_control());
        let name = character.filter(|c| !c.is_whitespace()).map(String::from);
        label.zip(name).ok_or_else(fault)
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_label() {
        let names = |text| {
            parse(text)
                .map(|names| names.into_iter().map(|(label, name)| format!("{label}={name}")).collect::<Vec<_>>())
        };
        assert_eq!(names("1 65 97\n2 66 98\n"), Ok(vec!["1=A".into(), "2=B".into()]));
        assert_eq!(names("0 48\r\n36 97\r\n\r\n"), Ok(vec!["0=0".into(), "36=a".into()]));
        for wrong in ["1", "x 65", "256 65", "1 7", "1 99999999"] {
            assert!(names(wrong).unwrap_err().starts_with("line 1: expected a label"), "{wrong}");
        }
    }
}
