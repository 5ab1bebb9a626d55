//! The whole net: mini-batches over the cores, layer behind layer, forwards and backwards.
//!
//! A mini-batch is cut into portions of a fixed number of images, and what portions add up is added in their order: the
//! results are the same bits for any number of threads.

use std::{cell::RefCell, sync::Mutex};

use macerator::{Arch, Scalar, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    block::{BLOCK, Block},
    conv::{
        C1_MAPS, C1_ROW, C3_KERNEL, C3_MAPS, INPUT, KERNEL, S2, S2_WINNERS, S4, c1_image_gradient, c1_s2,
        c1_s2_backward, c3_s4, c3_s4_backward,
    },
    dense::{Rows, dots, outer, product},
};

/// Images in a portion.
const PORTION: usize = 8;
/// Images whose C3 is taken back at once: their S2 stays in the first-level cache.
const TOGETHER: usize = 4;
/// Outputs of C5, and the length of its row in whole blocks.
const C5: usize = 120;
const C5_ROW: usize = 128;
/// Outputs of F6, and the length of its row.
const F6: usize = 84;
const F6_ROW: usize = 96;
/// Classes, and the length of their row.
const OUTPUT: usize = 10;
const OUTPUT_ROW: usize = 16;
/// Rows of C5's gradient that one thread takes at a time.
const C5_GROUP: usize = 20;

/// The number of parameters of each kind, in the order of the layers, weights before biases, in Burn's layout.
pub(super) const PARAMETERS: [usize; 10] = [
    C1_MAPS * KERNEL * KERNEL,
    C1_MAPS,
    C3_MAPS * C1_MAPS * KERNEL * KERNEL,
    C3_MAPS,
    C5 * S4,
    C5,
    C5 * F6,
    F6,
    F6 * OUTPUT,
    OUTPUT,
];

/// Ten parameters or their gradients, in Burn's layout.
pub(super) type Ten<T> = [T; 10];

/// The parameters as the kernels read them.
struct Weights<'a> {
    /// `[5][5][16]`: six maps and two zeros, twice.
    c1: Vec<f32>,
    c1_bias: Vec<f32>,
    /// `[5][5][6][16]`
    c3: Vec<f32>,
    c3_bias: &'a [f32],
    /// `[120][400]`
    c5: &'a [f32],
    c5_bias: &'a [f32],
    /// `[120][96]`
    f6: Vec<f32>,
    f6_bias: &'a [f32],
    /// `[84][16]`
    output: Vec<f32>,
    output_bias: &'a [f32],
}

impl<'a> Weights<'a> {
    fn new(parameters: &Ten<&'a [f32]>) -> Self {
        for (parameter, length) in parameters.iter().zip(PARAMETERS) {
            assert_eq!(parameter.len(), length);
        }
        let [c1, c1_bias, c3, c3_bias, c5, c5_bias, f6, f6_bias, output, output_bias] = *parameters;
        let places = KERNEL * KERNEL;
        let twice = |map: &dyn Fn(usize) -> f32| {
            (0..BLOCK).map(|lane| if lane % 8 < C1_MAPS { map(lane % 8) } else { 0.0 }).collect::<Vec<_>>()
        };
        let mut by_map = vec![0.0; places * C1_MAPS * C3_MAPS];
        for (map, kernel) in c3.chunks_exact(C1_MAPS * places).enumerate() {
            for (from, kernel) in kernel.chunks_exact(places).enumerate() {
                for (place, w) in kernel.iter().enumerate() {
                    by_map[(place * C1_MAPS + from) * C3_MAPS + map] = *w;
                }
            }
        }
        Self {
            c1: (0..places).flat_map(|place| twice(&|map| c1[map * places + place])).collect(),
            c1_bias: twice(&|map| c1_bias[map]),
            c3: by_map,
            c3_bias,
            c5,
            c5_bias,
            f6: widen(f6, F6, F6_ROW),
            f6_bias,
            output: widen(output, OUTPUT, OUTPUT_ROW),
            output_bias,
        }
    }
}

/// C3's kernels with their rows as they meet S2: `[16][6][5][5] -> [16][5][32]`.
fn c3_rows(c3: &[f32]) -> Vec<f32> {
    let mut rows = vec![0.0; C3_MAPS * C3_KERNEL];
    for_c3(|burn, ours| rows[ours] = c3[burn]);
    rows
}

