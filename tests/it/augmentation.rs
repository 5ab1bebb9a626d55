//! Augmentation: what it does to an image, that nothing but the seed, the epoch and the image decides it, and its page.

#![expect(clippy::float_cmp, reason = "what is copied is exactly the same")]

use std::{fs, sync::OnceLock};

use burn::{data::dataloader::DataLoader, prelude::*};
use lenet::{
    artifacts::Existing,
    config::{AugmentationConfig, Scale},
    data::{Augmentation, BatchLoader, ImageSet, NO_CLASS, PIXELS, Variation},
    evaluation::Evaluation,
};
use proptest::prelude::*;

use crate::common::{arg, model_bits, run, smoke, splits, train_quietly};

/// Every range in use.
fn all_ranges() -> AugmentationConfig {
    AugmentationConfig {
        rotation: 15.0,
        scale: 0.15,
        aspect: 0.1,
        shear: 0.2,
        shift: 2.0,
        elastic: 1.0,
        thickness: 1.0,
        styles: 0.5,
    }
}

fn augmentation() -> &'static Augmentation {
    static AUGMENTATION: OnceLock<Augmentation> = OnceLock::new();
    AUGMENTATION.get_or_init(|| Augmentation::new(&all_ranges(), 1).unwrap())
}

fn rendered(image: &[u8; PIXELS], variation: &Variation) -> [f32; PIXELS] {
    let mut variant = [f32::NAN; PIXELS];
    augmentation().render(image, variation, &mut variant);
    variant
}

/// Total brightness, and the mean column and row of it.
fn moments(image: &[f32]) -> [f32; 3] {
    let sum = |of: &dyn Fn(usize) -> f32| image.iter().enumerate().map(|(i, value)| value * of(i)).sum::<f32>();
    let total = sum(&|_| 1.0);
    [total, sum(&|i| (i % 28) as f32) / total, sum(&|i| (i / 28) as f32) / total]
}

/// A bar of 2 by 12 pixels around the centre, upright.
fn bar() -> [u8; PIXELS] {
    std::array::from_fn(|i| if (8..20).contains(&(i / 28)) && (13..15).contains(&(i % 28)) { 255 } else { 0 })
}

#[test]
fn no_variation_is_the_image_itself_and_no_range_is_no_augmentation() {
    for i in 0..50 {
        let image = splits().train.image(i);
        let expected: Vec<f32> = image.iter().map(|byte| f32::from(*byte)).collect();
        assert_eq!(rendered(image, &Variation::default()).to_vec(), expected);
    }
    assert!(Augmentation::new(&AugmentationConfig::default(), 1).is_none());
}

#[test]
fn each_variation_does_what_it_is_called() {
    let none = Variation::default;
    let bar = bar();
    let at = |variation| rendered(&bar, &variation);
    let [ink, column, row] = moments(&at(none()));

    // A whole pixel to the right and two upwards, exactly.
    let shifted = at(Variation { shift: [1.0, -2.0], ..none() });
    assert!((0..PIXELS - 57).all(|i| shifted[i + 1] == f32::from(bar[i + 56])));
    // A quarter turn makes it lie; a small one clockwise moves its upper end to the right.
    let lying = at(Variation { rotation: 90.0, ..none() });
    assert!((0..PIXELS).all(|i| (lying[i] - f32::from(bar[i % 28 * 28 + i / 28])).abs() < 0.1));
    let upper = |image: [f32; PIXELS]| moments(&image[..14 * 28])[1];
    assert!(upper(at(Variation { rotation: 10.0, ..none() })) > column + 0.5);
    // Slanted to the right: its upper end moves to the right and its lower end to the left.
    let slanted = at(Variation { shear: 0.3, ..none() });
    assert!(upper(slanted) > column + 0.5 && (moments(&slanted)[1] - column).abs() < 0.01);
    // Larger, by the factor in each direction; wider, but not larger.
    let larger = moments(&at(Variation { scale: 0.4, ..none() }));
    assert!((larger[0] / ink / 0.8_f32.exp() - 1.0).abs() < 0.05, "{}", larger[0] / ink);
    assert!((larger[1] - column).abs() < 0.01 && (larger[2] - row).abs() < 0.01);
    let wider = at(Variation { aspect: 0.4, ..none() });
    assert!((moments(&wider)[0] / ink - 1.0).abs() < 0.05);
    assert!(moments(&wider[..9 * 28])[0] < 1.0 && wider[14 * 28 + 12] > 0.0, "lower and wider");
    // Thicker by one pixel on each side, thinner by one: then nothing is left of two.
    assert_eq!(moments(&at(Variation { thickness: 1.0, ..none() }))[0] / 255.0, (4 * 12 + 2 * 2) as f32);
    assert_eq!(at(Variation { thickness: -1.0, ..none() }), [0.0; PIXELS]);
    // Displaced, but neither brighter nor somewhere else.
    let elastic = at(Variation { elastic: 1.0, windows: [[3, 200], [100, 7]], ..none() });
    assert_ne!(elastic, at(none()));
    let [elastic_ink, elastic_column, elastic_row] = moments(&elastic);
    assert!(
        (elastic_ink / ink - 1.0).abs() < 0.4
            && (elastic_column - column).abs() < 2.5
            && (elastic_row - row).abs() < 2.5
    );
}

