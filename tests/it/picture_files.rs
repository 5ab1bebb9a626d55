//! The files that `predict` reads: folders, standard input, many formats and sizes; and what it says of others.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, imageops};
use insta::assert_snapshot;
use lenet::{
    data::load_mnist,
    picture::{normalize, open, read_picture},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{arg, finish, full_run, lenet, project, run};

/// A digit of MNIST, three times as large: a 7.
fn seven() -> GrayImage {
    let (_, test) = load_mnist().unwrap();
    let digit = GrayImage::from_raw(28, 28, test.image(0).to_vec()).unwrap();
    imageops::resize(&digit, 84, 84, imageops::FilterType::CatmullRom)
}

/// A folder with pictures of sevens under these names.
fn folder_of(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        seven().save_with_format(folder.path().join(name), ImageFormat::Png).unwrap();
    }
    folder
}

#[test]
fn every_kind_of_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let digit = seven();
    let expected = normalize(&DynamicImage::ImageLuma8(digit.clone())).unwrap();
    for name in ["a.png", "b.jpg", "c.bmp", "d.gif", "e.pgm", "with a space.ppm", "f.tif", "g.webp", "no_extension"] {
        let path = folder.path().join(name);
        let picture = DynamicImage::ImageRgb8(DynamicImage::ImageLuma8(digit.clone()).to_rgb8());
        match path.extension().and_then(|e| e.to_str()) {
            Some("pgm") => digit.save(&path).unwrap(),
            Some(_) => picture.save(&path).unwrap(),
            None => picture.save_with_format(&path, ImageFormat::Png).unwrap(),
        }
        let read = read_picture(&path).unwrap();
        let difference: f64 = read.iter().zip(expected).map(|(a, b)| f64::from(a.abs_diff(b))).sum::<f64>() / 784.0;
        assert!(difference < 4.0, "{name}: {difference}");
    }
}

/// Sensors of ten or twelve bits are stored in 16 as they are.
#[test]
fn a_png_of_ten_or_twelve_bits_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let expected = normalize(&DynamicImage::ImageLuma8(seven())).unwrap();
    for factor in [4, 16, 257] {
        let path = folder.path().join(format!("{factor}.png"));
        let digit = seven();
        let wide = ImageBuffer::from_fn(84, 84, |x, y| Luma([u16::from(digit.get_pixel(x, y)[0]) * factor]));
        DynamicImage::ImageLuma16(wide).save(&path).unwrap();
        let difference = read_picture(&path).unwrap().iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
        assert!(difference <= Some(1), "{factor}: {difference:?}");
    }
}

/// 65 megapixels, as a phone takes them, with its own orientation.
#[test]
fn a_very_large_photo_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    let digit = DynamicImage::ImageLuma8(seven()).to_rgb8();
    let large = imageops::resize(&digit, 9300, 7000, imageops::FilterType::Nearest);
    large.save(&path).unwrap();
    drop(large);
    let picture = open(&path).unwrap();
    assert_eq!((picture.width(), picture.height()), (9300, 7000));
    let (code, output, error) = run(&["predict", arg(full_run().0.path()), arg(&path)]);
    assert!(code == 0 && output.contains("photo.jpg  7 "), "{output}{error}");
}

