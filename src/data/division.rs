//! Dividing images at random, so that each class is in both parts, and equal images in one.

use std::collections::HashMap;

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::{ImageSet, PIXELS};
use crate::config::Portion;

/// Divides images into those that are left and a portion of them. Each class has its share in the portion, at least one image
/// if it has two, and keeps at least one. Equal images count as one. It depends on the images, their order and the seed.
pub(super) fn divide(set: &ImageSet, portion: Portion, seed: u64) -> (ImageSet, ImageSet) {
    let total = portion.of(set.len());
    let groups = groups(set);
    let mut by_class = vec![Vec::new(); set.classes().len()];
    for group in groups {
        by_class[usize::from(set.label(group[0]))].push(group);
    }
    let mut random = StdRng::seed_from_u64(seed);
    let (mut left, mut taken) = (Vec::new(), Vec::new());
    let quotas = quotas(&by_class.iter().map(|groups| groups.iter().map(Vec::len).sum()).collect::<Vec<_>>(), total);
    for (mut groups, quota) in by_class.into_iter().zip(quotas) {
        groups.shuffle(&mut random);
        let last = groups.len().saturating_sub(1);
        let mut count = 0;
        for (i, group) in groups.into_iter().enumerate() {
            if i < last && count < quota {
                count += group.len();
                taken.extend(group);
            } else {
                left.extend(group);
            }
        }
    }
    left.sort_unstable();
    taken.sort_unstable();
    (set.at(&left), set.at(&taken))
}

/// The positions of equal images, group by group, in the order of the first ones.
fn groups(set: &ImageSet) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<&[u8; PIXELS], usize> = HashMap::new();
    for i in 0..set.len() {
        let group = *known.entry(set.image(i)).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(group) => group.push(i),
            None => groups.push(vec![i]),
        }
    }
    groups
}

/// How many of each class, in proportion to their counts, with `total` together as far as possible.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below the count")]
fn quotas(counts: &[usize], total: usize) -> Vec<usize> {
    let all: usize = counts.iter().sum();
    if total == 0 || all == 0 {
        return vec![0; counts.len()];
    }
    let exact: Vec<f64> = counts.iter().map(|count| (*count as f64) * total as f64 / all as f64).collect();
    let least = |count: usize| usize::from(count >= 2);
    let mut quotas: Vec<usize> =
        exact.iter().zip(counts).map(|(exact, count)| (*exact as usize).max(least(*count))).collect();
    // What is missing goes to those with the largest remainders.
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    let mut missing = total.saturating_sub(quotas.iter().sum());
    for class in order {
        if missing > 0 && quotas[class] < exact[class].ceil() as usize {
            quotas[class] += 1;
            missing -= 1;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::numbered;

    fn set(items: &[(u8, u8)]) -> ImageSet {
        let pixels = items.iter().flat_map(|(image, _)| [*image; PIXELS]).collect();
        ImageSet::new(pixels, items.iter().map(|(_, label)| *label).collect(), numbered(3)).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn each_image_is_in_one_part_together_with_its_equals(
            items in prop::collection::vec((any::<u8>(), 0_u8..3), 0..60), share in 0.01_f64..0.9, seed in any::<u64>(),
        ) {
            let set = set(&items);
            let (left, taken) = divide(&set, Portion::Share(share), seed);
            prop_assert_eq!(left.len() + taken.len(), items.len());
            let images = |set: &ImageSet| (0..set.len()).map(|i| set.image(i)[0]).collect::<Vec<_>>();
            let (in_left, in_taken) = (images(&left), images(&taken));
            prop_assert!(in_left.iter().all(|image| !in_taken.contains(image)));
            let again = divide(&set, Portion::Share(share), seed).1;
            prop_assert_eq!(images(&again), in_taken);
        }
    }

    #[test]
    fn each_class_has_its_share() {
        let items: Vec<(u8, u8)> = (0..200)
            .map(|i| {
                (
                    i,
                    if i < 100 {
                        0
                    } else if i < 197 {
                        1
                    } else {
                        2
                    },
                )
            })
            .collect();
        let of_each = |portion| {
            let (left, taken) = divide(&set(&items), portion, 1);
            [left, taken].map(|set| [0, 1, 2].map(|class| (0..set.len()).filter(|i| set.label(*i) == class).count()))
        };
        assert_eq!(of_each(Portion::Share(0.2)), [[80, 78, 2], [20, 19, 1]]);
        assert_eq!(of_each(Portion::Count(40)), of_each(Portion::Share(0.2)));
        assert_eq!(of_each(Portion::Count(0)), [[100, 97, 3], [0, 0, 0]]);
        // None loses its last one.
        assert_eq!(of_each(Portion::Count(1000))[0], [1, 1, 1]);
    }
}
