//! The README and `docs/`: their commands are understood, their links lead somewhere, their settings are true, and no
//! placeholder is left in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use lenet::{cli::Cli, config::Config};

use crate::common::project;

fn documents() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(project("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = docs.filter(|path| path.extension().is_some_and(|e| e == "md")).chain([project("README.md")]);
    documents.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a document in one of some languages.
fn blocks<'a>(text: &'a str, languages: &[&str]) -> Vec<&'a str> {
    // Every second part is inside a fence.
    let fenced = text.split("```").skip(1).step_by(2);
    let of_language = fenced.filter_map(|block| block.split_once('\n'));
    of_language.filter(|(language, _)| languages.contains(language)).map(|(_, block)| block).collect()
}

/// The commands in a document, without prompts, comments and what follows `&&`.
fn commands(text: &str) -> Vec<Vec<String>> {
    let blocks = blocks(text, &["sh", "console"]).into_iter().map(|block| block.replace("\\\n", " "));
    let words = |line: &str| -> Vec<String> {
        let line = line.trim_start_matches("$ ").split(" #").next().unwrap_or_default();
        line.split_whitespace().map(ToOwned::to_owned).collect()
    };
    blocks.flat_map(|block| block.lines().map(words).collect::<Vec<_>>()).collect()
}

#[test]
fn every_command_is_understood() {
    let manifest = fs::read_to_string(project("Cargo.toml")).unwrap();
    let mut count = 0;
    for (document, text) in documents() {
        for command in commands(&text) {
            let shown = format!("{}: {}", document.display(), command.join(" "));
            if let Some(at) = command.iter().position(|word| word == "--features") {
                assert!(manifest.contains(&format!("\n{} = [", command[at + 1])), "{shown}");
            }
            let arguments = match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["lenet", ..] => &command[1..],
                ["cargo", "run", ..] => &command[command.iter().position(|word| word == "--").unwrap() + 1..],
                _ => continue,
            };
            let parsed = Cli::try_parse_from(["lenet".to_owned()].iter().chain(arguments));
            assert!(parsed.is_ok(), "{shown}: {}", parsed.unwrap_err());
            for config in arguments.iter().filter(|word| word.starts_with("configs/")) {
                let set = arguments.windows(2).filter(|pair| pair[0] == "--set").map(|pair| pair[1].clone());
                assert!(Config::load(&project(config), &set.collect::<Vec<_>>()).is_ok(), "{shown}");
            }
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn every_link_leads_to_a_file() {
    let mut count = 0;
    for (document, text) in documents() {
        let folder = document.parent().unwrap();
        let links = text.split("](").chain(text.split("src=\"").skip(1)).skip(1);
        for link in links.map(|rest| rest.split([')', '"', '#']).next().unwrap()) {
            if link.starts_with("http") || link.is_empty() {
                continue;
            }
            assert!(folder.join(link).exists(), "{}: {link}", document.display());
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn no_placeholder_is_left() {
    for (document, text) in documents() {
        assert!(!text.contains("BUILD_TIME"), "{}", document.display());
    }
}

#[test]
fn files_of_the_tree_exist() {
    let readme = fs::read_to_string(project("README.md")).unwrap();
    let tree = readme.split("\n```\n").find(|block| block.starts_with("kernels/")).unwrap();
    let mut folder = String::new();
    for line in tree.lines() {
        let names = line.split("   ").next().unwrap();
        if !line.starts_with(' ') {
            folder = names.trim().to_owned();
            assert!(project(&folder).is_dir(), "{folder}");
            continue;
        }
        for name in names.split(',').map(str::trim) {
            assert!(project(&folder).join(name).exists(), "{folder}{name}");
        }
    }
}

/// What follows the first line in the first TOML block of a document.
fn first_toml(document: &str) -> (Config, String) {
    let text = fs::read_to_string(project(document)).unwrap();
    let block = blocks(&text, &["toml"])[0].to_owned();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block.toml");
    fs::write(&path, &block).unwrap();
    (Config::load(&path, &[]).unwrap(), block)
}

#[test]
fn the_documented_config_is_every_key_with_its_default() {
    let (config, block) = first_toml("docs/config.md");
    assert_eq!(config, Config::default());
    let keys = |text: &str| {
        let lines = text.lines().map(|line| line.split(['=', '#']).next().unwrap().trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&block), keys(&Config::default().to_toml().unwrap()));
}

#[test]
fn the_readmes_config_is_the_shipped_one() {
    assert_eq!(first_toml("README.md").0, Config::load(Path::new(&project("configs/lenet.toml")), &[]).unwrap());
}

#[cfg(unix)]
#[test]
fn shell_scripts_can_be_parsed() {
    let mut count = 0;
    for (document, text) in documents() {
        for script in blocks(&text, &["sh", "bash"]) {
            let checked = std::process::Command::new("bash").args(["-n", "-c", script]).output().unwrap();
            assert!(checked.status.success(), "{}: {}", document.display(), String::from_utf8_lossy(&checked.stderr));
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}
