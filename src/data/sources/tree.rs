//! The pictures in a folder for each class: `<class>/**`, or `train/<class>/**` with `test/` and perhaps `valid/` beside it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::{MAX_ITEMS, PARTS, part_of};
use crate::{
    Error, Result,
    config::{CLASSES, fault_of_names},
    data::problems::{Problem, counted, listed_paths},
    picture::{READABLE, has_suffix_of_picture, is_left_behind, is_picture},
};

/// Folders below a class's are looked into this deep: a link may lead back to where it is.
const DEPTH: usize = 16;
/// Folders that hold a single folder are looked through this deep: archives unpack so.
const WRAPPERS: usize = 3;

/// A picture in a folder of a class, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub path: PathBuf,
    /// The index of its class.
    pub class: u8,
    /// Of the file, in bytes.
    pub size: u64,
    /// When the file was changed, in nanoseconds since 1970.
    pub modified: u128,
}

/// The pictures in a folder for each class.
#[derive(Debug)]
pub(super) struct Tree {
    /// The folder that the classes' folders are in, or those of the parts.
    pub root: PathBuf,
    /// Names of the training folders, in natural order: 2 before 10.
    pub classes: Vec<String>,
    /// To learn from, to validate, to test.
    pub parts: [Option<Vec<Picture>>; 3],
    /// What was passed over.
    pub problems: Vec<Problem>,
}

/// What a folder holds, and all folders in it.
#[derive(Debug, Default)]
struct Content {
    pictures: Vec<Picture>,
    /// Files that are no pictures.
    others: Vec<PathBuf>,
}

/// What is directly in a folder.
#[derive(Debug, Default)]
struct Entries {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Tree {
    /// Lists a folder.
    ///
    /// # Errors
    /// There are no folders with pictures in it, only one, or too many; or a part has classes that are not in training.
    pub fn of(folder: &Path) -> Result<Self> {
        let (root, entries) = unwrapped(folder)?;
        let parts = parts(&entries.folders)?;
        let mut rest = Rest::default();
        rest.files.extend(entries.files.iter().cloned());
        let mut classes: [Option<BTreeMap<String, Content>>; 3] = [None, None, None];
        if let Some(parts) = parts {
            for folder in entries.folders.iter().filter(|folder| !parts.iter().flatten().any(|part| part == *folder)) {
                let content = Content::of(folder, 0)?;
                rest.files.extend(content.pictures.into_iter().map(|picture| picture.path).chain(content.others));
            }
            for (slot, part) in classes.iter_mut().zip(parts) {
                let Some(part) = part else { continue };
                let inside = Entries::of(&part)?;
                rest.files.extend(inside.files);
                *slot = Some(contents(&inside.folders)?);
            }
        } else {
            classes[0] = Some(contents(&entries.folders)?);
        }
        Self::assemble(root, classes, rest)
    }

