//! The whole net: a mini-batch over the cores, layer after layer, forward and backward.
//!
//! A mini-batch is cut into chunks of a fixed number of images, and what chunks sum up is added in their order: results are
//! the same bits for any number of threads.

use std::{cell::RefCell, mem::MaybeUninit, sync::Mutex};

use bytemuck::{Zeroable, cast_slice, cast_slice_mut, zeroed_box};
use rayon::prelude::*;

use crate::{
    layers::{
        BackgroundMask, c1_s2, c3_s4,
        dense::{C5Backward, C5Forward, F6Backward, F6Forward, OutputBackward, OutputForward, WeightGrad, bias_grad},
    },
    pack::{BackwardWeights, ConvGrads, ForwardWeights, pack_blocks, unpack_blocks, unpad_rows},
    parameters::{LayerParameters, Parameters},
    probe::{Probe, Stage},
    shapes::{C5, C5Row, F6, F6Row, INPUT, Image, KERNEL_ROW_PADDED, OutputBlock, S2Argmax, S2Units, S4Argmax, S4Row},
    simd::{AlignedVec, CacheAligned, InstructionSet, LANES, Row},
};

/// Images in a chunk.
const CHUNK: usize = 8;
/// Rows of the gradient of C5's weights that one thread takes at a time.
const C5_GROUP: usize = 20;

/// LeNet-5 on one instruction set, with a probe.
#[derive(Debug, Clone, Copy)]
pub struct Net<P = ()> {
    instruction_set: InstructionSet,
    probe: P,
}

impl Net {
    /// The net on the widest vectors of this processor, without a probe.
    #[must_use]
    pub fn new() -> Self {
        Self::with(InstructionSet::detect(), ())
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

/// The layers' outputs for a mini-batch, kept for the backward pass. The default holds no images.
#[derive(Debug, Default, Clone)]
pub struct Activations {
    background: Vec<BackgroundMask>,
    s2: AlignedVec<S2Units>,
    s2_argmax: AlignedVec<S2Argmax>,
    s4: AlignedVec<S4Row>,
    s4_argmax: AlignedVec<S4Argmax>,
    c5: AlignedVec<C5Row>,
    f6: AlignedVec<F6Row>,
}

/// Buffers of earlier mini-batches, for reuse: new memory would have to be cleared, by the system and by us.
static FREE_BUFFERS: Mutex<Vec<Activations>> = Mutex::new(Vec::new());
/// How many are kept; there is rarely more than one mini-batch at a time.
const MAX_FREE_BUFFERS: usize = 2;

impl Drop for Activations {
    fn drop(&mut self) {
        if let Ok(mut free) = FREE_BUFFERS.try_lock()
            && free.len() < MAX_FREE_BUFFERS
        {
            free.push(std::mem::take(self));
        }
    }
}

impl Activations {
    fn of(images: usize) -> Self {
        let mut activations = FREE_BUFFERS.try_lock().ok().and_then(|mut free| free.pop()).unwrap_or_default();
        activations.resize(images);
        activations
    }

    fn resize(&mut self, images: usize) {
        self.background.resize(images, BackgroundMask::default());
        self.s2.resize(images);
        self.s2_argmax.resize(images);
        self.s4.resize(images);
        self.s4_argmax.resize(images);
        self.c5.resize(images);
        self.f6.resize(images);
    }

    fn chunks(&mut self) -> impl Iterator<Item = Chunk<'_>> {
        let Self { background, s2, s2_argmax, s4, s4_argmax, c5, f6 } = self;
        background
            .chunks_mut(CHUNK)
            .zip(s2.chunks_mut(CHUNK).zip(s2_argmax.chunks_mut(CHUNK)))
            .zip(s4.chunks_mut(CHUNK).zip(s4_argmax.chunks_mut(CHUNK)))
            .zip(c5.chunks_mut(CHUNK).zip(f6.chunks_mut(CHUNK)))
            .map(|(((background, (s2, s2_argmax)), (s4, s4_argmax)), (c5, f6))| Chunk {
                background,
                s2,
                s2_argmax,
                s4,
                s4_argmax,
                c5,
                f6,
            })
    }
}

/// A chunk's part of [`Activations`].
struct Chunk<'a> {
    background: &'a mut [BackgroundMask],
    s2: &'a mut [S2Units],
    s2_argmax: &'a mut [S2Argmax],
    s4: &'a mut [S4Row],
    s4_argmax: &'a mut [S4Argmax],
    c5: &'a mut [C5Row],
    f6: &'a mut [F6Row],
}

