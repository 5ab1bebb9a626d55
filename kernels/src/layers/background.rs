//! Which parts of an image are plain background.
//!
//! Most of an image of a digit is of one exact shade. Where nothing else lies in a pooling window's receptive field, its
//! outcome in C1 and S2 is the same everywhere: it is computed once. C3 makes use of it, too.

use macerator::Simd;

use crate::{
    shapes::{INPUT_SIDE, Image, S2_PADDED_MAPS, S2_SIDE, WINDOW_FIELD},
    simd::{F32x16, LANES},
};

/// A row of C1's pooling windows, as bits: whether window `x` covers anything but background is bit `2 x`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ForegroundRow(u32);

impl ForegroundRow {
    /// All windows.
    pub const ALL: Self = Self(0x0555_5555);

    /// Whether window `x` is among them.
    #[inline(always)]
    pub fn has(self, x: usize) -> bool {
        self.0 >> (2 * x) & 1 != 0
    }

    /// Whether no window is among them.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// 1 for each window that is not among them.
    #[inline(always)]
    pub fn others(self) -> [u32; LANES] {
        let mut others = [0; LANES];
        for x in 0..LANES {
            others[x] = !self.0 >> (2 * x) & 1;
        }
        others
    }

    /// Adds window `x`.
    #[cfg(test)]
    pub fn insert(&mut self, x: usize) {
        self.0 |= 1 << (2 * x);
    }

    /// Adds windows `2 pair` and `2 pair + 1` if one of the lower or upper eight of sixteen bits is set.
    #[inline(always)]
    pub fn insert_pair(&mut self, pair: usize, bits: u32) {
        self.0 |= (u32::from(bits & 0xFF != 0) | u32::from(bits >> 8 != 0) << 2) << (4 * pair);
    }

    /// The windows that are in one of both.
    #[inline(always)]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The windows from `x` on.
    #[inline(always)]
    pub fn from(self, x: usize) -> Self {
        Self(self.0 >> (2 * x))
    }

    /// The pairs of windows of which at least one is among them, each as bit `4 i`.
    #[inline(always)]
    pub fn pairs(self) -> u32 {
        (self.0 | self.0 >> 2) & 0x0111_1111
    }
}

/// What C1 finds out about an image's background.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackgroundMask {
    /// Which pooling windows of C1 cover anything but background.
    pub foreground: [ForegroundRow; S2_SIDE],
    /// S2's units where there is background alone; all zeros if one of them is not finite.
    pub s2: [f32; S2_PADDED_MAPS],
    /// The shade of the background.
    pub shade: f32,
}

/// The shade that an image's background has, if it has one: that of two corners, or of the first.
#[inline(always)]
#[expect(clippy::float_cmp, reason = "exactly the same shade")]
pub fn background_shade(image: &Image) -> f32 {
    const END: usize = INPUT_SIDE - 1;
    let [first, right, lower, last] = [image[0][0], image[0][END], image[END][0], image[END][END]];
    if first != right && first != lower && (right == lower || right == last) { right } else { first }
}

/// Which pooling windows of C1 cover anything but background. A shade that is not finite is never background: such windows are
/// always computed.
#[inline(always)]
pub fn foreground<S: Simd, const N: usize>(image: &Image, shade: f32) -> [ForegroundRow; S2_SIDE] {
    let background = if shade.is_finite() { shade } else { f32::NAN };
    let background = [background; LANES];
    // A bit for each pixel.
    let mut rows = [0; INPUT_SIDE];
    for (bits, row) in rows.iter_mut().zip(image) {
        for (half, pixels) in row.as_chunks::<LANES>().0.iter().enumerate() {
            *bits |= F32x16::<S, N>::differing(pixels, &background) << (half * LANES);
        }
    }
    let mut foreground = [ForegroundRow::default(); S2_SIDE];
    for y in 0..S2_SIDE {
        let mut column = 0;
        for row in 0..WINDOW_FIELD {
            column |= rows[2 * y + row];
        }
        // Of two pixels from each column on, then of six.
        let two = column | column >> 1;
        foreground[y] = ForegroundRow((two | two >> 2 | two >> 4) & ForegroundRow::ALL.0);
    }
    foreground
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{InstructionSet, Kernel};

    struct Foreground<'a>(&'a Image, &'a mut [ForegroundRow; S2_SIDE]);

    impl Kernel for Foreground<'_> {
        #[inline(always)]
        fn run<S: Simd, const N: usize>(self) {
            *self.1 = foreground::<S, N>(self.0, background_shade(self.0));
        }
    }

    fn foreground_by(set: InstructionSet, image: &Image) -> [ForegroundRow; S2_SIDE] {
        let mut found = [ForegroundRow::default(); S2_SIDE];
        set.run(Foreground(image, &mut found));
        found
    }

    #[test]
    fn each_window_sees_the_pixels_of_its_receptive_field() {
        for (y, x) in (0..INPUT_SIDE).flat_map(|y| (0..INPUT_SIDE).map(move |x| (y, x))) {
            let mut image = [[-0.4; INPUT_SIDE]; INPUT_SIDE];
            image[y][x] = 0.1;
            for set in InstructionSet::available() {
                let found = foreground_by(set, &image);
                for (row, column) in (0..S2_SIDE).flat_map(|y| (0..S2_SIDE).map(move |x| (y, x))) {
                    let sees = (2 * row..2 * row + WINDOW_FIELD).contains(&y)
                        && (2 * column..2 * column + WINDOW_FIELD).contains(&x);
                    assert_eq!(found[row].has(column), sees, "pixel {y}, {x}, window {row}, {column}, {}", set.name());
                }
            }
        }
    }

    #[test]
    fn a_shade_that_is_not_finite_is_no_background() {
        for shade in [f32::NAN, f32::INFINITY] {
            for set in InstructionSet::available() {
                let found = foreground_by(set, &[[shade; INPUT_SIDE]; INPUT_SIDE]);
                assert_eq!(found, [ForegroundRow::ALL; S2_SIDE], "{}", set.name());
            }
        }
    }
}
