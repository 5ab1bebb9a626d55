//! Each layer of the fused operator by itself, forwards and backwards, over 64 pictures of MNIST on one thread.
//!
//! `cargo bench --profile dev` from the project's root, on an otherwise idle machine; the profile is the one that
//! `cargo run` has, and what it built is used again.

use std::sync::OnceLock;

use burn::tensor::Device;
use divan::{Bencher, counter::ItemsCount};
use lenet::{
    bench::{STAGES, with_stage},
    data::{images_tensor, load_mnist},
};

const IMAGES: usize = 64;

fn main() {
    divan::main();
}

#[expect(clippy::panic, reason = "there is nothing to measure then")]
fn pictures() -> &'static [f32] {
    static PICTURES: OnceLock<Vec<f32>> = OnceLock::new();
    PICTURES.get_or_init(|| {
        let (train, _) = load_mnist().unwrap_or_else(|error| panic!("{error}"));
        let pictures = images_tensor((0..IMAGES).map(|i| train.image(i)), train.scale(), &Device::flex());
        pictures.into_data().iter().collect()
    })
}

#[divan::bench(args = STAGES.map(|stage| stage.name))]
fn stage(bencher: Bencher, name: &str) {
    let Some(stage) = STAGES.into_iter().find(|stage| stage.name == name) else { return };
    with_stage(stage, pictures(), |run| {
        bencher.counter(ItemsCount::new(IMAGES)).bench_local(&mut *run);
    });
}