thread_local! {
    /// The buffer that inference reuses.
    static INFERENCE_BUFFER: RefCell<Activations> = RefCell::default();
}

impl<P: Probe> Net<P> {
    /// The net on an instruction set, with a probe.
    pub fn with(instruction_set: InstructionSet, probe: P) -> Self {
        Self { instruction_set, probe }
    }

    /// The forward pass: logits, and what the backward pass needs.
    ///
    /// # Shapes
    /// images `[batch * 1024]` -> logits `[batch * classes]`
    ///
    /// # Panics
    /// The parameters are not as long as [`lengths`](crate::lengths) says, or `images` is not a multiple of [`INPUT`] long.
    pub fn forward(&self, parameters: &Parameters<&[f32]>, images: &[f32]) -> (Vec<f32>, Activations) {
        let weights = ForwardWeights::pack(parameters);
        let images: &[Image] = cast_slice(images);
        let mut activations = Activations::of(images.len());
        let classes = weights.output_bias.len();
        let mut logits = vec![0.0; images.len() * classes];
        activations
            .chunks()
            .zip(images.chunks(CHUNK))
            .zip(logits.chunks_mut(CHUNK * classes))
            .collect::<Vec<_>>()
            .into_par_iter()
            .for_each(|((chunk, images), logits)| self.forward_chunk(&weights, images, chunk, logits));
        (logits, activations)
    }

    /// The forward pass, for the logits alone.
    ///
    /// # Shapes
    /// images `[batch * 1024]` -> logits `[batch * classes]`
    ///
    /// # Panics
    /// As [`Net::forward`].
    pub fn infer(&self, parameters: &Parameters<&[f32]>, images: &[f32]) -> Vec<f32> {
        let weights = ForwardWeights::pack(parameters);
        let images: &[Image] = cast_slice(images);
        let classes = weights.output_bias.len();
        let mut logits = vec![0.0; images.len() * classes];
        let infer = |images: &[Image], logits: &mut [f32]| {
            INFERENCE_BUFFER.with_borrow_mut(|activations| {
                activations.resize(images.len());
                for chunk in activations.chunks() {
                    self.forward_chunk(&weights, images, chunk, logits);
                }
            });
        };
        if images.len() <= CHUNK {
            infer(images, &mut logits);
        } else {
            let chunks = images.par_chunks(CHUNK).zip(logits.par_chunks_mut(CHUNK * classes));
            chunks.for_each(|(images, logits)| infer(images, logits));
        }
        logits
    }

    fn forward_chunk(&self, w: &ForwardWeights, images: &[Image], chunk: Chunk, logits: &mut [f32]) {
        let Chunk { background, s2, s2_argmax, s4, s4_argmax, c5, f6 } = chunk;
        let (set, probe) = (self.instruction_set, &self.probe);
        let (mut rows, mut without_background) = (c1_s2::SCRATCH, c3_s4::SCRATCH);
        // Image by image: S2's output is still in the first-level cache when C3 reads it.
        let pooled = s2.iter_mut().zip(s2_argmax).zip(s4.iter_mut().zip(s4_argmax)).zip(background);
        for (image, (((s2, s2_argmax), (s4, s4_argmax)), background)) in images.iter().zip(pooled) {
            probe.stage(Stage::C1S2Forward, || {
                let (argmax, scratch, background) = (s2_argmax, &mut rows, &mut *background);
                set.run(c1_s2::Forward { image, w: &w.c1, s2, argmax, background, scratch });
            });
            probe.stage(Stage::C3S4Forward, || {
                let (argmax, scratch) = (s4_argmax, &mut without_background);
                set.run(c3_s4::Forward { s2, background, w: &w.c3, s4, argmax, scratch });
            });
        }
        probe.stage(Stage::C5Forward, || set.run(C5Forward { s4, w, c5 }));
        probe.stage(Stage::F6Forward, || set.run(F6Forward { c5, w, f6 }));
        probe.stage(Stage::OutputForward, || {
            let mut sums = CacheAligned([OutputBlock::zeroed(); CHUNK]);
            set.run(OutputForward { sums: &mut sums[..f6.len()], f6, w, logits });
        });
    }

