//! Where the time of a step goes: each layer forwards and backwards, timed inside the pass, over 64 images of MNIST on one
//! thread. Then a whole step with each kind of vectors that the processor has.
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
use lenet_kernels::{INPUT, InstructionSet, Net, Parameters, Stage, StageTimer, lengths};

/// Images in a mini-batch, and how many mini-batches take their turn.
const IMAGES: usize = 64;
const BATCHES: usize = 8;
/// Rounds, of which the median counts, and steps in each.
const ROUNDS: usize = 15;
const STEPS: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let batches = (0..BATCHES).map(mini_batch).collect::<Result<Vec<_>, _>>()?;
    // Cargo adds an argument of its own.
    let classes = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let parameters = parameters(classes);
    let parameters = parameters.as_ref().map(Vec::as_slice);
    let logits_grad = noise(11, IMAGES * classes);
    let timer = StageTimer::default();
    let set = InstructionSet::detect();
    let net = Net::with(set, &timer);

    let mut stages = Stage::ALL.map(|_| Vec::with_capacity(ROUNDS));
    let mut steps = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let start = Instant::now();
        for images in batches.iter().cycle().take(STEPS) {
            let (logits, activations) = net.forward(&parameters, images);
            black_box(logits);
            black_box(net.backward(&parameters, images, &activations, &logits_grad, false));
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
    let step = per_image(median(&mut steps));
    let mut sum = 0.0;
    for (stage, times) in Stage::ALL.into_iter().zip(&mut stages) {
        let time = per_image(median(times));
        sum += time;
        let speed = stage.multiply_adds(classes) as f64 / (time * 1e3);
        println!("{:<18}  {time:>8.3}  {:>5.1}%  {speed:>30.1}", stage.name(), time / step * 100.0);
    }
    println!("{:<18}  {:>8.3}  {:>5.1}%", "packing and sums", step - sum, (step - sum) / step * 100.0);
    println!("{:<18}  {step:>8.3}", "step");

    println!("\n{:<18}  {:>8}  {:>9}", "one step in one go", "µs/image", "inference");
    let targets = targets(classes);
    for set in InstructionSet::available() {
        let net = Net::with(set, ());
        let time = |pass: &dyn Fn(&[f32])| {
            let mut rounds = Vec::with_capacity(ROUNDS);
            for round in 0..=ROUNDS {
                let start = Instant::now();
                batches.iter().cycle().take(STEPS).for_each(|images| pass(images));
                if round > 0 {
                    rounds.push(start.elapsed());
                }
            }
            per_image(median(&mut rounds))
        };
        let weights = [1.0; IMAGES];
        let step = time(&|images| drop(black_box(net.loss(&parameters, images, &targets, &weights, 1.0 / 64.0))));
        let inference = time(&|images| drop(black_box(net.infer(&parameters, images))));
        println!("{:<18}  {step:>8.3}  {inference:>9.3}", set.name());
    }
    Ok(())
}

/// A class for each image.
fn targets(classes: usize) -> Vec<f32> {
    let mut targets = vec![0.0; IMAGES * classes];
    targets.chunks_exact_mut(classes).enumerate().for_each(|(image, row)| row[image % classes] = 1.0);
    targets
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Microseconds for an image.
fn per_image(round: Duration) -> f64 {
    round.as_secs_f64() * 1e6 / (STEPS * IMAGES) as f64
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

/// Images of MNIST's training set with mean 0 and deviation 1, 28x28 in the middle of 32x32.
fn mini_batch(index: usize) -> Result<Vec<f32>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/mnist/train-images-idx3-ubyte.gz");
    let mut bytes = vec![0; 16 + (index + 1) * IMAGES * 784];
    GzDecoder::new(File::open(path)?).read_exact(&mut bytes)?;
    let scale = |byte: u8| (f32::from(byte) / 255.0 - 0.1307) / 0.3081;
    let mut images = vec![scale(0); IMAGES * INPUT];
    let pixels = &bytes[16 + index * IMAGES * 784..];
    for (image, pixels) in images.chunks_exact_mut(INPUT).zip(pixels.chunks_exact(784)) {
        for (row, pixels) in image.chunks_exact_mut(32).skip(2).zip(pixels.chunks_exact(28)) {
            row[2..30].iter_mut().zip(pixels).for_each(|(pixel, byte)| *pixel = scale(*byte));
        }
    }
    Ok(images)
}
