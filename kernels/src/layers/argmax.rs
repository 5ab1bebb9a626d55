//! Max-pooling and where each maximum came from, coded and decoded.
//!
//! A window has four candidates, and its argmax is the code of one of them, 0 to 3. The codes of a row of windows are kept
//! as one value for each map: digits in base four, the first window's last. A row of S4 has five windows, and a row of S2
//! twice seven, of which windows in even and in odd columns make a value each; an `f32` holds twelve such digits exactly.

use macerator::Simd;

use crate::{
    shapes::{INPUT_SIDE, S2_PADDED_MAPS, S2_ROW_STRIDE, S2_SIDE, S4_CELLS, S4_SIDE},
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

/// A unit's gradient, and the offset in its layer's input of the receptive field that it goes to.
#[derive(Clone, Copy, Default)]
pub struct RoutedGrad {
    pub grad: f32,
    pub offset: u32,
}

impl RoutedGrad {
    #[inline(always)]
    pub fn new(grad: f32, offset: usize) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "below 2048")]
        let offset = offset as u32;
        Self { grad, offset }
    }
}

/// A pooling window: where it is in what is pooled, and where its codes are.
#[derive(Clone, Copy)]
pub struct Window {
    /// The offset of the first candidate's receptive field.
    offset: u32,
    /// The first map's position among the codes.
    row: u32,
    /// Bits below the window's digit.
    shift: u32,
}

/// How windows lie in what is pooled: the distance of two rows and of two columns of candidates, and how many windows of a
/// row share a block of codes.
struct Geometry {
    row: usize,
    column: usize,
    in_block: usize,
}

/// S2's windows in the image.
const S2_IN_IMAGE: Geometry = Geometry { row: INPUT_SIDE, column: 1, in_block: LANES / S2_PADDED_MAPS };
/// S4's windows in S2.
const S4_IN_S2: Geometry = Geometry { row: S2_ROW_STRIDE, column: S2_PADDED_MAPS, in_block: 1 };

/// S2's windows, row by row.
pub static S2_WINDOWS: [Window; S2_SIDE * S2_SIDE] = S2_IN_IMAGE.windows(S2_SIDE);
/// S4's windows, row by row.
pub static S4_WINDOWS: [Window; S4_CELLS] = S4_IN_S2.windows(S4_SIDE);

impl Geometry {
    #[expect(clippy::cast_possible_truncation, reason = "all below 2048")]
    const fn windows<const CELLS: usize>(&self, side: usize) -> [Window; CELLS] {
        let mut windows = [Window { offset: 0, row: 0, shift: 0 }; CELLS];
        let mut cell = 0;
        while cell < CELLS {
            let (y, x) = (cell / side, cell % side);
            windows[cell] = Window {
                offset: 2 * (y * self.row + x * self.column) as u32,
                row: (y * LANES + x % self.in_block * (LANES / self.in_block)) as u32,
                shift: 2 * (x / self.in_block) as u32,
            };
            cell += 1;
        }
        windows
    }

    /// The offset of a candidate's receptive field from the first one's.
    #[inline(always)]
    fn candidate(&self, code: usize) -> usize {
        code / 2 * self.row + code % 2 * self.column
    }
}

impl Window {
    #[inline(always)]
    fn code<const ROWS: usize>(self, codes: &[[f32; LANES]; ROWS], map: usize) -> usize {
        let row = codes.as_flattened()[self.row as usize + map];
        debug_assert!((0.0..16_777_216.0).contains(&row));
        // SAFETY: codes come only from zeroed memory or `push_code`: `Activations` is private, each digit is 0 to 3, and a
        // row has at most seven, so the value is a whole number below 2^24.
        let row: u32 = unsafe { row.to_int_unchecked() };
        (row >> self.shift) as usize % CODES.len()
    }
}

/// The offset in an image of the receptive field of the unit of C1 that a unit of S2 took its value from. `cell` counts S2's
/// positions row by row.
///
/// It is at most 27 rows and 27 columns.
#[inline(always)]
pub fn s2_argmax(codes: &[[f32; LANES]; S2_SIDE], cell: usize, map: usize) -> usize {
    let window = S2_WINDOWS[cell];
    window.offset as usize + S2_IN_IMAGE.candidate(window.code(codes, map))
}

/// The offset in S2 of the receptive field of the unit of C3 that a unit of S4 took its value from. `cell` counts S4's
/// positions row by row.
///
/// It is at most 9 rows and 9 columns.
#[inline(always)]
pub fn s4_argmax(codes: &[[f32; LANES]; S4_SIDE], cell: usize, map: usize) -> usize {
    let window = S4_WINDOWS[cell];
    window.offset as usize + S4_IN_S2.candidate(window.code(codes, map))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{InstructionSet, Kernel};

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