/// Each weight of C3: where Burn has it, and where `[16][5][32]` does.
fn for_c3(mut each: impl FnMut(usize, usize)) {
    let places = KERNEL * KERNEL;
    for map in 0..C3_MAPS {
        for from in 0..C1_MAPS {
            for place in 0..places {
                let ours = map * C3_KERNEL + place / KERNEL * (C3_KERNEL / KERNEL) + place % KERNEL * C1_MAPS + from;
                each((map * C1_MAPS + from) * places + place, ours);
            }
        }
    }
}

/// Rows made longer with zeros.
fn widen(rows: &[f32], from: usize, to: usize) -> Vec<f32> {
    let mut wide = vec![0.0; rows.len() / from * to];
    for (wide, row) in wide.chunks_exact_mut(to).zip(rows.chunks_exact(from)) {
        wide[..from].copy_from_slice(row);
    }
    wide
}

/// Rows cut back.
fn narrow(rows: &[f32], from: usize, to: usize) -> Vec<f32> {
    rows.chunks_exact(from).flat_map(|row| &row[..to]).copied().collect()
}

/// What the layers of several images put out, as the backward pass needs it.
#[derive(Debug, Default, Clone)]
pub(super) struct Activations {
    s2: Vec<f32>,
    s2_winners: Vec<f32>,
    s4: Vec<f32>,
    s4_winners: Vec<f32>,
    c5: Vec<f32>,
    f6: Vec<f32>,
}

/// Buffers of earlier mini-batches, kept to be used again: new memory would have to be cleared, by the system and by us.
static SPARE: Mutex<Vec<Activations>> = Mutex::new(Vec::new());
/// How many are kept: one mini-batch is under way at a time, seldom two.
const SPARES: usize = 2;

impl Drop for Activations {
    fn drop(&mut self) {
        if let Ok(mut spare) = SPARE.try_lock()
            && spare.len() < SPARES
        {
            spare.push(std::mem::take(self));
        }
    }
}

impl Activations {
    fn of(images: usize) -> Self {
        let mut activations = SPARE.try_lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default();
        activations.resize(images);
        activations
    }

    fn resize(&mut self, images: usize) {
        for (buffer, length) in [
            (&mut self.s2, S2),
            (&mut self.s2_winners, S2_WINNERS),
            (&mut self.s4, S4),
            (&mut self.s4_winners, S4),
            (&mut self.c5, C5_ROW),
            (&mut self.f6, F6_ROW),
        ] {
            buffer.resize(images * length, 0.0);
        }
    }

    fn portions(&mut self) -> impl Iterator<Item = Portion<'_>> {
        let Self { s2, s2_winners, s4, s4_winners, c5, f6 } = self;
        s2.chunks_mut(PORTION * S2)
            .zip(s2_winners.chunks_mut(PORTION * S2_WINNERS))
            .zip(s4.chunks_mut(PORTION * S4))
            .zip(s4_winners.chunks_mut(PORTION * S4))
            .zip(c5.chunks_mut(PORTION * C5_ROW))
            .zip(f6.chunks_mut(PORTION * F6_ROW))
            .map(|(((((s2, s2_winners), s4), s4_winners), c5), f6)| Portion { s2, s2_winners, s4, s4_winners, c5, f6 })
    }
}

/// A portion's part of [`Activations`].
struct Portion<'a> {
    s2: &'a mut [f32],
    s2_winners: &'a mut [f32],
    s4: &'a mut [f32],
    s4_winners: &'a mut [f32],
    c5: &'a mut [f32],
    f6: &'a mut [f32],
}

/// The net forwards: logits, and what the layers put out.
///
/// # Shapes
/// `[batch * 1024] -> [batch * 10]`
pub(super) fn forward(arch: Arch, parameters: &Ten<&[f32]>, images: &[f32]) -> (Vec<f32>, Activations) {
    let weights = Weights::new(parameters);
    let count = images.len() / INPUT;
    let mut activations = Activations::of(count);
    let mut logits = vec![0.0; count * OUTPUT];
    activations
        .portions()
        .zip(images.chunks(PORTION * INPUT))
        .zip(logits.chunks_mut(PORTION * OUTPUT))
        .collect::<Vec<_>>()
        .into_par_iter()
        .for_each(|((portion, images), logits)| run(arch, Forward { weights: &weights, images, portion, logits }));
    (logits, activations)
}