#[test]
fn european_digits_get_a_stroke_and_stay_in_the_middle() {
    let set = &splits().train;
    let ranges = AugmentationConfig { styles: 1.0, ..AugmentationConfig::default() };
    let styles = Augmentation::new(&ranges, 1).unwrap();
    for i in 0..300 {
        let (image, label) = (set.image(i), set.label(i));
        let variation = styles.draw(1, i, Some(label));
        let mut variant = [0.0; PIXELS];
        styles.render(image, &variation, &mut variant);
        let plain: Vec<f32> = image.iter().map(|byte| f32::from(*byte)).collect();
        if [1, 7, 9].contains(&label) {
            let [before, after] = [moments(&plain), moments(&variant)];
            assert!(after[0] > before[0] * 1.01, "image {i}: {before:?} {after:?}");
            assert!((after[1] - before[1]).abs() < 0.6 && (after[2] - before[2]).abs() < 0.6, "{before:?} {after:?}");
        } else {
            assert_eq!(variant.to_vec(), plain);
        }
    }
}

proptest! {
    #[test]
    fn no_range_panics_or_leaves_the_pixels_range(
        rotation in 0.0..=180.0, scale in 0.0..=1.0, aspect in 0.0..=1.0, shear in 0.0..=2.0, shift in 0.0..=28.0,
        elastic in 0.0..=10.0, thickness in 0.0..=1.0, styles in 0.0..=1.0, seed: u64, epoch: usize, index in 0..100_usize,
    ) {
        let ranges = AugmentationConfig { rotation, scale, aspect, shear, shift, elastic, thickness, styles };
        if let Some(augmentation) = Augmentation::new(&ranges, seed) {
            let variation = augmentation.draw(epoch, index, Some(splits().train.label(index)));
            let within = |value: f32, range: f64| f64::from(value.abs()) <= range + 1e-6;
            prop_assert!(within(variation.rotation, rotation) && within(variation.thickness, thickness));
            prop_assert!(variation.shift.into_iter().all(|shift| within(shift, ranges.shift)));
            let mut variant = [f32::NAN; PIXELS];
            augmentation.render(splits().train.image(index), &variation, &mut variant);
            prop_assert!(variant.iter().all(|pixel| (0.0..=255.0).contains(pixel)));
            // Where there is nothing, exactly nothing is drawn.
            augmentation.render(&[0; PIXELS], &variation, &mut variant);
            prop_assert_eq!(variant, [0.0; PIXELS]);
        }
    }
}

