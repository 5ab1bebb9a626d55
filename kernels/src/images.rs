//! Where images come from.

use std::ops::Range;

use bytemuck::cast_slice;

use crate::shapes::{INPUT, Image};

/// Images of which a thread takes a few at a time.
pub trait ImageSource: Sync {
    /// The number of images.
    fn count(&self) -> usize;

    /// Some images, row by row; the slice may continue after them. A source that has no images in memory makes them in `buffer`, which
    /// has room for them.
    ///
    /// It must not use Rayon's pool: a thread that waits for it could be given another chunk of the same mini-batch.
    fn read<'a>(&'a self, range: Range<usize>, buffer: &'a mut [Image]) -> &'a [f32];
}

/// `[batch * 1024]`
impl ImageSource for [f32] {
    /// # Panics
    /// They are not a whole number of images.
    fn count(&self) -> usize {
        assert!(self.len().is_multiple_of(INPUT), "{} pixels are not a whole number of images", self.len());
        self.len() / INPUT
    }

    fn read<'a>(&'a self, range: Range<usize>, _: &'a mut [Image]) -> &'a [f32] {
        &self[range.start * INPUT..]
    }
}

/// The images at the beginning of a slice.
pub fn as_images(pixels: &[f32], count: usize) -> &[Image] {
    cast_slice(&pixels[..count * INPUT])
}