thread_local! {
    /// What inference forgets again, kept to be used again.
    static SCRATCH: RefCell<Activations> = RefCell::default();
}

/// The net forwards, for those who want the logits alone.
///
/// # Shapes
/// `[batch * 1024] -> [batch * 10]`
pub(super) fn infer(arch: Arch, parameters: &Ten<&[f32]>, images: &[f32]) -> Vec<f32> {
    let weights = Weights::new(parameters);
    let mut logits = vec![0.0; images.len() / INPUT * OUTPUT];
    let infer = |images: &[f32], logits: &mut [f32]| {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(images.len() / INPUT);
            for portion in scratch.portions() {
                run(arch, Forward { weights: &weights, images, portion, logits: &mut *logits });
            }
        });
    };
    if images.len() <= PORTION * INPUT {
        infer(images, &mut logits);
    } else {
        images
            .par_chunks(PORTION * INPUT)
            .zip(logits.par_chunks_mut(PORTION * OUTPUT))
            .for_each(|(images, logits)| infer(images, logits));
    }
    logits
}

/// Runs a kernel with the processor's vectors.
fn run<K: WithSimd>(arch: Arch, kernel: K) -> K::Output {
    // SAFETY: an `Arch` here is what `Arch::detect` found, or the scalar one.
    unsafe { arch.dispatch(kernel) }
}

/// Calls a kernel with the number of vectors that make up a block.
macro_rules! with_blocks {
    ($kernel:ident, $S:ident, $self:ident) => {
        match f32::lanes::<$S>() {
            16 => $self.$kernel::<$S, 1>(),
            8 => $self.$kernel::<$S, 2>(),
            4 => $self.$kernel::<$S, 4>(),
            lanes => {
                assert_eq!(lanes, 2, "vectors of this length are not known");
                $self.$kernel::<$S, 8>()
            }
        }
    };
}

struct Forward<'a> {
    weights: &'a Weights<'a>,
    images: &'a [f32],
    portion: Portion<'a>,
    logits: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        with_blocks!(run, S, self);
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let Self { weights: w, images, portion, logits } = self;
        let Portion { s2, s2_winners, s4, s4_winners, c5, f6 } = portion;
        let count = images.len() / INPUT;
        for i in 0..count {
            let s2 = &mut s2[i * S2..][..S2];
            let winners = &mut s2_winners[i * S2_WINNERS..][..S2_WINNERS];
            c1_s2::<S, N>(&images[i * INPUT..][..INPUT], &w.c1, &w.c1_bias, s2, winners);
            let (s4, winners) = (&mut s4[i * S4..][..S4], &mut s4_winners[i * S4..][..S4]);
            c3_s4::<S, N>(s2, &w.c3, w.c3_bias, s4, winners);
        }
        dots::<S, N>(c5, C5_ROW, C5, Rows::new(s4, S4), Rows::new(w.c5, S4));
        add_bias_relu(c5, C5_ROW, w.c5_bias);
        product::<S, N>(f6, C5, Rows::new(c5, C5_ROW), Rows::new(&w.f6, F6_ROW));
        add_bias_relu(f6, F6_ROW, w.f6_bias);
        let mut output = [0.0; PORTION * OUTPUT_ROW];
        product::<S, N>(&mut output, F6, Rows::new(f6, F6_ROW), Rows::new(&w.output, OUTPUT_ROW));
        for (logits, sums) in logits.chunks_exact_mut(OUTPUT).zip(output.chunks_exact(OUTPUT_ROW)) {
            for (logit, (sum, bias)) in logits.iter_mut().zip(sums.iter().zip(w.output_bias)) {
                *logit = sum + bias;
            }
        }
    }
}

#[inline(always)]
fn add_bias_relu(rows: &mut [f32], stride: usize, bias: &[f32]) {
    for row in rows.chunks_exact_mut(stride) {
        for (value, bias) in row.iter_mut().zip(bias) {
            let sum = *value + bias;
            *value = if sum <= 0.0 { 0.0 } else { sum };
        }
    }
}