/// The bits of all pixels of an epoch, by image.
fn epoch_bits(set: &ImageSet, batch_size: usize, epoch: usize, threads: usize) -> Vec<Vec<u32>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let loader = BatchLoader::new(set.clone(), batch_size, Device::flex())
            .shuffled(1, epoch)
            .augmented(Augmentation::new(&all_ranges(), 1));
        let pixels = loader
            .iter()
            .flat_map(|batch| batch.unwrap().images.tensor(&Device::flex()).into_data().try_into_vec::<f32>().unwrap());
        let bits: Vec<u32> = pixels.map(f32::to_bits).collect();
        bits.chunks(1024).map(<[u32]>::to_vec).collect()
    })
}

#[test]
fn variants_depend_on_seed_epoch_and_image_alone() {
    let set = splits().train.slice(0, 200);
    let one_thread = epoch_bits(&set, 7, 3, 1);
    assert_eq!(one_thread, epoch_bits(&set, 64, 3, 2));
    assert_eq!(one_thread, epoch_bits(&set, 200, 3, 4));
    // The same images in another order and among others have the same variants.
    let mut sorted = one_thread.clone();
    sorted.sort();
    let mut reversed = epoch_bits(&set.permuted(9), 64, 3, 1);
    reversed.sort();
    assert_eq!(sorted, reversed);
    // Another epoch has others.
    let other = epoch_bits(&set, 64, 4, 1);
    assert!(other.iter().all(|image| sorted.binary_search(image).is_err()));
    let [first, second] = [1, 2].map(|seed| Augmentation::new(&all_ranges(), seed).unwrap().draw(1, 0, Some(1)));
    assert_ne!(first, second);
}

#[test]
fn the_background_keeps_its_exact_shade() {
    let set = splits().train.slice(0, 64);
    for scale in [Scale::Standard, Scale::Unit, Scale::Byte] {
        let plain = BatchLoader::new(set.clone().with_scale(scale), 64, Device::flex());
        let varied = BatchLoader::new(set.clone().with_scale(scale), 64, Device::flex())
            .augmented(Augmentation::new(&all_ranges(), 1));
        let pixels = |loader: &BatchLoader| {
            loader
                .iter()
                .next()
                .unwrap()
                .unwrap()
                .images
                .tensor(&Device::flex())
                .into_data()
                .try_into_vec::<f32>()
                .unwrap()
        };
        let (plain, varied) = (pixels(&plain), pixels(&varied));
        let background = plain[0].to_bits();
        let share =
            |pixels: &[f32]| pixels.iter().filter(|pixel| pixel.to_bits() == background).count() * 100 / pixels.len();
        assert!(
            share(&varied) > 60 && share(&varied).abs_diff(share(&plain)) < 15,
            "{} {}",
            share(&plain),
            share(&varied)
        );
    }
}

#[test]
fn negatives_come_behind_the_images_of_a_mini_batch() {
    let set = splits().train.slice(0, 300);
    let negatives = lenet::negatives::negatives(&set, 1);
    assert!(negatives.len() >= 60 && negatives == lenet::negatives::negatives(&set, 1));
    let batches = |threads: usize| -> Vec<(Vec<i32>, Vec<u32>)> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let loader = BatchLoader::new(set.clone(), 64, Device::flex())
                .shuffled(1, 1)
                .augmented(Augmentation::new(&all_ranges(), 1))
                .with_negatives(negatives.clone(), 0.25, 1);
            let values = |batch: lenet::data::Batch| {
                let pixels = batch.images.tensor(&Device::flex()).into_data().try_into_vec::<f32>().unwrap();
                (batch.targets.into_data().iter().collect(), pixels.into_iter().map(f32::to_bits).collect())
            };
            loader.iter().map(|batch| values(batch.unwrap())).collect()
        })
    };
    let once = batches(1);
    assert_eq!(once, batches(2));
    let counts: Vec<usize> = once.iter().map(|(labels, _)| labels.len()).collect();
    assert_eq!(counts, [80, 80, 80, 80, 55]);
    for (labels, _) in &once {
        let images = labels.len() * 4 / 5;
        assert!(
            labels[..images].iter().all(|label| *label < 10) && labels[images..].iter().all(|label| *label == NO_CLASS)
        );
    }
}

