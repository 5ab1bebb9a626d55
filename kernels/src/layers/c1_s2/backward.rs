//! C1 backward: first the units with a gradient are listed, map by map, then their receptive fields are added up.

use macerator::Simd;

use crate::{
    layers::{BackgroundMask, argmax::s2_offsets},
    shapes::{
        C1_MAPS, C1Grad, INPUT, INPUT_SIDE, KERNEL, KERNEL_ROW_PADDED, S2_PADDED_MAPS, S2_SIDE, S2Argmax, S2Units,
    },
    simd::{F32x8, F32x16, InstructionSet, Kernel, LANES, NonzeroList, unroll},
};

/// The backward pass over one image: adds to the gradients of weights and biases.
pub struct Backward<'a> {
    /// The image and eight more values, read but ignored: the last row of the last window ends beyond the image.
    pub image: &'a [f32; INPUT + KERNEL_ROW_PADDED],
    pub background: &'a BackgroundMask,
    /// Zero where a unit of S2 is zero.
    pub s2_grad: &'a S2Units,
    pub argmax: &'a S2Argmax,
    pub weight_grad: &'a mut C1Grad,
    pub bias_grad: &'a mut [f32; C1_MAPS],
    pub scratch: &'a mut RoutedUnits,
}

impl Backward<'_> {
    /// Runs it with an instruction set.
    pub fn run(self, set: InstructionSet) {
        let Self { image, background, s2_grad, argmax, weight_grad, bias_grad, scratch } = self;
        set.run(Route { background, s2_grad, argmax, routed: scratch });
        set.run(AddUp { image, shade: background.shade, routed: scratch, weight_grad, bias_grad });
    }
}

/// Where the gradients of an image's units go.
pub struct RoutedUnits {
    /// Of each map: the units over foreground that have a gradient, each with the offset in the image of the receptive field that
    /// it goes to, doubled.
    units: [NonzeroList<{ (S2_SIDE + 1) * LANES }>; C1_MAPS],
    /// Of each map: the sum of the gradients over background, where all pixels are alike.
    background: [f32; C1_MAPS],
}

impl RoutedUnits {
    /// Scratch space; its content does not matter.
    pub const SCRATCH: Self = Self { units: [const { NonzeroList::new() }; C1_MAPS], background: [0.0; C1_MAPS] };
}

/// Lists the units.
struct Route<'a> {
    background: &'a BackgroundMask,
    s2_grad: &'a S2Units,
    argmax: &'a S2Argmax,
    routed: &'a mut RoutedUnits,
}

impl Kernel for Route<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let Self { background, s2_grad, argmax, routed } = self;
        routed.units.iter_mut().for_each(NonzeroList::clear);
        // The sums over background: of whole rows, two positions at a time, and of single positions, map by map.
        let mut of_rows = F32x16::<S, N>::splat(0.0);
        let mut of_positions = [F32x16::<S, N>::splat(0.0); C1_MAPS];
        for y in 0..S2_SIDE {
            let (foreground, grads) = (background.foreground[y], &s2_grad[y]);
            if foreground.is_empty() {
                for pair in grads.as_flattened().as_chunks().0 {
                    of_rows = of_rows.add(F32x16::load(pair));
                }
                continue;
            }
            // A row of each map, and zeros.
            let mut rows = [[0.0; LANES]; C1_MAPS];
            for x in 0..S2_SIDE {
                for map in 0..C1_MAPS {
                    rows[map][x] = grads[x][map];
                }
            }
            let is_background = foreground.others();
            let mut factors = [0.0; LANES];
            for x in 0..LANES {
                factors[x] = is_background[x] as f32;
            }
            let factors = F32x16::load(&factors);
            for map in 0..C1_MAPS {
                let mut tags = s2_offsets(argmax, y, map);
                for x in 0..LANES {
                    tags[x] = 2 * tags[x] + is_background[x];
                }
                routed.units[map].push::<S>(&rows[map], &tags, 0);
                of_positions[map] = F32x16::load(&rows[map]).mul_add(factors, of_positions[map]);
            }
        }
        let two_positions = of_rows.to_array();
        for map in 0..C1_MAPS {
            routed.units[map].make_even();
            let of_rows = two_positions[map] + two_positions[S2_PADDED_MAPS + map];
            routed.background[map] = of_positions[map].sum() + of_rows;
        }
    }
}

/// Adds up the receptive fields.
struct AddUp<'a> {
    image: &'a [f32; INPUT + KERNEL_ROW_PADDED],
    /// Of the background.
    shade: f32,
    routed: &'a RoutedUnits,
    weight_grad: &'a mut C1Grad,
    bias_grad: &'a mut [f32; C1_MAPS],
}

impl Kernel for AddUp<'_> {
    /// A row of a kernel is five values: wider vectors would not help.
    const MAX_LANES: usize = KERNEL_ROW_PADDED;

    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        /// Two independent chains of additions hide the latency.
        const CHAINS: usize = 2;
        let Self { image, shade, routed, weight_grad, bias_grad } = self;
        for map in 0..C1_MAPS {
            let background = routed.background[map];
            let mut sums = [[F32x8::<S, N>::splat(0.0); KERNEL]; CHAINS];
            if background != 0.0 {
                sums[0] = [F32x8::splat(background * shade); KERNEL];
            }
            let mut bias = background;
            for pair in routed.units[map].pairs() {
                unroll!(chain < CHAINS, {
                    let (grad, tag) = pair[chain];
                    bias += grad;
                    let grad = F32x8::splat(grad);
                    unroll!(row < KERNEL, {
                        // SAFETY: a receptive field begins in row and column 27 at most, so its last row ends at
                        // (27 + 4) * 32 + 27 + 8 < INPUT + KERNEL_ROW_PADDED.
                        let pixels = unsafe {
                            let start = (tag / 2) as usize + row * INPUT_SIDE;
                            debug_assert!(start + KERNEL_ROW_PADDED <= image.len());
                            F32x8::load_from(image.as_ptr().add(start))
                        };
                        sums[chain][row] = grad.mul_add(pixels, sums[chain][row]);
                    });
                });
            }
            bias_grad[map] += bias;
            unroll!(row < KERNEL, {
                let sum = &mut weight_grad[map][row];
                F32x8::load(sum).add(sums[0][row].add(sums[1][row])).store(sum);
            });
        }
    }
}
