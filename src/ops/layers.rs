//! The layers as kernels, forwards and backwards: each runs with the processor's vectors, on some images, on one thread.

use std::mem::MaybeUninit;

use macerator::{Arch, Simd, WithSimd};

use super::{
    block::{BLOCK, Block, Lines},
    conv::{
        C1_MAPS, C1_ROW, C3_KERNEL, C3_MAPS, INPUT, KERNEL, S2, S2_WINNERS, S4, S4_WINNERS, Seen, c1_s2,
        c1_s2_backward, c3_s4, c3_s4_backward,
    },
    dense::{Rows, dots, outer, product, sparse_product},
};

/// Outputs of C5, and the length of its row in whole blocks.
pub(super) const C5: usize = 120;
pub(super) const C5_ROW: usize = 128;
/// Outputs of F6, and the length of its row.
pub(super) const F6: usize = 84;
pub(super) const F6_ROW: usize = 96;
/// Classes, and the length of their row.
pub(super) const OUTPUT: usize = 10;
pub(super) const OUTPUT_ROW: usize = 16;

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
pub(super) struct Weights<'a> {
    /// `[5][5][16]`: six maps and two zeros, twice.
    c1: Lines,
    c1_bias: Lines,
    /// `[5][5][6][16]`
    c3: Lines,
    /// `[6][16]`, the sum over the 25 places.
    c3_sums: Lines,
    c3_bias: &'a [f32],
    /// `[120][400]`
    c5: &'a [f32],
    c5_bias: &'a [f32],
    /// `[120][96]`
    f6: Lines,
    f6_bias: &'a [f32],
    /// `[84][16]`
    output: Lines,
    output_bias: &'a [f32],
}

