//! Cache-line-aligned memory.

use std::ops::{Deref, DerefMut};

use bytemuck::Zeroable;

/// Bytes of a cache line, which are sixteen `f32`.
const CACHE_LINE: usize = 64;

/// A value aligned to a cache line.
#[derive(Debug, Clone, Copy, Default, Zeroable)]
#[repr(C, align(64))]
pub struct CacheAligned<T>(pub T);

impl<T> Deref for CacheAligned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for CacheAligned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// A `Vec` of items whose size is a multiple of a cache line, each aligned to one, so no block of sixteen values straddles
/// two.
#[derive(Debug, Clone, Default)]
pub struct AlignedVec<T> {
    items: Vec<CacheAligned<T>>,
}

impl<T: Copy + Zeroable> AlignedVec<T> {
    /// `count` zeroed items.
    pub fn zeros(count: usize) -> Self {
        Self { items: vec![CacheAligned(T::zeroed()); count] }
    }

    /// Resizes to `count` items. New items are zeroed; those that stay keep their values.
    pub fn resize(&mut self, count: usize) {
        self.items.resize(count, CacheAligned(T::zeroed()));
    }
}

impl<T> AlignedVec<T> {
    /// An item has the size of its value, so that items lie side by side like those of a slice.
    const WHOLE_LINES: () = assert!(size_of::<T>().is_multiple_of(CACHE_LINE) && align_of::<T>() <= CACHE_LINE);
}

impl<T> Deref for AlignedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        const { Self::WHOLE_LINES };
        // SAFETY: by `WHOLE_LINES`, `CacheAligned<T>` adds no padding to `T`, which is its first and only field.
        unsafe { std::slice::from_raw_parts(self.items.as_ptr().cast(), self.items.len()) }
    }
}

impl<T> DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        const { Self::WHOLE_LINES };
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.items.as_mut_ptr().cast(), self.items.len()) }
    }
}
