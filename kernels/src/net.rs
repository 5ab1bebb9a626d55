//! The whole net: a mini-batch over the cores, layer after layer, forward and backward.
//!
//! A mini-batch is cut into chunks of a fixed number of images, and what chunks sum up is added in their order: results are
//! the same bits for any number of threads.

use std::{cell::RefCell, mem::MaybeUninit};

use bytemuck::{Zeroable, cast_slice, cast_slice_mut};
use rayon::prelude::*;

use crate::{
    buffers::{
        Activations, CHUNK, Chunk, ChunkGrads, ChunkView, Convolved, ConvolvedChunk, Dense, DenseChunk, Grads, Pool,
    },
    cross_entropy::{mean, rows_with_grad},
    images::{ImageSource, as_images},
    layers::{
        c1_s2, c3_s4,
        dense::{BiasGrad, C5Backward, C5Forward, F6Backward, F6Forward, OutputBackward, OutputForward, WeightGrad},
    },
    pack::{BackwardWeights, ConvGrads, ForwardWeights, pack_blocks, unpack_blocks},
    parallel::for_each,
    parameters::{LayerParameters, Parameters},
    probe::{Probe, Stage},
    shapes::{C1_MAPS, C3_MAPS, C5, F6, F6Row, INPUT, Image, KERNEL_ROW_PADDED, OutputBlock, S2Units, S4_CELLS, S4Row},
    simd::{AlignedVec, CacheAligned, InstructionSet, LANES, Row, prefetch},
};

/// So many images are inferred by the thread that asks: those of a single picture, which should not wait for other work.
const SERIAL: usize = 48;
/// Rows of the gradient of C5's weights that one thread takes at a time.
const C5_GROUP: usize = 20;
/// And of F6's weights.
const F6_GROUP: usize = 40;

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

/// What a step leaves of a mini-batch until it is over.
static FREE_BUFFERS: Pool<(Dense, Grads)> = Pool::new();

