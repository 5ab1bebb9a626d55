//! Which parts of an image are plain background.
//!
//! Most of an image of a digit is of one exact shade. Where nothing else lies in a pooling window's receptive field, its
//! outcome in C1 and S2 is the same everywhere: it is computed once. C3 makes use of it, too.

use crate::shapes::{INPUT_SIDE, Image, S2_PADDED_MAPS, S2_SIDE, WINDOW_FIELD};

/// What C1 finds out about an image's background.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackgroundMask {
    /// Whether a pooling window of C1 covers anything but background, the shade of the first pixel.
    pub foreground: [[bool; S2_SIDE]; S2_SIDE],
    /// S2's units where there is background alone; all zeros if one of them is not finite.
    pub s2: [f32; S2_PADDED_MAPS],
}

/// Which pooling windows of C1 cover anything but background, the shade of the first pixel. A shade that is not finite is
/// never background: such windows are always computed.
#[inline(always)]
pub fn foreground(image: &Image) -> [[bool; S2_SIDE]; S2_SIDE] {
    const WORDS: usize = INPUT_SIDE / 8;
    let shade = image[0][0];
    let background = if shade.is_finite() { shade } else { f32::NAN };
    // A byte for each pixel, and eight bytes to a word.
    let mut bytes = [[0_u8; INPUT_SIDE]; INPUT_SIDE];
    #[expect(clippy::float_cmp, reason = "background is of one shade exactly")]
    for y in 0..INPUT_SIDE {
        for x in 0..INPUT_SIDE {
            bytes[y][x] = u8::from(image[y][x] != background);
        }
    }
    let mut foreground = [[false; S2_SIDE]; S2_SIDE];
    for y in 0..S2_SIDE {
        let mut words = [0; WORDS + 1];
        for row in &bytes[2 * y..2 * y + WINDOW_FIELD] {
            for (word, bytes) in words.iter_mut().zip(row.as_chunks().0) {
                *word |= u64::from_le_bytes(*bytes);
            }
        }
        for x in 0..S2_SIDE {
            // Six pixels from column 2 x on, of which the last two may be in the next word.
            let (word, shift) = (x / 4, x % 4 * 16);
            let both = u128::from(words[word]) | u128::from(words[word + 1]) << 64;
            foreground[y][x] = both >> shift & 0xFFFF_FFFF_FFFF != 0;
        }
    }
    foreground
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_sees_the_pixels_of_its_receptive_field() {
        for (y, x) in (0..INPUT_SIDE).flat_map(|y| (0..INPUT_SIDE).map(move |x| (y, x))).skip(1) {
            let mut image = [[-0.4; INPUT_SIDE]; INPUT_SIDE];
            image[y][x] = 0.1;
            let found = foreground(&image);
            for (row, column) in (0..S2_SIDE).flat_map(|y| (0..S2_SIDE).map(move |x| (y, x))) {
                let sees = (2 * row..2 * row + WINDOW_FIELD).contains(&y)
                    && (2 * column..2 * column + WINDOW_FIELD).contains(&x);
                assert_eq!(found[row][column], sees, "pixel {y}, {x}, window {row}, {column}");
            }
        }
    }

    #[test]
    fn a_shade_that_is_not_finite_is_no_background() {
        for shade in [f32::NAN, f32::INFINITY] {
            assert_eq!(foreground(&[[shade; INPUT_SIDE]; INPUT_SIDE]), [[true; S2_SIDE]; S2_SIDE]);
        }
    }
}
