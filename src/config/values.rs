//! Values of keys that are more than a number or a word.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A part of a set of images: in TOML a count such as 5000, or a share below 1 such as 0.15.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Portion {
    /// So many images.
    Count(usize),
    /// This fraction of them, from 0 to below 1.
    Share(f64),
}

impl Portion {
    /// Whether it is nothing, however many images there are.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::Count(0)
    }

    /// How many of `total` images it is.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Share(share) => (share * total as f64).round() as usize,
        }
    }
}

impl From<usize> for Portion {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl Display for Portion {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Share(share) => write!(f, "{share}"),
        }
    }
}

impl Serialize for Portion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => count.serialize(serializer),
            Self::Share(share) => share.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Portion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortionVisitor)
    }
}

struct PortionVisitor;

impl de::Visitor<'_> for PortionVisitor {
    type Value = Portion;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a count such as 500, or a share below 1 such as 0.15")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Portion, E> {
        usize::try_from(count).map(Portion::Count).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(count), &self))
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Portion, E> {
        usize::try_from(count).map(Portion::Count).map_err(|_| E::invalid_value(de::Unexpected::Signed(count), &self))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number below 2^53")]
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Portion, E> {
        match number {
            0.0 => Ok(Portion::Count(0)),
            _ if number > 0.0 && number < 1.0 => Ok(Portion::Share(number)),
            _ if (1.0..9e15).contains(&number) && number.fract() == 0.0 => Ok(Portion::Count(number as usize)),
            _ => Err(E::invalid_value(de::Unexpected::Float(number), &self)),
        }
    }
}

/// Whether something is done: in TOML `true`, `false`, or `"auto"` for as the data need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Switch {
    /// As the data need it. The config of a run has one of the others.
    #[default]
    Auto,
    /// It is done.
    On,
    /// It is not done.
    Off,
}

impl Switch {
    /// Whether it is done, if `auto` means `automatic`.
    #[must_use]
    pub fn is_on(self, automatic: bool) -> bool {
        match self {
            Self::Auto => automatic,
            Self::On => true,
            Self::Off => false,
        }
    }
}

impl From<bool> for Switch {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

impl Serialize for Switch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => "auto".serialize(serializer),
            Self::On => true.serialize(serializer),
            Self::Off => false.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SwitchVisitor)
    }
}

struct SwitchVisitor;

impl de::Visitor<'_> for SwitchVisitor {
    type Value = Switch;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or \"auto\"")
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<Switch, E> {
        Ok(on.into())
    }

    /// `--set data.transpose=true` arrives as text.
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Switch, E> {
        match text {
            "auto" => Ok(Switch::Auto),
            "true" => Ok(Switch::On),
            "false" => Ok(Switch::Off),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }
}

/// How a picture becomes an image of 28x28 pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frame {
    /// As the data suggest: [`Frame::Digit`] for characters, else [`Frame::Whole`]. The config of a run on own data has one of
    /// these; for MNIST it is [`Frame::Digit`].
    #[default]
    Auto,
    /// What stands out from the background, 20 pixels high or wide, its centre of mass in the middle, as in MNIST.
    Digit,
    /// The whole picture, fitted into 28x28 pixels.
    Whole,
    /// Pictures have 28x28 pixels, and are taken as they are.
    None,
}

impl Frame {
    /// The same, with `automatic` for [`Frame::Auto`].
    #[must_use]
    pub fn or(self, automatic: Self) -> Self {
        if self == Self::Auto { automatic } else { self }
    }

    /// Whether a part of the picture is cut out, rather than all of it taken.
    #[must_use]
    pub fn cuts_out(self) -> bool {
        matches!(self, Self::Auto | Self::Digit)
    }
}

impl Display for Frame {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Digit => "digit",
            Self::Whole => "whole",
            Self::None => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Part {
        part: Portion,
    }

    #[test]
    fn a_portion_is_a_count_or_a_share() {
        for (text, portion) in [
            ("5000", Portion::Count(5000)),
            ("100.0", Portion::Count(100)),
            ("1", Portion::Count(1)),
            ("0.15", Portion::Share(0.15)),
            ("0.0", Portion::Count(0)),
        ] {
            let read: Part = toml::from_str(&format!("part = {text}")).unwrap();
            assert_eq!(read.part, portion);
            assert_eq!(toml::from_str::<Part>(&toml::to_string(&read).unwrap()).unwrap(), read);
        }
        for text in ["-1", "-0.5", "1.5", "nan", "inf", "\"half\"", "true"] {
            let error = toml::from_str::<Part>(&format!("part = {text}")).unwrap_err();
            assert!(error.message().contains("a share below 1 such as 0.15"), "{error}");
        }
        assert_eq!([Portion::Share(0.15).of(10), Portion::Count(7).of(10)], [2, 7]);
    }
}
