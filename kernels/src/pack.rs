//! Parameters from the layout of Burn and PyTorch to that of the kernels, and gradients back.
//!
//! The layouts are those of the table in [`shapes`](crate::shapes).

use std::ops::Range;

use bytemuck::{Zeroable, cast_slice, zeroed_box};
use macerator::Simd;

use crate::{
    parameters::{LayerParameters, Parameters},
    shapes::{
        C1_MAPS, C1Grad, C1Weights, C3_MAPS, C3BackwardWeights, C3ForwardWeights, C3Grad, C5Row, F6, F6Row, KERNEL,
        KERNEL_ROW_PADDED, OutputBlock, PRODUCTS, S2_PADDED_MAPS, S4Row, TAPS,
    },
    simd::{AlignedVec, CacheAligned, F32x16, InstructionSet, Kernel, LANES, Row},
    winograd::transform_filter,
};

/// C1's parameters for the forward pass: six maps and two zeros, twice.
pub struct C1Packed {
    /// As they meet a row of pixels: those of the upper of two units, then those of the lower one.
    pub weight: CacheAligned<C1Weights>,
    /// The sum of each kernel's weights.
    pub sums: CacheAligned<[f32; LANES]>,
    pub bias: CacheAligned<[f32; LANES]>,
}

/// C3's parameters for the forward pass.
pub struct C3Packed<'a> {
    pub weight: CacheAligned<C3ForwardWeights>,
    /// `[6][16]`: the sum of each kernel's 25 weights over one map.
    pub sums: CacheAligned<[[f32; LANES]; C1_MAPS]>,
    pub bias: &'a [f32; C3_MAPS],
}

/// The parameters as the forward kernels read them.
pub struct ForwardWeights<'a> {
    pub c1: C1Packed,
    pub c3: C3Packed<'a>,
    pub c5: &'a [S4Row],
    pub c5_bias: &'a [f32],
    pub f6: AlignedVec<F6Row>,
    pub f6_bias: &'a [f32],
    pub output: AlignedVec<OutputBlock>,
    /// `[classes]`
    pub output_bias: &'a [f32],
}

impl<'a> ForwardWeights<'a> {
    /// # Panics
    /// The parameters are not as long as [`lengths`](crate::lengths) says.
    pub fn pack(set: InstructionSet, parameters: &Parameters<&'a [f32]>) -> Self {
        let classes = parameters.classes();
        let Parameters { c1, c3, c5, f6, output } = *parameters;
        Self {
            c1: C1Packed::pack(c1),
            c3: C3Packed::pack(set, c3),
            c5: cast_slice(c5.weight),
            c5_bias: c5.bias,
            f6: pad_rows(f6.weight, F6),
            f6_bias: f6.bias,
            output: pack_blocks(output.weight, classes),
            output_bias: output.bias,
        }
    }
}

impl C1Packed {
    fn pack(c1: LayerParameters<&[f32]>) -> Self {
        let mut weight = CacheAligned(C1Weights::zeroed());
        let (mut sums, mut bias) = (CacheAligned([0.0; LANES]), CacheAligned([0.0; LANES]));
        for map in 0..C1_MAPS {
            for lower in 0..2 {
                let lane = lower * S2_PADDED_MAPS + map;
                bias[lane] = c1.bias[map];
                for tap in 0..TAPS {
                    let w = c1.weight[map * TAPS + tap];
                    weight[tap / KERNEL + lower][tap % KERNEL][lane] = w;
                    sums[lane] += w;
                }
            }
        }
        Self { weight, sums, bias }
    }
}

impl<'a> C3Packed<'a> {
    fn pack(set: InstructionSet, c3: LayerParameters<&'a [f32]>) -> Self {
        let mut packed = Self {
            weight: CacheAligned(C3ForwardWeights::zeroed()),
            sums: CacheAligned([[0.0; LANES]; C1_MAPS]),
            // `ForwardWeights::pack` has checked its length.
            bias: c3.bias.first_chunk().unwrap_or(&[0.0; C3_MAPS]),
        };
        set.run(PackC3 { kernels: c3.weight.as_chunks().0, weight: &mut packed.weight, sums: &mut packed.sums });
        packed
    }
}

