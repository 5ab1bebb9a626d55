//! What people have as data: in which forms it is read, how pictures are framed then and later, and what is said of faults.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use image::{GrayImage, Luma, Rgb, RgbImage};
use lenet::{
    artifacts::{Existing, RunDir},
    config::{Config, Frame, Switch},
    data::{ImageSet, Inspection, Splits, load_mnist},
    evaluation::evaluate,
    inference::Trained,
};
use serde_json::Value;
use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::common::{arg, idx_files, model_bits, run, smoke, train_quietly};

type Item = ([u8; 784], u8);

/// A grey texture that fills the image: stripes, whose direction tells the label.
fn texture(label: u8, number: usize) -> [u8; 784] {
    let (sin, cos) = (f32::from(label) * std::f32::consts::PI / 10.0).sin_cos();
    std::array::from_fn(|i| {
        let (x, y) = ((i % 28) as f32, (i / 28) as f32);
        let wave = ((x * cos + y * sin) * 0.9 + number as f32).sin();
        u8::try_from(150 + (90.0 * wave) as i16).unwrap() + ((i * 7 + number * 13) % 11) as u8
    })
}

fn textures(labels: u8, numbers: std::ops::Range<usize>) -> Vec<Item> {
    numbers.flat_map(|number| (0..labels).map(move |label| (texture(label, number), label))).collect()
}

fn idx(train: &[Item], test: &[Item]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    idx_files(folder.path(), "train", train);
    idx_files(folder.path(), "t10k", test);
    folder
}

fn save(image: &[u8; 784], path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_raw(28, 28, image.to_vec()).unwrap().save(path).unwrap();
}

/// A picture in each class's folder for each image.
fn folders(root: &Path, items: &[Item]) {
    for (number, (image, label)) in items.iter().enumerate() {
        save(image, &root.join(label.to_string()).join(format!("{number}.png")));
    }
}

fn csv(path: &Path, items: &[Item]) {
    let header = (0..784).map(|i| format!("pixel{i}")).collect::<Vec<_>>().join(",");
    let rows = items.iter().map(|(image, label)| {
        let pixels = image.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        format!("{label},{pixels}\n")
    });
    fs::write(path, format!("label,{header}\n") + &rows.collect::<String>()).unwrap();
}

fn npy(descr: &str, shape: &str, payload: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), payload].concat()
}

fn npz(path: &Path, train: &[Item], test: &[Item], method: CompressionMethod) {
    let mut archive = ZipWriter::new(fs::File::create(path).unwrap());
    for (items, part) in [(train, "train"), (test, "test")] {
        let pixels: Vec<u8> = items.iter().flat_map(|item| item.0).collect();
        let labels: Vec<u8> = items.iter().flat_map(|item| i64::from(item.1).to_le_bytes()).collect();
        for (name, array) in [
            (format!("x_{part}.npy"), npy("|u1", &format!("{}, 28, 28", items.len()), &pixels)),
            (format!("y_{part}.npy"), npy("<i8", &format!("{},", items.len()), &labels)),
        ] {
            archive.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
            archive.write_all(&array).unwrap();
        }
    }
    archive.finish().unwrap();
}

fn config(folder: &Path, overrides: &[&str]) -> Config {
    let mut config = smoke(
        &[&["data.train=0", "data.validation=0.2", "training.batch_size=8", "optimizer.learning_rate=0.01"], overrides]
            .concat(),
    );
    config.data.folder = folder.into();
    config
}

fn sorted(set: &ImageSet) -> Vec<(String, [u8; 784])> {
    let mut items: Vec<_> = (0..set.len()).map(|i| (set.class(i).to_owned(), *set.image(i))).collect();
    items.sort();
    items
}

