//! Pictures that are not from MNIST, in other sizes, colours, backgrounds and positions.

use std::path::Path;

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage, imageops};
use insta::assert_snapshot;
use lenet::{
    artifacts::PRETRAINED,
    data::{ImageSet, PIXELS, load_mnist},
    inference::Trained,
    picture::{Finding, normalize},
    picture_bench::{KindResult, Seen, read_all, sums},
    reading::{Reading, read},
};

use crate::common::{full_run, project};

fn test_set() -> ImageSet {
    load_mnist().unwrap().1
}

fn grey(set: &ImageSet, index: usize) -> GrayImage {
    GrayImage::from_raw(28, 28, set.image(index).to_vec()).unwrap()
}

/// The accuracy on MNIST's first test images after a change that would not bother a person, 0 to 1.
fn accuracy(change: impl Fn(GrayImage) -> DynamicImage) -> f64 {
    let trained = Trained::load(full_run().0.path(), None).unwrap();
    let set = test_set();
    let pictures: Vec<[u8; PIXELS]> = (0..300).map(|i| normalize(&change(grey(&set, i))).unwrap()).collect();
    let probabilities = trained.probabilities(&pictures).unwrap();
    let digit = |p: &[f32]| (0..10).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
    let correct = probabilities.iter().enumerate().filter(|(i, p)| digit(p) == usize::from(set.label(*i))).count();
    correct as f64 / 300.0
}

#[test]
fn digits_are_read_in_any_size_position_and_colour() {
    let large = |picture: &GrayImage| imageops::resize(picture, 140, 140, imageops::FilterType::CatmullRom);
    let checks: [(&str, f64); 6] = [
        ("as it is", accuracy(DynamicImage::ImageLuma8)),
        (
            "dark on light",
            accuracy(|mut picture| {
                imageops::invert(&mut picture);
                DynamicImage::ImageLuma8(picture)
            }),
        ),
        (
            "in the corner of a large grey page",
            accuracy(|picture| {
                let mut page = GrayImage::from_pixel(900, 600, Luma([200]));
                for (x, y, pixel) in large(&picture).enumerate_pixels() {
                    page.put_pixel(x + 700, y + 20, Luma([200 - (u32::from(pixel[0]) * 150 / 255) as u8]));
                }
                DynamicImage::ImageLuma8(page)
            }),
        ),
        (
            "blue ink on yellow paper",
            accuracy(|picture| {
                let mix = |opacity: u8, foreground: u8, background: u8| {
                    let [opacity, foreground, background] = [opacity, foreground, background].map(u32::from);
                    ((opacity * foreground + (255 - opacity) * background) / 255) as u8
                };
                let large = large(&picture);
                DynamicImage::ImageRgb8(RgbImage::from_fn(140, 140, |x, y| {
                    let opacity = large.get_pixel(x, y)[0];
                    Rgb([mix(opacity, 20, 250), mix(opacity, 40, 240), mix(opacity, 160, 170)])
                }))
            }),
        ),
        (
            "white on a transparent background",
            accuracy(|picture| {
                DynamicImage::ImageRgba8(RgbaImage::from_fn(28, 28, |x, y| {
                    Rgba([255, 255, 255, picture.get_pixel(x, y)[0]])
                }))
            }),
        ),
        (
            "grainy, with a few dark specks",
            accuracy(|picture| {
                let mut page = GrayImage::from_fn(300, 300, |x, y| Luma([235 + ((x * 7919 + y * 104_729) % 11) as u8]));
                for (x, y, pixel) in large(&picture).enumerate_pixels() {
                    let under = page.get_pixel(x + 60, y + 90)[0];
                    page.put_pixel(
                        x + 60,
                        y + 90,
                        Luma([(u32::from(under) * (255 - u32::from(pixel[0])) / 255) as u8]),
                    );
                }
                for (x, y) in [(10, 10), (10, 11), (11, 10), (11, 11)] {
                    page.put_pixel(x, y, Luma([0]));
                }
                DynamicImage::ImageLuma8(page)
            }),
        ),
    ];
    for (what, accuracy) in checks {
        assert!(accuracy >= 0.96, "{what}: {accuracy}");
    }
}

