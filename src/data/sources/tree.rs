//! The pictures in a folder for each class: `<class>/**`, or `train/<class>/**` with `test/` and perhaps `valid/` beside it.
//!
//! - `listing`: what is in folders. `rest`: what is said of that which is no picture of a class.

mod listing;
mod rest;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub(super) use self::listing::Picture;
use self::{
    listing::{Content, Entries, contents},
    rest::{Rest, nothing},
};
use super::{MAX_ITEMS, PARTS, part_of};
use crate::{
    Error, Result,
    config::{CLASSES, fault_of_names},
    data::problems::{Problem, counted},
    picture::is_picture,
};

/// Folders that hold a single folder are looked through this deep: archives unpack so.
const WRAPPERS: usize = 3;

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

/// The classes of a part, by the names of their folders.
type Classes = BTreeMap<String, Content>;

impl Tree {
    /// Lists a folder.
    ///
    /// # Errors
    /// There are no folders with pictures in it, only one, or too many; or a part has classes that are not in training.
    pub fn of(folder: &Path) -> Result<Self> {
        let (root, entries, files) = unwrapped(folder)?;
        let mut rest = Rest { files, ..Rest::default() };
        let mut found: [Option<Classes>; 3] = [None, None, None];
        if let Some(parts) = parts(&entries.folders)? {
            for folder in entries.folders.iter().filter(|folder| !parts.iter().flatten().any(|part| part == *folder)) {
                let content = Content::of(folder)?;
                rest.files.extend(content.pictures.into_iter().map(|picture| picture.path).chain(content.others));
            }
            for (slot, part) in found.iter_mut().zip(parts) {
                let Some(part) = part else { continue };
                let inside = Entries::of(&part)?;
                rest.files.extend(inside.files);
                *slot = Some(contents(&inside.folders)?);
            }
        } else {
            found[0] = Some(contents(&entries.folders)?);
        }
        Self::assemble(root, found, rest)
    }

    fn assemble(root: PathBuf, found: [Option<Classes>; 3], mut rest: Rest) -> Result<Self> {
        for content in found.iter().flatten().flat_map(BTreeMap::values) {
            rest.others.extend(content.others.iter().cloned());
            if content.pictures.is_empty() {
                rest.empty.push(content.folder.clone());
            }
        }
        let (loose, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut rest.files).into_iter().partition(|path| is_picture(path));
        rest.others.extend(others);
        let classes = found[0].iter().flatten().filter(|(_, content)| !content.pictures.is_empty());
        let mut classes: Vec<String> = classes.map(|(name, _)| name.clone()).collect();
        alphanumeric_sort::sort_str_slice(&mut classes);
        if classes.is_empty() {
            return Err(nothing(&root, &loose, &rest));
        }
        check_names(&root, &classes)?;
        let mut parts = [None, None, None];
        for ((slot, found), part) in parts.iter_mut().zip(found).zip(PARTS) {
            let pictures = found.map(|found| pictures(&root, found, &classes, part)).transpose()?;
            *slot = pictures.filter(|pictures| !pictures.is_empty());
        }
        let total = parts.iter().flatten().map(Vec::len).sum::<usize>();
        if total > MAX_ITEMS {
            return Err(Error::Data(format!(
                "{}: holds {total} pictures; at most {MAX_ITEMS} are read",
                root.display()
            )));
        }
        Ok(Self { root, classes, parts, problems: rest.problems(&loose) })
    }
}

/// Checks that folders with these names can be the classes of a net.
fn check_names(root: &Path, names: &[String]) -> Result<()> {
    let (shown, count, most) = (root.display(), names.len(), CLASSES.end());
    if let [only] = names {
        return Err(Error::Data(format!(
            "{shown}: only one folder has pictures in it, {only}; each class needs one, and a net at least {} classes",
            CLASSES.start()
        )));
    }
    if count > *most {
        return Err(Error::Data(format!(
            "{shown}: {count} folders have pictures in them, and a net has at most {most} classes"
        )));
    }
    if let Some(what) = fault_of_names(names) {
        return Err(Error::Data(format!("{shown}: each of the {count} folders is a class, and one {what}: rename it")));
    }
    Ok(())
}

/// The pictures of a part, class by class.
fn pictures(root: &Path, found: Classes, classes: &[String], part: &str) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for (name, content) in found.into_iter().filter(|(_, content)| !content.pictures.is_empty()) {
        let class = classes.iter().position(|class| *class == name).and_then(|class| u8::try_from(class).ok());
        let Some(class) = class else {
            return Err(Error::Data(format!(
                "{}: the class {name} has {} to {}, but none to learn from: add a folder {name} to the training pictures, or \
                 remove this one",
                root.display(),
                counted(content.pictures.len(), "picture"),
                if part == PARTS[2] { "test" } else { "validate" },
            )));
        };
        pictures.extend(content.pictures.into_iter().map(|picture| Picture { class, ..picture }));
    }
    pictures.sort_by(|a, b| (a.class, &a.path).cmp(&(b.class, &b.path)));
    Ok(pictures)
}

