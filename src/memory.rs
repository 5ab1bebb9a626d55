//! What allocates memory, and says so in plain words when there is none left.

use std::{
    alloc::{GlobalAlloc, Layout},
    io::{Write, stderr},
};

use mimalloc::MiMalloc;

/// Mimalloc, which keeps freed memory: a training step allocates and frees several megabytes, which glibc would return to
/// the system and request again.
///
/// When there is no memory left, the program ends with an error. Otherwise it would abort, or a library would panic.
#[derive(Debug, Clone, Copy)]
pub struct Allocator;

#[expect(unsafe_code, reason = "an allocator is unsafe")]
// SAFETY: all calls go to mimalloc, which is an allocator; what it returns is returned.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for this function.
        checked(unsafe { MiMalloc.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for this function.
        checked(unsafe { MiMalloc.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as for this function.
        checked(unsafe { MiMalloc.realloc(memory, layout, new_size) }, new_size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for this function.
        unsafe { MiMalloc.dealloc(memory, layout) }
    }
}

#[inline]
fn checked(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() {
        end(size);
    }
    memory
}

/// Ends the program. Nothing here may allocate, and no other code may run, as `exit` would have it.
#[cold]
fn end(size: usize) -> ! {
    let _ = writeln!(
        stderr(),
        "error: there is not enough memory: {} kB more were needed. Raise the limit (`ulimit -v`, or a container's), or \
         close other programs",
        size.div_ceil(1000)
    );
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "there is no safe function that does so")]
    // SAFETY: it ends the process without running anything.
    unsafe {
        nix::libc::_exit(1)
    }
    #[cfg(not(unix))]
    std::process::abort()
}
