//! Lists of the values that are not zero.

use macerator::{Simd, Vector};

use super::{LANES, is_nonzero};

/// At most `CAPACITY` non-zero values, each with a number that says what it belongs to.
#[derive(Clone)]
pub struct NonzeroList<const CAPACITY: usize> {
    values: [f32; CAPACITY],
    tags: [u32; CAPACITY],
    count: usize,
}

impl<const CAPACITY: usize> NonzeroList<CAPACITY> {
    #[inline(always)]
    pub const fn new() -> Self {
        Self { values: [0.0; CAPACITY], tags: [0; CAPACITY], count: 0 }
    }

    /// Removes all values.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Replaces the list by those of some values that are not zero, each with its position.
    #[inline(always)]
    pub fn collect(&mut self, values: impl Iterator<Item = f32>) {
        self.count = 0;
        for (position, value) in (0..).zip(values) {
            // Branch-free, as below.
            (self.values[self.count % CAPACITY], self.tags[self.count % CAPACITY]) = (value, position);
            self.count += usize::from(is_nonzero(value));
        }
    }

    /// Appends those of sixteen values that are not zero and whose tag is even or odd, as `parity` says.
    ///
    /// # Panics
    /// There may be no room for sixteen.
    #[inline(always)]
    pub fn push<S: Simd>(&mut self, values: &[f32; LANES], tags: &[u32; LANES], parity: u32) {
        assert!(self.count + LANES <= CAPACITY);
        #[cfg(target_arch = "x86_64")]
        if size_of::<Vector<S, f32>>() == size_of::<[f32; LANES]>() {
            // SAFETY: vectors of sixteen values are those of AVX-512; and there is room, as asserted.
            self.count += unsafe {
                super::avx512::compress(
                    values,
                    tags,
                    parity,
                    self.values.as_mut_ptr().add(self.count),
                    self.tags.as_mut_ptr().add(self.count),
                )
            };
            return;
        }
        let (mut kept, mut kept_tags, mut count) = ([0.0; LANES], [0; LANES], 0);
        for lane in 0..LANES {
            // Branch-free: every value is written, but the count advances only past those that stay.
            (kept[count % LANES], kept_tags[count % LANES]) = (values[lane], tags[lane]);
            count += usize::from(is_nonzero(values[lane]) && tags[lane] % 2 == parity);
        }
        self.values[self.count..self.count + LANES].copy_from_slice(&kept);
        self.tags[self.count..self.count + LANES].copy_from_slice(&kept_tags);
        self.count += count;
    }

    /// Appends a zero if there is an odd number of values.
    #[inline(always)]
    pub fn make_even(&mut self) {
        (self.values[self.count], self.tags[self.count]) = (0.0, 0);
        self.count = self.count.next_multiple_of(2);
    }

    /// The values with their tags, two by two, of an even number.
    #[inline(always)]
    pub fn pairs(&self) -> impl Iterator<Item = [(f32, u32); 2]> + '_ {
        let (values, tags) = (self.values[..self.count].as_chunks().0, self.tags[..self.count].as_chunks().0);
        values
            .iter()
            .zip(tags)
            .map(|(values, tags): (&[f32; 2], &[u32; 2])| [(values[0], tags[0]), (values[1], tags[1])])
    }

    /// The values with their tags.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = (f32, u32)> + '_ {
        self.values[..self.count].iter().copied().zip(self.tags[..self.count].iter().copied())
    }
}
