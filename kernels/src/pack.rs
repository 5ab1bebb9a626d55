//! Parameters from the layout of Burn and PyTorch to that of the kernels, and gradients back.
//!
//! The layouts are those of the table in [`shapes`](crate::shapes).

use std::{borrow::Cow, ops::Range};

use bytemuck::{Zeroable, cast_slice};

use crate::{
    parameters::{LayerParameters, Parameters},
    shapes::{
        C1_MAPS, C1Grad, C1Weights, C3_MAPS, C3BackwardWeights, C3ForwardWeights, F6, F6Row, KERNEL, KERNEL_ROW_PADDED,
        OutputBlock, S2_PADDED_MAPS, S4Row, TAPS,
    },
    simd::{AlignedVec, CacheAligned, LANES, Row},
};

/// C1's parameters for the forward pass: six maps and two zeros, twice.
pub struct C1Packed {
    pub weight: CacheAligned<C1Weights>,
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
    pub fn pack(parameters: &Parameters<&'a [f32]>) -> Self {
        let classes = parameters.classes();
        let Parameters { c1, c3, c5, f6, output } = *parameters;
        Self {
            c1: C1Packed::pack(c1),
            c3: C3Packed::pack(c3),
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
        let (mut weight, mut bias) = (CacheAligned(C1Weights::zeroed()), CacheAligned([0.0; LANES]));
        for map in 0..C1_MAPS {
            for lane in [map, LANES / 2 + map] {
                bias[lane] = c1.bias[map];
                for tap in 0..TAPS {
                    weight[tap / KERNEL][tap % KERNEL][lane] = c1.weight[map * TAPS + tap];
                }
            }
        }
        Self { weight, bias }
    }
}

impl<'a> C3Packed<'a> {
    fn pack(c3: LayerParameters<&'a [f32]>) -> Self {
        let mut weight = CacheAligned(C3ForwardWeights::zeroed());
        let taps = weight.as_flattened_mut();
        for (output, kernels) in c3.weight.chunks_exact(C1_MAPS * TAPS).enumerate() {
            for (input, kernel) in kernels.chunks_exact(TAPS).enumerate() {
                for (tap, w) in taps.iter_mut().zip(kernel) {
                    tap[input][output] = *w;
                }
            }
        }
        let mut sums = CacheAligned([[0.0; LANES]; C1_MAPS]);
        for tap in weight.as_flattened() {
            for (sums, weights) in sums.iter_mut().zip(tap) {
                sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += w);
            }
        }
        // `ForwardWeights::pack` has checked its length.
        Self { weight, sums, bias: c3.bias.first_chunk().unwrap_or(&[0.0; C3_MAPS]) }
    }
}

/// The parameters as the backward kernels read them.
pub struct BackwardWeights<'a> {
    /// `[6, 1, 5, 5]`
    pub c1: &'a [f32],
    pub c3: CacheAligned<C3BackwardWeights>,
    pub c5: &'a [S4Row],
    pub f6: Cow<'a, AlignedVec<F6Row>>,
    pub output: Cow<'a, AlignedVec<OutputBlock>>,
}

impl<'a> BackwardWeights<'a> {
    /// # Panics
    /// The parameters are not as long as [`lengths`](crate::lengths) says.
    pub fn pack(parameters: &Parameters<&'a [f32]>) -> Self {
        let classes = parameters.classes();
        let Parameters { f6, output, .. } = *parameters;
        let (f6, output) = (pad_rows(f6.weight, F6), pack_blocks(output.weight, classes));
        Self::of(parameters, Cow::Owned(f6), Cow::Owned(output))
    }

    /// The same of parameters that are packed for the forward pass.
    pub fn beside(forward: &'a ForwardWeights, parameters: &Parameters<&'a [f32]>) -> Self {
        Self::of(parameters, Cow::Borrowed(&forward.f6), Cow::Borrowed(&forward.output))
    }

    fn of(
        parameters: &Parameters<&'a [f32]>,
        f6: Cow<'a, AlignedVec<F6Row>>,
        output: Cow<'a, AlignedVec<OutputBlock>>,
    ) -> Self {
        let Parameters { c1, c3, c5, .. } = *parameters;
        Self { c1: c1.weight, c3: CacheAligned(c3_taps(c3.weight)), c5: cast_slice(c5.weight), f6, output }
    }
}

/// The gradients that the kernels sum over all positions of all images.
#[derive(Zeroable)]
pub struct ConvGrads {
    pub c1: C1Grad,
    pub c1_bias: [f32; C1_MAPS],
    pub c3: C3BackwardWeights,
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

/// C3's weights as they meet S2: `[16, 6, 5, 5]` to `[16][5][5][8]`.
fn c3_taps(weight: &[f32]) -> C3BackwardWeights {
    let mut packed = C3BackwardWeights::zeroed();
    for (taps, kernels) in packed.iter_mut().zip(weight.chunks_exact(C1_MAPS * TAPS)) {
        for (input, kernel) in kernels.chunks_exact(TAPS).enumerate() {
            for (tap, w) in taps.as_flattened_mut().iter_mut().zip(kernel) {
                tap[input] = *w;
            }
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

/// The first columns of rows.
pub fn unpad_rows<const B: usize>(rows: &[Row<B>], columns: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(rows.len() * columns);
    for row in rows {
        values.extend_from_slice(&row.as_flattened()[..columns]);
    }
    values
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
        let forward = ForwardWeights::pack(&parameters.as_ref().map(Vec::as_slice));
        let backward = BackwardWeights::pack(&parameters.as_ref().map(Vec::as_slice));
        for (row, column) in (0..KERNEL).flat_map(|row| (0..KERNEL).map(move |column| (row, column))) {
            let tap = row * KERNEL + column;
            for output in 0..C1_MAPS {
                let expected = parameters.c1.weight[output * TAPS + tap].to_bits();
                let lanes = &forward.c1.weight[row][column];
                assert_eq!([lanes[output], lanes[8 + output]].map(f32::to_bits), [expected; 2]);
                assert_eq!([lanes[6], lanes[7], lanes[14], lanes[15]].map(f32::to_bits), [0; 4]);
            }
            for (output, input) in (0..C3_MAPS).flat_map(|o| (0..C1_MAPS).map(move |i| (o, i))) {
                let expected = parameters.c3.weight[(output * C1_MAPS + input) * TAPS + tap].to_bits();
                assert_eq!(forward.c3.weight[row][column][input][output].to_bits(), expected);
                assert_eq!(backward.c3[output][row][column][input].to_bits(), expected);
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
        grads.c3 = c3_taps(&c3);
        assert_eq!((grads.unpack_c1().weight, grads.unpack_c3().weight), (c1, c3));
        let rows = numbered(3 * F6);
        assert_eq!(unpad_rows(&pad_rows::<6>(&rows, F6), F6), rows);
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
