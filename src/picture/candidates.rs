//! Candidate readings of a picture: where the digit may be, and what of the picture belongs to it.
//!
//! No rule for cleaning a picture is right for all of them, so there are many candidates, and the net that reads them
//! tells which ones look like a digit. Source: segmentation driven by the recognizer, `LeCun` et al. (1998), sections IV
//! and V, <http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf>.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides are bounded")]

use image::DynamicImage;

use super::{
    PIXELS,
    components::Components,
    foreground::{by_border, by_local_background, otsu},
    framing::{frame, frame_thickened, framed_already},
    plane::{Bounds, Plane, WORKING_SIDE, brightness_within},
    selection::{all, bounds, in_row, selections},
};

/// Pictures with a shorter longer side, in pixels, are cut out already: they have the plain candidate alone.
const MIN_SIDE: usize = 60;
/// The parts in the middle of the picture that are looked at on their own, as fractions of the sides.
const WINDOWS: [f32; 2] = [0.8, 0.6];
/// These parts, and the sheet, are reduced to this longer side, in pixels, which is enough for all but fine strokes.
const PART_SIDE: usize = 200;
/// A sheet is looked for on a copy with this longer side, in pixels.
const SHEET_SIDE: usize = 100;
/// A sheet's bounds cover between these fractions of the picture.
const SHEET_AREA: (f32, f32) = (0.1, 0.95);
/// A digit's longer side is at least this long, in pixels of at most 400.
pub(super) const MIN_DIGIT: usize = 6;

/// One way to read a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// In MNIST's format: 0 (background) to 255 (foreground), row by row.
    pub image: [u8; PIXELS],
    /// The digit's bounds in the picture, in its pixels.
    pub bounds: Bounds,
    /// How much to expect of it before the net has seen it, 0 to 1: less at the edges.
    pub prior: f32,
    /// Whether it is the plain one: the whole picture against its border's shade. It is the first, if there is one.
    pub is_plain: bool,
    /// Whether the picture is an image in MNIST's format, which stays as it is.
    pub is_framed: bool,
    /// Whether other things stand beside it, or it is so wide, that it may be one of several digits, or several.
    pub in_row: bool,
}

/// The plain candidate alone; `None` if the picture is a single shade all over.
pub fn plain(picture: &DynamicImage) -> Option<Candidate> {
    let (brightness, foreground) = prepare(picture, WORKING_SIDE);
    Some(Collection::new(picture).plain(&View::whole(brightness, picture), &foreground?))
}

/// All candidates, without equal ones; none if the picture shows nothing.
#[must_use]
pub fn candidates(picture: &DynamicImage) -> Vec<Candidate> {
    let (brightness, foreground) = prepare(picture, WORKING_SIDE);
    let view = View::whole(brightness, picture);
    let mut found = Collection::new(picture);
    if let Some(foreground) = &foreground {
        let plain = found.plain(&view, foreground);
        found.add(plain);
    }
    if picture.width().max(picture.height()) as usize >= MIN_SIDE {
        found.add_view(&view, foreground);
        let whole = view.brightness.bounds();
        for part in WINDOWS.iter().map(|fraction| middle(whole, *fraction)).chain(sheet(&view.brightness)) {
            let part = view.part(part);
            found.add_view(&part, by_border(&part.brightness));
        }
    }
    found.list
}

/// The picture or a part of it, reduced.
struct View {
    brightness: Plane,
    /// Its left and top edge in the picture, in the picture's pixels.
    origin: (f32, f32),
    /// Pixels of the picture to one of the view.
    scale: f32,
}

impl View {
    fn whole(brightness: Plane, picture: &DynamicImage) -> Self {
        let scale = picture.width().max(picture.height()) as f32 / brightness.bounds().longer() as f32;
        Self { brightness, origin: (0.0, 0.0), scale }
    }

    fn part(&self, part: Bounds) -> Self {
        let brightness = self.brightness.crop(part).shrunk(PART_SIDE);
        let origin = (self.origin.0 + part.left as f32 * self.scale, self.origin.1 + part.top as f32 * self.scale);
        let scale = self.scale * part.longer() as f32 / brightness.bounds().longer() as f32;
        Self { brightness, origin, scale }
    }
}

/// The picture's brightness, reduced to at most this longer side, in pixels, and its foreground against the border's shade.
pub(super) fn prepare(picture: &DynamicImage, longest: usize) -> (Plane, Option<Plane>) {
    let on_white = brightness_within(picture, 1.0, longest);
    let foreground = by_border(&on_white);
    // A drawing on a transparent background is seen on white or, if it is itself white, on black.
    if foreground.is_none() && picture.color().has_alpha() {
        let on_black = brightness_within(picture, 0.0, longest);
        let foreground = by_border(&on_black);
        return if foreground.is_some() { (on_black, foreground) } else { (on_white, None) };
    }
    (on_white, foreground)
}

/// A picture's foreground against its border's shade; `None` if nothing stands out from it.
pub(super) fn foreground_by_border(picture: &DynamicImage) -> Option<Plane> {
    prepare(picture, WORKING_SIDE).1
}

fn middle(whole: Bounds, fraction: f32) -> Bounds {
    let [width, height] = [whole.width, whole.height].map(|side| ((side as f32 * fraction) as usize).max(1));
    Bounds { left: (whole.width - width) / 2, top: (whole.height - height) / 2, width, height }
}