    fn assemble(root: PathBuf, parts: [Option<BTreeMap<String, Content>>; 3], mut rest: Rest) -> Result<Self> {
        let shown = root.display();
        let in_training = parts[0].as_ref();
        let mut names: Vec<String> = in_training
            .into_iter()
            .flatten()
            .filter(|(_, c)| !c.pictures.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        alphanumeric_sort::sort_str_slice(&mut names);
        for (name, content) in parts.iter().flatten().flatten() {
            rest.others.extend(content.others.iter().cloned());
            if content.pictures.is_empty() {
                rest.empty.push(name.clone());
            }
        }
        let (loose, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut rest.files).into_iter().partition(|path| is_picture(path));
        rest.others.extend(others);
        if names.is_empty() {
            return Err(nothing(&root, &loose, &rest));
        }
        if let [only] = &names[..] {
            return Err(Error::Data(format!(
                "{shown}: only one folder has pictures in it, {only}; each class needs one, and a net at least {} classes",
                CLASSES.start()
            )));
        }
        if names.len() > *CLASSES.end() {
            let (count, most) = (names.len(), CLASSES.end());
            return Err(Error::Data(format!(
                "{shown}: {count} folders have pictures in them, and a net has at most {most} classes"
            )));
        }
        if let Some(what) = fault_of_names(&names) {
            return Err(Error::Data(format!(
                "{shown}: each of the {} folders is a class, and one {what}: rename it",
                names.len()
            )));
        }
        let mut pictures: [Option<Vec<Picture>>; 3] = [None, None, None];
        for ((slot, part), name_of_part) in pictures.iter_mut().zip(parts).zip(PARTS) {
            let Some(part) = part else { continue };
            let mut list = Vec::new();
            for (name, content) in part.into_iter().filter(|(_, content)| !content.pictures.is_empty()) {
                let Some(class) = names.iter().position(|known| *known == name).and_then(|i| u8::try_from(i).ok())
                else {
                    let count = content.pictures.len();
                    return Err(Error::Data(format!(
                        "{shown}: the class {name} has {} to {}, but none to learn from: add a folder {name} to the training \
                         pictures, or remove this one",
                        counted(count, "picture"),
                        if name_of_part == PARTS[2] { "test" } else { "validate" },
                    )));
                };
                list.extend(content.pictures.into_iter().map(|picture| Picture { class, ..picture }));
            }
            list.sort_by(|a, b| (a.class, &a.path).cmp(&(b.class, &b.path)));
            *slot = (!list.is_empty()).then_some(list);
        }
        let total = pictures.iter().flatten().map(Vec::len).sum::<usize>();
        if total > MAX_ITEMS {
            return Err(Error::Data(format!("{shown}: holds {total} pictures; at most {MAX_ITEMS} are read")));
        }
        let problems = rest.problems(&loose);
        Ok(Self { root, classes: names, parts: pictures, problems })
    }
}

/// What does not belong to a class.
#[derive(Debug, Default)]
struct Rest {
    /// Files outside of classes' folders.
    files: Vec<PathBuf>,
    /// Files that are no pictures.
    others: Vec<PathBuf>,
    /// Folders without pictures.
    empty: Vec<String>,
}

impl Rest {
    fn problems(&self, loose: &[PathBuf]) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !loose.is_empty() {
            let what = format!(
                "{} outside of the classes' folders {} left out: {}",
                counted(loose.len(), "picture"),
                if loose.len() == 1 { "is" } else { "are" },
                listed_paths(loose)
            );
            problems.push(Problem::spoils("outside", loose.len(), what));
        }
        if !self.others.is_empty() {
            let what = format!(
                "{} that {} no picture {} passed over: {}",
                counted(self.others.len(), "file"),
                if self.others.len() == 1 { "is" } else { "are" },
                if self.others.len() == 1 { "is" } else { "are" },
                listed_paths(&self.others)
            );
            problems.push(Problem::note("no picture", self.others.len(), what));
        }
        if !self.empty.is_empty() {
            let what = format!(
                "{} without pictures: {}; put pictures in, or remove it",
                counted(self.empty.len(), "folder"),
                self.empty.join(", ")
            );
            problems.push(Problem::spoils("empty", self.empty.len(), what));
        }
        problems
    }
}

/// The folder itself, or the one that it wraps.
fn unwrapped(folder: &Path) -> Result<(PathBuf, Entries)> {
    let mut root = folder.to_owned();
    for _ in 0..WRAPPERS {
        let entries = Entries::of(&root)?;
        let [only] = &entries.folders[..] else { return Ok((root, entries)) };
        let inside = Entries::of(only)?;
        let is_wrapper = !inside.folders.is_empty() && !inside.files.iter().any(|path| is_picture(path));
        let is_part = part_of_folder(only) == Some(0);
        if !is_wrapper || is_part {
            return Ok((root, entries));
        }
        root.clone_from(only);
    }
    let entries = Entries::of(&root)?;
    Ok((root, entries))
}

/// The folders of the parts, if that is what these are: one is for training, or each is for something.
fn parts(folders: &[PathBuf]) -> Result<Option<[Option<PathBuf>; 3]>> {
    let mut parts = [None, None, None];
    let mut count = 0;
    for folder in folders {
        let Some(part) = part_of_folder(folder) else { continue };
        count += 1;
        if let Some(other) = parts[part].replace(folder.clone()) {
            let (other, folder, what) = (other.display(), folder.display(), PARTS[part]);
            return Err(Error::Data(format!(
                "{other} and {folder} are both for {what} pictures: rename one of the two"
            )));
        }
    }
    if let ([None, _, Some(test)], true) = (&parts, count == folders.len()) {
        return Err(Error::Data(format!(
            "{}: there are test pictures, but none to learn from: put them into a folder train beside it",
            test.display()
        )));
    }
    Ok(parts[0].is_some().then_some(parts))
}

/// The part that a folder's whole name stands for.
fn part_of_folder(folder: &Path) -> Option<usize> {
    let name = folder.file_name()?.to_str()?;
    if name.chars().all(char::is_alphabetic) { part_of(name) } else { None }
}

fn contents(folders: &[PathBuf]) -> Result<BTreeMap<String, Content>> {
    let content = |folder: &PathBuf| {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok((name, Content::of(folder, 0)?))
    };
    folders.iter().map(content).collect()
}

impl Content {
    fn of(folder: &Path, depth: usize) -> Result<Self> {
        let Entries { folders, files } = Entries::of(folder)?;
        let mut content = Self::default();
        for path in files {
            match fs::metadata(&path) {
                Ok(metadata) if has_suffix_of_picture(&path) || is_picture(&path) => {
                    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                    let modified = modified.map_or(0, |time| time.as_nanos());
                    content.pictures.push(Picture { path, class: 0, size: metadata.len(), modified });
                }
                // A link that leads nowhere has the name of a picture.
                Err(_) if has_suffix_of_picture(&path) => {
                    content.pictures.push(Picture { path, class: 0, size: 0, modified: 0 });
                }
                _ => content.others.push(path),
            }
        }
        if depth < DEPTH {
            for folder in folders {
                let inside = Self::of(&folder, depth + 1)?;
                content.pictures.extend(inside.pictures);
                content.others.extend(inside.others);
            }
        }
        Ok(content)
    }
}

impl Entries {
    fn of(folder: &Path) -> Result<Self> {
        let read = || Error::io("read the folder", folder);
        let mut entries = Self::default();
        for entry in fs::read_dir(folder).map_err(read())? {
            let entry = entry.map_err(read())?;
            let path = entry.path();
            if is_left_behind(&path) {
                continue;
            }
            let kind = entry.file_type().map_err(read())?;
            // A link counts as what it leads to.
            if kind.is_dir() || kind.is_symlink() && path.is_dir() {
                entries.folders.push(path);
            } else {
                entries.files.push(path);
            }
        }
        entries.folders.sort();
        entries.files.sort();
        Ok(entries)
    }
}

/// What is said of a folder without classes.
fn nothing(root: &Path, loose: &[PathBuf], rest: &Rest) -> Error {
    let shown = root.display();
    let forms = format!(
        "a folder of pictures ({READABLE}) for each class; or IDX files as MNIST's (train-images-idx3-ubyte, …), a CSV table of \
         labels and pixels, or arrays of NumPy's (npz)"
    );
    Error::Data(if loose.is_empty() {
        let there = match rest.others.len() + rest.empty.len() {
            0 => "it is empty".to_owned(),
            _ => format!(
                "it holds {} and {} without pictures",
                counted(rest.others.len(), "other file"),
                counted(rest.empty.len(), "folder")
            ),
        };
        format!("{shown}: there is no data set in it: {there}. data.folder takes {forms}")
    } else {
        format!(
            "{shown}: {} {} in one folder, so that their classes are unknown: make a folder for each class, named after it, and \
             move its pictures there",
            counted(loose.len(), "picture"),
            if loose.len() == 1 { "is" } else { "are all" },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        folder
    }

    fn counts(files: &[&str]) -> (Vec<String>, [Option<usize>; 3], Vec<String>) {
        let folder = folder(files);
        let tree = Tree::of(folder.path()).unwrap();
        let problems = tree.problems.iter().map(|problem| problem.text.replace(folder.path().to_str().unwrap(), "DIR"));
        (tree.classes, tree.parts.map(|part| part.map(|part| part.len())), problems.collect())
    }

    #[test]
    fn classes_are_folders_in_natural_order() {
        let (classes, parts, problems) = counts(&[
            "10/a.png",
            "2/b.png",
            "2/deep/er/c.JPG",
            "1/d.png",
            ".git/x.png",
            "__MACOSX/1/._a.png",
            "1/Thumbs.db",
            "1/.ipynb_checkpoints/a.png",
        ]);
        assert_eq!((classes, parts), (vec!["1".into(), "2".into(), "10".into()], [Some(4), None, None]));
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn parts_are_told_by_their_names_and_wrappers_are_looked_through() {
        let files = [
            "set/Train/a/1.png",
            "set/Train/b/1.png",
            "set/val/a/1.png",
            "set/TEST/b/1.png",
            "set/readme.txt",
            "set/extra/a/7.png",
        ];
        let (classes, parts, problems) = counts(&files);
        assert_eq!((classes, parts), (vec!["a".into(), "b".into()], [Some(2), Some(1), Some(1)]));
        insta::assert_snapshot!(problems.join("\n"), @r"
        1 picture outside of the classes' folders is left out: DIR/set/extra/a/7.png
        1 file that is no picture is passed over: DIR/set/readme.txt
        ");
        // Without a folder for training, these are classes.
        assert_eq!(counts(&["test/1.png", "best/1.png"]).0, ["best", "test"]);
    }

    #[test]
    fn what_cannot_be_classes_is_told_with_the_remedy() {
        let complaint = |files: &[&str]| {
            let folder = folder(files);
            Tree::of(folder.path()).unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "DIR")
        };
        insta::assert_snapshot!(complaint(&["a.png", "b.jpg"]), @"DIR: 2 pictures are all in one folder, so that their classes are unknown: make a folder for each class, named after it, and move its pictures there");
        insta::assert_snapshot!(complaint(&["train/a.png", "train/b.jpg"]), @"DIR: 2 pictures are all in one folder, so that their classes are unknown: make a folder for each class, named after it, and move its pictures there");
        insta::assert_snapshot!(complaint(&[]), @"DIR: there is no data set in it: it is empty. data.folder takes a folder of pictures (PNG, JPEG, TIFF, WebP, BMP, GIF and PNM) for each class; or IDX files as MNIST's (train-images-idx3-ubyte, …), a CSV table of labels and pixels, or arrays of NumPy's (npz)");
        insta::assert_snapshot!(complaint(&["a/notes.txt", "b.txt"]), @"DIR: there is no data set in it: it holds 2 other files and 1 folder without pictures. data.folder takes a folder of pictures (PNG, JPEG, TIFF, WebP, BMP, GIF and PNM) for each class; or IDX files as MNIST's (train-images-idx3-ubyte, …), a CSV table of labels and pixels, or arrays of NumPy's (npz)");
        insta::assert_snapshot!(complaint(&["cat/a.png", "cat/b.png"]), @"DIR: only one folder has pictures in it, cat; each class needs one, and a net at least 2 classes");
        insta::assert_snapshot!(complaint(&["train/cat/a.png", "train/dog/b.png", "test/cow/b.png"]), @"DIR: the class cow has 1 picture to test, but none to learn from: add a folder cow to the training pictures, or remove this one");
        insta::assert_snapshot!(complaint(&["test/cat/a.png", "val/dog/b.png"]), @"DIR/test: there are test pictures, but none to learn from: put them into a folder train beside it");
        insta::assert_snapshot!(complaint(&["a /1.png", "b/1.png"]), @r#"DIR: each of the 2 folders is a class, and one has the name "a ", which is empty or has spaces at an end: rename it"#);
        insta::assert_snapshot!(complaint(&["train/a/1.png", "training/a/1.png"]), @"DIR/train and DIR/training are both for training pictures: rename one of the two");
    }
}
