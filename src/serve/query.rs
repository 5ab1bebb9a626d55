//! What a request wishes to know of each picture.

use super::{limits::PICTURE_COST, pictures::Pictures, problem::Problem};

/// The layers that can be asked for.
const LAYERS: [&str; 7] = ["c1", "s2", "c3", "s4", "c5", "f6", "output"];
/// Pictures in a request that asks for layers: each has 8,000 values.
const MAX_WITH_LAYERS: usize = 16;

/// `?top=3&seen=true&layers=c1,c3`
#[derive(Debug, PartialEq)]
pub(super) struct Query {
    /// How many classes to rank.
    pub top: usize,
    /// Whether to add the image as the net saw it.
    pub seen: bool,
    /// The layers whose values to add.
    pub layers: Vec<&'static str>,
}

impl Query {
    pub(super) fn parse(query: Option<&str>, classes: usize) -> Result<Self, Problem> {
        let mut parsed = Self { top: classes, seen: false, layers: Vec::new() };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match (name.as_ref(), value.as_ref()) {
                ("top", value) => match value.parse() {
                    Ok(top) if (1..=classes).contains(&top) => parsed.top = top,
                    _ => return Err(Problem::bad_request(format!("top must be 1 to {classes}"))),
                },
                ("seen", "true") => parsed.seen = true,
                ("seen", "false") => parsed.seen = false,
                ("seen", _) => return Err(Problem::bad_request("seen must be true or false")),
                ("layers", value) => parsed.layers = layers(value)?,
                (name, _) => {
                    return Err(Problem::bad_request(format!(
                        "there is no parameter {name:?}; there are: top, seen, layers"
                    )));
                }
            }
        }
        Ok(parsed)
    }

    /// The work that pictures make, in images.
    ///
    /// # Errors
    /// The answer would be very large.
    pub(super) fn cost(&self, pictures: &Pictures) -> Result<usize, Problem> {
        match pictures.len() {
            _ if self.layers.is_empty() => Ok(pictures.cost()),
            count if count <= MAX_WITH_LAYERS => Ok(count * PICTURE_COST),
            _ => Err(Problem::bad_request(format!(
                "layers can be asked for with at most {MAX_WITH_LAYERS} pictures in a request"
            ))),
        }
    }
}

fn layers(names: &str) -> Result<Vec<&'static str>, Problem> {
    let known = |name: &str| {
        LAYERS.into_iter().find(|layer| *layer == name).ok_or_else(|| {
            Problem::bad_request(format!("there is no layer {name:?}; there are: {}", LAYERS.join(", ")))
        })
    };
    names.split(',').map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::PIXELS;

    #[test]
    fn wishes_are_understood_or_refused() {
        let parse = |query| Query::parse(Some(query), 10);
        assert_eq!(Query::parse(None, 10).unwrap(), Query { top: 10, seen: false, layers: vec![] });
        let wishes = parse("top=3&seen=true&layers=c1,c3").unwrap();
        assert_eq!(wishes, Query { top: 3, seen: true, layers: vec!["c1", "c3"] });
        assert_eq!(parse("layers=c1%2cc3&top=3&&seen=true").unwrap(), wishes);
        let images = |count: usize| Pictures::Framed(vec![0; count * PIXELS].into());
        assert_eq!((wishes.cost(&images(16)).unwrap(), parse("").unwrap().cost(&images(17)).unwrap()), (640, 17));
        assert!(wishes.cost(&images(17)).is_err());
        for wrong in ["top=0", "top=11", "top=x", "top", "seen=1", "layers=c2", "layers=", "other=1", "&=&", "%ff"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