impl<'a> Weights<'a> {
    pub(super) fn new(parameters: &Ten<&'a [f32]>) -> Self {
        for (parameter, length) in parameters.iter().zip(PARAMETERS) {
            assert_eq!(parameter.len(), length);
        }
        let [c1, c1_bias, c3, c3_bias, c5, c5_bias, f6, f6_bias, output, output_bias] = *parameters;
        let places = KERNEL * KERNEL;
        let (mut c1_twice, mut c1_bias_twice) = (Lines::zeros(places * BLOCK), Lines::zeros(BLOCK));
        for map in 0..C1_MAPS {
            for half in [map, BLOCK / 2 + map] {
                c1_bias_twice[half] = c1_bias[map];
                for place in 0..places {
                    c1_twice[place * BLOCK + half] = c1[map * places + place];
                }
            }
        }
        let mut by_map = Lines::zeros(places * C1_MAPS * C3_MAPS);
        for (map, kernel) in c3.chunks_exact(C1_MAPS * places).enumerate() {
            for (from, kernel) in kernel.chunks_exact(places).enumerate() {
                for (place, w) in kernel.iter().enumerate() {
                    by_map[(place * C1_MAPS + from) * C3_MAPS + map] = *w;
                }
            }
        }
        let mut c3_sums = Lines::zeros(C1_MAPS * C3_MAPS);
        for place in by_map.chunks_exact(C1_MAPS * C3_MAPS) {
            c3_sums.iter_mut().zip(place).for_each(|(sum, w)| *sum += w);
        }
        Self {
            c1: c1_twice,
            c1_bias: c1_bias_twice,
            c3: by_map,
            c3_sums,
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

/// C3's kernels as they meet S2: `[16][6][5][5] -> [16][5][5][8]`.
pub(super) fn c3_rows(c3: &[f32]) -> Lines {
    let mut rows = Lines::zeros(C3_MAPS * C3_KERNEL);
    for_c3(|burn, ours| rows[ours] = c3[burn]);
    rows
}

/// Each weight of C3: where Burn has it, and where `[16][5][5][8]` does.
pub(super) fn for_c3(mut each: impl FnMut(usize, usize)) {
    let places = KERNEL * KERNEL;
    for map in 0..C3_MAPS {
        for from in 0..C1_MAPS {
            for place in 0..places {
                let ours = map * C3_KERNEL + place * (C3_KERNEL / places) + from;
                each((map * C1_MAPS + from) * places + place, ours);
            }
        }
    }
}

/// Rows made longer with zeros.
pub(super) fn widen(rows: &[f32], from: usize, to: usize) -> Lines {
    let mut wide = Lines::zeros(rows.len() / from * to);
    for (wide, row) in wide.chunks_exact_mut(to).zip(rows.chunks_exact(from)) {
        wide[..from].copy_from_slice(row);
    }
    wide
}

/// Rows cut back.
pub(super) fn narrow(rows: &[f32], from: usize, to: usize) -> Vec<f32> {
    let mut narrow = Vec::with_capacity(rows.len() / from * to);
    rows.chunks_exact(from).for_each(|row| narrow.extend_from_slice(&row[..to]));
    narrow
}

/// A matrix that a kernel writes.
///
/// # Safety
/// It is written in full.
pub(super) unsafe fn written<T>(length: usize, write: impl FnOnce(&mut [MaybeUninit<f32>]) -> T) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(length);
    write(&mut numbers.spare_capacity_mut()[..length]);
    // SAFETY: there is room for them, and the caller vouches for the rest.
    unsafe { numbers.set_len(length) };
    numbers
}

/// The parameters as the backward kernels read them.
pub(super) struct BackwardWeights<'a> {
    /// `[6][5][5]`
    pub(super) c1: &'a [f32],
    /// `[16][5][5][8]`
    pub(super) c3: Lines,
    pub(super) c5: &'a [f32],
    pub(super) f6: Lines,
    pub(super) output: Lines,
}

impl<'a> BackwardWeights<'a> {
    pub(super) fn new(parameters: &Ten<&'a [f32]>) -> Self {
        let [c1, _, c3, _, c5, _, f6, _, output, _] = *parameters;
        Self { c1, c3: c3_rows(c3), c5, f6: widen(f6, F6, F6_ROW), output: widen(output, OUTPUT, OUTPUT_ROW) }
    }
}

/// The gradients that sum over all places of all images, in the kernels' layout.
pub(super) struct ConvSums {
    pub(super) c1: [f32; C1_MAPS * KERNEL * C1_ROW],
    pub(super) c1_bias: [f32; C1_MAPS],
    pub(super) c3: [f32; C3_MAPS * C3_KERNEL],
    pub(super) c3_bias: [f32; C3_MAPS],
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
    pub(super) fn add(&mut self, other: &Self) {
        let add = |sums: &mut [f32], values: &[f32]| sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
        add(&mut self.c1, &other.c1);
        add(&mut self.c1_bias, &other.c1_bias);
        add(&mut self.c3, &other.c3);
        add(&mut self.c3_bias, &other.c3_bias);
    }
}

/// Runs a kernel with the processor's vectors.
pub(super) fn run<K: WithSimd>(arch: Arch, kernel: K) -> K::Output {
    // SAFETY: an `Arch` here is what `Arch::detect` found, or the scalar one.
    unsafe { arch.dispatch(kernel) }
}

/// Eight numbers, not sixteen, are a row of C1's kernel, and a place of S2.
pub(super) fn eight_lanes(arch: Arch) -> Arch {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4 => Arch::V3,
        other => other,
    }
}