/// The net backwards: the gradient of each parameter from the gradient of the logits, and that of the images if wanted.
///
/// # Shapes
/// `[batch * 10] -> `[`PARAMETERS`]` and [batch * 1024]`
pub(super) fn backward(
    arch: Arch,
    parameters: &Ten<&[f32]>,
    images: &[f32],
    activations: &mut Activations,
    logits_gradient: &[f32],
    with_images: bool,
) -> (Ten<Vec<f32>>, Option<Vec<f32>>) {
    let count = images.len() / INPUT;
    let [c1, _, c3, _, c5, _, f6, _, output, _] = *parameters;
    let weights = BackwardWeights {
        c1,
        c3: c3_rows(c3),
        c5,
        f6: widen(f6, F6, F6_ROW),
        output: widen(output, OUTPUT, OUTPUT_ROW),
    };
    let mut errors = Errors {
        c5: vec![0.0; count * C5_ROW],
        f6: vec![0.0; count * F6_ROW],
        output: widen(logits_gradient, OUTPUT, OUTPUT_ROW),
    };
    let mut image_gradient = if with_images { vec![0.0; images.len()] } else { Vec::new() };
    let sums = activations
        .portions()
        .zip(images.chunks(PORTION * INPUT))
        .zip(errors.c5.chunks_mut(PORTION * C5_ROW))
        .zip(errors.f6.chunks_mut(PORTION * F6_ROW))
        .zip(errors.output.chunks(PORTION * OUTPUT_ROW))
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|((((portion, images), c5_errors), f6_errors), output_errors)| {
            let mut sums = ConvSums::default();
            let mut s2_errors = vec![0.0; portion.s2.len()];
            let backward = Backward {
                weights: &weights,
                portion: &portion,
                output_errors,
                c5_errors,
                f6_errors,
                s2_errors: &mut s2_errors,
                sums: &mut sums,
            };
            run(arch, backward);
            let c1 = BackwardC1 { portion: &portion, images, s2_errors: &s2_errors, sums: &mut sums };
            run(eight_lanes(arch), c1);
            (sums, if with_images { s2_errors } else { Vec::new() }, portion)
        })
        .collect::<Vec<_>>();

    if with_images {
        let per_image = sums
            .iter()
            .flat_map(|(_, errors, portion)| errors.chunks_exact(S2).zip(portion.s2_winners.chunks_exact(S2_WINNERS)));
        for ((errors, winners), gradient) in per_image.zip(image_gradient.chunks_exact_mut(INPUT)) {
            c1_image_gradient(errors, winners, weights.c1, gradient);
        }
    }
    let mut total = ConvSums::default();
    for (portion, ..) in &sums {
        total.add(portion);
    }
    drop(sums);
    let gradients = gradients(arch, activations, &errors, &total);
    (gradients, with_images.then_some(image_gradient))
}

/// Eight numbers, not sixteen, are a row of C1's kernel.
fn eight_lanes(arch: Arch) -> Arch {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4 => Arch::V3,
        other => other,
    }
}

/// The parameters as the backward kernels read them.
struct BackwardWeights<'a> {
    /// `[6][5][5]`
    c1: &'a [f32],
    /// `[16][5][32]`
    c3: Vec<f32>,
    c5: &'a [f32],
    f6: Vec<f32>,
    output: Vec<f32>,
}

/// The derivative of the loss by what each layer of a mini-batch summed up, before `ReLU`.
struct Errors {
    c5: Vec<f32>,
    f6: Vec<f32>,
    output: Vec<f32>,
}

/// The gradients that sum over all places of all images, in the kernels' layout.
struct ConvSums {
    c1: [f32; C1_MAPS * KERNEL * C1_ROW],
    c1_bias: [f32; C1_MAPS],
    c3: [f32; C3_MAPS * C3_KERNEL],
    c3_bias: [f32; C3_MAPS],
}

impl Default for ConvSums {
    fn default() -> Self {
        Self {
            c1: [0.0; C1_MAPS * KERNEL * C1_ROW],
            c1_bias: [0.0; C1_MAPS],
            c3: [0.0; C3_MAPS * C3_KERNEL],
            c3_bias: [0.0; C3_MAPS],
        }
    }
}

