//! The whole net: mini-batches over the cores, layer behind layer, forwards and backwards.
//!
//! A mini-batch is cut into portions of a fixed number of images, and what portions add up is added in their order: the
//! results are the same bits for any number of threads.

use std::{cell::RefCell, sync::Mutex};

use macerator::Arch;
use rayon::prelude::*;

use super::{
    block::Lines,
    conv::{C1_ROW, INPUT, KERNEL, S2, S2_WINNERS, S4, S4_WINNERS, Seen, c1_image_gradient},
    dense::Rows,
    layers::{
        BackwardWeights, C1Backward, C1Forward, C3Backward, C3Forward, C5, C5_ROW, C5Backward, C5Forward, ConvSums, F6,
        F6_ROW, F6Backward, F6Forward, OUTPUT, OUTPUT_ROW, Outer, OutputBackward, OutputForward, PARAMETERS, Ten,
        Weights, eight_lanes, for_c3, narrow, run, widen, written,
    },
};

/// Images in a portion.
const PORTION: usize = 8;
/// Rows of C5's gradient that one thread takes at a time.
const C5_GROUP: usize = 20;

/// What the layers of several images put out, as the backward pass needs it.
#[derive(Debug, Default, Clone)]
pub(super) struct Activations {
    s2: Lines,
    s2_winners: Lines,
    s4: Lines,
    s4_winners: Lines,
    c5: Lines,
    f6: Lines,
    seen: Vec<Seen>,
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
            (&mut self.s4_winners, S4_WINNERS),
            (&mut self.c5, C5_ROW),
            (&mut self.f6, F6_ROW),
        ] {
            buffer.resize(images * length);
        }
        self.seen.resize(images, Seen::default());
    }

    fn portions(&mut self) -> impl Iterator<Item = Portion<'_>> {
        let Self { s2, s2_winners, s4, s4_winners, c5, f6, seen } = self;
        s2.chunks_mut(PORTION * S2)
            .zip(s2_winners.chunks_mut(PORTION * S2_WINNERS))
            .zip(s4.chunks_mut(PORTION * S4).zip(s4_winners.chunks_mut(PORTION * S4_WINNERS)))
            .zip(c5.chunks_mut(PORTION * C5_ROW).zip(f6.chunks_mut(PORTION * F6_ROW)))
            .zip(seen.chunks_mut(PORTION))
            .map(|((((s2, s2_winners), (s4, s4_winners)), (c5, f6)), seen)| Portion {
                s2,
                s2_winners,
                s4,
                s4_winners,
                c5,
                f6,
                seen,
            })
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
    seen: &'a mut [Seen],
}

impl Portion<'_> {
    /// The net forwards, over a portion's images.
    fn forward(self, arch: Arch, w: &Weights, images: &[f32], logits: &mut [f32]) {
        let Self { s2, s2_winners, s4, s4_winners, c5, f6, seen } = self;
        // Image by image: what S2 puts out is still in the first-level cache when C3 reads it.
        let (s2, s2_winners) = (s2.chunks_exact_mut(S2), s2_winners.chunks_exact_mut(S2_WINNERS));
        let (s4_units, s4_winners) = (s4.chunks_exact_mut(S4), s4_winners.chunks_exact_mut(S4_WINNERS));
        let layers = s2.zip(s2_winners).zip(s4_units.zip(s4_winners)).zip(seen.chunks_exact_mut(1));
        for (images, (((s2, s2_winners), (s4, s4_winners)), seen)) in images.chunks_exact(INPUT).zip(layers) {
            run(arch, C1Forward { images, w, s2, winners: s2_winners, seen });
            run(arch, C3Forward { s2, seen, w, s4, winners: s4_winners });
        }
        run(arch, C5Forward { s4, w, c5 });
        run(arch, F6Forward { c5, w, f6 });
        let mut sums = [0.0; PORTION * OUTPUT_ROW];
        run(arch, OutputForward { f6, w, sums: &mut sums, logits });
    }

    /// The net backwards, over a portion's images: the sums of the convolutions, and the images' gradient if wanted.
    fn backward(
        &self,
        arch: Arch,
        w: &BackwardWeights,
        images: &[f32],
        (output_errors, f6_errors, c5_errors): (&[f32], &mut [f32], &mut [f32]),
        image_gradient: Option<&mut [f32]>,
    ) -> Box<ConvSums> {
        let mut sums = Box::<ConvSums>::default();
        run(arch, OutputBackward { output_errors, w, f6: self.f6, f6_errors });
        run(arch, F6Backward { f6_errors, w, c5: self.c5, c5_errors });
        ERRORS.with_borrow_mut(|(s4_errors, s2_errors)| {
            s4_errors.resize(self.s4.len());
            s2_errors.resize(self.s2.len());
            run(arch, C5Backward { c5_errors, w, s4: self.s4, s4_errors });
            let (winners, sums) = (&*self.s4_winners, &mut *sums);
            run(eight_lanes(arch), C3Backward { s4_errors, w, winners, s2: self.s2, s2_errors, sums });
            let winners = &*self.s2_winners;
            run(eight_lanes(arch), C1Backward { images, seen: self.seen, s2_errors, winners, sums });
            if let Some(gradient) = image_gradient {
                let units = s2_errors.chunks_exact(S2).zip(winners.chunks_exact(S2_WINNERS));
                for ((errors, winners), gradient) in units.zip(gradient.chunks_exact_mut(INPUT)) {
                    c1_image_gradient(errors, winners, w.c1, gradient);
                }
            }
        });
        sums
    }
}