/// C3's weights for the forward pass, and their sums.
struct PackC3<'a> {
    /// `[16][6][5][5]`
    kernels: &'a [[f32; C1_MAPS * TAPS]],
    weight: &'a mut C3ForwardWeights,
    sums: &'a mut [[f32; LANES]; C1_MAPS],
}

impl Kernel for PackC3<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self) {
        let Self { kernels, weight, sums } = self;
        for (input, sums) in sums.iter_mut().enumerate() {
            let mut sum = F32x16::<S, N>::splat(0.0);
            for column in 0..KERNEL {
                let mut filters = [sum; KERNEL];
                for row in 0..KERNEL {
                    let mut maps = [0.0; LANES];
                    for (weight, kernels) in maps.iter_mut().zip(kernels) {
                        *weight = kernels[input * TAPS + row * KERNEL + column];
                    }
                    filters[row] = F32x16::load(&maps);
                    sum = sum.add(filters[row]);
                }
                let products = transform_filter(filters);
                for product in 0..PRODUCTS {
                    products[product].store(&mut weight[product][input][column]);
                }
            }
            sum.store(sums);
        }
    }
}

/// The parameters as the backward kernels read them.
pub struct BackwardWeights<'a> {
    /// `[6, 1, 5, 5]`
    pub c1: &'a [f32],
    pub c3: Box<CacheAligned<C3BackwardWeights>>,
    pub c5: &'a [S4Row],
    /// Transposed: `[84][120]` and zeros.
    pub f6: AlignedVec<C5Row>,
    /// Transposed: `[classes][84]` and zeros.
    pub output: AlignedVec<F6Row>,
}

impl<'a> BackwardWeights<'a> {
    /// # Panics
    /// The parameters are not as long as [`lengths`](crate::lengths) says.
    pub fn pack(parameters: &Parameters<&'a [f32]>) -> Self {
        let classes = parameters.classes();
        let Parameters { c1, c3, c5, f6, output } = *parameters;
        Self {
            c1: c1.weight,
            c3: c3_taps(c3.weight),
            c5: cast_slice(c5.weight),
            f6: transpose(f6.weight, F6),
            output: transpose(output.weight, classes),
        }
    }
}

/// The gradients that the kernels sum over all positions of all images.
#[derive(Zeroable)]
pub struct ConvGrads {
    pub c1: C1Grad,
    pub c1_bias: [f32; C1_MAPS],
    pub c3: C3Grad,
    pub c3_bias: [f32; C3_MAPS],
}

impl ConvGrads {
    /// Adds another chunk's gradients.
    pub fn add(&mut self, other: &Self) {
        let add = |sums: &mut [f32], values: &[f32]| sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
        add(self.c1.as_flattened_mut().as_flattened_mut(), other.c1.as_flattened().as_flattened());
        add(&mut self.c1_bias, &other.c1_bias);
        let c3 = self.c3.as_flattened_mut().as_flattened_mut().as_flattened_mut();
        add(c3, other.c3.as_flattened().as_flattened().as_flattened());
        add(&mut self.c3_bias, &other.c3_bias);
    }

    /// C1's gradients: `[6, 1, 5, 5]` and `[6]`.
    pub fn unpack_c1(&self) -> LayerParameters<Vec<f32>> {
        let rows = self.c1.as_flattened().iter().map(|row: &[f32; KERNEL_ROW_PADDED]| &row[..KERNEL]);
        LayerParameters { weight: rows.flatten().copied().collect(), bias: self.c1_bias.to_vec() }
    }

