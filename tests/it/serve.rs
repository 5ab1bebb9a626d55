//! The service over real connections.

mod answers;
mod client;
mod corrections;
mod ending;
mod load;
mod refusals;