#[test]
fn a_net_that_has_seen_negatives_is_less_sure_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let sureness = |name: &str, share: f64| {
        let mut config = smoke(&["data.validation=100", "training.epochs=4", "seed=3"]);
        config.data.negatives = share;
        let run = folder.path().join(name);
        let report = train_quietly(&config, &run, Existing::Refuse).unwrap();
        assert!(report.test.unwrap().accuracy > 0.8 && report.epochs[3].train.accuracy <= 1.0);
        let unseen = lenet::negatives::negatives(&splits().valid.slice(0, 300), 9);
        let probabilities = lenet::inference::Trained::load(&run, None).unwrap().probabilities(&unseen).unwrap();
        let largest = probabilities.iter().map(|p| p.iter().copied().fold(0.0, f32::max));
        largest.sum::<f32>() / probabilities.len() as f32
    };
    let (without, with) = (sureness("without", 0.0), sureness("with", 0.3));
    assert!(with < without - 0.2, "{without} {with}");
}

#[test]
fn an_augmented_run_that_was_resumed_equals_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = |epochs: usize| {
        let mut config = smoke(&["data.train=640", "training.batch_size=64"]);
        (config.augmentation, config.training.epochs) = (all_ranges(), epochs);
        config
    };
    let [whole, resumed] = ["whole", "resumed"].map(|name| folder.path().join(name));
    let report = train_quietly(&config(3), &whole, Existing::Refuse).unwrap();
    train_quietly(&config(1), &resumed, Existing::Refuse).unwrap();
    train_quietly(&config(3), &resumed, Existing::Resume).unwrap();
    assert_eq!(model_bits(&whole), model_bits(&resumed));
    // Training saw other images than those of the data set.
    let mut plain = config(3);
    plain.augmentation = AugmentationConfig::default();
    let plain = train_quietly(&plain, &folder.path().join("plain"), Existing::Refuse).unwrap();
    assert!(plain.epochs[2].train.loss < report.epochs[2].train.loss);
}

#[test]
fn the_page_shows_images_beside_their_variants() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("a page.html");
    let augment = |more: &[&str]| run(&[&["augment", "configs/smoke.toml", "--out", arg(&page)], more].concat());
    let (code, _, error) = augment(&[]);
    assert_eq!(code, 2);
    assert!(error.contains("augmentation.rotation=10") && !page.exists(), "{error}");
    let (code, output, error) = augment(&["--set", "augmentation.shift=2", "--set", "augmentation.elastic=0.5"]);
    assert_eq!((code, output.trim_end()), (0, arg(&page)), "{error}");
    let html = fs::read_to_string(&page).unwrap();
    // Two ranges, and a row for each digit.
    assert_eq!(html.matches("<figure>").count(), 2 + 10);
    assert!(html.contains("shift = 2") && html.contains("elastic = 0.5") && !html.contains("rotation"));
    let (code, _, error) = augment(&["--set", "augmentation.shift=-1"]);
    assert_eq!(code, 2);
    assert!(error.contains("augmentation.shift must be 0 (off) to 28"), "{error}");
}

#[test]
fn evaluate_measures_on_variants() {
    let evaluate = |more: &[&str]| run(&[&["evaluate", "--json"], more].concat());
    let accuracy = |more: &[&str]| {
        let (code, output, error) = evaluate(more);
        assert_eq!(code, 0, "{error}");
        serde_json::from_str::<Evaluation>(&output).unwrap().accuracy
    };
    let turned = accuracy(&["--augment", "rotation=180"]);
    assert!((0.2..0.8).contains(&turned), "{turned}");
    assert!(accuracy(&["--augment", "rotation=5", "--augment", "shift=0.5"]) > turned);
    for (wrong, complaint) in
        [("turn=5", "there are: rotation, scale"), ("shift", "KEY=RANGE"), ("shift=99", "0 (off) to 28")]
    {
        let (code, _, error) = evaluate(&["--augment", wrong]);
        assert_eq!(code, 2);
        assert!(error.contains(complaint), "{error}");
    }
}
