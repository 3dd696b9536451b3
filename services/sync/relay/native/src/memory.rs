//! Memory for batches, which come by the megabyte and are gone a moment later.

use std::sync::Once;

/// From this size on memory is asked of the system for one piece, in bytes.
const MOST_SHARED: libc::c_int = 64 << 20;
/// So much that is free is given back to the system.
const MOST_FREE: libc::c_int = 128 << 20;

/// Keep what batches have used for the next ones: to get it anew from the system costs as much as to fill it.
pub fn keep() {
    static ONCE: Once = Once::new();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    ONCE.call_once(|| {
        // SAFETY: it only sets what the allocator goes by from then on, and may be called at any time
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MOST_SHARED);
            libc::mallopt(libc::M_TRIM_THRESHOLD, MOST_FREE);
        }
    });
}