impl ConvSums {
    fn add(&mut self, other: &Self) {
        let add = |sums: &mut [f32], values: &[f32]| sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
        add(&mut self.c1, &other.c1);
        add(&mut self.c1_bias, &other.c1_bias);
        add(&mut self.c3, &other.c3);
        add(&mut self.c3_bias, &other.c3_bias);
    }
}

struct Backward<'a> {
    weights: &'a BackwardWeights<'a>,
    portion: &'a Portion<'a>,
    output_errors: &'a [f32],
    f6_errors: &'a mut [f32],
    c5_errors: &'a mut [f32],
    s2_errors: &'a mut [f32],
    sums: &'a mut ConvSums,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        with_blocks!(run, S, self);
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let Self { weights: w, portion, output_errors, f6_errors, c5_errors, s2_errors, sums } = self;
        let (output_rows, f6_rows) = (Rows::new(&w.output, OUTPUT_ROW), Rows::new(&w.f6, F6_ROW));
        dots::<S, N>(f6_errors, F6_ROW, F6, Rows::new(output_errors, OUTPUT_ROW), output_rows);
        where_alive::<S, N>(f6_errors, portion.f6);
        dots::<S, N>(c5_errors, C5_ROW, C5, Rows::new(f6_errors, F6_ROW), f6_rows);
        where_alive::<S, N>(c5_errors, portion.c5);
        let mut s4_errors = vec![0.0; portion.s4.len()];
        product::<S, N>(&mut s4_errors, C5, Rows::new(c5_errors, C5_ROW), Rows::new(w.c5, S4));
        where_alive::<S, N>(&mut s4_errors, portion.s4);
        let together = s4_errors
            .chunks(TOGETHER * S4)
            .zip(portion.s4_winners.chunks(TOGETHER * S4))
            .zip(portion.s2.chunks(TOGETHER * S2))
            .zip(s2_errors.chunks_mut(TOGETHER * S2));
        for (((errors, winners), s2), s2_errors) in together {
            c3_s4_backward::<S, N>(errors, winners, s2, &w.c3, s2_errors, &mut sums.c3, &mut sums.c3_bias);
        }
        where_alive::<S, N>(s2_errors, portion.s2);
    }
}

/// The report's derivative of `ReLU`: the error passes where the unit's output is not zero.
#[inline(always)]
fn where_alive<S: Simd, const N: usize>(errors: &mut [f32], outputs: &[f32]) {
    assert_eq!(errors.len(), outputs.len());
    for (errors, outputs) in errors.chunks_exact_mut(BLOCK).zip(outputs.chunks_exact(BLOCK)) {
        // SAFETY: both chunks are blocks.
        unsafe {
            Block::<S, N>::load(errors.as_ptr()).where_alive(Block::load(outputs.as_ptr())).store(errors.as_mut_ptr());
        }
    }
}

struct BackwardC1<'a> {
    portion: &'a Portion<'a>,
    images: &'a [f32],
    s2_errors: &'a [f32],
    sums: &'a mut ConvSums,
}

impl WithSimd for BackwardC1<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        match f32::lanes::<S>() {
            8 => self.run::<S, 1>(),
            4 => self.run::<S, 2>(),
            lanes => {
                assert_eq!(lanes, 2, "vectors of this length are not known");
                self.run::<S, 4>();
            }
        }
    }
}

impl BackwardC1<'_> {
    #[inline(always)]
    fn run<S: Simd, const M: usize>(self) {
        // The last row of the last window is read beyond the image's end.
        let mut padded = [0.0; INPUT + C1_ROW];
        let units = self.s2_errors.chunks_exact(S2).zip(self.portion.s2_winners.chunks_exact(S2_WINNERS));
        for (image, (errors, winners)) in self.images.chunks_exact(INPUT).zip(units) {
            padded[..INPUT].copy_from_slice(image);
            c1_s2_backward::<S, M>(errors, winners, &padded, &mut self.sums.c1, &mut self.sums.c1_bias);
        }
    }
}

/// A layer's [`outer`] product over the whole mini-batch, as a kernel.
struct Outer<'a> {
    out: &'a mut [f32],
    first: usize,
    a: Rows<'a>,
    b: Rows<'a>,
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        with_blocks!(run, S, self);
    }
}

impl Outer<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        outer::<S, N>(self.out, self.first, self.a, self.b);
    }
}

