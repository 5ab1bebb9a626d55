//! The files of a data set: under which names and in which forms they are found and read, and what is said if not.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use insta::assert_snapshot;
use lenet::{
    config::Config,
    data::{ImageSet, Splits, read_folder},
};
use tempfile::TempDir;

use crate::common::small_folder;

const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// A small data set whose files have other names, below the same folder.
fn renamed(names: [&str; 4]) -> TempDir {
    let folder = small_folder(3);
    for (old, new) in NAMES.iter().zip(names) {
        let new = folder.path().join(new);
        fs::create_dir_all(new.parent().unwrap()).unwrap();
        fs::rename(folder.path().join(old), new).unwrap();
    }
    folder
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn pixels(set: &ImageSet) -> Vec<(&[u8; 784], u8)> {
    (0..set.len()).map(|i| (set.image(i), set.label(i))).collect()
}

#[test]
fn files_are_found_under_all_their_usual_names() {
    let expected = small_folder(3);
    let (expected, _) = read_folder(expected.path(), &[]).unwrap();
    for names in [
        ["train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"],
        ["TRAIN-IMAGES-IDX3-UBYTE", "Train-Labels-IDX1-ubyte", "T10K-images-idx3-ubyte", "T10K-LABELS.IDX1-UBYTE"],
        [
            "emnist-digits-train-images-idx3-ubyte",
            "emnist-digits-train-labels-idx1-ubyte",
            "emnist-digits-test-images-idx3-ubyte",
            "emnist-digits-test-labels-idx1-ubyte",
        ],
        [
            "MNIST/raw/train-images-idx3-ubyte",
            "MNIST/raw/train-labels-idx1-ubyte",
            "MNIST/raw/t10k-images-idx3-ubyte",
            "MNIST/raw/t10k-labels-idx1-ubyte",
        ],
        // As Burn's cache has them, and as archives with a folder for each file unpack.
        [
            "train/train-images-idx3-ubyte",
            "train/train-labels-idx1-ubyte",
            "test/t10k-images-idx3-ubyte",
            "test/t10k-labels-idx1-ubyte",
        ],
    ] {
        let folder = renamed(names);
        // Hidden folders do not count, nor do files of other kinds.
        fs::create_dir(folder.path().join(".trash")).unwrap();
        fs::write(folder.path().join(".trash/train-images-idx3-ubyte"), "x").unwrap();
        fs::write(folder.path().join("train-images.txt"), "x").unwrap();
        let (train, test) = read_folder(folder.path(), &[]).unwrap();
        assert_eq!(pixels(&train), pixels(&expected), "{names:?}");
        assert_eq!(test.len(), 3);
    }
}

#[test]
fn whether_a_file_is_packed_is_told_by_its_content() {
    let folder = small_folder(3);
    let (expected, _) = read_folder(folder.path(), &[]).unwrap();
    let path = |name: &str| folder.path().join(name);
    let packed = gzip(&fs::read(path(NAMES[0])).unwrap());
    // Packed without the suffix, packed twice, not packed in spite of the suffix.
    fs::write(path(NAMES[0]), &packed).unwrap();
    fs::write(path(NAMES[1]), gzip(&gzip(&fs::read(path(NAMES[1])).unwrap()))).unwrap();
    fs::rename(path(NAMES[2]), path(&format!("{}.gz", NAMES[2]))).unwrap();
    let (train, test) = read_folder(folder.path(), &[]).unwrap();
    assert_eq!((pixels(&train), test.len()), (pixels(&expected), 3));
}

#[test]
fn qmnist_labels_are_the_first_of_eight_columns() {
    let folder = renamed([
        "qmnist-train-images-idx3-ubyte",
        "qmnist-train-labels-idx2-int",
        "qmnist-test-images-idx3-ubyte",
        "qmnist-test-labels-idx2-int",
    ]);
    let numbers = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    let rows = |first: [u32; 3]| {
        first.iter().flat_map(|label| numbers(&[*label, 4, 2610, 44, 300, 0, 0, 0])).collect::<Vec<u8>>()
    };
    for (name, labels) in [("train", [5, 0, 4]), ("test", [4, 5, 0])] {
        let path = folder.path().join(format!("qmnist-{name}-labels-idx2-int"));
        fs::write(path, [numbers(&[0x0c02, 3, 8]), rows(labels)].concat()).unwrap();
    }
    let (train, test) = read_folder(folder.path(), &[]).unwrap();
    assert_eq!([0, 1, 2].map(|i| (train.class(i), test.class(i))), [("5", "4"), ("0", "5"), ("4", "0")]);
}

#[test]
fn of_several_sets_the_path_chooses_one() {
    let folder = small_folder(2);
    let set = |prefix: &str| {
        let other = small_folder(3);
        for name in NAMES {
            fs::copy(other.path().join(name), folder.path().join(format!("{prefix}{name}"))).unwrap();
        }
    };
    let lengths = |path: &Path| read_folder(path, &[]).map(|(train, test)| (train.len(), test.len()));
    set("emnist-digits-");
    // Without a prefix comes first.
    assert_eq!(lengths(folder.path()).unwrap(), (2, 2));
    assert_eq!(lengths(&folder.path().join("emnist-digits")).unwrap(), (3, 3));
    assert_eq!(lengths(&folder.path().join("emnist-digits-train-images-idx3-ubyte")).unwrap(), (3, 3));
    for name in NAMES {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    assert_eq!(lengths(folder.path()).unwrap(), (3, 3));
    set("emnist-letters-");
    let complain = |path: PathBuf| {
        read_folder(&path, &[]).unwrap_err().to_string().replace(&folder.path().display().to_string(), "DIR")
    };
    assert_snapshot!(complain(folder.path().into()), @"there are 2 data sets: set data.folder to one of them: DIR/emnist-digits, DIR/emnist-letters");
    assert_snapshot!(complain(folder.path().join("emnist-digit")), @"DIR/emnist-digit: there is no such folder, and no data files in DIR begin with emnist-digit; they begin with emnist-digits, emnist-letters. Say where they are with --data DIR, or --set data.folder=DIR where a command has no --data");
    fs::write(folder.path().join("all.zip"), b"PK\x03\x04\x14\0\0\0\x08\0aaaaaaaaaaaa\x05\0\0\0\x03\0\0\0a.txt")
        .unwrap();
    assert_snapshot!(complain(folder.path().join("all.zip")), @"DIR/all.zip: is an archive in ZIP format; set data.folder to the folder of the data set's files. Unpack it first");
    assert_eq!(lengths(&folder.path().join("emnist-letters")).unwrap(), (3, 3));
    let mut config = Config::default();
    (config.data.folder, config.data.validation) = (folder.path().join("emnist-letters"), 1.into());
    assert_eq!(Splits::load(&config.with_absolute_folder()).unwrap().train.len(), 2);
}

#[test]
fn a_wrong_folder_is_refused_with_the_file_at_fault() {
    let complain = |change: &dyn Fn(&Path)| {
        let folder = small_folder(3);
        change(folder.path());
        let error = read_folder(folder.path(), &[]).unwrap_err();
        error.to_string().replace(&folder.path().display().to_string(), "DIR")
    };
    let edit = |name: &'static str, edit: fn(&mut Vec<u8>)| {
        move |folder: &Path| {
            let path = folder.join(name);
            let mut bytes = fs::read(&path).unwrap();
            edit(&mut bytes);
            fs::write(path, bytes).unwrap();
        }
    };
    let write =
        |name: &'static str, bytes: &'static [u8]| move |folder: &Path| fs::write(folder.join(name), bytes).unwrap();
    let [images, _, test_images, labels] = NAMES;
    assert_snapshot!(complain(&|folder| fs::remove_file(folder.join(labels)).unwrap()), @"DIR: a data set has four files, and these are missing: test labels (t10k-labels-idx1-ubyte); found: DIR/train-images-idx3-ubyte, DIR/train-labels-idx1-ubyte, DIR/t10k-images-idx3-ubyte");
    assert_snapshot!(complain(&|folder| NAMES.iter().for_each(|name| fs::remove_file(folder.join(name)).unwrap())), @"DIR: there are no data files in it or in the folders below it; data.folder must hold train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each gzipped or not. Names may also have a dot, another case or a prefix");
    assert_snapshot!(complain(&edit(images, |b| b[11] = 27)), @"DIR/train-images-idx3-ubyte: its images are 28 x 27 pixels; 28 x 28 are needed");
    assert_snapshot!(complain(&edit(images, |b| b[2] = 0x0d)), @"DIR/train-images-idx3-ubyte: holds 32-bit floating-point numbers; unsigned bytes are read, and 32-bit integers as labels");
    assert_snapshot!(complain(&edit(images, |b| b.truncate(1000))), @"DIR/train-images-idx3-ubyte: its header promises 3 images, which take 2352 bytes, but only 984 follow: copy or download it again");
    assert_snapshot!(complain(&edit(images, |b| b.push(0))), @"DIR/train-images-idx3-ubyte: its header promises 3 images, which take 2352 bytes, but more follow: copy or download it again");
    assert_snapshot!(complain(&edit(images, |b| b.truncate(6))), @"DIR/train-images-idx3-ubyte: ends within its header: copy or download it again");
    assert_snapshot!(complain(&edit(images, |b| b[0] = 9)), @"DIR/train-images-idx3-ubyte: is of an unknown kind (it begins with 09 00 08 03), not a data file in MNIST's IDX format");
    assert_snapshot!(complain(&edit(images, |b| *b = { let mut packed = gzip(b); packed.truncate(40); packed })), @"DIR/train-images-idx3-ubyte: is damaged (incomplete deflate stream): copy or download it again");
    assert_snapshot!(complain(&edit(labels, |b| b[9] = 10)), @"DIR/t10k-labels-idx1-ubyte: label 10 of image 1 has no training images, which have the labels 1, 2, 7. If it belongs to the classes nevertheless, name all of them with data.classes");
    assert_snapshot!(complain(&edit(labels, |b| { b[7] = 2; b.pop(); })), @"DIR/t10k-images-idx3-ubyte holds 3 images, but DIR/t10k-labels-idx1-ubyte holds 2 labels: they do not belong together");
    assert_snapshot!(complain(&|folder| {
        fs::rename(folder.join(labels), folder.join("x")).unwrap();
        fs::rename(folder.join(test_images), folder.join(labels)).unwrap();
        fs::rename(folder.join("x"), folder.join(test_images)).unwrap();
    }), @"DIR/t10k-images-idx3-ubyte: holds labels, not images: were the two files exchanged?");
    assert_snapshot!(complain(&write(images, b"")), @"DIR/train-images-idx3-ubyte: is empty. Copy or download it again");
    assert_snapshot!(complain(&write(images, b"<!DOCTYPE html>\n<title>403 Forbidden")), @"DIR/train-images-idx3-ubyte: is a web page (HTML), not a data file in MNIST's IDX format. The download was answered with a page, such as an error or a sign-in: open the address in a browser, and save the file itself");
    assert_snapshot!(complain(&write(images, b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n")), @"DIR/train-images-idx3-ubyte: is a pointer of Git LFS, not a data file in MNIST's IDX format. `git lfs pull` fetches the file itself");
    assert_snapshot!(complain(&write(images, b"PK\x03\x04\x14\0\0\0\x08\0aaaaaaaaaaaa\x05\0\0\0\x03\0\0\0a.txt")), @"DIR/train-images-idx3-ubyte: is an archive in ZIP format, not a data file in MNIST's IDX format. Unpack it first");
    assert_snapshot!(complain(&write(images, b"\xfd7zXZ\0\0\x04")), @"DIR/train-images-idx3-ubyte: is a compressed file in XZ format, not a data file in MNIST's IDX format. Unpack it first");
    assert_snapshot!(read_folder(Path::new("no/such"), &[]).unwrap_err(), @"the images are not in no/such, as data.folder says: there is no such folder. Say where they are with --data DIR, or --set data.folder=DIR where a command has no --data");
}