/// Declares a kernel: a struct of what it works on, and what it does with vectors `$S` of which `$N` are a block; or, where
/// it is one `of eights`, of which `$N` are eight numbers.
macro_rules! kernel {
    (of eights $($kernel:tt)*) => { kernel!(@ [8 => 1, 4 => 2, 2 => 4] $($kernel)*); };
    (
        @ [$($lanes:literal => $count:literal),*]
        $(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? } <$S:ident, $N:ident> $body:block
    ) => {
        $(#[$doc])*
        pub(super) struct $name<'a> {
            $(pub(super) $field: $type,)*
        }

        impl $name<'_> {
            #[inline(always)]
            fn run<$S: Simd, const $N: usize>(self) {
                let Self { $($field),* } = self;
                $body
            }
        }

        impl macerator::WithSimd for $name<'_> {
            type Output = ();

            #[inline(always)]
            fn with_simd<S: Simd>(self) {
                match <f32 as macerator::Scalar>::lanes::<S>() {
                    $($lanes => self.run::<S, $count>(),)*
                    lanes => unreachable!("vectors of {lanes} are not known"),
                }
            }
        }
    };
    ($($kernel:tt)*) => { kernel!(@ [16 => 1, 8 => 2, 4 => 4, 2 => 8] $($kernel)*); };
}

pub(super) use kernel;

kernel! {
    /// C1 and S2 forwards: `images [n][1024] -> s2 [n][1568], winners [n][224]`, and what was `seen` of each.
    C1Forward {
        images: &'a [f32],
        w: &'a Weights<'a>,
        s2: &'a mut [f32],
        winners: &'a mut [f32],
        seen: &'a mut [Seen],
    }
    <S, N> {
        let outputs = s2.chunks_exact_mut(S2).zip(winners.chunks_exact_mut(S2_WINNERS)).zip(seen);
        for (image, ((s2, winners), seen)) in images.chunks_exact(INPUT).zip(outputs) {
            c1_s2::<S, N>(image, &w.c1, &w.c1_bias, s2, winners, seen);
        }
    }
}

kernel! {
    /// C3 and S4 forwards: `s2 [n][1568] -> s4 [n][400], winners [n][80]`.
    C3Forward { s2: &'a [f32], seen: &'a [Seen], w: &'a Weights<'a>, s4: &'a mut [f32], winners: &'a mut [f32] }
    <S, N> {
        let outputs = s4.chunks_exact_mut(S4).zip(winners.chunks_exact_mut(S4_WINNERS));
        for ((s2, seen), (s4, winners)) in s2.chunks_exact(S2).zip(seen).zip(outputs) {
            c3_s4::<S, N>(s2, seen, &w.c3, &w.c3_sums, w.c3_bias, s4, winners);
        }
    }
}

kernel! {
    /// C5 forwards: `s4 [n][400] -> c5 [n][128]`.
    C5Forward { s4: &'a [f32], w: &'a Weights<'a>, c5: &'a mut [f32] }
    <S, N> {
        dots::<S, N>(c5, C5_ROW, C5, Rows::new(s4, S4), Rows::new(w.c5, S4));
        add_bias_relu(c5, C5_ROW, w.c5_bias);
    }
}

kernel! {
    /// F6 forwards: `c5 [n][128] -> f6 [n][96]`.
    F6Forward { c5: &'a [f32], w: &'a Weights<'a>, f6: &'a mut [f32] }
    <S, N> {
        product::<S, N>(f6, C5, Rows::new(c5, C5_ROW), Rows::new(&w.f6, F6_ROW));
        add_bias_relu(f6, F6_ROW, w.f6_bias);
    }
}