#[test]
fn all_forms_hold_the_same_images() {
    let (train, test) = (textures(3, 0..6), textures(3, 6..8));
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    for part in ["csv", "npz", "stored", "alone"] {
        fs::create_dir_all(path(part)).unwrap();
    }
    csv(&path("csv/mnist_train.csv"), &train);
    csv(&path("csv/mnist_test.csv"), &test);
    fs::write(path("csv/sample_submission.csv"), "ImageId,Label\n1,0\n").unwrap();
    npz(&path("npz/mnist.npz"), &train, &test, CompressionMethod::Deflated);
    npz(&path("stored/mnist.npz"), &train, &test, CompressionMethod::Stored);
    folders(&path("folders/train"), &train);
    folders(&path("folders/test"), &test);
    let expected = idx(&train, &test);
    let load = |folder: &Path| {
        Splits::load(&config(folder, &["data.validation=0", "data.frame=none", "data.invert=false"])).unwrap()
    };
    let expected = load(expected.path());
    for name in ["csv", "npz", "npz/mnist.npz", "stored", "folders"] {
        let splits = load(&path(name));
        assert_eq!(
            (sorted(&splits.train), sorted(&splits.test)),
            (sorted(&expected.train), sorted(&expected.test)),
            "{name}"
        );
    }
    // Without test images, some are held back; and the form is named.
    csv(&path("alone/train.csv"), &train);
    let alone = Splits::load(&config(&path("alone"), &["data.test=3"])).unwrap();
    assert_eq!([alone.train.len(), alone.valid.len(), alone.test.len()], [12, 3, 3]);
    assert!(alone.in_one_line(&config(&path("alone"), &[])).contains("holds a CSV table: 3 classes (0, 1, 2); 12 images to learn from, 3 to validate, 3 to test, the latter two held back"));
}

#[test]
fn a_net_reads_pictures_as_its_training_images_were_framed() {
    let (train, test) = (textures(10, 0..30), textures(10, 30..34));
    let data = idx(&train, &test);
    let out = tempfile::tempdir().unwrap();
    let config = config(data.path(), &["training.epochs=10"]);
    let report = train_quietly(&config, out.path(), Existing::Refuse).unwrap();
    let settings = RunDir::open(out.path()).unwrap().read_config().unwrap().data;
    assert_eq!((settings.frame, settings.transpose), (Frame::Whole, Switch::Off));
    let accuracy = report.test.unwrap().accuracy;
    assert!(accuracy > 0.7, "{accuracy}");

    // Alone, the model still knows.
    let model = out.path().join("alone.bpk");
    fs::copy(out.path().join("model.bpk"), &model).unwrap();
    let trained = Trained::load(&model, None).unwrap();
    let splits = Splits::load(&config).unwrap();
    let paths: Vec<PathBuf> = (0..test.len()).map(|i| out.path().join(format!("pictures/{i}.png"))).collect();
    paths.iter().zip(&test).for_each(|(path, item)| save(&item.0, path));
    let answers: Vec<usize> =
        trained.predict(&paths).unwrap().into_iter().map(|answer| answer.unwrap().index).collect();
    let mut confusion = vec![vec![0; 10]; 10];
    answers.iter().zip(&test).for_each(|(answer, item)| confusion[usize::from(item.1)][*answer] += 1);
    assert_eq!(confusion, evaluate(&trained.net, &splits.test, &trained.device).unwrap().confusion);

    // What digits need is refused.
    let (code, _, error) = run(&["bench", "--pictures", "--run", arg(out.path())]);
    assert!(code == 2 && error.contains("data.frame = \"whole\""), "{error}");
    // A picture of one shade shows nothing.
    let blank = out.path().join("blank.png");
    save(&[90; 784], &blank);
    let error = trained.predict(&[blank]).unwrap().remove(0).unwrap_err().to_string();
    assert!(error.contains("shows nothing"), "{error}");
}

/// A coloured photo on a light ground: something whose shape tells the class.
fn photo(class: &str, number: u32) -> RgbImage {
    let (left, top) = (10 + number * 3 % 14, 6 + number * 5 % 11);
    RgbImage::from_fn(70, 50, |x, y| {
        let (x, y) = (x.wrapping_sub(left), y.wrapping_sub(top));
        let inside = match class {
            "beam" => x < 36 && y < 8,
            "post" => x < 8 && y < 32,
            _ => x < 24 && y < 24,
        };
        let shade = (number * 7 % 30) as u8;
        if inside { Rgb([120 - shade, 30 + shade, 40]) } else { Rgb([250 - shade, 245 - shade, 240 - shade]) }
    })
}

fn photos(root: &Path, class: &str, numbers: std::ops::Range<u32>) {
    let folder = root.join(class);
    fs::create_dir_all(&folder).unwrap();
    for number in numbers {
        photo(class, number).save(folder.join(format!("{class} {number}.png"))).unwrap();
    }
}

