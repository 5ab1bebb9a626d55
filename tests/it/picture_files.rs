//! The files that `predict` reads, in many formats and sizes; and what it says of others.

use std::{fs, path::Path};

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, imageops};
use insta::assert_snapshot;
use lenet::{
    data::load_mnist,
    picture::{normalize, open, read_picture},
};

use crate::common::{arg, full_run, run};

/// A digit of MNIST, three times as large: a 7.
fn seven() -> GrayImage {
    let (_, test) = load_mnist().unwrap();
    let digit = GrayImage::from_raw(28, 28, test.image(0).to_vec()).unwrap();
    imageops::resize(&digit, 84, 84, imageops::FilterType::CatmullRom)
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
}