/// What a thread uses for one chunk after the other, so that it stays in the cache.
struct Scratch {
    convolved: Convolved,
    dense: Dense,
    /// The images, if they are made for the chunk, and one more, whose values do not matter: C1's backward pass reads beyond an
    /// image's last row.
    images: AlignedVec<Image>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        convolved: Convolved::default(),
        dense: Dense::default(),
        images: AlignedVec::zeros(CHUNK + 1),
    });
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
        let weights = ForwardWeights::pack(self.instruction_set, parameters);
        let images: &[Image] = cast_slice(images);
        let mut activations = Activations::of(images.len());
        let classes = weights.output_bias.len();
        let mut logits = vec![0.0; images.len() * classes];
        let chunks = activations.chunks().zip(images.chunks(CHUNK)).zip(logits.chunks_mut(CHUNK * classes));
        for_each(chunks.collect(), |((chunk, images), logits)| {
            self.forward_chunk(&weights, images, chunk, logits);
        });
        (logits, activations)
    }

    /// The forward pass, for the logits alone.
    ///
    /// # Shapes
    /// `[batch * classes]`
    ///
    /// # Panics
    /// As [`Net::forward`].
    pub fn infer(&self, parameters: &Parameters<&[f32]>, images: &(impl ImageSource + ?Sized)) -> Vec<f32> {
        let weights = ForwardWeights::pack(self.instruction_set, parameters);
        let (count, classes) = (images.count(), weights.output_bias.len());
        let mut logits = vec![0.0; count * classes];
        let infer = |(index, logits): (usize, &mut [f32])| self.infer_chunk(&weights, images, index, logits, |_| ());
        if count <= SERIAL {
            logits.chunks_mut(CHUNK * classes).enumerate().for_each(infer);
        } else {
            logits.par_chunks_mut(CHUNK * classes).enumerate().for_each(infer);
        }
        logits
    }

    /// The largest value of each unit over some images, those of S2 and S4 map by map: what is zero here, no image activates.
    ///
    /// # Shapes
    /// `[6 + 16 + 120 + 84]`: S2, S4, C5 and F6
    ///
    /// # Panics
    /// As [`Net::forward`].
    pub fn strongest(&self, parameters: &Parameters<&[f32]>, images: &(impl ImageSource + ?Sized)) -> Vec<f32> {
        let weights = ForwardWeights::pack(self.instruction_set, parameters);
        let (mut s2, mut s4, mut c5, mut f6) = ([0.0_f32; C1_MAPS], [0.0_f32; C3_MAPS], [0.0_f32; C5], [0.0_f32; F6]);
        let raise = |strongest: &mut [f32], units: &[f32]| {
            strongest.iter_mut().zip(units).for_each(|(strongest, unit)| *strongest = strongest.max(*unit));
        };
        let mut logits = vec![0.0; images.count() * weights.output_bias.len()];
        for (index, logits) in logits.chunks_mut(CHUNK * weights.output_bias.len()).enumerate() {
            self.infer_chunk(&weights, images, index, logits, |chunk| {
                chunk.s2.as_flattened().as_flattened().iter().for_each(|units| raise(&mut s2, units));
                for units in chunk.s4 {
                    for (strongest, units) in s4.iter_mut().zip(units.as_flattened().chunks_exact(S4_CELLS)) {
                        *strongest = units.iter().fold(*strongest, |strongest, unit| strongest.max(*unit));
                    }
                }
                chunk.c5.iter().for_each(|units| raise(&mut c5, units.as_flattened()));
                chunk.f6.iter().for_each(|units| raise(&mut f6, units.as_flattened()));
            });
        }
        [&s2[..], &s4, &c5, &f6].concat()
    }

    /// Writes the logits of chunk `index` of some images, and shows what it leaves.
    fn infer_chunk(
        &self,
        weights: &ForwardWeights,
        images: &(impl ImageSource + ?Sized),
        index: usize,
        logits: &mut [f32],
        look: impl FnOnce(ChunkView),
    ) {
        let range = index * CHUNK..index * CHUNK + logits.len() / weights.output_bias.len();
        SCRATCH.with_borrow_mut(|Scratch { convolved, dense, images: buffer }| {
            convolved.resize(range.len());
            dense.resize(range.len());
            let pixels = images.read(range.clone(), &mut buffer[..]);
            let chunk = Chunk { convolved: convolved.whole(), dense: dense.whole() };
            look(self.forward_chunk(weights, as_images(pixels, range.len()), chunk, logits));
        });
    }

    /// Writes a chunk's activations and logits, and returns the former to be read.
    fn forward_chunk<'a>(
        &self,
        w: &ForwardWeights,
        images: &[Image],
        chunk: Chunk<'a>,
        logits: &mut [f32],
    ) -> ChunkView<'a> {
        let ConvolvedChunk { background, s2, s2_argmax, s4_argmax } = chunk.convolved;
        let DenseChunk { s4, c5, f6 } = chunk.dense;
        let (set, probe) = (self.instruction_set, &self.probe);
        let (mut pixels, mut products) = (c1_s2::SCRATCH, c3_s4::SCRATCH);
        // Image by image: S2's output is still in the first-level cache when C3 reads it.
        let pooled = s2.iter_mut().zip(s2_argmax.iter_mut()).zip(s4.iter_mut().zip(s4_argmax.iter_mut()));
        let pooled = pooled.zip(background.iter_mut());
        for (index, (((s2, s2_argmax), (s4, s4_argmax)), background)) in pooled.enumerate() {
            let image = &images[index];
            probe.stage(Stage::C1S2Forward, || {
                let (argmax, scratch, background) = (s2_argmax, &mut pixels, &mut *background);
                set.run(c1_s2::Forward { image, w: &w.c1, s2, argmax, background, scratch });
            });
            probe.stage(Stage::C3S4Forward, || {
                if let Some(next) = images.get(index + 1) {
                    prefetch(next);
                }
                let (argmax, scratch) = (s4_argmax, &mut products);
                set.run(c3_s4::Forward { s2, background, w: &w.c3, s4, argmax, scratch });
            });
        }
        probe.stage(Stage::C5Forward, || set.run(C5Forward { s4, w, c5 }));
        probe.stage(Stage::F6Forward, || set.run(F6Forward { c5, w, f6 }));
        probe.stage(Stage::OutputForward, || {
            let mut sums = CacheAligned([OutputBlock::zeroed(); CHUNK]);
            set.run(OutputForward { sums: &mut sums[..f6.len()], f6, w, logits });
        });
        ChunkView { background, s2, s2_argmax, s4, s4_argmax, c5, f6 }
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
        let (count, classes) = (images.count(), parameters.output.bias.len());
        assert!(count > 0, "there are no images");
        assert_eq!(logits_grad.len(), count * classes, "the gradient is of other logits");
        assert_eq!(activations.dense.s4.len(), count, "the activations are of another number of images");
        let mut grads = Grads::default();
        grads.resize(count);
        let mut image_grad = if with_images { vec![0.0; images.len()] } else { Vec::new() };
        let image_grads = cast_slice_mut(&mut image_grad).chunks_mut(CHUNK).map(Some);
        let chunks = activations
            .views()
            .zip(logits_grad.chunks(CHUNK * classes))
            .zip(grads.chunks())
            .zip(image_grads.chain(std::iter::repeat_with(|| None)))
            .enumerate();
        for_each(chunks.collect(), |(index, (((activations, logits_grad), grads), image_grad))| {
            let inputs = BackwardInputs { images: &images[index * CHUNK * INPUT..], activations, logits_grad };
            self.backward_chunk(&weights, &inputs, grads, image_grad);
        });
        let grads = self.parameter_grads(&activations.dense, &grads, &pack_blocks(logits_grad, classes), classes);
        (grads, with_images.then_some(image_grad))
    }

    /// The cross-entropy of a mini-batch and the gradients, forward and backward in one go: a chunk of images goes through all
    /// layers and back while what it leaves is in the cache. The gradients are those of `share` times the sum of the images'
    /// losses, each by its weight: with weights of 1 and `1 / batch`, of their mean. They are the same bits as with [`Net::forward`],
    /// [`mean_with_grad`](crate::cross_entropy::mean_with_grad) and [`Net::backward`].
    ///
    /// # Shapes
    /// targets `[batch * classes]`, each row a distribution, weights `[batch]`
    ///
    /// # Panics
    /// The parameters are not as long as [`lengths`](crate::lengths) says, there are no images, or there are more or fewer
    /// targets or weights.
    pub fn loss(
        &self,
        parameters: &Parameters<&[f32]>,
        images: &(impl ImageSource + ?Sized),
        targets: &[f32],
        weights: &[f32],
        share: f32,
    ) -> Loss {
        let forward = ForwardWeights::pack(self.instruction_set, parameters);
        let backward = BackwardWeights::pack(parameters);
        let (count, classes) = (images.count(), parameters.output.bias.len());
        assert!(count > 0, "there are no images");
        assert_eq!((targets.len(), weights.len()), (count * classes, count), "each image needs a target and a weight");
        let (mut dense, mut grads) = FREE_BUFFERS.take();
        dense.resize(count);
        grads.resize(count);
        let (mut logits, mut logits_grad) = (vec![0.0; targets.len()], vec![0.0; targets.len()]);
        let mut losses = vec![0.0; count];
        let chunks = dense
            .chunks()
            .zip(grads.chunks())
            .zip(logits.chunks_mut(CHUNK * classes).zip(logits_grad.chunks_mut(CHUNK * classes)))
            .zip(losses.chunks_mut(CHUNK).zip(targets.chunks(CHUNK * classes)))
            .enumerate();
        for_each(chunks.collect(), |(index, (((dense, grads), (logits, logits_grad)), (losses, targets)))| {
            let range = index * CHUNK..index * CHUNK + losses.len();
            SCRATCH.with_borrow_mut(|Scratch { convolved, images: buffer, .. }| {
                convolved.resize(range.len());
                let images = images.read(range.clone(), &mut buffer[..]);
                let chunk = Chunk { convolved: convolved.whole(), dense };
                let activations = self.forward_chunk(&forward, as_images(images, range.len()), chunk, logits);
                rows_with_grad(logits, targets, &weights[range], share, losses, logits_grad);
                self.backward_chunk(&backward, &BackwardInputs { images, activations, logits_grad }, grads, None);
            });
        });
        let parameter_grads = self.parameter_grads(&dense, &grads, &pack_blocks(&logits_grad, classes), classes);
        FREE_BUFFERS.put_back((dense, grads));
        Loss { mean: mean(&losses, weights), logits, grads: parameter_grads }
    }

    /// The gradients of F6, C5 and the images are written, those of the convolutions summed over the chunk's images.
    fn backward_chunk(
        &self,
        w: &BackwardWeights,
        inputs: &BackwardInputs,
        grads: ChunkGrads,
        mut image_grad: Option<&mut [Image]>,
    ) {
        let BackwardInputs { images, activations, logits_grad } = inputs;
        let ChunkGrads { c5: c5_grad, f6: f6_grad, convolutions: sums } = grads;
        let ChunkView { background, s2, s2_argmax, s4, s4_argmax, c5, f6 } = *activations;
        let (set, probe) = (self.instruction_set, &self.probe);
        *sums = ConvGrads::zeroed();
        probe.stage(Stage::OutputBackward, || {
            set.run(OutputBackward { logits_grad, w, f6, f6_grad });
        });
        probe.stage(Stage::F6Backward, || set.run(F6Backward { f6_grad, w, c5, c5_grad }));
        let mut s4_grad = CacheAligned([S4Row::zeroed(); CHUNK]);
        let s4_grad = &mut s4_grad[..s4.len()];
        probe.stage(Stage::C5Backward, || set.run(C5Backward { c5_grad, w, s4, s4_grad }));
        probe.stage(Stage::C3S4Backward, || {
            let (argmax, weight_grad, bias_grad) = (s4_argmax, &mut sums.c3, &mut sums.c3_bias);
            c3_s4::ParameterGrad { s4_grad, argmax, s2, weight_grad, bias_grad }.run(set);
        });
        let (mut s2_grad, mut routed) = (CacheAligned(S2Units::zeroed()), c1_s2::RoutedUnits::SCRATCH);
        for (index, s4_grad) in s4_grad.iter().enumerate() {
            probe.stage(Stage::C3S4Backward, || {
                let (argmax, s2, weight, s2_grad) = (&s4_argmax[index], &s2[index], &w.c3, &mut *s2_grad);
                c3_s4::InputGrad { s4_grad, argmax, s2, weight, s2_grad }.run(set);
            });
            probe.stage(Stage::C1S2Backward, || {
                let pixels = &images[index * INPUT..];
                let mut padded;
                let image = if let Some(image) = pixels.first_chunk() {
                    image
                } else {
                    padded = [0.0; INPUT + KERNEL_ROW_PADDED];
                    padded[..INPUT].copy_from_slice(&pixels[..INPUT]);
                    &padded
                };
                let (background, s2_grad, argmax) = (&background[index], &*s2_grad, &s2_argmax[index]);
                let (weight_grad, bias_grad, scratch) = (&mut sums.c1, &mut sums.c1_bias, &mut routed);
                c1_s2::Backward { image, background, s2_grad, argmax, weight_grad, bias_grad, scratch }.run(set);
            });
            if let Some(image_grads) = &mut image_grad {
                c1_s2::image_grad(&s2_grad, &s2_argmax[index], w.c1, &mut image_grads[index]);
            }
        }
    }

    /// All gradients in Burn's layout.
    fn parameter_grads(
        &self,
        dense: &Dense,
        grads: &Grads,
        output_grad: &[OutputBlock],
        classes: usize,
    ) -> Parameters<Vec<f32>> {
        let (set, probe) = (self.instruction_set, &self.probe);
        let count = dense.f6.len();
        let (mut c5, mut f6) = (Vec::with_capacity(C5), Vec::with_capacity(C5 * F6));
        let mut output = Vec::with_capacity(output_grad.len() / count * F6);
        let rows = output.capacity();
        let (mut c1, mut c3) = (LayerParameters::default(), LayerParameters::default());
        let (mut c5_bias, mut f6_bias, mut output_bias) = (Vec::new(), Vec::new(), Vec::new());
        let c5_rows = c5.spare_capacity_mut()[..C5].chunks_mut(C5_GROUP).enumerate();
        let f6_rows = f6.spare_capacity_mut()[..C5 * F6].chunks_mut(F6_GROUP * F6).enumerate();
        let blocks = output.spare_capacity_mut()[..rows].chunks_mut(F6).zip(output_grad.chunks(count));
        let parts = f6_rows
            .map(|(group, out)| Part::F6(group * F6_GROUP, out))
            .chain([Part::Convolutions(&mut c1, &mut c3)])
            .chain(c5_rows.map(|(group, rows)| Part::C5(group * C5_GROUP, rows)))
            .chain(blocks.map(|(rows, grads)| Part::Output(rows, grads)))
            .chain([Part::Biases(&mut c5_bias, &mut f6_bias, &mut output_bias)]);
        for_each(parts.collect(), |part| match part {
            Part::F6(first, values) => probe.stage(Stage::F6Backward, || {
                let mut rows = [MaybeUninit::<F6Row>::uninit(); F6_GROUP];
                let (a, b) = (&*dense.c5, &*grads.f6);
                set.run(WeightGrad { out: &mut rows, first, a, b });
                for (values, row) in values.chunks_exact_mut(F6).zip(rows) {
                    // SAFETY: `WeightGrad` writes every row it is given.
                    let row = unsafe { row.assume_init() };
                    values.write_copy_of_slice(&row.as_flattened()[..F6]);
                }
            }),
            Part::Convolutions(c1, c3) => {
                let total = grads.convolutions();
                (*c1, *c3) = (total.unpack_c1(), total.unpack_c3());
            }
            Part::C5(first, out) => probe.stage(Stage::C5Backward, || {
                set.run(WeightGrad { out, first, a: &grads.c5, b: &dense.s4 });
            }),
            Part::Output(out, b) => probe.stage(Stage::OutputBackward, || {
                set.run(WeightGrad { out, first: 0, a: &dense.f6, b });
            }),
            Part::Biases(c5, f6, output) => {
                c5.extend_from_slice(&bias_grad(set, &grads.c5).as_flattened()[..C5]);
                f6.extend_from_slice(&bias_grad(set, &grads.f6).as_flattened()[..F6]);
                let blocks = output_grad.chunks_exact(count).map(|block| bias_grad(set, block)[0]);
                output.extend(blocks.flatten().take(classes));
            }
        });
        // SAFETY: `WeightGrad` writes every row it is given, each row is in one part, and a probe cannot return without running
        // the work, since it has no other `T`.
        unsafe {
            c5.set_len(C5);
            f6.set_len(C5 * F6);
            output.set_len(rows);
        }
        Parameters {
            c1,
            c3,
            c5: LayerParameters { weight: c5.into_flattened().into_flattened(), bias: c5_bias },
            f6: LayerParameters { weight: f6, bias: f6_bias },
            output: LayerParameters { weight: unpack_blocks(&output, classes), bias: output_bias },
        }
    }
}