    /// The backward pass: the gradient of each parameter and, with `with_images`, of the images.
    ///
    /// # Shapes
    /// logits' gradient `[batch * classes]` -> parameters' gradients as [`Parameters`] says, images' gradient `[batch * 1024]`
    ///
    /// # Panics
    /// The parameters are not as long as [`lengths`](crate::lengths) says, there are no images, or images, activations and
    /// gradient differ in number. Activations of other images of the same number give wrong gradients.
    pub fn backward(
        &self,
        parameters: &Parameters<&[f32]>,
        images: &[f32],
        activations: &Activations,
        logits_grad: &[f32],
        with_images: bool,
    ) -> (Parameters<Vec<f32>>, Option<Vec<f32>>) {
        let weights = BackwardWeights::pack(parameters);
        let count = images.len() / INPUT;
        assert!(count > 0 && count * INPUT == images.len(), "{} pixels are no whole images", images.len());
        let classes = parameters.output.bias.len();
        assert_eq!(logits_grad.len(), count * classes, "the gradient is of other logits");
        assert_eq!(activations.s2.len(), count, "the activations are of another number of images");
        let mut grads = DenseGrads {
            c5: AlignedVec::zeros(count),
            f6: AlignedVec::zeros(count),
            output: pack_blocks(logits_grad, classes),
        };
        let mut image_grad = if with_images { vec![0.0; images.len()] } else { Vec::new() };
        let image_grads = cast_slice_mut(&mut image_grad).chunks_mut(CHUNK).map(Some);
        let chunks: Vec<_> = grads
            .f6
            .chunks_mut(CHUNK)
            .zip(grads.c5.chunks_mut(CHUNK))
            .zip(image_grads.chain(std::iter::repeat_with(|| None)))
            .enumerate()
            .map(|(index, ((f6_grad, c5_grad), image_grad))| BackwardChunk {
                first: index * CHUNK,
                images,
                output_grad: &grads.output,
                f6_grad,
                c5_grad,
                image_grad,
            })
            .collect();
        let sums: Vec<_> =
            chunks.into_par_iter().map(|chunk| self.backward_chunk(&weights, activations, chunk)).collect();
        let mut total = ConvGrads::zeroed();
        for sums in &sums {
            total.add(sums);
        }
        (self.parameter_grads(activations, &grads, &total, classes), with_images.then_some(image_grad))
    }

    /// The gradients of the convolutions, summed over a chunk's images. The gradients of F6, C5 and the images are written.
    fn backward_chunk(&self, w: &BackwardWeights, activations: &Activations, chunk: BackwardChunk) -> Box<ConvGrads> {
        let BackwardChunk { first, images, output_grad, f6_grad, c5_grad, mut image_grad } = chunk;
        let (set, probe) = (self.instruction_set, &self.probe);
        let range = first..first + f6_grad.len();
        let mut sums = zeroed_box::<ConvGrads>();
        let f6 = &activations.f6[range.clone()];
        let count = images.len() / INPUT;
        probe.stage(Stage::OutputBackward, || {
            set.run(OutputBackward { output_grad, range: range.clone(), images: count, w, f6, f6_grad });
        });
        let c5 = &activations.c5[range.clone()];
        probe.stage(Stage::F6Backward, || set.run(F6Backward { f6_grad, w, c5, c5_grad }));
        let s4 = &activations.s4[range.clone()];
        let mut s4_grad = CacheAligned([S4Row::zeroed(); CHUNK]);
        let s4_grad = &mut s4_grad[..range.len()];
        probe.stage(Stage::C5Backward, || set.run(C5Backward { c5_grad, w, s4, s4_grad }));
        let mut s2_grad = CacheAligned(S2Units::zeroed());
        for (index, s4_grad) in range.clone().zip(s4_grad) {
            probe.stage(Stage::C3S4Backward, || {
                set.run(c3_s4::Backward {
                    s4_grad,
                    argmax: &activations.s4_argmax[index],
                    s2: &activations.s2[index],
                    weight: &w.c3,
                    s2_grad: &mut s2_grad,
                    weight_grad: &mut sums.c3,
                    bias_grad: &mut sums.c3_bias,
                });
            });
            probe.stage(Stage::C1S2Backward, || {
                let mut padded;
                let image = if let Some(image) = images[index * INPUT..].first_chunk() {
                    image
                } else {
                    padded = [0.0; INPUT + KERNEL_ROW_PADDED];
                    padded[..INPUT].copy_from_slice(&images[index * INPUT..]);
                    &padded
                };
                set.run(c1_s2::Backward {
                    image,
                    background: &activations.background[index],
                    s2_grad: &s2_grad,
                    argmax: &activations.s2_argmax[index],
                    weight_grad: &mut sums.c1,
                    bias_grad: &mut sums.c1_bias,
                });
            });
            if let Some(image_grads) = &mut image_grad {
                c1_s2::image_grad(&s2_grad, &activations.s2_argmax[index], w.c1, &mut image_grads[index - first]);
            }
        }
        sums
    }