/// All gradients in Burn's layout.
fn gradients(arch: Arch, outputs: &Activations, errors: &Errors, sums: &ConvSums) -> Ten<Vec<f32>> {
    let mut c5 = vec![0.0; C5 * S4];
    let mut f6 = vec![0.0; C5 * F6_ROW];
    let mut output = vec![0.0; F6 * OUTPUT_ROW];
    let (c5_errors, s4) = (Rows::new(&errors.c5, C5_ROW), Rows::new(&outputs.s4, S4));
    rayon::join(
        || {
            c5.par_chunks_mut(C5_GROUP * S4).enumerate().for_each(|(group, out)| {
                run(arch, Outer { out, first: group * C5_GROUP, a: c5_errors, b: s4 });
            });
        },
        || {
            let (a, b) = (Rows::new(&outputs.c5, C5_ROW), Rows::new(&errors.f6, F6_ROW));
            run(arch, Outer { out: &mut f6, first: 0, a, b });
            let (a, b) = (Rows::new(&outputs.f6, F6_ROW), Rows::new(&errors.output, OUTPUT_ROW));
            run(arch, Outer { out: &mut output, first: 0, a, b });
        },
    );
    let mut c3 = vec![0.0; PARAMETERS[2]];
    for_c3(|burn, ours| c3[burn] = sums.c3[ours]);
    [
        narrow(&sums.c1, C1_ROW, KERNEL),
        sums.c1_bias.to_vec(),
        c3,
        sums.c3_bias.to_vec(),
        c5,
        column_sums(&errors.c5, C5_ROW, C5),
        narrow(&f6, F6_ROW, F6),
        column_sums(&errors.f6, F6_ROW, F6),
        narrow(&output, OUTPUT_ROW, OUTPUT),
        column_sums(&errors.output, OUTPUT_ROW, OUTPUT),
    ]
}

/// The sum over the rows of each of the first columns: a bias counts once for each image.
fn column_sums(rows: &[f32], stride: usize, columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    for row in rows.chunks_exact(stride) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of vectors that this processor has, the best one last.
    fn archs() -> Vec<Arch> {
        let mut archs = vec![Arch::Scalar];
        #[cfg(target_arch = "x86_64")]
        match Arch::detect() {
            Arch::V4 => archs.extend([Arch::V2, Arch::V3]),
            Arch::V3 => archs.push(Arch::V2),
            _ => {}
        }
        archs.push(Arch::detect());
        archs
    }

    fn numbers(seed: f32, count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i as f32 + seed) * 12.9898).sin() * 0.5).collect()
    }

    fn assert_close(what: &str, got: &[f32], expected: &[f32]) {
        let scale = expected.iter().fold(0.0_f32, |scale, v| scale.max(v.abs()));
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() <= 1e-4 * scale, "{what}: {got} against {expected}, scale {scale}");
        }
    }

    #[test]
    fn all_kinds_of_vectors_give_the_same_results() {
        // Of the size that training starts with: U(±1/√fan-in).
        let fan_in = [25.0_f32, 150.0, 400.0, 120.0, 84.0];
        let parameters: Ten<Vec<f32>> = std::array::from_fn(|i| {
            let scale = 2.0 / fan_in[i / 2].sqrt();
            numbers(i as f32, PARAMETERS[i]).into_iter().map(|v| v * scale).collect()
        });
        let parameters = parameters.each_ref().map(|p| &p[..]);
        // A whole portion, and one of three images.
        let images = numbers(0.3, 19 * INPUT);
        let gradient = numbers(0.7, 19 * OUTPUT);
        let results: Vec<_> = archs()
            .into_iter()
            .map(|arch| {
                let (logits, mut activations) = forward(arch, &parameters, &images);
                assert_eq!(logits, infer(arch, &parameters, &images));
                let (gradients, of_images) = backward(arch, &parameters, &images, &mut activations, &gradient, true);
                (logits, gradients, of_images.unwrap())
            })
            .collect();
        for (logits, gradients, of_images) in &results[1..] {
            assert_close("logits", logits, &results[0].0);
            for (i, (gradient, expected)) in gradients.iter().zip(&results[0].1).enumerate() {
                assert_close(&format!("gradient {i}"), gradient, expected);
            }
            assert_close("images", of_images, &results[0].2);
        }
    }
}