    /// C3's gradients: `[16, 6, 5, 5]` and `[16]`.
    pub fn unpack_c3(&self) -> LayerParameters<Vec<f32>> {
        let mut weight = Vec::with_capacity(C3_MAPS * C1_MAPS * TAPS);
        for output in &self.c3 {
            for input in 0..C1_MAPS {
                weight.extend(output.as_flattened().iter().map(|tap: &[f32; S2_PADDED_MAPS]| tap[input]));
            }
        }
        LayerParameters { weight, bias: self.c3_bias.to_vec() }
    }
}

/// C3's weights as they meet S2.
fn c3_taps(weight: &[f32]) -> Box<CacheAligned<C3BackwardWeights>> {
    let mut packed = zeroed_box::<CacheAligned<C3BackwardWeights>>();
    for ([before, after], kernels) in packed.kernels.iter_mut().zip(weight.as_chunks::<{ C1_MAPS * TAPS }>().0) {
        for (row, column) in (0..KERNEL).flat_map(|row| (0..KERNEL).map(move |column| (row, column))) {
            let mut inputs = [0.0; S2_PADDED_MAPS];
            for input in 0..C1_MAPS {
                inputs[input] = kernels[input * TAPS + row * KERNEL + column];
            }
            before[row][column] = inputs;
            after[row][column + 1] = inputs;
        }
    }
    packed
}

/// Rows of `columns` values, padded with zeros.
pub fn pad_rows<const B: usize>(values: &[f32], columns: usize) -> AlignedVec<Row<B>>
where
    Row<B>: Zeroable,
{
    let mut rows = AlignedVec::<Row<B>>::zeros(values.len() / columns);
    for (row, values) in rows.iter_mut().zip(values.chunks_exact(columns)) {
        row.as_flattened_mut()[..columns].copy_from_slice(values);
    }
    rows
}

/// The columns of a matrix as rows, padded with zeros.
fn transpose<const B: usize>(values: &[f32], columns: usize) -> AlignedVec<Row<B>>
where
    Row<B>: Zeroable,
{
    let mut transposed = AlignedVec::<Row<B>>::zeros(columns);
    for (block, rows) in values.chunks(LANES * columns).enumerate() {
        for (c, column) in transposed.iter_mut().enumerate() {
            let values = rows[c..].iter().step_by(columns);
            column[block].iter_mut().zip(values).for_each(|(to, value)| *to = *value);
        }
    }
    transposed
}

/// Rows of a value for each class, cut into blocks of sixteen classes: `[rows][classes]` to `[blocks][rows][16]`.
pub fn pack_blocks(values: &[f32], classes: usize) -> AlignedVec<OutputBlock> {
    let rows = values.len() / classes;
    let mut packed = AlignedVec::<OutputBlock>::zeros(classes.div_ceil(LANES) * rows);
    for (block, packed) in packed.chunks_exact_mut(rows.max(1)).enumerate() {
        let columns = block_columns(block, classes);
        for (packed, values) in packed.iter_mut().zip(values.chunks_exact(classes)) {
            packed[0][..columns.len()].copy_from_slice(&values[columns.clone()]);
        }
    }
    packed
}

/// The reverse of [`pack_blocks`].
pub fn unpack_blocks(packed: &[OutputBlock], classes: usize) -> Vec<f32> {
    let rows = packed.len() / classes.div_ceil(LANES);
    let mut values = vec![0.0; rows * classes];
    for (block, packed) in packed.chunks_exact(rows.max(1)).enumerate() {
        let columns = block_columns(block, classes);
        for (packed, values) in packed.iter().zip(values.chunks_exact_mut(classes)) {
            values[columns.clone()].copy_from_slice(&packed[0][..columns.len()]);
        }
    }
    values
}