/// The gradients of the biases of a layer, and zeros.
fn bias_grad<const B: usize>(set: InstructionSet, grads: &[Row<B>]) -> Row<B> {
    let mut out = [[0.0; LANES]; B];
    set.run(BiasGrad { out: &mut out, grads });
    out
}

/// The loss of a mini-batch, and what comes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The mean loss of an image by its weight, in nats.
    pub mean: f32,
    /// `[batch * classes]`
    pub logits: Vec<f32>,
    /// The derivatives with respect to each parameter, as [`Parameters`] says.
    pub grads: Parameters<Vec<f32>>,
}

/// A part of the parameters' gradients.
enum Part<'a> {
    /// Of F6's weights: values of rows from one on.
    F6(usize, &'a mut [MaybeUninit<f32>]),
    /// Of C1 and C3.
    Convolutions(&'a mut LayerParameters<Vec<f32>>, &'a mut LayerParameters<Vec<f32>>),
    /// Of C5's weights: rows from one on.
    C5(usize, &'a mut [MaybeUninit<S4Row>]),
    /// Of a block of the output's weights, with the gradient of its logits.
    Output(&'a mut [MaybeUninit<OutputBlock>], &'a [OutputBlock]),
    /// Of the biases of C5, F6 and the output.
    Biases(&'a mut Vec<f32>, &'a mut Vec<f32>, &'a mut Vec<f32>),
}

/// What the backward pass of a chunk reads.
struct BackwardInputs<'a> {
    /// From the chunk's first image on.
    images: &'a [f32],
    activations: ChunkView<'a>,
    /// `[images of the chunk][classes]`
    logits_grad: &'a [f32],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cross_entropy::mean_with_grad,
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
                assert_eq!(logits, net.infer(&parameters, &images[..]));
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
    fn the_loss_in_one_go_is_that_of_the_passes_one_by_one() {
        for (classes, count) in [(10, 1), (10, 64), (47, IMAGES)] {
            let parameters = parameters(classes);
            let parameters = parameters.as_ref().map(Vec::as_slice);
            let images = images(count);
            let mut targets = vec![0.02 / classes as f32; count * classes];
            targets.chunks_exact_mut(classes).enumerate().for_each(|(image, row)| row[image % classes] += 0.98);
            let net = Net::new();
            let (logits, activations) = net.forward(&parameters, &images);
            let (mean, logits_grad) = mean_with_grad(&logits, &targets, classes);
            let (grads, _) = net.backward(&parameters, &images, &activations, &logits_grad, false);
            assert_eq!(
                net.loss(&parameters, &images[..], &targets, &vec![1.0; count], 1.0 / count as f32),
                Loss { mean, logits, grads }
            );
        }
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
    fn the_strongest_units_are_those_of_all_images() {
        let parameters = parameters(10);
        let parameters = parameters.as_ref().map(Vec::as_slice);
        let images = images(20);
        let strongest = Net::new().strongest(&parameters, &images[..]);
        assert_eq!(strongest.len(), C1_MAPS + C3_MAPS + C5 + F6);
        let of_each: Vec<_> = images.chunks(INPUT).map(|image| Net::new().strongest(&parameters, image)).collect();
        for (unit, strongest) in strongest.iter().enumerate() {
            let expected = of_each.iter().map(|units| units[unit]).fold(0.0, f32::max);
            assert_eq!(strongest.to_bits(), expected.to_bits(), "{unit}");
        }
        let (_, activations) = Net::new().forward(&parameters, &images);
        let s4 = activations.dense.s4.iter().flat_map(|units| units.as_flattened()[..S4_CELLS].to_vec());
        assert_eq!(strongest[C1_MAPS].to_bits(), s4.fold(0.0, f32::max).to_bits());
    }

    #[test]
    fn an_empty_mini_batch_has_no_logits() {
        let parameters = parameters(10);
        assert_eq!(Net::new().infer(&parameters.as_ref().map(Vec::as_slice), &[][..]), []);
    }
}
