//! Where the time of a step goes: each layer forwards and backwards, timed inside the pass, over 64 images of MNIST on one
//! thread. Then a whole step with each kind of vectors that the processor has. The net has seen some thousands of images, since
//! how many units and gradients are zero decides how much there is to do.
//!
//! `cargo bench -p lenet-kernels`, on an otherwise idle machine; with `-- 62`, for a net with 62 classes instead of ten.

#![expect(clippy::print_stdout, reason = "this is its result")]

use std::{
    error::Error,
    fs::File,
    hint::black_box,
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use lenet_kernels::{INPUT, InstructionSet, Net, Parameters, SgdStep, Stage, StageTimer, lengths};

/// Images in a mini-batch.
const IMAGES: usize = 64;
/// Mini-batches that the net has learned from, and how many of them take their turn in the measurement.
const LEARNED: usize = 200;
const BATCHES: usize = 8;
/// Rounds, of which the median counts, and steps in each.
const ROUNDS: usize = 15;
const STEPS: usize = 40;
/// Steps in a round without vectors.
const SCALAR_STEPS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    // Cargo adds an argument of its own.
    let classes = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let batches = mini_batches(classes)?;
    let parameters = learn(&batches, classes);
    let parameters = parameters.as_ref().map(Vec::as_slice);
    let batches = &batches[..BATCHES];
    let timer = StageTimer::default();
    let set = InstructionSet::detect();
    let net = Net::with(set, &timer);

    let mut stages = Stage::ALL.map(|_| Vec::with_capacity(ROUNDS));
    let mut steps = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let start = Instant::now();
        for (images, targets) in batches.iter().cycle().take(STEPS) {
            black_box(net.loss(&parameters, &images[..], targets, &[1.0; IMAGES], SHARE));
        }
        let elapsed = start.elapsed();
        // The first round warms up.
        for (times, stage) in stages.iter_mut().zip(Stage::ALL) {
            let time = timer.take(stage);
            if round > 0 {
                times.push(time);
            }
        }
        if round > 0 {
            steps.push(elapsed);
        }
    }

    println!("{IMAGES} images, {classes} classes, one thread, {}; medians of {ROUNDS} rounds\n", set.name());
    println!("{:<18}  {:>8}  {:>6}  {:>30}", "stage", "µs/image", "share", "textbook multiply-adds/ns");
    let step = per_image(median(&mut steps), STEPS);
    let mut sum = 0.0;
    for (stage, times) in Stage::ALL.into_iter().zip(&mut stages) {
        let time = per_image(median(times), STEPS);
        sum += time;
        let speed = stage.multiply_adds(classes) as f64 / (time * 1e3);
        println!("{:<18}  {time:>8.3}  {:>5.1}%  {speed:>30.1}", stage.name(), time / step * 100.0);
    }
    println!("{:<18}  {:>8.3}  {:>5.1}%", "packing and sums", step - sum, (step - sum) / step * 100.0);
    println!("{:<18}  {step:>8.3}", "step");

    println!("\n{:<18}  {:>8}  {:>9}", "one step in one go", "µs/image", "inference");
    for set in InstructionSet::available() {
        let net = Net::with(set, ());
        let count = if set.name() == "scalar" { SCALAR_STEPS } else { STEPS };
        let time = |pass: &dyn Fn(&[f32], &[f32])| {
            let mut rounds = Vec::with_capacity(ROUNDS);
            for round in 0..=ROUNDS {
                let start = Instant::now();
                batches.iter().cycle().take(count).for_each(|(images, targets)| pass(images, targets));
                if round > 0 {
                    rounds.push(start.elapsed());
                }
            }
            per_image(median(&mut rounds), count)
        };
        let step = time(&|images, targets| {
            black_box(net.loss(&parameters, images, targets, &[1.0; IMAGES], SHARE));
        });
        let inference = time(&|images, _| drop(black_box(net.infer(&parameters, images))));
        println!("{:<18}  {step:>8.3}  {inference:>9.3}", set.name());
    }
    Ok(())
}

/// Images and targets.
type Batch = (Vec<f32>, Vec<f32>);

/// The share of an image in the mini-batch's loss.
const SHARE: f32 = 1.0 / IMAGES as f32;

/// Parameters after a step for each mini-batch.
fn learn(batches: &[Batch], classes: usize) -> Parameters<Vec<f32>> {
    let mut parameters = parameters(classes).into_array();
    let mut velocities = parameters.each_ref().map(|values| vec![0.0; values.len()]);
    let sgd = SgdStep { learning_rate: 0.02, momentum: 0.9, nesterov: false, weight_decay: 0.0 };
    for (images, targets) in batches {
        let slices = Parameters::from_array(parameters.each_ref().map(Vec::as_slice));
        let loss = Net::new().loss(&slices, &images[..], targets, &[1.0; IMAGES], SHARE);
        let grads = loss.grads.into_array();
        for ((parameter, mut grad), velocity) in parameters.iter_mut().zip(grads).zip(&mut velocities) {
            sgd.apply(parameter, &mut grad, velocity);
            *parameter = grad;
        }
    }
    Parameters::from_array(parameters)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Microseconds for an image in a round of so many steps.
fn per_image(round: Duration, steps: usize) -> f64 {
    round.as_secs_f64() * 1e6 / (steps * IMAGES) as f64
}

/// Values between -0.5 and 0.5 without a pattern.
fn noise(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + seed * 1000) as f32) * 12.9898).sin() * 0.5).collect()
}

/// Parameters of the size that training starts with: U(±1/√fan-in).
fn parameters(classes: usize) -> Parameters<Vec<f32>> {
    let fan_in = [25.0_f32, 150.0, 400.0, 120.0, 84.0];
    let lengths = lengths(classes).into_array();
    Parameters::from_array(std::array::from_fn(|i| {
        let scale = 2.0 / fan_in[i / 2].sqrt();
        noise(i, lengths[i]).into_iter().map(|v| v * scale).collect()
    }))
}

/// MNIST's training set, as much as is learned from: images with mean 0 and deviation 1, 28x28 in the middle of 32x32, and a target
/// for each class.
fn mini_batches(classes: usize) -> Result<Vec<Batch>, Box<dyn Error>> {
    let pixels = read("train-images-idx3-ubyte.gz", 16, LEARNED * IMAGES * 784)?;
    let labels = read("train-labels-idx1-ubyte.gz", 8, LEARNED * IMAGES)?;
    let scale = |byte: u8| (f32::from(byte) / 255.0 - 0.1307) / 0.3081;
    let batch = |(pixels, labels): (&[u8], &[u8])| {
        let mut images = vec![scale(0); IMAGES * INPUT];
        for (image, pixels) in images.chunks_exact_mut(INPUT).zip(pixels.chunks_exact(784)) {
            for (row, pixels) in image.chunks_exact_mut(32).skip(2).zip(pixels.chunks_exact(28)) {
                row[2..30].iter_mut().zip(pixels).for_each(|(pixel, byte)| *pixel = scale(*byte));
            }
        }
        let mut targets = vec![0.0; IMAGES * classes];
        for (row, label) in targets.chunks_exact_mut(classes).zip(labels) {
            row[usize::from(*label) % classes] = 1.0;
        }
        (images, targets)
    };
    Ok(pixels.chunks_exact(IMAGES * 784).zip(labels.chunks_exact(IMAGES)).map(batch).collect())
}

/// A file of MNIST from `start` on.
fn read(name: &str, start: usize, count: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/mnist").join(name);
    let mut bytes = vec![0; start + count];
    GzDecoder::new(File::open(path)?).read_exact(&mut bytes)?;
    Ok(bytes.split_off(start))
}