thread_local! {
    /// The errors of S4 and S2 of a portion.
    static ERRORS: RefCell<(Lines, Lines)> = RefCell::default();
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
        .for_each(|((portion, images), logits)| portion.forward(arch, &weights, images, logits));
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
                portion.forward(arch, &weights, images, logits);
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
    let weights = BackwardWeights::new(parameters);
    let mut errors = Errors {
        c5: Lines::zeros(count * C5_ROW),
        f6: Lines::zeros(count * F6_ROW),
        output: widen(logits_gradient, OUTPUT, OUTPUT_ROW),
    };
    let mut image_gradient = if with_images { vec![0.0; images.len()] } else { Vec::new() };
    let per_portion = image_gradient.chunks_mut(PORTION * INPUT).map(Some).chain(std::iter::repeat_with(|| None));
    let errors_of_portions = errors
        .output
        .chunks(PORTION * OUTPUT_ROW)
        .zip(errors.f6.chunks_mut(PORTION * F6_ROW).zip(errors.c5.chunks_mut(PORTION * C5_ROW)));
    let sums: Vec<_> = activations
        .portions()
        .zip(images.chunks(PORTION * INPUT))
        .zip(errors_of_portions)
        .zip(per_portion)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(((portion, images), (output, (f6, c5))), image_gradient)| {
            portion.backward(arch, &weights, images, (output, f6, c5), image_gradient)
        })
        .collect();
    let mut total = ConvSums::default();
    for portion in &sums {
        total.add(portion);
    }
    let gradients = gradients(arch, activations, &errors, &total);
    (gradients, with_images.then_some(image_gradient))
}

/// The derivative of the loss by what each layer of a mini-batch summed up, before `ReLU`.
struct Errors {
    c5: Lines,
    f6: Lines,
    output: Lines,
}

/// All gradients in Burn's layout.
fn gradients(arch: Arch, outputs: &Activations, errors: &Errors, sums: &ConvSums) -> Ten<Vec<f32>> {
    let (c5_errors, s4) = (Rows::new(&errors.c5, C5_ROW), Rows::new(&outputs.s4, S4));
    let (c5, (f6, output)) = rayon::join(
        || {
            // SAFETY: `outer` writes each row of what it is given, and the groups are all rows.
            unsafe {
                written(C5 * S4, |c5| {
                    c5.par_chunks_mut(C5_GROUP * S4).enumerate().for_each(|(group, out)| {
                        run(arch, Outer { out, first: group * C5_GROUP, a: c5_errors, b: s4 });
                    });
                })
            }
        },
        || {
            let (a, b) = (Rows::new(&outputs.c5, C5_ROW), Rows::new(&errors.f6, F6_ROW));
            // SAFETY: `outer` writes each row of what it is given.
            let f6 = unsafe { written(C5 * F6_ROW, |out| run(arch, Outer { out, first: 0, a, b })) };
            let (a, b) = (Rows::new(&outputs.f6, F6_ROW), Rows::new(&errors.output, OUTPUT_ROW));
            // SAFETY: as above.
            (f6, unsafe { written(F6 * OUTPUT_ROW, |out| run(arch, Outer { out, first: 0, a, b })) })
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

    const IMAGES: usize = 131;

    #[test]
    fn all_kinds_of_vectors_give_the_same_results() {
        // Of the size that training starts with: U(±1/√fan-in).
        let fan_in = [25.0_f32, 150.0, 400.0, 120.0, 84.0];
        let parameters: Ten<Vec<f32>> = std::array::from_fn(|i| {
            let scale = 2.0 / fan_in[i / 2].sqrt();
            numbers(i as f32, PARAMETERS[i]).into_iter().map(|v| v * scale).collect()
        });
        let parameters = parameters.each_ref().map(|p| &p[..]);
        // More images than a list of terms holds, and a last portion that is not whole; noise, mere paper, and paper with
        // some spots of ink in each of its corners and elsewhere.
        let mut images = numbers(0.3, IMAGES * INPUT);
        for (index, image) in images.chunks_exact_mut(INPUT).enumerate().filter(|(index, _)| index % 3 > 0) {
            let spots = if index % 3 == 1 { 0 } else { index % 7 + 1 };
            let ink: Vec<(usize, f32)> = (0..spots).map(|spot| ((spot * 389 + index * 31) % INPUT, 0.9)).collect();
            image.fill(-0.4);
            for (at, shade) in ink {
                image[at] = shade;
            }
        }
        let gradient = numbers(0.7, IMAGES * OUTPUT);
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
