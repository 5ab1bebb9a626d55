//! The speed of training, of evaluation, and of a single image, measured in this process.

use std::time::Instant;

use burn::{data::dataloader::DataLoader, tensor::Device, train::TrainStep};
use serde::Serialize;

use crate::{
    Error, Result,
    backend::FoundDevice,
    config::{Config, Operators},
    data::{Batch, BatchLoader, ImageSet},
    model::{LeNet5Config, rows},
    panics, threads,
    training::optimizer,
};

/// Rounds of a measurement, of which the median counts.
const ROUNDS: usize = 5;
/// A first round that takes longer than this, in seconds, is the measurement.
const SLOW_SECONDS: f64 = 2.0;
/// Length of a round, in seconds.
const ROUND_SECONDS: f64 = 0.4;
/// Number of images to train on: enough that they are not memorized within seconds, after which gradients would vanish
/// and subnormal numbers would slow down the arithmetic.
const IMAGES: usize = 20_000;

/// The speed of one backend with one kind of operators.
#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    /// The backend's name.
    pub backend: String,
    /// Its device, as the driver names it.
    pub hardware: String,
    /// Which operators computed the net.
    pub operators: Operators,
    /// Training with mini-batches of 64, in images per second: from the images' bytes through the forward and the backward pass to the
    /// optimizer's step.
    pub train_64: f64,
    /// The same with mini-batches of 256.
    pub train_256: f64,
    /// Logits of mini-batches of 1,000, in images per second.
    pub evaluate_1000: f64,
    /// Logits of a single image, in seconds.
    pub one_image_seconds: f64,
}

/// Measures a device with one kind of operators, a net for so many classes, and images of a data set.
///
/// # Errors
/// The device fails.
pub fn measure(found: &FoundDevice, operators: Operators, classes: usize, images: &ImageSet) -> Result<Speed> {
    let device = &found.device;
    on_device(device, || {
        let net = LeNet5Config::new(classes).init_seeded(1, device).with_operators(operators);
        let evaluate = |size: usize| {
            let batches = batches(images, size, classes, device)?;
            // As PyTorch gets them, too; `LeNet5::logits` would begin with bytes.
            let tensors: Vec<_> = batches.iter().map(|batch| batch.images.tensor(device)).collect();
            rate(device, size, |step| rows(net.forward(tensors[step % tensors.len()].clone())).map(drop))
        };
        Ok(Speed {
            backend: found.name.clone(),
            hardware: found.hardware.clone(),
            operators,
            train_64: training(device, operators, classes, images, 64)?,
            train_256: training(device, operators, classes, images, 256)?,
            evaluate_1000: evaluate(1000)?,
            one_image_seconds: 1.0 / evaluate(1)?,
        })
    })
}

/// Measures training with mini-batches of 64 on a device, in images per second.
///
/// # Errors
/// The device fails.
pub fn training_speed(found: &FoundDevice, images: &ImageSet) -> Result<f64> {
    on_device(&found.device, || training(&found.device, Operators::Fused, images.classes().len(), images, 64))
}

/// Runs a measurement on the thread pool as training does, and catches Burn's panics.
fn on_device<T: Send>(device: &Device, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    panics::catch(|| threads::run(device, work)).unwrap_or_else(|panic| Err(Error::Device(panic)))
}

fn batches(images: &ImageSet, size: usize, classes: usize, device: &Device) -> Result<Vec<Batch>> {
    // Only whole batches: a smaller last one would count as full.
    let images = images.slice(0, images.len().min(IMAGES) / size * size);
    let loader = BatchLoader::new(images, size, device.clone());
    #[expect(clippy::cast_possible_wrap, reason = "at most 256")]
    let classes = classes as i64;
    // A net for fewer classes than the images have needs labels below their number.
    let relabelled = |batch: Batch| Batch { targets: batch.targets.remainder_scalar(classes), ..batch };
    loader.iter().map(|batch| batch.map(relabelled).map_err(|e| Error::Data(e.to_string()))).collect()
}

fn training(device: &Device, operators: Operators, classes: usize, images: &ImageSet, size: usize) -> Result<f64> {
    let device = device.clone().autodiff();
    let batches = batches(images, size, classes, &device)?;
    let mut net = Some(LeNet5Config::new(classes).init_seeded(1, &device).with_operators(operators));
    let mut optimizer = optimizer(&Config::default().optimizer, operators, &device);
    rate(&device, size, |step| {
        net = net.take().map(|net| {
            let output = TrainStep::step(&net, batches[step % batches.len()].clone());
            optimizer.step(0.01, net, output.grads)
        });
        Ok(())
    })
}

/// Images per second: the median of several rounds, after a first one that does not count.
fn rate(device: &Device, images: usize, mut step: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let mut rates = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let (start, mut steps) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < ROUND_SECONDS {
            step(steps)?;
            steps += 1;
        }
        // The device may still be working on what it was given.
        device.sync().map_err(|e| Error::Device(e.to_string()))?;
        // Where a step takes seconds, nothing has to warm up, and a second look would not be worth the time.
        if round == 0 && start.elapsed().as_secs_f64() > SLOW_SECONDS {
            return Ok((steps * images) as f64 / start.elapsed().as_secs_f64());
        }
        if round > 0 {
            rates.push((steps * images) as f64 / start.elapsed().as_secs_f64());
        }
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[ROUNDS / 2])
}