#[test]
fn a_folder_of_pictures_becomes_a_net_that_names_them() {
    let root = tempfile::tempdir().unwrap();
    let (data, out) = (root.path().join("my photos"), root.path().join("run"));
    for class in ["beam", "post", "box"] {
        photos(&data, class, 0..40);
    }
    fs::write(data.join("box/Thumbs.db"), "x").unwrap();
    fs::write(data.join("box/notes.txt"), "x").unwrap();
    fs::write(data.join("post/broken.png"), "no picture").unwrap();
    let train = |more: &[&str]| {
        let common = ["train", "configs/own.toml", "--data", arg(&data), "--out", arg(&out), "--progress", "lines"];
        run(&[&common[..], more].concat())
    };
    let (code, _, error) = train(&["--set", "training.epochs=25"]);
    assert_eq!(code, 0, "{error}");
    let said: Vec<String> = error
        .lines()
        .map(|line| line.replace(arg(root.path()), "DIR"))
        .take_while(|line| !line.starts_with("epoch"))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    DIR/my photos holds a folder of pictures for each class: 3 classes (beam, box, post); 87 images to learn from, 15 to validate, 18 to test, the latter two held back; the images are inverted; data.frame = "whole" for pictures
    note: 1 file that is no picture is passed over: DIR/my photos/box/notes.txt
    warning: 1 picture cannot be read and is left out: DIR/my photos/post/broken.png is text, not a picture. Pictures are PNG, JPEG, TIFF, WebP, BMP, GIF and PNM files
    `lenet data DIR/my photos` shows more
    "#);
    let settings = RunDir::open(&out).unwrap().read_config().unwrap().data;
    assert_eq!(
        (settings.frame, settings.invert, &settings.classes[..]),
        (Frame::Whole, Switch::On, &["beam", "box", "post"].map(String::from)[..])
    );

    // A new photo, and one in a terminal's window of another shape.
    let new = root.path().join("new.png");
    photo("post", 77).save(&new).unwrap();
    let (code, text, error) = run(&["predict", arg(&out), arg(&new), "--json"]);
    assert_eq!(code, 0, "{error}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer[0]["class"], "post", "{text}");

    // The same split again: what it was tested on was not learned from.
    let report = RunDir::open(&out).unwrap().read_report().unwrap();
    let (code, text, error) = run(&["evaluate", arg(&out), "--json"]);
    let evaluation: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, evaluation["images"].as_u64()), (0, Some(18)), "{error}");
    assert_eq!(evaluation["misses"].as_u64(), report.test.map(|test| test.misses as u64));
    // Resumed from another place, with nothing said about the frame; and measured there.
    let bits = model_bits(&out);
    let moved = root.path().join("moved");
    fs::rename(&data, &moved).unwrap();
    let resume = [
        "train",
        "configs/own.toml",
        "--out",
        arg(&out),
        "--resume",
        "--data",
        arg(&moved),
        "--set",
        "training.epochs=26",
    ];
    let (code, _, error) = run(&resume);
    assert!(code == 0 && model_bits(&out) != bits, "{error}");
    let (_, text, _) = run(&["evaluate", arg(&out), "--data", arg(&moved), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["images"], 18);
    // Of other pictures, all count, as far as their classes are known.
    let others = root.path().join("others");
    for class in ["post", "box"] {
        photos(&others, class, 50..55);
    }
    let (code, text, error) = run(&["evaluate", arg(&out), "--data", arg(&others), "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&text).unwrap()["images"].as_u64()), (0, Some(10)), "{error}");
    photos(&others, "ball", 0..3);
    let (code, _, error) = run(&["evaluate", arg(&out), "--data", arg(&others)]);
    assert!(
        code == 1 && error.contains("1 folder of pictures is not among the classes beam, box, post: ball"),
        "{error}"
    );
}

#[test]
fn what_would_spoil_a_training_is_told_before() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let part = |part: &str, class: &str, number: usize, image: &[u8; 784]| {
        save(image, &data.join(part).join(class).join(format!("{number}.png")));
    };
    for number in 0..30 {
        part("train", "a", number, &texture(0, number));
        part("train", "b", number, &texture(4, number));
        part("test", "a", number, &texture(0, 100 + number));
    }
    (0..2).for_each(|number| part("train", "c", number, &texture(7, number)));
    part("train", "b", 90, &texture(0, 3));
    part("test", "a", 91, &texture(0, 5));
    part("train", "a", 92, &texture(0, 6));
    part("train", "a", 93, &[7; 784]);
    fs::write(data.join("train/a/94.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(data.join("train/readme.md"), "x").unwrap();
    save(&texture(2, 0), &data.join("train/loose.png"));
    fs::create_dir(data.join("train/d")).unwrap();
    let page = root.path().join("page.html");
    let (code, text, error) = run(&["data", arg(&data), "--set", "data.frame=whole", "--out", arg(&page)]);
    assert_eq!(code, 1, "{error}");
    insta::assert_snapshot!(text.replace(arg(root.path()), "DIR"), @r#"
    DIR/data holds a folder of pictures for each class for training and test: 3 classes (a, b, c); 54 images to learn from, 10 to validate, 31 to test; the images are inverted; data.frame = "whole" for pictures

    class  training  validation  test
    a            26           5    31
    b            27           4     0
    c             1           1     0

    11 findings, of which 8 would spoil a training:
    - warning: 1 picture outside of the classes' folders is left out: DIR/data/train/loose.png
    - note: 1 file that is no picture is passed over: DIR/data/train/readme.md
    - warning: 1 folder without pictures: DIR/data/train/d; put pictures in, or remove it
    - warning: 1 picture cannot be read and is left out: DIR/data/train/a/94.png is a picture in PNG format that cannot be decoded (unexpected end of file). It may be damaged: copy or save it again
    - warning: 1 picture shows nothing and is left out: DIR/data/train/a/93.png
    - warning: there are no test images of b, c: add some
    - warning: there are only a few training images: 1 of c; a class needs at least 10, better a hundred
    - note: b has 27 training images and c only 1: accuracy says little about the small classes, balanced accuracy does; training.class_weights=balanced gives them the same weight
    - warning: 1 image is there with several labels: DIR/data/train/b/90.png (training, b) = DIR/data/train/a/3.png (training, a). Keep one of each
    - warning: 1 image is there to learn from and to measure with, so that the accuracy will be too high: DIR/data/train/a/5.png (validation, a) = DIR/data/test/a/91.png (test, a). Remove them from one of the two
    - note: 1 image is there more than once in a part: DIR/data/train/a/6.png (training, a) = DIR/data/train/a/92.png (training, a)
    "#);
    insta::assert_snapshot!(error.replace(arg(root.path()), "DIR"), @r"
    the page is DIR/page.html
    error: DIR/data: 8 things would spoil a training
    ");
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("Spoils a training:") && html.contains("id=\"examples\"") && html.len() < 400_000);
    let (code, text, _) = run(&["data", arg(&data), "--set", "data.frame=whole", "--json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &found["classes"][2]["class"], &found["classes"][2]["train"]),
        (1, &Value::from("c"), &Value::from(1))
    );
    assert!(found["problems"].as_array().unwrap().iter().any(|problem| problem["kind"] == "in two parts"), "{text}");

    // Nothing is wrong with these.
    let good = root.path().join("good");
    folders(&good, &textures(2, 0..40));
    let (code, text, error) = run(&["data", arg(&good), "--set", "data.frame=whole", "--json"]);
    assert_eq!(
        (code, serde_json::from_str::<Value>(&text).unwrap()["problems"].as_array().map(Vec::len)),
        (0, Some(0)),
        "{error}"
    );
}

/// Images of MNIST, turned, as a set whose files have a name.
fn turned(prefix: &str, turn: impl Fn(&[u8; 784]) -> [u8; 784]) -> TempDir {
    let (_, test) = load_mnist().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let items = |range: std::ops::Range<usize>| range.map(|i| (turn(test.image(i)), test.label(i))).collect::<Vec<_>>();
    idx_files(folder.path(), &format!("{prefix}train"), &items(0..300));
    idx_files(folder.path(), &format!("{prefix}test"), &items(300..320));
    folder
}

fn transposed(image: &[u8; 784]) -> [u8; 784] {
    std::array::from_fn(|i| image[i % 28 * 28 + i / 28])
}

#[test]
fn digits_that_lie_on_their_side_are_told_by_the_shipped_net() {
    let complaint = |folder: &Path, overrides: &[&str]| {
        let splits = Splits::load(&config(folder, overrides)).unwrap();
        lenet::orientation::problem(&splits).unwrap().map(|problem| problem.text)
    };
    let lying = turned("", transposed);
    insta::assert_snapshot!(complaint(lying.path(), &[]).unwrap(), @"these look transposed: the net that comes with lenet reads 100 % of the training images if they are turned so, and 12 % as they are. Set data.transpose=true");
    assert_eq!(complaint(lying.path(), &["data.transpose=true"]), None);
    let dark = turned("", |image| image.map(|pixel| 255 - pixel));
    insta::assert_snapshot!(complaint(dark.path(), &[]).unwrap(), @"these look inverted: the net that comes with lenet reads 100 % of the training images if they are turned so, and 21 % as they are. Set data.invert=true");
    let problems = Inspection::of(&Splits::load(&config(dark.path(), &[])).unwrap()).problems;
    assert!(problems.iter().any(|problem| problem.kind == "inverted"), "{problems:?}");
    assert_eq!(complaint(dark.path(), &["data.invert=true"]), None);
    let source = Splits::load(&config(dark.path(), &["data.invert=true"])).unwrap().source;
    assert_eq!((source.found.frame, source.problems.len()), (Frame::Digit, 0));
    // EMNIST's files are known to be transposed, and if these are not, it is told as well.
    let emnist = turned("emnist-digits-", transposed);
    assert_eq!(complaint(emnist.path(), &[]), None);
    let config = config(emnist.path(), &[]);
    let splits = Splits::load(&config).unwrap();
    assert!(splits.in_one_line(&config).contains("; the images are transposed;"));
    assert_eq!((splits.source.found.transpose, splits.source.found.frame), (Switch::On, Frame::Digit));
    let upright = turned("emnist-digits-", |image| *image);
    let text = complaint(upright.path(), &[]).unwrap();
    assert!(text.ends_with("Set data.transpose=false"), "{text}");
}

#[test]
fn emnists_mapping_names_the_classes() {
    let items: Vec<Item> =
        (1..4).flat_map(|label| (0..12).map(move |number| (texture(label, number), label))).collect();
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        idx_files(folder.path(), &format!("emnist-letters-{part}"), &items);
    }
    let mapping = folder.path().join("emnist-letters-mapping.txt");
    fs::write(&mapping, "1 65 97\n2 66 98\n3 67 99\n").unwrap();
    let config = config(&folder.path().join("emnist-letters"), &[]);
    let splits = Splits::load(&config).unwrap();
    assert_eq!((splits.train.classes(), splits.test.class(0)), (&["A", "B", "C"].map(String::from)[..], "A"));
    fs::write(&mapping, "1 A\n").unwrap();
    let error = Splits::load(&config).unwrap_err().to_string();
    assert!(
        error.ends_with("mapping.txt: line 1: expected a label and the code of its character, as in `1 65 97`"),
        "{error}"
    );
}

#[test]
fn a_table_of_emnists_is_read_as_its_other_files_and_what_lies_beside_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let items: Vec<Item> =
        (1..4).flat_map(|label| (0..12).map(move |number| (texture(label, number), label))).collect();
    for part in ["train", "test"] {
        let path = folder.path().join(format!("emnist-letters-{part}.csv"));
        csv(&path, &items);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.split_once('\n').unwrap().1).unwrap();
    }
    fs::write(folder.path().join("emnist-letters-mapping.txt"), "1 65 97\n2 66 98\n3 67 99\n").unwrap();
    fs::write(folder.path().join("readme.txt"), "x").unwrap();
    fs::create_dir(folder.path().join("pictures")).unwrap();
    let Splits { train, source, .. } =
        Splits::load(&config(folder.path(), &["data.validation=0", "data.invert=true"])).unwrap();
    assert_eq!((train.classes(), source.found.transpose), (&["A", "B", "C"].map(String::from)[..], Switch::On));
    assert_eq!(*train.image(0), transposed(&items[train.index_in_data(0)].0).map(|pixel| 255 - pixel));
    let said: Vec<String> = source.problems.into_iter().map(|problem| problem.text).collect();
    insta::assert_snapshot!(said.join("\n").replace(arg(folder.path()), "DIR"), @"2 other files beside the data are passed over: DIR/pictures, DIR/readme.txt");
}

#[test]
fn arrays_may_be_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let items = textures(2, 0..12);
    let pixels: Vec<u8> = items.iter().flat_map(|item| item.0).collect();
    let labels: Vec<u8> = items.iter().map(|item| item.1).collect();
    for (name, array) in [
        ("x_train", npy("|u1", "24, 28, 28", &pixels)),
        ("y_train", npy("|u1", "24,", &labels)),
        ("weights", npy("<f4", "2,", &[0; 8])),
    ] {
        fs::write(folder.path().join(name).with_extension("npy"), array).unwrap();
    }
    let splits = Splits::load(&config(folder.path(), &["data.test=4", "data.invert=true"])).unwrap();
    assert_eq!([splits.train.len(), splits.valid.len(), splits.test.len()], [16, 4, 4]);
    let problems = splits.source.problems;
    assert!(problems.len() == 1 && problems[0].text.ends_with("a part: weights"), "{problems:?}");
}

#[test]
fn some_images_have_to_be_left_for_each_purpose() {
    let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    folders(root.path(), &textures(2, 0..6));
    let complaint = |set: &str| {
        let config = config(root.path(), &["data.frame=whole", set]);
        train_quietly(&config, &out.path().join("run"), Existing::Refuse).unwrap_err().to_string()
    };
    insta::assert_snapshot!(complaint("data.test=12"), @"data.test = 12 leaves none of 12 images to learn from; lower it, or set it to a share such as 0.15");
    insta::assert_snapshot!(complaint("data.validation=10"), @"data.validation = 10 leaves none of 10 images to learn from; lower it, or set it to a share such as 0.15");
    insta::assert_snapshot!(complaint("data.test=0"), @"data.test = 0 leaves no images to test with; raise it, or add test images");
}

#[test]
fn class_weights_help_small_classes_and_both_ways_to_compute_agree() {
    let mut items = textures(2, 0..60);
    items.retain(|(_, label)| *label == 0);
    items.extend((0..3).map(|number| (texture(1, number), 1)));
    let data = idx(&items, &textures(2, 60..70));
    let out = tempfile::tempdir().unwrap();
    let losses = |name: &str, overrides: &[&str]| {
        let config = config(data.path(), &[&["data.validation=0", "training.epochs=1"], overrides].concat());
        let report = train_quietly(&config, &out.path().join(name), Existing::Refuse).unwrap();
        report.epochs[0].train.loss
    };
    let weighted = losses("weighted", &["training.class_weights=balanced"]);
    let composed = losses("composed", &["training.class_weights=balanced", "operators=composed"]);
    let plain = losses("plain", &[]);
    assert!((weighted - composed).abs() < 1e-3 && (weighted - plain).abs() > 0.05, "{weighted} {composed} {plain}");
}

#[test]
fn a_wrong_size_for_a_frame_is_told() {
    let root = tempfile::tempdir().unwrap();
    for class in ["post", "box"] {
        photos(root.path(), class, 0..3);
        GrayImage::from_pixel(28, 28, Luma([9])).save(root.path().join(class).join("blank.png")).unwrap();
    }
    let error = Splits::load(&config(root.path(), &["data.frame=none"])).unwrap_err().to_string();
    insta::assert_snapshot!(error.replace(arg(root.path()), "DIR"), @r#"DIR: no picture of box can be learned from. 6 pictures cannot be read and are left out; the first is DIR/box/box 0.png, which has 70 x 50 pixels, and with data.frame = "none" 28 x 28 are needed: resize it, or train with data.frame = "whole". 2 pictures show nothing and are left out: DIR/box/blank.png, DIR/post/blank.png"#);
}

#[test]
fn a_run_for_other_classes_begins_with_what_another_one_learned() {
    let (ten, three) = (idx(&textures(10, 0..30), &textures(10, 30..32)), tempfile::tempdir().unwrap());
    let out = tempfile::tempdir().unwrap();
    let base = out.path().join("base");
    let rate = "optimizer.learning_rate=0.003";
    train_quietly(&config(ten.path(), &["training.epochs=10", rate]), &base, Existing::Refuse).unwrap();
    let names = ["0", "new", "4"];
    for (label, number) in (0..60).map(|i| (i % 3, i)) {
        save(&texture([0, 7, 4][label], 50 + number), &three.path().join(names[label]).join(format!("{number}.png")));
    }
    let loss = |name: &str, from: &str| {
        let set = format!("training.from={from}");
        let config = config(three.path(), &["training.epochs=1", "data.invert=false", rate, &set]);
        train_quietly(&config, &out.path().join(name), Existing::Refuse).unwrap().epochs[0].train.loss
    };
    let (taken, random) = (loss("taken", arg(&base)), loss("random", ""));
    assert!(taken < random - 0.2, "{taken} against {random}");
}
