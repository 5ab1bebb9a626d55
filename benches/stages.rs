//! Each layer of the fused operator by itself, forwards and backwards, over 64 images on one thread.
//!
//! `cargo bench --profile dev` from the project's root, on an otherwise idle machine; the profile is the one that
//! `cargo run` has, and what it built is used again.

use divan::{Bencher, counter::ItemsCount};
use lenet::bench::{STAGES, with_stage};

const IMAGES: usize = 64;

fn main() {
    divan::main();
}

#[divan::bench(args = STAGES.map(|stage| stage.name))]
fn stage(bencher: Bencher, name: &str) {
    let Some(stage) = STAGES.into_iter().find(|stage| stage.name == name) else { return };
    with_stage(stage, IMAGES, |run| {
        bencher.counter(ItemsCount::new(IMAGES)).bench_local(&mut *run);
    });
}
