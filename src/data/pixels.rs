//! From bytes to the net's input: scaled, and with a margin of background around the 28x28 pixels.

#![expect(
    clippy::inline_always,
    reason = "a function may use the processor's vectors only where it is inlined into the one that enables them"
)]

use burn::prelude::*;
use lenet_kernels::{INPUT, INPUT_SIDE, Image};
use pulp::{Arch, Simd, WithSimd};

use super::{IMAGE_SIDE, PIXELS};
use crate::{config::Scale, fused};

/// Mean and standard deviation of MNIST's training pixels, scaled to 0 to 1.
///
/// Source: measured over the 60,000 training images, <https://github.com/pytorch/examples/tree/main/mnist>.
const MEAN: f32 = 0.1307;
const STD: f32 = 0.3081;

/// Rows and columns of background on each side: 28x28 is centred in 32x32.
const MARGIN: usize = (INPUT_SIDE - IMAGE_SIDE) / 2;

impl Scale {
    /// Slope and intercept of the linear function from a pixel's byte to the net's input.
    pub(crate) fn linear(self) -> (f32, f32) {
        match self {
            Self::Standard => (1.0 / (255.0 * STD), -MEAN / STD),
            Self::Unit => (1.0 / 255.0, 0.0),
            Self::Byte => (1.0, 0.0),
        }
    }
}

/// Images as the net takes them: scaled, and with a margin of background around the 28x28 pixels.
///
/// # Shapes
/// `n` arrays of 784 bytes -> `[n, 1, 32, 32]`
pub fn images_tensor<'a>(
    images: impl ExactSizeIterator<Item = &'a [u8; PIXELS]>,
    scale: Scale,
    device: &Device,
) -> Tensor<4> {
    let mut values = vec![0.0; images.len() * INPUT];
    for (image, input) in images.zip(as_images_mut(&mut values)) {
        place(image, scale, input);
    }
    tensor_of(values, device)
}

/// Values as images.
pub(super) fn as_images_mut(values: &mut [f32]) -> &mut [Image] {
    values.as_chunks_mut().0.as_chunks_mut().0
}

/// `[n, 1, 32, 32]`
pub(super) fn tensor_of(values: Vec<f32>, device: &Device) -> Tensor<4> {
    let count = values.len() / INPUT;
    fused::tensor(values, [count, 1, INPUT_SIDE, INPUT_SIDE], device)
}

/// Writes an image of pixels from 0 to 255 as the net takes it.
pub(super) fn place<T: Copy + Into<f32>>(image: &[T; PIXELS], scale: Scale, input: &mut Image) {
    Arch::new().dispatch(Place { image, scale, input });
}

/// An image's pixels on their way into the middle of the net's input, with the processor's widest vectors.
struct Place<'a, T> {
    image: &'a [T; PIXELS],
    scale: Scale,
    input: &'a mut Image,
}

impl<T: Copy + Into<f32>> WithSimd for Place<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (slope, background) = self.scale.linear();
        // One loop over all pixels, which the compiler vectorizes; it does not do so row by row.
        let mut scaled = [0.0; PIXELS];
        for (scaled, pixel) in scaled.iter_mut().zip(self.image) {
            *scaled = (*pixel).into() * slope + background;
        }
        let (above, lines) = self.input.split_at_mut(MARGIN);
        let (lines, below) = lines.split_at_mut(IMAGE_SIDE);
        above.as_flattened_mut().fill(background);
        for (row, line) in scaled.as_chunks::<IMAGE_SIDE>().0.iter().zip(lines) {
            *line = [background; INPUT_SIDE];
            line[MARGIN..MARGIN + IMAGE_SIDE].copy_from_slice(row);
        }
        below.as_flattened_mut().fill(background);
    }
}
