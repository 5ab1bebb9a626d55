//! Data folders, splits, mini-batches, and the cache that Burn reads.

use std::{collections::HashSet, fs, io::Write};

use burn::{data::dataloader::DataLoader, prelude::*};
use flate2::{Compression, write::GzEncoder};
use insta::assert_snapshot;
use lenet::{
    config::{Config, Scale},
    data::{BatchLoader, ImageSet, Splits, images_tensor, load_mnist, read_folder},
};

use crate::common::{arg, finish, lenet, small_folder, splits};

#[test]
fn mnist_is_mnist() {
    let (train, test) = load_mnist().unwrap();
    assert_eq!((train.len(), test.len()), (60_000, 10_000));
    let first: Vec<u8> = (0..10).map(|i| train.label(i)).collect();
    assert_eq!(first, [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    let mean =
        (0..train.len()).flat_map(|i| train.image(i)).map(|p| f64::from(*p)).sum::<f64>() / (6e4 * 784.0 * 255.0);
    assert!((mean - 0.1307).abs() < 1e-4, "{mean}");
}

#[test]
fn splits_are_disjoint_and_drawn_from_the_seed() {
    let splits = splits();
    assert_eq!((splits.train.len(), splits.valid.len(), splits.test.len()), (55_000, 5_000, 10_000));
    // Images are identified by the address of their pixels, which both sets share.
    let addresses = |set: &ImageSet| (0..set.len()).map(|i| set.image(i).as_ptr() as usize).collect::<HashSet<_>>();
    assert_eq!(addresses(&splits.train).union(&addresses(&splits.valid)).count(), 60_000);
    let labels = |seed, set: fn(&Splits) -> &ImageSet| {
        let splits = Splits::load(&Config { seed, ..Config::default() }).unwrap();
        (0..100).map(|i| set(&splits).label(i)).collect::<Vec<_>>()
    };
    assert_eq!(labels(1, |s| &s.valid), labels(1, |s| &s.valid));
    assert_ne!(labels(1, |s| &s.valid), labels(2, |s| &s.valid));
}

#[test]
fn more_images_than_there_are_is_an_error() {
    let folder = small_folder(20);
    let mut config = Config::default();
    config.data.folder = folder.path().into();
    let complaint = |config: &Config| Splits::load(config).unwrap_err().to_string();
    assert_snapshot!(complaint(&config), @"data.validation = 5000 leaves none of 20 images to learn from; lower it, or set it to a share such as 0.15");
    config.data.validation = 5.into();
    config.data.train = 16;
    assert_snapshot!(complaint(&config), @"data.train = 16 but only 15 of 20 training images are left after data.validation = 5; lower one of them");
    config.data.train = 15;
    let splits = Splits::load(&config).unwrap();
    assert_eq!((splits.train.len(), splits.valid.len(), splits.test.len()), (15, 5, 20));
}

#[test]
fn gzipped_and_plain_files_are_the_same() {
    let folder = small_folder(10);
    let (plain, _) = read_folder(folder.path(), &[]).unwrap();
    for name in ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        let path = folder.path().join(name);
        let mut gzipped = GzEncoder::new(Vec::new(), Compression::fast());
        gzipped.write_all(&fs::read(&path).unwrap()).unwrap();
        fs::write(path.with_extension("gz"), gzipped.finish().unwrap()).unwrap();
        fs::remove_file(path).unwrap();
    }
    let (gzipped, _) = read_folder(folder.path(), &[]).unwrap();
    for i in 0..10 {
        assert_eq!((gzipped.image(i), gzipped.label(i)), (plain.image(i), plain.label(i)));
    }
}

#[test]
fn a_batch_is_normalized_and_centred() {
    let mut image = [0; 784];
    image[0] = 255;
    let tensor = images_tensor([&image].into_iter(), Scale::Standard, &Device::flex());
    assert_eq!(tensor.dims(), [1, 1, 32, 32]);
    let pixels: Vec<f32> = tensor.into_data().iter().collect();
    let (background, foreground) = ((0.0 - 0.1307) / 0.3081, (1.0 - 0.1307) / 0.3081);
    for (position, pixel) in pixels.iter().enumerate() {
        let expected = if position == 2 * 32 + 2 { foreground } else { background };
        assert!((pixel - expected).abs() < 1e-6, "{position}: {pixel}");
    }
    for (scale, foreground) in [(Scale::Unit, 1.0), (Scale::Byte, 255.0)] {
        let tensor = images_tensor([&image].into_iter(), scale, &Device::flex());
        let pixels: Vec<f32> = tensor.into_data().iter().collect();
        assert!((pixels[2 * 32 + 2] - foreground).abs() < 1e-4 && pixels.iter().filter(|v| **v == 0.0).count() == 1023);
    }
}

#[test]
fn batches_hold_every_image_once_in_an_order_of_seed_and_epoch() {
    let set = splits().valid.slice(0, 103);
    let orders = |loader: &dyn DataLoader<lenet::data::Batch>| {
        let batches: Vec<_> = loader.iter().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(|b| b.targets.dims()[0]).collect::<Vec<_>>(), [25, 25, 25, 25, 3]);
        batches.into_iter().flat_map(|b| b.targets.into_data().iter::<i32>().collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let loader = || BatchLoader::new(set.clone(), 25, Device::flex());
    let plain: Vec<i32> = (0..103).map(|i| i32::from(set.label(i))).collect();
    assert_eq!(orders(&loader()), plain);

    let shuffled = loader().shuffled(5, 1);
    let (first, second) = (orders(&shuffled), orders(&shuffled));
    assert_ne!(first, plain);
    assert_ne!(first, second);
    // A loader that starts with the second epoch, as after a resume, yields the same order.
    assert_eq!(orders(&loader().shuffled(5, 2)), second);
    let mut sorted = [plain, second];
    for order in &mut sorted {
        order.sort_unstable();
    }
    assert_eq!(sorted[0], sorted[1]);
}

/// A cache with a truncated file, a wrong one and two missing ones is repaired, even by two processes at once, and
/// without a network.
#[test]
fn a_damaged_cache_is_repaired() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("burn-dataset/mnist/train");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("train-images-idx3-ubyte"), b"cut").unwrap();
    fs::write(folder.join("train-labels-idx1-ubyte"), vec![0; 60_008]).unwrap();
    let out = tempfile::tempdir().unwrap();
    let start = |name: &str| {
        let run = out.path().join(name);
        let args = ["train", "configs/smoke.toml", "--quiet", "--set", "training.epochs=1", "--set", "data.train=64"];
        lenet(&[&args[..], &["--out", arg(&run)]].concat())
            .env("XDG_CACHE_HOME", cache.path())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    for child in [start("a"), start("b")] {
        let (code, _, error) = finish(child.wait_with_output().unwrap());
        assert_eq!((code, error.as_str()), (0, ""));
    }
    let path = folder.join("train-images-idx3-ubyte");
    let intact = fs::read(&path).unwrap();
    assert_eq!(intact.len(), 16 + 60_000 * 784);

    // All files are there, and one has a wrong pixel.
    let mut damaged = intact.clone();
    damaged[1_000_000] ^= 1;
    fs::write(&path, damaged).unwrap();
    let (code, _, error) = finish(start("c").wait_with_output().unwrap());
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(fs::read(&path).unwrap() == intact);
}