    /// All gradients in Burn's layout.
    fn parameter_grads(
        &self,
        activations: &Activations,
        grads: &DenseGrads,
        convolutions: &ConvGrads,
        classes: usize,
    ) -> Parameters<Vec<f32>> {
        let (set, probe) = (self.instruction_set, &self.probe);
        let (c5, (f6, output)) = rayon::join(
            || {
                let (a, b) = (&*grads.c5, &*activations.s4);
                // SAFETY: `WeightGrad` writes every row it is given, each row is in one group, and a probe cannot return without
                // running the work, since it has no other `T`.
                unsafe {
                    write_matrix(C5, |rows| {
                        rows.par_chunks_mut(C5_GROUP).enumerate().for_each(|(group, out)| {
                            let first = group * C5_GROUP;
                            probe.stage(Stage::C5Backward, || set.run(WeightGrad { out, first, a, b }));
                        });
                    })
                }
            },
            || {
                let (a, b) = (&*activations.c5, &*grads.f6);
                // SAFETY: as for C5, with one group.
                let f6 = unsafe {
                    write_matrix(C5, |out| {
                        probe.stage(Stage::F6Backward, || set.run(WeightGrad { out, first: 0, a, b }));
                    })
                };
                let (a, count) = (&*activations.f6, activations.f6.len());
                // SAFETY: as for C5, with a group for each block, of which the gradient has as many.
                let output = unsafe {
                    write_matrix(grads.output.len() / count * F6, |rows| {
                        rows.par_chunks_mut(F6).zip(grads.output.par_chunks(count)).for_each(|(out, b)| {
                            probe.stage(Stage::OutputBackward, || set.run(WeightGrad { out, first: 0, a, b }));
                        });
                    })
                };
                (f6, output)
            },
        );
        let blocks = grads.output.chunks_exact(activations.f6.len());
        let output_bias = blocks.flat_map(|block| bias_grad(block, LANES));
        Parameters {
            c1: convolutions.unpack_c1(),
            c3: convolutions.unpack_c3(),
            c5: LayerParameters { weight: c5.into_flattened().into_flattened(), bias: bias_grad(&grads.c5, C5) },
            f6: LayerParameters { weight: unpad_rows(&f6, F6), bias: bias_grad(&grads.f6, F6) },
            output: LayerParameters {
                weight: unpack_blocks(&output, classes),
                bias: output_bias.take(classes).collect(),
            },
        }
    }
}

/// The gradients of the fully connected layers' sums, before ReLU.
struct DenseGrads {
    c5: AlignedVec<C5Row>,
    f6: AlignedVec<F6Row>,
    /// `[blocks][images][16]`
    output: AlignedVec<OutputBlock>,
}

/// What the backward pass of a chunk works on.
struct BackwardChunk<'a> {
    /// The chunk's first image.
    first: usize,
    /// All images of the mini-batch.
    images: &'a [f32],
    /// That of all images.
    output_grad: &'a [OutputBlock],
    f6_grad: &'a mut [F6Row],
    c5_grad: &'a mut [C5Row],
    image_grad: Option<&'a mut [Image]>,
}

