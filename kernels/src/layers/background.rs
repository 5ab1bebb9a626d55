//! Which parts of an image are plain background.
//!
//! Most of an image of a digit is of one exact shade. Where nothing else lies in a pooling window's receptive field, its
//! outcome in C1 and S2 is the same everywhere: it is computed once. C3 makes use of it, too.

use macerator::Simd;

use crate::{
    shapes::{INPUT_SIDE, Image, S2_PADDED_MAPS, S2_SIDE, WINDOW_FIELD},
    simd::{F32x16, LANES},
};

/// A row of C1's pooling windows, or of C3's units, as bits: whether the one in column `x` sees anything but background is bit `2 x`.
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

    /// Adds windows `2 pair` and `2 pair + 1` if one of the lower or of the upper eight of sixteen bits is set, respectively.
    #[inline(always)]
    pub fn insert_pair(&mut self, pair: usize, bits: u32) {
        self.0 |= (u32::from(bits & 0xFF != 0) | u32::from(bits >> 8 != 0) << 2) << (4 * pair);
    }

    /// The windows that are in either.
    #[inline(always)]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The windows that are in any of some rows.
    #[inline(always)]
    pub fn any(rows: &[Self]) -> Self {
        let mut any = Self::default();
        for row in rows {
            any = any.or(*row);
        }
        any
    }

    /// The windows from `x` on.
    #[inline(always)]
    pub fn from(self, x: usize) -> Self {
        Self(self.0 >> (2 * x))
    }
}

/// What C1 finds out about an image's background.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackgroundMask {
    /// Which pooling windows of C1 cover anything but background.
    pub foreground: [ForegroundRow; S2_SIDE],
    /// S2's units where there is background alone; all zeros if that is not finite.
    pub s2: [f32; S2_PADDED_MAPS],
    /// The shade of the background.
    pub shade: f32,
}

impl BackgroundMask {
    /// From the columns of [`foreground`], and two units of S2 over the background.
    #[inline(always)]
    pub fn new(columns: &[u32; S2_SIDE], shade: f32, units: [f32; LANES]) -> Self {
        let mut mask = Self { shade, ..Self::default() };
        mask.s2.copy_from_slice(&units[..S2_PADDED_MAPS]);
        for y in 0..S2_SIDE {
            // Of two pixels from each column on, then of six.
            let two = columns[y] | columns[y] >> 1;
            mask.foreground[y] = ForegroundRow((two | two >> 2 | two >> 4) & ForegroundRow::ALL.0);
        }
        mask
    }
}

/// The shade that an image's background has, if it has one: that of two corners, or of the first.
#[inline(always)]
#[expect(clippy::float_cmp, reason = "exactly the same shade")]
pub fn background_shade(image: &Image) -> f32 {
    const END: usize = INPUT_SIDE - 1;
    let [first, right, lower, last] = [image[0][0], image[0][END], image[END][0], image[END][END]];
    if first == right || first == lower {
        first
    } else if right == lower || right == last {
        right
    } else if lower == last {
        lower
    } else {
        first
    }
}

/// Of each row of C1's pooling windows, a bit for each column of pixels: whether one of the six pixels that the row sees there is not
/// of this shade.
#[inline(always)]
pub fn foreground<S: Simd, const N: usize>(image: &Image, shade: f32) -> [u32; S2_SIDE] {
    let shade = [shade; LANES];
    let mut rows = [0; INPUT_SIDE];
    for (bits, row) in rows.iter_mut().zip(image) {
        for (half, pixels) in row.as_chunks::<LANES>().0.iter().enumerate() {
            *bits |= F32x16::<S, N>::differing(pixels, &shade) << (half * LANES);
        }
    }
    let mut columns = [0; S2_SIDE];
    for y in 0..S2_SIDE {
        for row in 0..WINDOW_FIELD {
            columns[y] |= rows[2 * y + row];
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{InstructionSet, Kernel};

    struct Find<'a>(&'a Image, &'a mut [ForegroundRow; S2_SIDE]);

    impl Kernel for Find<'_> {
        #[inline(always)]
        fn run<S: Simd, const N: usize>(self) {
            let shade = background_shade(self.0);
            *self.1 = BackgroundMask::new(&foreground::<S, N>(self.0, shade), shade, [0.0; LANES]).foreground;
        }
    }

    fn foreground_by(set: InstructionSet, image: &Image) -> [ForegroundRow; S2_SIDE] {
        let mut found = [ForegroundRow::default(); S2_SIDE];
        set.run(Find(image, &mut found));
        found
    }

    #[test]
    fn the_shade_of_the_background_is_that_of_two_corners() {
        for (corners, expected) in [
            ([1.0, 1.0, 1.0, 1.0], 1.0),
            ([9.0, 1.0, 1.0, 1.0], 1.0),
            ([1.0, 9.0, 1.0, 8.0], 1.0),
            ([9.0, 1.0, 8.0, 1.0], 1.0),
            ([9.0, 8.0, 1.0, 1.0], 1.0),
            ([9.0, 8.0, 7.0, 6.0], 9.0),
            ([f32::NAN, 1.0, 1.0, 9.0], 1.0),
        ] {
            let mut image = [[5.0; INPUT_SIDE]; INPUT_SIDE];
            let [first, right, lower, last] = corners;
            (image[0][0], image[0][INPUT_SIDE - 1]) = (first, right);
            (image[INPUT_SIDE - 1][0], image[INPUT_SIDE - 1][INPUT_SIDE - 1]) = (lower, last);
            assert_eq!(background_shade(&image).to_bits(), f32::to_bits(expected), "{corners:?}");
        }
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
}