/// The largest bright or dark sheet.
fn sheet(brightness: &Plane) -> Option<Bounds> {
    let small = brightness.shrunk(SHEET_SIDE);
    let threshold = otsu(&small, small.max().max(f32::MIN_POSITIVE));
    let sides = [true, false].map(|bright| small.map(|value| f32::from((value >= threshold) == bright)));
    let largest = sides
        .iter()
        .flat_map(|side| Components::of(side).list)
        .filter(|component| {
            let area = (component.bounds.width * component.bounds.height) as f32 / small.values.len() as f32;
            (SHEET_AREA.0..=SHEET_AREA.1).contains(&area)
        })
        .max_by_key(|component| component.pixels)?;
    let scale = brightness.bounds().longer() as f32 / small.bounds().longer() as f32;
    let Bounds { left, top, width, height } = largest.bounds;
    // Without its rim, which is neither sheet nor surroundings.
    let inner = Bounds {
        left: left + 1,
        top: top + 1,
        width: width.checked_sub(2).filter(|w| *w > 0)?,
        height: height.checked_sub(2).filter(|h| *h > 0)?,
    };
    Some(inner.within((0.0, 0.0), scale, (brightness.width, brightness.height)))
}

/// Candidates without equal ones.
struct Collection {
    list: Vec<Candidate>,
    /// Width and height of the picture.
    size: (usize, usize),
}

impl Collection {
    fn new(picture: &DynamicImage) -> Self {
        Self { list: Vec::new(), size: (picture.width() as usize, picture.height() as usize) }
    }

    fn add(&mut self, candidate: Candidate) {
        match self.list.iter_mut().find(|other| other.image == candidate.image) {
            Some(other) => {
                other.prior = other.prior.max(candidate.prior);
                other.in_row &= candidate.in_row;
            }
            None => self.list.push(candidate),
        }
    }

    fn plain(&self, view: &View, foreground: &Plane) -> Candidate {
        let components = Components::of(foreground);
        let digit = all(&components.list);
        let bounds = bounds(&components.list, &digit).unwrap_or(foreground.bounds());
        let framed = framed_already(foreground);
        Candidate {
            image: framed.unwrap_or_else(|| frame(&foreground.crop(bounds))),
            bounds: bounds.within(view.origin, view.scale, self.size),
            prior: 1.0,
            is_plain: true,
            is_framed: framed.is_some(),
            in_row: self.size.0.max(self.size.1) >= MIN_SIDE
                && in_row(&components.list, foreground).iter().zip(&digit).any(|(in_row, chosen)| *in_row && *chosen),
        }
    }

    /// Adds the candidates of a view.
    fn add_view(&mut self, view: &View, foreground: Option<Plane>) {
        let mut planes = by_local_background(&view.brightness);
        if let Some(foreground) = foreground {
            planes.push(foreground.stretched(0.5));
            planes.push(foreground);
        }
        for plane in planes {
            let components = Components::of(&plane);
            let in_row = in_row(&components.list, &plane);
            for (index, selection) in selections(&components, &plane).iter().enumerate() {
                if let Some(digit) = bounds(&components.list, selection) {
                    // Faint strokes are below the threshold of components: they count where nothing is left out.
                    let cut_out =
                        if index == 0 { plane.crop(digit) } else { only(&plane, &components, selection, digit) };
                    let in_row = selection.iter().zip(&in_row).any(|(chosen, in_row)| *chosen && *in_row);
                    self.add_frames(&cut_out, digit, in_row, view);
                }
            }
        }
    }

    /// Adds a digit as it is and, if its strokes are thin, thickened. It has these bounds in the view.
    fn add_frames(&mut self, digit: &Plane, bounds: Bounds, in_row: bool, view: &View) {
        if bounds.longer() < MIN_DIGIT {
            return;
        }
        let prior = prior(bounds, view.brightness.bounds());
        let bounds = bounds.within(view.origin, view.scale, self.size);
        for image in [Some(frame(digit)), frame_thickened(digit)].into_iter().flatten() {
            self.add(Candidate { image, bounds, prior, is_plain: false, is_framed: false, in_row });
        }
    }
}

/// A part of the plane with nothing on it but the chosen components.
fn only(plane: &Plane, components: &Components, chosen: &[bool], part: Bounds) -> Plane {
    let mut values = vec![0.0; part.width * part.height];
    for run in components.runs.iter().filter(|run| chosen[run.component]) {
        let start = (run.y - part.top) * part.width + run.start - part.left;
        let from = run.y * plane.width + run.start;
        let length = run.end - run.start;
        values[start..start + length].copy_from_slice(&plane.values[from..from + length]);
    }
    Plane { width: part.width, height: part.height, values }
}

/// Digits are rarely cut off by the edge, and rarely far from the middle.
fn prior(digit: Bounds, view: Bounds) -> f32 {
    let Bounds { left, top, width, height } = digit;
    let touched = [left == 0, top == 0, left + width == view.width, top + height == view.height];
    let inside: f32 = touched.iter().map(|touched| if *touched { 0.8 } else { 1.0 }).product();
    let offset = |start: usize, length: usize, side: usize| (2 * start + length) as f32 / side as f32 - 1.0;
    let distance = offset(left, width, view.width).hypot(offset(top, height, view.height));
    inside * (1.0 - 0.3 * distance)
}