/// MNIST's images are in this format already, so they hardly change.
#[test]
fn an_image_of_mnist_stays_as_it_is() {
    let set = test_set();
    let mut differences: Vec<f64> = (0..200)
        .map(|i| {
            let after = normalize(&DynamicImage::ImageLuma8(grey(&set, i))).unwrap();
            let before = set.image(i);
            before.iter().zip(after).map(|(a, b)| f64::from(a.abs_diff(b))).sum::<f64>() / 784.0
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    assert!(differences[100] < 4.0, "the median of the mean difference of a pixel is {}", differences[100]);
}

#[test]
fn a_shift_changes_nothing_and_a_scale_little() {
    let set = test_set();
    let mut differences = Vec::new();
    for index in 0..20 {
        let digit = imageops::resize(&grey(&set, index), 112, 112, imageops::FilterType::CatmullRom);
        let at = |left: u32, top: u32| {
            let mut page = GrayImage::new(300, 200);
            imageops::replace(&mut page, &digit, left.into(), top.into());
            normalize(&DynamicImage::ImageLuma8(page)).unwrap()
        };
        assert_eq!(at(5, 5), at(170, 80));
        let small = normalize(&DynamicImage::ImageLuma8(digit.clone())).unwrap();
        let double = imageops::resize(&digit, 224, 224, imageops::FilterType::CatmullRom);
        let double = normalize(&DynamicImage::ImageLuma8(double)).unwrap();
        differences.push(small.iter().zip(double).map(|(a, b)| f64::from(a.abs_diff(b))).sum::<f64>() / 784.0);
    }
    // The centre of some digits lies between two pixels, and may be rounded to the other one.
    differences.sort_by(f64::total_cmp);
    assert!(differences[10] < 4.0, "{differences:?}");
}

#[test]
fn a_page_with_nothing_on_it_is_refused() {
    let trained = Trained::load(full_run().0.path(), None).unwrap();
    let pages = [
        DynamicImage::ImageLuma8(GrayImage::from_pixel(40, 40, Luma([255]))),
        DynamicImage::ImageLuma8(GrayImage::from_pixel(500, 300, Luma([90]))),
        DynamicImage::ImageLuma8(GrayImage::from_pixel(1, 1, Luma([7]))),
        DynamicImage::ImageRgba8(RgbaImage::new(9, 9)),
        // Only grain.
        DynamicImage::ImageLuma8(GrayImage::from_fn(64, 64, |x, y| Luma([200 + ((x * 31 + y * 17) % 5) as u8]))),
    ];
    for page in pages {
        assert!(matches!(normalize(&page), Err(Finding::OneShade | Finding::Pale { .. })));
        assert_eq!(reading(&trained, &page), None);
    }
}

/// A page without a digit is refused with what is on it.
#[test]
fn refusals_say_what_was_found() {
    let page = |width, height, shade: fn(u32, u32) -> u8| {
        DynamicImage::ImageLuma8(GrayImage::from_fn(width, height, |x, y| Luma([shade(x, y)])))
    };
    let found = |page: DynamicImage| Finding::of(&page).to_string();
    assert_snapshot!(found(page(40, 30, |_, _| 90)), @"shows nothing: it is of one shade all over; is it the right file?");
    assert_snapshot!(found(DynamicImage::ImageRgba8(RgbaImage::new(9, 9))), @"shows nothing: it is of one shade all over; is it the right file?");
    assert_snapshot!(found(page(200, 100, |x, _| 200 + u8::from(x > 90) * 8)), @"shows nothing that stands out: its lightest and darkest spots are 3.1 % of the way from black to white apart, and a digit needs 6.0 %. Raise its contrast, or write darker");
    // The light falls by half, so that the border's deviation hides a stroke in a small picture.
    assert_snapshot!(found(page(50, 50, |x, y| (240 - x * 2 - if (20..24).contains(&x) && y > 9 && y < 40 { 40 } else { 0 }) as u8)), @"shows nothing that stands out: its lightest and darkest spots are 38.4 % of the way from black to white apart, but its edges are as uneven themselves (a shadow, a frame or a pattern). Crop it to the digit and an even background around it");
    assert_snapshot!(found(page(800, 600, |x, y| if x / 4 == 30 && y / 4 == 30 || x == 500 && y == 20 { 0 } else { 255 })), @"shows only specks, of at most 4 pixels. Crop it to the digit, or write larger");
    assert_snapshot!(found(page(800, 600, |x, y| if x / 100 == 3 && y / 100 == 2 { 0 } else { 255 })), @"shows something, but nothing that can be taken for a digit");
}

#[test]
fn odd_shapes_do_not_panic() {
    let trained = Trained::load(full_run().0.path(), None).unwrap();
    for (width, height) in [(1, 300), (300, 1), (2, 2), (5000, 3), (61, 2)] {
        let mut page = GrayImage::from_pixel(width, height, Luma([255]));
        page.put_pixel(width / 2, height / 2, Luma([0]));
        let page = DynamicImage::ImageLuma8(page);
        let _ = (normalize(&page), reading(&trained, &page));
    }
    let strange: ImageBuffer<Rgb<f32>, Vec<f32>> = ImageBuffer::from_pixel(80, 80, Rgb([f32::NAN, 1e30, -5.0]));
    let strange = DynamicImage::ImageRgb32F(strange);
    let _ = (normalize(&strange), reading(&trained, &strange));
}

fn reading(trained: &Trained, picture: &DynamicImage) -> Option<Reading> {
    read(&trained.net, trained.config.data.scale, &trained.device, picture).unwrap()
}

#[expect(clippy::cast_sign_loss, reason = "0 to 255")]
fn byte(brightness: f32) -> u8 {
    (brightness.clamp(0.0, 1.0) * 255.0) as u8
}

/// The accuracy on MNIST's first test images, drawn dark on a light page by `light(x, y, background)`, from 0 to 1.
fn accuracy_in(light: impl Fn(u32, u32, f32) -> f32) -> f64 {
    let trained = Trained::load(full_run().0.path(), None).unwrap();
    let set = test_set();
    let correct = (0..60).filter(|i| {
        let (index, left, top) = (*i as usize, 40 + i * 37 % 90, 30 + i * 53 % 60);
        let digit = imageops::resize(&grey(&set, index), 112, 112, imageops::FilterType::CatmullRom);
        let page = GrayImage::from_fn(280, 220, |x, y| {
            let inside = (left..left + 112).contains(&x) && (top..top + 112).contains(&y);
            let opacity = if inside { f32::from(digit.get_pixel(x - left, y - top)[0]) / 255.0 } else { 0.0 };
            let grain = ((x * 7919 + y * 104_729) % 5) as f32 / 255.0;
            Luma([byte(light(x, y, 0.9 - 0.7 * opacity + grain))])
        });
        let reading = reading(&trained, &DynamicImage::ImageLuma8(page)).unwrap();
        let bounds = reading.bounds;
        assert!(bounds.left + bounds.width <= 280 && bounds.top + bounds.height <= 220, "{bounds:?}");
        reading.class == usize::from(set.label(index))
    });
    correct.count() as f64 / 60.0
}

#[test]
fn digits_are_read_in_the_scenes_of_daily_life() {
    let checks = [
        ("light that falls to half", accuracy_in(|x, _, value| value * (1.0 - 0.5 * x as f32 / 280.0))),
        ("a shadow", accuracy_in(|x, y, value| value * (1.0 - 0.5 * ((x + y) as f32 / 12.0 - 19.0).clamp(0.0, 1.0)))),
        ("a scanner's edge", accuracy_in(|x, _, value| if x < 9 { 0.02 } else { value })),
        ("a cell of a form", accuracy_in(|x, y, value| if x < 4 || y < 4 || x > 275 || y > 215 { 0.2 } else { value })),
        (
            "a desk around the sheet",
            accuracy_in(|x, y, value| if x < 20 || y < 15 || x > 262 || y > 208 { 0.25 } else { value }),
        ),
        ("a margin", accuracy_in(|x, _, value| if (20..23).contains(&x) { 0.5 } else { value })),
    ];
    for (what, accuracy) in checks {
        assert!(accuracy >= 0.9, "{what}: {accuracy}");
    }
}

/// Sensors of ten or twelve bits are stored in 16 as they are.
#[test]
fn sixteen_bits_need_not_be_full() {
    let digit = imageops::resize(&grey(&test_set(), 3), 84, 84, imageops::FilterType::CatmullRom);
    let expected = normalize(&DynamicImage::ImageLuma8(digit.clone())).unwrap();
    for factor in [4, 16, 257] {
        let wide = ImageBuffer::from_fn(84, 84, |x, y| Luma([u16::from(digit.get_pixel(x, y)[0]) * factor]));
        let difference =
            normalize(&DynamicImage::ImageLuma16(wide)).unwrap().iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max();
        assert!(difference <= Some(1), "{factor}: {difference:?}");
    }
}

/// They are cut out already, and MNIST's own images must not lose by other ways to read them.
#[test]
fn small_pictures_are_read_in_the_plain_way() {
    let trained = Trained::load(full_run().0.path(), None).unwrap();
    let set = test_set();
    for index in 0..20 {
        let picture = DynamicImage::ImageLuma8(grey(&set, index));
        let reading = reading(&trained, &picture).unwrap();
        assert_eq!(reading.image, normalize(&picture).unwrap());
        let plain = &trained.probabilities(&[reading.image]).unwrap()[0];
        assert!(plain.iter().zip(reading.probabilities).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}

/// Ten digits drawn for this test: in four sizes, in colour, with margins, shadows and grain, dark on light and light
/// on dark.
#[test]
fn drawn_digits_are_read() {
    let trained = Trained::load(full_run().0.path(), None).unwrap();
    let mut paths: Vec<_> =
        std::fs::read_dir(project("tests/pictures")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert_eq!(paths.len(), 10);
    for (digit, prediction) in trained.predict(&paths).unwrap().into_iter().enumerate() {
        let prediction = prediction.unwrap();
        assert!(prediction.index == digit && prediction.probability > 0.5, "{prediction:?}");
    }
}

#[test]
fn the_shipped_net_reads_every_kind_of_scene() {
    let trained = Trained::load(Path::new(PRETRAINED), None).unwrap();
    let results = read_all(|picture| Seen::by(&trained, picture), &test_set(), 20, 3).unwrap();
    for result in results.iter().filter(|result| result.shows_digit) {
        assert!(result.right >= 17, "{result:?}");
    }
    let share = |count: usize, of: &KindResult| count as f64 / of.pictures as f64;
    let [tuned, held_out, no_digit, no_digit_held_out] = sums(&results);
    assert!(share(tuned.right, &tuned) > 0.97 && share(held_out.right, &held_out) > 0.96, "{tuned:?} {held_out:?}");
    assert!(share(tuned.refused, &tuned) < 0.02 && share(tuned.wrong_and_sure, &tuned) < 0.01, "{tuned:?}");
    assert!(share(tuned.several, &tuned) < 0.01 && share(held_out.several, &held_out) < 0.01, "{tuned:?} {held_out:?}");
    assert!(share(no_digit.wrong_and_sure, &no_digit) < 0.08, "{no_digit:?}");
    assert!(share(no_digit_held_out.wrong_and_sure, &no_digit_held_out) < 0.18, "{no_digit_held_out:?}");
}