/// A matrix that `write` fills: new memory need not be cleared first.
///
/// # Safety
/// `write` writes every row.
unsafe fn write_matrix<const B: usize>(rows: usize, write: impl FnOnce(&mut [MaybeUninit<Row<B>>])) -> Vec<Row<B>> {
    let mut matrix = Vec::with_capacity(rows);
    write(&mut matrix.spare_capacity_mut()[..rows]);
    // SAFETY: there is room for `rows`, and the caller guarantees that `write` has written them.
    unsafe { matrix.set_len(rows) };
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        probe::StageTimer,
        testing::{assert_close, images, noise, parameters},
    };

    /// More images than a list of non-zero values holds, and a last chunk that is not whole.
    const IMAGES: usize = 131;

    #[test]
    fn all_instruction_sets_give_the_same_results() {
        for classes in [10, 47] {
            compare_instruction_sets(classes);
        }
    }

    fn compare_instruction_sets(classes: usize) {
        let parameters = parameters(classes);
        let parameters = parameters.as_ref().map(Vec::as_slice);
        let images = images(IMAGES);
        let logits_grad = noise(70, IMAGES * classes);
        let results: Vec<_> = InstructionSet::available()
            .into_iter()
            .map(|set| {
                let net = Net::with(set, ());
                let (logits, activations) = net.forward(&parameters, &images);
                assert_eq!(logits, net.infer(&parameters, &images));
                let (grads, image_grad) = net.backward(&parameters, &images, &activations, &logits_grad, true);
                (set.name(), logits, grads.into_array(), image_grad.unwrap_or_default())
            })
            .collect();
        let widened = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let (_, logits, grads, image_grad) = &results[0];
        for result in &results[1..] {
            assert_close(&format!("logits with {}", result.0), result.1.clone(), widened(logits));
            for (index, (grad, expected)) in result.2.iter().zip(grads).enumerate() {
                assert_close(&format!("gradient {index} with {}", result.0), grad.clone(), widened(expected));
            }
            assert_close(&format!("image gradient with {}", result.0), result.3.clone(), widened(image_grad));
        }
    }

    /// Classes that no image shows take part in nothing: with 26 of them, the first ten are computed as with ten, bit for bit.
    #[test]
    fn a_class_does_not_depend_on_the_others() {
        let few = parameters(10);
        let mut many = parameters(26);
        for (row, ten) in many.output.weight.chunks_exact_mut(26).zip(few.output.weight.chunks_exact(10)) {
            row[..10].copy_from_slice(ten);
        }
        many.output.bias[..10].copy_from_slice(&few.output.bias);
        for (layer, same) in
            [(&mut many.c1, &few.c1), (&mut many.c3, &few.c3), (&mut many.c5, &few.c5), (&mut many.f6, &few.f6)]
        {
            layer.clone_from(same);
        }
        let images = images(20);
        let few_grads = noise(70, 20 * 10);
        let mut many_grads = vec![0.0; 20 * 26];
        for (row, ten) in many_grads.chunks_exact_mut(26).zip(few_grads.chunks_exact(10)) {
            row[..10].copy_from_slice(ten);
        }
        let pass = |parameters: &Parameters<Vec<f32>>, logits_grad: &[f32]| {
            let parameters = parameters.as_ref().map(Vec::as_slice);
            let (logits, activations) = Net::new().forward(&parameters, &images);
            (logits, Net::new().backward(&parameters, &images, &activations, logits_grad, true))
        };
        let (ten_logits, (ten, ten_images)) = pass(&few, &few_grads);
        let (logits, (grads, image_grads)) = pass(&many, &many_grads);
        let first_ten = |rows: &[f32]| rows.chunks_exact(26).flat_map(|row| row[..10].to_vec()).collect::<Vec<_>>();
        assert_eq!((first_ten(&logits), first_ten(&grads.output.weight)), (ten_logits, ten.output.weight));
        assert_eq!((grads.c1, grads.c3, grads.c5, grads.f6, image_grads), (ten.c1, ten.c3, ten.c5, ten.f6, ten_images));
    }

    #[test]
    fn a_probe_changes_nothing_and_sees_every_stage() {
        let parameters = parameters(10);
        let parameters = parameters.as_ref().map(Vec::as_slice);
        let (images, logits_grad) = (images(20), noise(70, 20 * 10));
        let timer = StageTimer::default();
        let probed = Net::with(InstructionSet::detect(), &timer);
        let (logits, activations) = probed.forward(&parameters, &images);
        let (grads, _) = probed.backward(&parameters, &images, &activations, &logits_grad, false);
        assert!(Stage::ALL.into_iter().all(|stage| !timer.take(stage).is_zero()));
        let (expected, activations) = Net::new().forward(&parameters, &images);
        assert_eq!(logits, expected);
        assert_eq!(grads, Net::new().backward(&parameters, &images, &activations, &logits_grad, false).0);
    }

    #[test]
    fn an_empty_mini_batch_has_no_logits() {
        let parameters = parameters(10);
        assert_eq!(Net::new().infer(&parameters.as_ref().map(Vec::as_slice), &[]), []);
    }
}
