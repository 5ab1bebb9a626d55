//! Framed pictures, kept between runs: decoding them takes a hundred times as long as reading this.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest, Sha256};

use super::tree::Picture;
use crate::{
    config::Frame,
    data::PIXELS,
    files::{hexadecimal, is_temporary, remove_files, write_atomically},
};

/// How a kept file begins: to be changed whenever pictures are framed in another way.
const MAGIC: &[u8; 8] = b"lenet-p1";
/// So many sets are kept; the one that was used longest ago goes first.
const KEPT: usize = 10;

/// What became of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Framed {
    Image(Box<[u8; PIXELS]>),
    /// It shows nothing.
    Blank,
    /// Why it cannot be read.
    Unreadable(String),
}

/// Where the framed pictures of a set are kept; `None` without a cache folder.
pub(super) fn path(root: &Path, pictures: &[&Picture], frame: Frame) -> Option<PathBuf> {
    Some(folder()?.join(key(root, pictures, frame)))
}

fn folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("lenet").join("pictures"))
}

/// A name that changes with any of the pictures' names, sizes and times, and with the way they are framed.
fn key(root: &Path, pictures: &[&Picture], frame: Frame) -> String {
    let mut hash = Sha256::new_with_prefix(MAGIC);
    hash.update([frame as u8]);
    for picture in pictures {
        let path = picture.path.strip_prefix(root).unwrap_or(&picture.path);
        hash.update((path.as_os_str().len() as u64).to_le_bytes());
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(picture.size.to_le_bytes());
        hash.update(picture.modified.to_le_bytes());
    }
    hexadecimal(hash)
}

/// Reads kept pictures; `None` if there is no file, or if it is damaged or does not hold `count` of them.
pub(super) fn read(path: &Path, count: usize) -> Option<Vec<Framed>> {
    let bytes = fs::read(path).ok()?;
    let framed = decode(&bytes, count)?;
    // Used now: others go first. That is of no importance where it fails.
    let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    Some(framed)
}

/// Keeps pictures for the next time. Where that fails, they are read again.
pub(super) fn write(path: &Path, framed: &[Framed]) {
    let Some(folder) = path.parent() else { return };
    if fs::create_dir_all(folder).is_err() {
        return;
    }
    remove_files(folder, is_temporary);
    if write_atomically(path, &encode(framed)).is_ok() {
        remove_old(folder);
    }
}

fn remove_old(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let used = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let is_ours = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.len() == 64);
    let mut kept: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_ours).collect();
    kept.sort_by_key(|path| std::cmp::Reverse(used(path)));
    for path in kept.iter().skip(KEPT) {
        let _ = fs::remove_file(path);
    }
}

fn encode(framed: &[Framed]) -> Vec<u8> {
    let mut body = Vec::with_capacity(framed.len() * (PIXELS + 1));
    for picture in framed {
        match picture {
            Framed::Image(image) => {
                body.push(0);
                body.extend(&image[..]);
            }
            Framed::Blank => body.push(1),
            Framed::Unreadable(reason) => {
                let reason = &reason.as_bytes()[..reason.floor_char_boundary(usize::from(u16::MAX))];
                body.push(2);
                body.extend(u16::try_from(reason.len()).unwrap_or(u16::MAX).to_le_bytes());
                body.extend(reason);
            }
        }
    }
    [&MAGIC[..], &crc32c::crc32c(&body).to_le_bytes(), &body].concat()
}

fn decode(bytes: &[u8], count: usize) -> Option<Vec<Framed>> {
    let (sum, mut body) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let mut framed = Vec::with_capacity(count);
    while let Some((kind, rest)) = body.split_first() {
        body = rest;
        framed.push(match kind {
            0 => {
                let (image, rest) = body.split_first_chunk()?;
                body = rest;
                Framed::Image(Box::new(*image))
            }
            1 => Framed::Blank,
            2 => {
                let (length, rest) = body.split_first_chunk()?;
                let (reason, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
                body = rest;
                Framed::Unreadable(String::from_utf8(reason.to_vec()).ok()?)
            }
            _ => return None,
        });
    }
    (framed.len() == count).then_some(framed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed() -> impl Strategy<Value = Framed> {
        prop_oneof![
            any::<u8>().prop_map(|pixel| Framed::Image(Box::new([pixel; PIXELS]))),
            Just(Framed::Blank),
            ".{0,20}".prop_map(Framed::Unreadable),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_kept_comes_back_and_damage_is_noticed(
            list in prop::collection::vec(framed(), 0..5), at in any::<usize>(), byte in any::<u8>(),
        ) {
            let mut bytes = encode(&list);
            prop_assert_eq!(decode(&bytes, list.len() + 1), None);
            prop_assert_eq!(decode(&bytes, list.len()), Some(list.clone()));
            let at = at % bytes.len();
            if bytes[at] != byte {
                bytes[at] = byte;
                prop_assert_eq!(decode(&bytes, list.len()), None);
            }
        }
    }

    #[test]
    fn the_key_changes_with_all_that_matters() {
        let picture = Picture { path: "r/a/1.png".into(), class: 0, size: 10, modified: 7 };
        let key = |picture: &Picture, frame| key(Path::new("r"), &[picture], frame);
        let keys = [
            key(&picture, Frame::Digit),
            key(&picture, Frame::Whole),
            key(&Picture { path: "r/a/2.png".into(), ..picture.clone() }, Frame::Digit),
            key(&Picture { size: 11, ..picture.clone() }, Frame::Digit),
            key(&Picture { modified: 8, ..picture.clone() }, Frame::Digit),
        ];
        assert!(keys.iter().enumerate().all(|(i, key)| key.len() == 64 && !keys[..i].contains(key)));
        // The folder may move.
        let moved = Picture { path: "s/a/1.png".into(), ..picture };
        assert_eq!(super::key(Path::new("s"), &[&moved], Frame::Digit), keys[0]);
    }

    #[test]
    fn the_sets_used_longest_ago_go() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..KEPT + 2).map(|i| folder.path().join(format!("{i:064}"))).collect();
        for path in &paths {
            write(path, &[Framed::Blank]);
            std::thread::sleep(std::time::Duration::from_millis(5));
            // The first one stays in use.
            assert_eq!(read(&paths[0], 1), Some(vec![Framed::Blank]));
        }
        let there: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
        assert!(there[0] && !there[1] && !there[2] && there[3..].iter().all(|there| *there), "{there:?}");
    }
}
