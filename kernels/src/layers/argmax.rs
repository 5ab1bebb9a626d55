//! Max-pooling and where each maximum came from, coded and decoded.
//!
//! A window has four candidates, and its argmax is the code of one of them, 0 to 3. The codes of a row of windows are kept
//! as one value for each map: digits in base four, the first window's last. A row of S4 has five windows, and a row of S2
//! twice seven, of which windows in even and in odd columns make a value each; an `f32` holds twelve such digits exactly.

use macerator::Simd;

use crate::{
    shapes::{INPUT_SIDE, S2_PADDED_MAPS, S2_ROW_STRIDE, S2Argmax, S4_SIDE, S4Argmax},
    simd::{F32x16, LANES, unroll},
};

/// Codes of the candidates: upper left, upper right, lower left, lower right.
const CODES: [f32; 4] = [0.0, 1.0, 2.0, 3.0];

/// The maximum of four candidates after ReLU, and the code of the one that it is: of equals the first.
#[inline(always)]
pub fn relu_max_pool<S: Simd, const N: usize>(candidates: [F32x16<S, N>; 4]) -> (F32x16<S, N>, F32x16<S, N>) {
    let mut max = (candidates[0], F32x16::splat(CODES[0]));
    unroll!(i < 3, {
        max = max.0.max_with_index(max.1, candidates[i + 1], F32x16::splat(CODES[i + 1]));
    });
    // The largest of four stays the largest when all negative ones become zero.
    (max.0.relu(), max.1)
}

/// A row of argmax codes with one more: that of the row's window `digit`.
#[inline(always)]
pub fn push_code<S: Simd, const N: usize>(row: F32x16<S, N>, code: F32x16<S, N>, digit: usize) -> F32x16<S, N> {
    code.mul_add(F32x16::splat((1_u32 << (2 * digit)) as f32), row)
}

/// Of a row of S2's windows in one map: the offsets in an image of the receptive fields of the units of C1 that the units took
/// their values from. What follows the fourteenth is meaningless.
///
/// They are at most 27 rows and 27 columns.
#[inline(always)]
pub fn s2_offsets(codes: &S2Argmax, y: usize, map: usize) -> [u32; LANES] {
    let rows = [digits(codes[y][map]), digits(codes[y][S2_PADDED_MAPS + map])];
    let mut offsets = [0; LANES];
    #[expect(clippy::cast_possible_truncation, reason = "below 1024")]
    for x in 0..LANES {
        let code = rows[x % 2] >> (2 * (x / 2)) & 3;
        offsets[x] = ((2 * y + code as usize / 2) * INPUT_SIDE + 2 * x + code as usize % 2) as u32;
    }
    offsets
}

/// The codes of the sixteen units at a position of S4, which count row by row: which candidates they took their values from.
#[inline(always)]
pub fn s4_codes(codes: &S4Argmax, cell: usize) -> [u32; LANES] {
    let mut of_cell = [0; LANES];
    for map in 0..LANES {
        of_cell[map] = digits(codes[cell / S4_SIDE][map]) >> (2 * (cell % S4_SIDE)) & 3;
    }
    of_cell
}

/// The offset in S2 of the receptive field of a candidate of a window of S4, by its code.
///
/// It is at most 9 rows and 9 columns.
#[inline(always)]
pub fn s4_offset(cell: usize, code: u32) -> usize {
    let (y, x, code) = (cell / S4_SIDE, cell % S4_SIDE, code as usize);
    (2 * y + code / 2) * S2_ROW_STRIDE + (2 * x + code % 2) * S2_PADDED_MAPS
}

/// The digits of a row of codes, as a whole number.
#[inline(always)]
fn digits(row: f32) -> u32 {
    debug_assert!((0.0..16_777_216.0).contains(&row));
    // SAFETY: codes come only from zeroed memory or `push_code`: `Activations` is private, each digit is 0 to 3, and a row has at
    // most seven, so the value is a whole number below 2^24.
    unsafe { row.to_int_unchecked() }
}

/// The offset in an image of the receptive field of the unit of C1 that a unit of S2 took its value from. `cell` counts S2's
/// positions row by row.
#[cfg(test)]
pub fn s2_argmax(codes: &S2Argmax, cell: usize, map: usize) -> usize {
    use crate::shapes::S2_SIDE;

    s2_offsets(codes, cell / S2_SIDE, map)[cell % S2_SIDE] as usize
}

/// The offset in S2 of the receptive field of the unit of C3 that a unit of S4 took its value from.
#[cfg(test)]
pub fn s4_argmax(codes: &S4Argmax, cell: usize, map: usize) -> usize {
    s4_offset(cell, s4_codes(codes, cell)[map])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        shapes::S2_SIDE,
        simd::{InstructionSet, Kernel},
    };

    /// Codes rows of windows whose argmax is `argmax(column, lane)`.
    struct Encode<'a> {
        digits: usize,
        argmax: &'a dyn Fn(usize, usize) -> usize,
        row: &'a mut [f32; LANES],
    }

    impl Kernel for Encode<'_> {
        #[inline(always)]
        fn run<S: Simd, const N: usize>(self) {
            let mut row = F32x16::<S, N>::splat(0.0);
            for digit in 0..self.digits {
                let mut candidates = [[-2.0; LANES]; 4];
                for lane in 0..LANES {
                    candidates[(self.argmax)(digit, lane)][lane] = 0.5 + lane as f32;
                }
                let (max, code) = relu_max_pool::<S, N>(candidates.each_ref().map(F32x16::load));
                let mut values = [0.0; LANES];
                max.store(&mut values);
                assert_eq!(values.map(f32::to_bits), std::array::from_fn(|lane| (0.5 + lane as f32).to_bits()));
                row = push_code(row, code, digit);
            }
            row.store(self.row);
        }
    }

    #[test]
    fn what_is_coded_is_decoded() {
        let argmax = |digit: usize, lane: usize| (digit * 7 + lane * 3 + digit * lane) % 4;
        for set in InstructionSet::available() {
            let (mut s2, mut s4) = ([[0.0; LANES]; S2_SIDE], [[0.0; LANES]; S4_SIDE]);
            for row in &mut s2 {
                set.run(Encode { digits: S2_SIDE / 2, argmax: &argmax, row });
            }
            for row in &mut s4 {
                set.run(Encode { digits: S4_SIDE, argmax: &argmax, row });
            }
            for (y, x) in (0..S2_SIDE).flat_map(|y| (0..S2_SIDE).map(move |x| (y, x))) {
                for map in 0..S2_PADDED_MAPS {
                    let code = argmax(x / 2, x % 2 * S2_PADDED_MAPS + map);
                    let expected = (2 * y + code / 2) * INPUT_SIDE + 2 * x + code % 2;
                    assert_eq!(s2_argmax(&s2, y * S2_SIDE + x, map), expected);
                }
            }
            for (y, x) in (0..S4_SIDE).flat_map(|y| (0..S4_SIDE).map(move |x| (y, x))) {
                for map in 0..LANES {
                    let code = argmax(x, map);
                    let expected = ((2 * y + code / 2) * S2_SIDE + 2 * x + code % 2) * S2_PADDED_MAPS;
                    assert_eq!(s4_argmax(&s4, y * S4_SIDE + x, map), expected);
                }
            }
        }
    }
}