/// The classes in a block.
#[inline(always)]
pub fn block_columns(block: usize, classes: usize) -> Range<usize> {
    block * LANES..((block + 1) * LANES).min(classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lengths;

    /// Values that identify their positions.
    fn numbered(length: usize) -> Vec<f32> {
        (0..length).map(|index| index as f32 + 1.0).collect()
    }

    #[test]
    fn each_weight_of_c1_and_c3_is_where_the_kernels_look_for_it() {
        let parameters = lengths(10).map(numbered);
        let forward = ForwardWeights::pack(InstructionSet::detect(), &parameters.as_ref().map(Vec::as_slice));
        let backward = BackwardWeights::pack(&parameters.as_ref().map(Vec::as_slice));
        for (row, column) in (0..KERNEL).flat_map(|row| (0..KERNEL).map(move |column| (row, column))) {
            let tap = row * KERNEL + column;
            for output in 0..C1_MAPS {
                let expected = parameters.c1.weight[output * TAPS + tap].to_bits();
                let (upper, lower) = (&forward.c1.weight[row][column], &forward.c1.weight[row + 1][column]);
                assert_eq!([upper[output], lower[8 + output]].map(f32::to_bits), [expected; 2]);
                assert_eq!([upper[6], upper[7], lower[14], lower[15]].map(f32::to_bits), [0; 4]);
                let (first, last) = (&forward.c1.weight[0][column][8..], &forward.c1.weight[KERNEL][column][..8]);
                assert!(first.iter().chain(last).all(|weight| weight.to_bits() == 0));
            }
            for (output, input) in (0..C3_MAPS).flat_map(|o| (0..C1_MAPS).map(move |i| (o, i))) {
                // The product at infinity is with the last row.
                let last = parameters.c3.weight[(output * C1_MAPS + input) * TAPS + (KERNEL - 1) * KERNEL + column];
                assert_eq!(forward.c3.weight[PRODUCTS - 1][input][column][output].to_bits(), last.to_bits());
                let expected = parameters.c3.weight[(output * C1_MAPS + input) * TAPS + tap].to_bits();
                let [before, after] =
                    backward.c3.kernels[output].map(|kernel| kernel[row].map(|tap| tap[input].to_bits()));
                assert_eq!((before[column], before[KERNEL], after[0], after[1 + column]), (expected, 0, 0, expected));
            }
        }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let [c1, c3] = [lengths(10).c1.weight, lengths(10).c3.weight].map(numbered);
        let mut grads = ConvGrads::zeroed();
        for (row, values) in grads.c1.as_flattened_mut().iter_mut().zip(c1.chunks(KERNEL)) {
            row[..KERNEL].copy_from_slice(values);
        }
        for (grads, [kernel, _]) in grads.c3.iter_mut().zip(&c3_taps(&c3).kernels) {
            grads.iter_mut().zip(kernel).for_each(|(grads, row)| grads.copy_from_slice(&row[..KERNEL]));
        }
        assert_eq!((grads.unpack_c1().weight, grads.unpack_c3().weight), (c1, c3));
        let rows = numbered(3 * F6);
        let padded: Vec<&[f32]> = rows.chunks(F6).collect();
        assert!(pad_rows::<6>(&rows, F6).iter().zip(padded).all(|(row, values)| &row.as_flattened()[..F6] == values));
        for (column, transposed) in transpose::<1>(&rows, F6).iter().enumerate() {
            let expected = [rows[column], rows[F6 + column], rows[2 * F6 + column], 0.0];
            assert_eq!(transposed[0][..4], expected);
        }
        for classes in [2, 10, 16, 17, 62, 256] {
            let rows = numbered(5 * classes);
            let packed = pack_blocks(&rows, classes);
            assert_eq!(packed.len(), 5 * classes.div_ceil(LANES));
            // The last class of the second row.
            let (block, lane) = ((classes - 1) / LANES, (classes - 1) % LANES);
            assert_eq!(packed[block * 5 + 1][0][lane].to_bits(), rows[2 * classes - 1].to_bits());
            assert_eq!(unpack_blocks(&packed, classes), rows);
        }
    }
}
