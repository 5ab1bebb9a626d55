//! Tests of what users rely on, through the library and the binary. A single test binary, so that Burn is linked once.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test fails by a panic")]

mod augmentation;
mod backends;
mod browser;
mod classes;
mod command_line;
mod common;
mod config;
mod data;
mod data_files;
mod demo;
mod devices;
mod documents;
mod exports;
mod model;
mod numbers;
mod operator;
mod own_data;
mod page;
mod picture_files;
mod pictures;
mod pretrained;
#[cfg(feature = "remote")]
mod remote;
mod serve;
mod sweeps;
mod textbook;
mod training;