#[test]
fn what_is_no_picture_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let complain = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        read_picture(&path).unwrap_err().to_string().replace(&folder.path().display().to_string(), "DIR")
    };
    let mut png = std::io::Cursor::new(Vec::new());
    seven().write_to(&mut png, ImageFormat::Png).unwrap();
    let png = png.into_inner();
    assert_snapshot!(complain("text.png", b"not a picture"), @"DIR/text.png: is text, not a picture. Pictures are PNG, JPEG, TIFF, WebP, BMP, GIF and PNM files");
    assert_snapshot!(complain("cut.png", &png[..png.len() / 2]), @"DIR/cut.png: is a picture in PNG format that cannot be decoded (unexpected end of file). It may be damaged: copy or save it again");
    assert_snapshot!(complain("empty.png", b""), @"DIR/empty.png: is empty. Copy or download it again");
    assert_snapshot!(complain("photo.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), @"DIR/photo.jpg: is a picture in HEIC format (High Efficiency Image Coding), which lenet does not read. Convert it to JPEG, for example with `magick PHOTO.heic PHOTO.jpg`; an iPhone takes JPEG itself with Settings > Camera > Formats > Most Compatible");
    assert_snapshot!(complain("a.avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf"), @"DIR/a.avif: is a picture in AVIF format (AV1 Image File Format), which lenet does not read. Convert it to PNG or JPEG, for example with `magick PICTURE PICTURE.png`");
    assert_snapshot!(complain("a.pdf", b"%PDF-1.7\n"), @"DIR/a.pdf: is a document in PDF format (Portable Document Format), not a picture. Export the page with the digit as PNG");
    assert_snapshot!(complain("a.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), @"DIR/a.svg: is a drawing in SVG format, not a picture. Export it as PNG");
    assert_snapshot!(complain("a.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"), @"DIR/a.mp4: is a video in MP4 format (MPEG-4 Part 14), not a picture. Save the frame with the digit as PNG");
    assert_snapshot!(complain("a.jxl", b"\xff\x0a\xfa\x7f"), @"DIR/a.jxl: is a picture in JXL format (JPEG XL), which lenet does not read. Convert it to PNG or JPEG, for example with `magick PICTURE PICTURE.png`");
    assert_snapshot!(complain("page.jpg", b"<!doctype html><title>Sign in</title>"), @"DIR/page.jpg: is a web page (HTML), not a picture. The download was answered with a page, such as an error or a sign-in: open the address in a browser, and save the file itself");
    assert_snapshot!(complain("lfs.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n"), @"DIR/lfs.png: is a pointer of Git LFS, not a picture. `git lfs pull` fetches the file itself");
    assert_snapshot!(complain("random", b"\xfe\xdc\xba\x98\x76"), @"DIR/random: is of an unknown kind (it begins with fe dc ba 98), not a picture. Pictures are PNG, JPEG, TIFF, WebP, BMP, GIF and PNM files");
    assert_snapshot!(complain("images", b"\0\0\x08\x03\0\0\0\x01"), @"DIR/images: is a data file in MNIST's IDX format, not a picture. `lenet evaluate` measures a net on such data");
    let missing = read_picture(Path::new("no/such.png")).unwrap_err().to_string();
    assert_snapshot!(missing, @"no/such.png: cannot be read: No such file or directory (os error 2)");
    assert_snapshot!(read_picture(Path::new("https://example.org/7.png")).unwrap_err(), @"https://example.org/7.png: is a web address: download the picture first, as in `curl -L ADDRESS | lenet predict -`");
}

#[test]
fn a_picture_comes_from_standard_input() {
    let predict = |arguments: &[&str], bytes: &[u8]| {
        let mut child = lenet(&[&["predict"], arguments].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A process that ends before it reads closes its end.
        let _ = child.stdin.take().unwrap().write_all(bytes);
        finish(child.wait_with_output().unwrap())
    };
    let picture = fs::read(project("tests/pictures/7.png")).unwrap();
    let (code, output, error) = predict(&["-"], &picture);
    assert!(code == 0 && output.starts_with("-  7 ") && error.is_empty(), "{output}{error}");
    let (code, output, _) = predict(&[arg(full_run().0.path()), "tests/pictures/3.png", "-", "--json"], &picture);
    let entries: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &entries[0]["index"], &entries[1]["index"]), (0, &Value::from(3), &Value::from(7)));
    assert_eq!(entries[1]["path"], "-");
    let (code, output, error) = predict(&["-"], b"");
    assert_eq!((code, output.as_str()), (1, ""));
    assert_snapshot!(error, @"
    error: standard input: is empty. Copy or download it again
    error: 1 of 1 pictures could not be read
    ");
    let (code, _, error) = predict(&["-", "-"], &picture);
    assert_eq!(code, 2);
    assert_snapshot!(error, @"error: standard input (-) can be read only once");
}

#[test]
fn a_folder_stands_for_the_pictures_in_it() {
    let folder = folder_of(&["p10.png", "p2.png", "p1.PNG", "no suffix", ".hidden.png"]);
    let path = |name: &str| folder.path().join(name);
    fs::write(path("Thumbs.db"), "x").unwrap();
    fs::write(path("notes.txt"), "x").unwrap();
    fs::create_dir(path("__MACOSX")).unwrap();
    fs::create_dir(path("more")).unwrap();
    fs::write(path("p3.jpg"), "").unwrap();
    let shown = |text: &str| text.replace(arg(folder.path()), "DIR");
    let (code, output, error) = run(&["predict", arg(full_run().0.path()), arg(folder.path())]);
    let names: Vec<&str> = output
        .lines()
        .map(|line| Path::new(line.split("  ").next().unwrap()).file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!((code, names), (1, vec!["no suffix", "p1.PNG", "p2.png", "p10.png"]), "{output}");
    assert_snapshot!(shown(&error), @"
    DIR: 5 pictures; 1 other file and 1 folder passed over
    error: DIR/p3.jpg: is empty. Copy or download it again
    error: 1 of 5 pictures could not be read
    ");

    // Without a net before it, too; and a net stays one, whatever else is in its folder.
    fs::remove_file(path("p3.jpg")).unwrap();
    let (code, output, _) = run(&["predict", arg(folder.path()), "tests/pictures/3.png"]);
    assert_eq!((code, output.lines().count()), (0, 5), "{output}");
    let (code, _, error) = run(&["predict", arg(full_run().0.path())]);
    assert!(code == 2 && error.contains("there is no picture to read after"), "{error}");
}

#[test]
fn a_folder_without_pictures_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let [empty, texts] = ["empty", "texts"].map(|name| folder.path().join(name));
    for folder in [&empty, &texts] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(texts.join("a.txt"), "x").unwrap();
    fs::write(texts.join("b.txt"), "x").unwrap();
    let predict = |arguments: &[&Path]| {
        let arguments: Vec<&str> = arguments.iter().map(|path| arg(path)).collect();
        let (code, output, error) = run(&[&["predict"], &arguments[..]].concat());
        (code, output.lines().count(), error.replace(arg(folder.path()), "DIR"))
    };
    let three = project("tests/pictures/3.png");
    // In the first place it is a misspelt run, most likely.
    let (code, lines, error) = predict(&[&empty, &three]);
    assert_eq!((code, lines), (1, 0));
    assert_snapshot!(error, @"error: DIR/empty is neither a run nor a folder with pictures in it");
    let (code, lines, error) = predict(&[&three, &empty, &texts]);
    assert_eq!((code, lines), (1, 1));
    assert_snapshot!(error, @"
    error: DIR/empty: is an empty folder
    error: DIR/texts: is a folder without pictures: it holds 2 other files
    error: 2 of 3 pictures could not be read
    ");
}

#[test]
fn a_net_of_another_framework_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let complain = |path: &Path, command: &[&str]| {
        let (code, output, error) = run(&[&[command[0], arg(path)], &command[1..]].concat());
        assert_eq!((code, output.as_str()), (1, ""));
        error.replace(arg(folder.path()), "DIR")
    };
    let predict = ["predict", "tests/pictures/3.png"];
    let torch =
        write("model.pt", b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0archive/data.pkl\x80\x02");
    assert_snapshot!(complain(&torch, &predict), @"error: DIR/model.pt: is a PyTorch file, not a net that lenet trained. If it holds a LeNet-5, `lenet import FILE --out RUN` makes a run of it");
    assert_snapshot!(complain(&torch, &["evaluate"]), @"error: DIR/model.pt: is a PyTorch file, not a net that lenet trained. If it holds a LeNet-5, `lenet import FILE --out RUN` makes a run of it");
    assert_snapshot!(complain(&write("a.safetensors", b"\x10\0\0\0\0\0\0\0{\"c1.weight\":{}}"), &predict), @"error: DIR/a.safetensors: is a safetensors file, not a net that lenet trained. If it holds a LeNet-5, `lenet import FILE --out RUN` makes a run of it");
    assert_snapshot!(complain(&write("a.onnx", b"\x08\x08\x12\x07pytorch\x1a"), &predict), @"error: DIR/a.onnx: is an ONNX file, not a net that lenet trained. Such files are not read: save the net's parameters as a safetensors file or a state_dict of PyTorch, which `lenet import` reads");
    assert_snapshot!(complain(&write("a.h5", b"\x89HDF\r\n\x1a\n"), &predict), @"error: DIR/a.h5: is an HDF5 file, as Keras writes, not a net that lenet trained. Such files are not read: save the net's parameters as a safetensors file or a state_dict of PyTorch, which `lenet import` reads");
    assert_snapshot!(complain(&write("model.bpk", b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n"), &predict), @"error: DIR/model.bpk: is a pointer of Git LFS, not a net that lenet trained. `git lfs pull` fetches the file itself");
    assert_snapshot!(complain(&write("b.bpk", b""), &["evaluate"]), @"error: DIR/b.bpk: is empty. Copy or download it again");
    assert_snapshot!(complain(&write("c.bpk", b"NRUB\x01\0\0\0"), &["evaluate"]), @"error: DIR/c.bpk: is not a readable record (Invalid header: insufficient bytes); it may be damaged: train again");
}
