//! LeNet-5 on MNIST with the Burn framework: train it from a config file, evaluate it, read pictures with it.
//!
//! The modules, in the order in which each builds on those before it:
//!
//! - [`config`]: the TOML file, its defaults and its checks.
//! - [`backend`]: names of backends, and the device behind each.
//! - [`data`]: from files to mini-batches.
//! - [`model`]: the net, over `ops`: the whole of it as one operator for the CPU.
//! - [`evaluation`]: how well it reads labelled pictures.
//! - [`report`]: the figures of a run.
//! - [`artifacts`]: a run's folder.
//! - [`training`]: Burn's learner, wired.
//! - [`page`]: a run, or several, as a page.
//! - [`sweep`]: many runs beside one another.
//! - [`picture`]: from any picture of a digit to one of MNIST's kind.
//! - [`inference`]: a trained net at work.
//! - [`mod@bench`]: how fast all this is.
//! - [`panics`], [`terminal`]: Burn's panics as messages, and where messages go.
//! - [`cli`]: the commands.

pub mod artifacts;
pub mod backend;
pub mod bench;
pub mod cli;
pub mod config;
pub mod data;
mod error;
pub mod evaluation;
mod files;
pub mod inference;
pub mod model;
mod ops;
pub mod page;
pub mod panics;
pub mod picture;
mod pool;
pub mod report;
pub mod run;
pub mod sweep;
pub mod terminal;
pub mod training;

pub use error::{Error, Result};

#[cfg(not(any(feature = "flex", feature = "ndarray")))]
compile_error!("a CPU backend has to be beside the others: add --features flex");
