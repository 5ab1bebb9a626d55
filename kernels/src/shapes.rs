//! Every dimension of the net, and how its values lie in memory.
//!
//! | values | layout | type |
//! | --- | --- | --- |
//! | image | `hw`: `[32][32]` | [`Image`] |
//! | S2 | `hwc8`: `[14][14][8]`, six maps and two zeros | [`S2Units`] |
//! | S2's argmax codes | `[14][2][8]`: a value for each row, parity of the column, and map | [`S2Argmax`] |
//! | S4 | `chw`: `[16][5][5]`, in blocks of 16 | [`S4Row`] |
//! | S4's argmax codes | `[5][16]`: a value for each row and map | [`S4Argmax`] |
//! | C5, F6 | 120 and 84 units and zeros up to 128 and 96 | [`C5Row`], [`F6Row`] |
//! | output | `[blocks][images][16]`: blocks of sixteen classes, the last one with zeros | [`OutputBlock`] |
//! | C1's weights, forward | `hwo8` twice, one row of a kernel lower: `[6][5][16]` | [`C1Weights`] |
//! | C1's weight gradient | `ohw8`: `[6][5][8]`, five columns and three zeros | [`C1Grad`] |
//! | C3's weights, forward | `[9][6][5][16]`: nine products for a kernel's column, input map, column, map | [`C3ForwardWeights`] |
//! | C3's weights, summed over a kernel | `io`: `[6][16]` | in [`pack`](crate::pack) |
//! | C3's weights, backward | `ohwi8` twice, with a column of zeros after and before, and a row of them: `[16][2][6][6][8]` | [`C3BackwardWeights`] |
//! | C3's weight gradient | `ohwi8`: `[16][5][5][8]` | [`C3Grad`] |
//! | C5's weights | `oi`: `[120][400]` | `[S4Row]` |
//! | F6's weights | `io` and zeros: `[120][96]` | `[F6Row]` |
//! | the output's weights | `io` of each block: `[blocks][84][16]` | `[OutputBlock]` |
//!
//! `h` and `w` are rows and columns, `c` maps, `i` and `o` a layer's input and output maps; a number is the size that the
//! innermost dimension is zero-padded to.

use bytemuck::{NoUninit, Zeroable, cast_slice};

use crate::simd::{LANES, Row};

/// Rows and columns of an image.
pub const INPUT_SIDE: usize = 32;
/// Pixels of an image.
pub const INPUT: usize = INPUT_SIDE * INPUT_SIDE;
/// Rows and columns of a convolution's kernel.
pub const KERNEL: usize = 5;
/// Weights of one kernel over one map. A tap is one of them: a position in the kernel.
pub const TAPS: usize = KERNEL * KERNEL;
/// Products of a column of a kernel with a column of its input, from which as many outputs are computed as the column has taps
/// ([`winograd`](crate::winograd)).
pub const PRODUCTS: usize = 2 * KERNEL - 1;
/// Rows and columns of the receptive field of a 2x2 pooling window.
pub const WINDOW_FIELD: usize = KERNEL + 1;
/// Maps of C1 and S2.
pub const C1_MAPS: usize = 6;
/// Rows and columns of S2's maps.
pub const S2_SIDE: usize = 14;
/// Values at one position of S2: its six maps and two zeros.
pub const S2_PADDED_MAPS: usize = 8;
/// From one row of S2 to the next.
pub const S2_ROW_STRIDE: usize = S2_SIDE * S2_PADDED_MAPS;
/// Rows and columns of C3's maps.
pub const C3_SIDE: usize = 10;
/// Maps of C3 and S4.
pub const C3_MAPS: usize = 16;
/// Rows and columns of S4's maps.
pub const S4_SIDE: usize = 5;
/// Units of one of S4's maps.
pub const S4_CELLS: usize = S4_SIDE * S4_SIDE;
/// Units of S4.
pub const S4: usize = C3_MAPS * S4_CELLS;
/// Units of C5.
pub const C5: usize = 120;
/// Units of F6.
pub const F6: usize = 84;
/// A row of one of C1's kernels: five columns and three zeros.
pub const KERNEL_ROW_PADDED: usize = 8;

/// An image, row by row.
pub type Image = [[f32; INPUT_SIDE]; INPUT_SIDE];
pub type S2Units = [[[f32; S2_PADDED_MAPS]; S2_SIDE]; S2_SIDE];
pub type S2Argmax = [[f32; LANES]; S2_SIDE];
pub type S4Argmax = [[f32; LANES]; S4_SIDE];

pub type S4Row = Row<{ S4 / LANES }>;
pub type C5Row = Row<{ C5.div_ceil(LANES) }>;
pub type F6Row = Row<{ F6.div_ceil(LANES) }>;
/// Sixteen classes: what there are of them is only known at run time.
pub type OutputBlock = Row<1>;

pub type C1Weights = [[[f32; LANES]; KERNEL]; WINDOW_FIELD];
pub type C1Grad = [[[f32; KERNEL_ROW_PADDED]; KERNEL]; C1_MAPS];
pub type C3ForwardWeights = [[[[f32; LANES]; KERNEL]; C1_MAPS]; PRODUCTS];
pub type C3Grad = [[[[f32; S2_PADDED_MAPS]; KERNEL]; KERNEL]; C3_MAPS];

/// C3's weights as they meet S2.
#[derive(Clone, Copy, Zeroable, NoUninit)]
#[repr(C)]
pub struct C3BackwardWeights {
    /// A row before the first one.
    zeros: [[f32; S2_PADDED_MAPS]; KERNEL + 1],
    /// Each kernel with a column of zeros after it, then with one before it, and both times a row of zeros below.
    pub kernels: [[[[[f32; S2_PADDED_MAPS]; KERNEL + 1]; KERNEL + 1]; 2]; C3_MAPS],
}

impl C3BackwardWeights {
    /// All values.
    #[inline(always)]
    pub fn as_flat(&self) -> &[f32] {
        cast_slice(std::slice::from_ref(self))
    }

    /// Where the six rows begin that meet the rows of a window, for a unit whose receptive field begins in one of the window's first
    /// two rows and columns: with the kernel, or with the zeros before it.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "below 10,000")]
    pub fn start(map: usize, row: u32, column: u32) -> u32 {
        const ROW: u32 = ((KERNEL + 1) * S2_PADDED_MAPS) as u32;
        const KERNEL_ROWS: u32 = KERNEL as u32 + 1;
        (1 - row + (map as u32 * 2 + column) * KERNEL_ROWS) * ROW
    }
}
