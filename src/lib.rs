//! LeNet-5 on MNIST with the [Burn](https://burn.dev) framework: train it from a config file, evaluate it, classify
//! pictures with it.
//!
//! A map of the crate. Modules use only modules above them in this list:
//!
//! - [`enum@Error`], [`panics`], [`terminal`]: messages for people. `files`: atomic writes and checksums. `formats`: what a
//!   file is. [`memory`]: the allocator.
//! - [`backend`]: from the name of a backend to a device that works.
//! - `threads`: starts the thread pool and keeps its threads awake.
//! - [`config`]: the TOML file, its defaults and checks, and the learning rate's schedule.
//! - [`picture`]: from any picture of a digit to images in MNIST's format: candidates for what it shows.
//! - `fused`: the net, a step's loss and gradients, and the optimizer's step as one operator each, for the CPU; over the crate
//!   [`lenet_kernels`].
//! - [`data`]: from what people have to images to mini-batches.
//! - [`model`]: the net as a Burn module.
//! - [`devices`]: the devices of a run, and what each gets of a mini-batch.
//! - [`evaluation`]: loss, accuracy, confusion, calibration and misses of a net on labelled images.
//! - [`report`]: what a run measured, as in `report.json`.
//! - [`card`]: what a record says about itself.
//! - [`advice`]: what to try when a net has learned nothing.
//! - [`artifacts`]: the files in a run's folder.
//! - [`training`]: Burn's learner, with our step, metrics, optimizer, scheduler, recorder and display.
//! - [`reading`]: the net decides between them; [`thresholds`]: when it is sure; `refusal`: what is said of a picture
//!   without a digit.
//! - [`number`]: the same for a whole number: the best path through its pieces.
//! - [`inference`]: from a trained run and pictures to digits.
//! - [`state_dict`]: a net's parameters as PyTorch has them.
//! - [`export`]: a trained net in the formats of other programs.
//! - [`orientation`]: whether images look transposed or inverted.
//! - [`negatives`]: images without a digit, to train with.
//! - [`page`]: a run, a comparison of several, or the net itself, as an HTML page.
//! - [`import`]: nets that other programs trained, as runs.
//! - [`serve`]: a net behind HTTP.
//! - [`run`]: a whole run: prepare, train, test, write the page.
//! - [`sweep`]: runs over a grid of hyperparameters.
//! - [`worker`]: this machine's devices for other processes.
//! - [`mod@bench`]: the speed of each backend.
//! - [`scenes`]: pictures of digits as people make them, generated.
//! - [`picture_bench`]: how well such pictures are read.
//! - [`cli`]: the commands of the binary.

pub mod advice;
pub mod artifacts;
pub mod backend;
pub mod bench;
pub mod card;
pub mod cli;
pub mod config;
pub mod data;
pub mod devices;
mod error;
pub mod evaluation;
pub mod export;
mod files;
mod formats;
mod fused;
mod geometry;
pub mod import;
pub mod inference;
pub mod memory;
pub mod model;
pub mod negatives;
pub mod number;
pub mod orientation;
pub mod page;
pub mod panics;
pub mod picture;
pub mod picture_bench;
pub mod reading;
mod refusal;
pub mod report;
pub mod run;
pub mod scenes;
pub mod serve;
pub mod state_dict;
pub mod sweep;
pub mod terminal;
mod threads;
pub mod thresholds;
pub mod training;
pub mod worker;

pub use error::{Error, Result};

#[cfg(not(any(feature = "flex", feature = "ndarray")))]
compile_error!("a CPU backend is always needed: add --features flex");