kernel! {
    /// The output forwards: `f6 [n][96] -> sums [n][16]`, and from them `logits [n][10]`.
    OutputForward { f6: &'a [f32], w: &'a Weights<'a>, sums: &'a mut [f32], logits: &'a mut [f32] }
    <S, N> {
        product::<S, N>(sums, F6, Rows::new(f6, F6_ROW), Rows::new(&w.output, OUTPUT_ROW));
        for (logits, sums) in logits.chunks_exact_mut(OUTPUT).zip(sums.chunks_exact(OUTPUT_ROW)) {
            for (logit, (sum, bias)) in logits.iter_mut().zip(sums.iter().zip(w.output_bias)) {
                *logit = sum + bias;
            }
        }
    }
}

kernel! {
    /// The output backwards: `output_errors [n][16] -> f6_errors [n][96]`, by the outputs of F6.
    OutputBackward { output_errors: &'a [f32], w: &'a BackwardWeights<'a>, f6: &'a [f32], f6_errors: &'a mut [f32] }
    <S, N> {
        dots::<S, N>(f6_errors, F6_ROW, F6, Rows::new(output_errors, OUTPUT_ROW), Rows::new(&w.output, OUTPUT_ROW));
        where_alive::<S, N>(f6_errors, f6);
    }
}

kernel! {
    /// F6 backwards: `f6_errors [n][96] -> c5_errors [n][128]`, by the outputs of C5.
    F6Backward { f6_errors: &'a [f32], w: &'a BackwardWeights<'a>, c5: &'a [f32], c5_errors: &'a mut [f32] }
    <S, N> {
        dots::<S, N>(c5_errors, C5_ROW, C5, Rows::new(f6_errors, F6_ROW), Rows::new(&w.f6, F6_ROW));
        where_alive::<S, N>(c5_errors, c5);
    }
}

kernel! {
    /// C5 backwards: `c5_errors [n][128] -> s4_errors [n][400]`, by the outputs of S4.
    C5Backward { c5_errors: &'a [f32], w: &'a BackwardWeights<'a>, s4: &'a [f32], s4_errors: &'a mut [f32] }
    <S, N> {
        sparse_product::<S, N>(s4_errors, C5, Rows::new(c5_errors, C5_ROW), Rows::new(w.c5, S4));
        where_alive::<S, N>(s4_errors, s4);
    }
}

kernel! {
    /// A fully connected layer's gradient, [`outer`], in rows from `first` on.
    Outer { out: &'a mut [MaybeUninit<f32>], first: usize, a: Rows<'a>, b: Rows<'a> }
    <S, N> {
        outer::<S, N>(out, first, a, b);
    }
}

kernel! {
    of eights
    /// S4 and C3 backwards: `s4_errors [n][400] -> s2_errors [n][1568]`, by the outputs of S2, and the sums of C3.
    C3Backward {
        s4_errors: &'a [f32],
        w: &'a BackwardWeights<'a>,
        winners: &'a [f32],
        s2: &'a [f32],
        s2_errors: &'a mut [f32],
        sums: &'a mut ConvSums,
    }
    <S, M> {
        s2_errors.fill(0.0);
        let units = s4_errors.chunks_exact(S4).zip(winners.chunks_exact(S4_WINNERS));
        let inputs = s2.chunks_exact(S2).zip(s2_errors.chunks_exact_mut(S2));
        for ((errors, winners), (s2, s2_errors)) in units.zip(inputs) {
            c3_s4_backward::<S, M>(errors, winners, s2, &w.c3, s2_errors, &mut sums.c3, &mut sums.c3_bias);
        }
        // A block is twice as many vectors as eight numbers are.
        match M {
            1 => where_alive::<S, 2>(s2_errors, s2),
            2 => where_alive::<S, 4>(s2_errors, s2),
            _ => where_alive::<S, 8>(s2_errors, s2),
        }
    }
}

kernel! {
    of eights
    /// S2 and C1 backwards: `s2_errors [n][1568]` and `images [n][1024]` -> the sums of C1.
    C1Backward {
        images: &'a [f32],
        seen: &'a [Seen],
        s2_errors: &'a [f32],
        winners: &'a [f32],
        sums: &'a mut ConvSums,
    }
    <S, M> {
        let units = s2_errors.chunks_exact(S2).zip(winners.chunks_exact(S2_WINNERS)).zip(seen);
        for (index, ((errors, winners), seen)) in units.enumerate() {
            // The last row of the last window is read beyond the image's end: into the next image, if there is one.
            let mut padded;
            let image = if let Some(image) = images[index * INPUT..].get(..INPUT + C1_ROW) {
                image
            } else {
                padded = [0.0; INPUT + C1_ROW];
                padded[..INPUT].copy_from_slice(&images[index * INPUT..]);
                &padded
            };
            c1_s2_backward::<S, M>(errors, winners, seen, image, &mut sums.c1, &mut sums.c1_bias);
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
