//! How a net's pixels are scaled: no file tells, but a net that gets them otherwise than in its training has a much higher
//! loss. Its accuracy hardly changes: with larger pixels, a net with ReLU gives nearly the same answers, only too surely.

use burn::tensor::Device;
use clap::ValueEnum;

use crate::{Error, Result, config::Scale, data::ImageSet, evaluation::evaluate, model::LeNet5};

/// Images to measure on.
const IMAGES: usize = 1000;
/// The best scale has a loss that is lower than any other by this factor. Source: measured, docs/other-programs.md.
const MARGIN: f64 = 1.5;

/// The loss of a net with each scale of the pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The scales and the mean cross-entropy in nats, the best first.
    pub losses: Vec<(Scale, f64)>,
    /// How many images they were measured on.
    pub images: usize,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = |(scale, loss): &(Scale, f64)| format!("{} {loss:.4}", scale.name());
        let all: Vec<String> = self.losses.iter().map(each).collect();
        write!(f, "loss on {} images: {}", self.images, all.join(", "))
    }
}

/// The scale with which a net has the lowest loss, if it is clearly the best.
///
/// # Errors
/// None is, or the device fails.
pub(super) fn find(net: &LeNet5, images: &ImageSet, device: &Device) -> Result<(Scale, Measured)> {
    let images = images.slice(0, IMAGES);
    let measure = |scale: &Scale| match evaluate(net, &images.clone().with_scale(*scale), device) {
        Ok(evaluation) => Ok((*scale, evaluation.loss)),
        // With pixels that are far too large, the loss may not be finite.
        Err(Error::Data(_)) => Ok((*scale, f64::INFINITY)),
        Err(error) => Err(error),
    };
    let mut losses = Scale::value_variants().iter().map(measure).collect::<Result<Vec<_>>>()?;
    losses.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let measured = Measured { losses, images: images.len() };
    match measured.losses[..] {
        [(best, lowest), (_, second), ..] if lowest * MARGIN < second => Ok((best, measured)),
        _ => {
            Err(Error::Usage(format!("no scale of the pixels is clearly the best ({measured}): name one with --scale")))
        }
    }
}