/// The folder itself, or the one that it wraps, what is in it, and the files that lie beside that.
fn unwrapped(folder: &Path) -> Result<(PathBuf, Entries, Vec<PathBuf>)> {
    let (mut root, mut entries, mut files) = (folder.to_owned(), Entries::of(folder)?, Vec::new());
    for _ in 0..WRAPPERS {
        let [only] = &entries.folders[..] else { break };
        let inside = Entries::of(only)?;
        if inside.folders.is_empty() || inside.has_pictures() || part_of_folder(only) == Some(0) {
            break;
        }
        root.clone_from(only);
        files.append(&mut entries.files);
        entries = inside;
    }
    files.append(&mut entries.files);
    Ok((root, entries, files))
}

/// The folders of the parts, if that is what these are: one is for training, or each is for something.
fn parts(folders: &[PathBuf]) -> Result<Option<[Option<PathBuf>; 3]>> {
    let mut parts = [None, None, None];
    let (named, others): (Vec<&PathBuf>, Vec<_>) = folders.iter().partition(|path| part_of_folder(path).is_some());
    // Beside a bus and a car, a train is a class.
    if !others.is_empty() && named.iter().any(|folder| is_class(folder)) {
        return Ok(None);
    }
    for folder in named {
        let Some(part) = part_of_folder(folder) else { continue };
        if let Some(other) = parts[part].replace(folder.clone()) {
            let (other, folder, what) = (other.display(), folder.display(), PARTS[part]);
            return Err(Error::Data(format!(
                "{other} and {folder} are both for {what} pictures: rename one of the two"
            )));
        }
    }
    if let ([None, _, Some(test)], true) = (&parts, others.is_empty()) {
        return Err(Error::Data(format!(
            "{}: there are test pictures, but none to learn from: put them into a folder train beside it",
            test.display()
        )));
    }
    Ok(parts[0].is_some().then_some(parts))
}

/// Whether a folder holds pictures and no folders.
fn is_class(folder: &Path) -> bool {
    Entries::of(folder).is_ok_and(|inside| inside.folders.is_empty() && inside.has_pictures())
}

/// The part that a folder's whole name stands for.
fn part_of_folder(folder: &Path) -> Option<usize> {
    let name = folder.file_name()?.to_str()?;
    if name.chars().all(char::is_alphabetic) { part_of(name) } else { None }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        // Without a folder for training, these are classes; and a train is one, too.
        assert_eq!(counts(&["test/1.png", "best/1.png"]).0, ["best", "test"]);
        assert_eq!(counts(&["train/1.png", "bus/1.png"]).0, ["bus", "train"]);
        // Beside what is wrapped, nothing is lost.
        let (classes, _, problems) = counts(&["set/a/1.png", "set/b/1.png", "c.png", "d.png"]);
        assert_eq!(classes, ["a", "b"]);
        insta::assert_snapshot!(problems.join("\n"), @"2 pictures outside of the classes' folders are left out: DIR/c.png, DIR/d.png");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_back_are_not_followed_and_names_that_are_no_text_are_told() {
        use std::os::unix::{ffi::OsStrExt, fs::symlink};

        let folder = folder(&["data/a/1.png", "data/b/1.png", "other/2.png"]);
        let data = folder.path().join("data");
        for (target, link) in
            [("..", "a/up"), ("../../data/b", "b/itself"), ("../../other", "a/elsewhere"), ("nowhere", "a/3.png")]
        {
            symlink(target, data.join(link)).unwrap();
        }
        let tree = Tree::of(&data).unwrap();
        assert_eq!(tree.parts[0].as_ref().map(Vec::len), Some(4));
        let problem = tree.problems[0].text.replace(data.to_str().unwrap(), "DIR");
        insta::assert_snapshot!(problem, @"2 files that are no picture are passed over: DIR/a/up, DIR/b/itself");
        fs::rename(data.join("a"), data.join(std::ffi::OsStr::from_bytes(b"\xff"))).unwrap();
        let error = Tree::of(&data).unwrap_err().to_string();
        assert!(error.ends_with("the name of this folder is not UTF-8 text: rename it"), "{error}");
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
        insta::assert_snapshot!(complaint(&["a/notes.txt", "b.txt"]), @"DIR: there is no data set in it: it holds 2 other files: DIR/a/notes.txt, DIR/b.txt. data.folder takes a folder of pictures (PNG, JPEG, TIFF, WebP, BMP, GIF and PNM) for each class; or IDX files as MNIST's (train-images-idx3-ubyte, …), a CSV table of labels and pixels, or arrays of NumPy's (npz)");
        insta::assert_snapshot!(complaint(&["cat/a.png", "cat/b.png"]), @"DIR: only one folder has pictures in it, cat; each class needs one, and a net at least 2 classes");
        insta::assert_snapshot!(complaint(&["train/cat/a.png", "train/dog/b.png", "test/cow/b.png"]), @"DIR: the class cow has 1 picture to test, but none to learn from: add a folder cow to the training pictures, or remove this one");
        insta::assert_snapshot!(complaint(&["test/cat/a.png", "val/dog/b.png"]), @"DIR/test: there are test pictures, but none to learn from: put them into a folder train beside it");
        insta::assert_snapshot!(complaint(&["a /1.png", "b/1.png"]), @r#"DIR: each of the 2 folders is a class, and one has the name "a ", which is empty or has spaces at an end: rename it"#);
        insta::assert_snapshot!(complaint(&["train/a/1.png", "training/a/1.png"]), @"DIR/train and DIR/training are both for training pictures: rename one of the two");
    }
}
