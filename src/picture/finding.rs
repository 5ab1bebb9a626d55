//! What there is in a picture in which no digit was found: for messages that say so.

use std::fmt::{self, Display, Formatter};

use image::DynamicImage;

use super::{
    candidates::{MIN_DIGIT, foreground_by_border},
    components::Components,
    foreground::MIN_CONTRAST,
    plane::{Bounds, Plane, brightness},
};

/// What there is in a picture in which no digit was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding {
    /// One shade, without any difference.
    OneShade,
    /// Differences that are too small for writing.
    Pale {
        /// How far the lightest and the darkest spot are apart, as a fraction of the range from black to white.
        contrast: f32,
    },
    /// Light and dark parts, but nothing that stands out from the edges.
    Uneven {
        /// The same.
        contrast: f32,
    },
    /// Only things that are too small for a digit.
    Specks {
        /// The longer side of the largest one, in the picture's pixels.
        largest: usize,
    },
    /// Things that are large enough.
    Shapes,
}

impl Finding {
    /// Looks at a picture.
    #[must_use]
    pub fn of(picture: &DynamicImage) -> Self {
        let Some(foreground) = foreground_by_border(picture) else { return without_foreground(picture) };
        let components = Components::of(&foreground).list;
        let largest = components.iter().map(|component| component.bounds.longer()).max().unwrap_or(0);
        if largest >= MIN_DIGIT {
            return Self::Shapes;
        }
        let [width, height] = [picture.width(), picture.height()].map(|side| side as usize);
        let whole = Bounds { left: 0, top: 0, width, height };
        let largest = (largest * whole.longer()).div_ceil(foreground.bounds().longer());
        Self::Specks { largest }
    }
}

fn without_foreground(picture: &DynamicImage) -> Finding {
    let backgrounds: &[f32] = if picture.color().has_alpha() { &[1.0, 0.0] } else { &[1.0] };
    let spread = |plane: &Plane| plane.max() - plane.values.iter().copied().fold(1.0, f32::min);
    let contrast = backgrounds.iter().map(|background| spread(&brightness(picture, *background))).fold(0.0, f32::max);
    // Less than half of a step of a byte is rounding.
    if contrast < 0.5 / 255.0 {
        Finding::OneShade
    } else if contrast < MIN_CONTRAST {
        Finding::Pale { contrast }
    } else {
        Finding::Uneven { contrast }
    }
}

/// A sentence about the picture, without its subject, and what to do about it.
impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let percent = |fraction: f32| format!("{:.1} %", 100.0 * fraction);
        match self {
            Self::OneShade => write!(f, "shows nothing: it is of one shade all over; is it the right file?"),
            Self::Pale { contrast } => write!(
                f,
                "shows nothing that stands out: its lightest and darkest spots are {} of the way from black to white apart, \
                 and a digit needs {}. Raise its contrast, or write darker",
                percent(*contrast),
                percent(MIN_CONTRAST),
            ),
            Self::Uneven { contrast } => write!(
                f,
                "shows nothing that stands out: its lightest and darkest spots are {} of the way from black to white apart, \
                 but its edges are as uneven themselves (a shadow, a frame or a pattern). Crop it to the digit and an even \
                 background around it",
                percent(*contrast),
            ),
            Self::Specks { largest } => {
                write!(f, "shows only specks, of at most {largest} pixels. Crop it to the digit, or write larger")
            }
            Self::Shapes => write!(f, "shows something, but nothing that can be taken for a digit"),
        }
    }
}
