//! The layers. Each file opens with the algorithm, as the assignment and textbooks have it, and the schedule by which the
//! kernels compute it; then follow the kernels forward and backward, and tests against the algorithm in plain loops.

mod argmax;
mod background;
pub mod c1_s2;
pub mod c3_s4;
pub mod dense;

pub use self::background::BackgroundMask;
