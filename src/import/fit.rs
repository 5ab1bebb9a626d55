//! Which tensor of a file is which parameter of LeNet-5: their shapes tell, whatever their names are.

use std::collections::BTreeMap;

use lenet_kernels::Parameters;

use super::file::Foreign;
use crate::state_dict::{NAMES, StateDict, Values};

/// Where checkpoints keep the net, beside an optimizer's state.
const ROOTS: [&str; 6] = ["state_dict.", "model_state_dict.", "model_state.", "model.", "net.", "network."];
/// How many tensors are listed at most if a file does not fit.
const LISTED: usize = 20;

/// The parameters in a file, or what is wrong with it, tensor by tensor.
pub(super) fn fit(tensors: &[Foreign]) -> Result<StateDict, String> {
    let all: Vec<&Foreign> = tensors.iter().collect();
    let below = |root: &str| tensors.iter().filter(|tensor| tensor.name.starts_with(root)).collect::<Vec<_>>();
    let parts = ROOTS.map(below).into_iter().filter(|part| !part.is_empty() && part.len() < all.len());
    let mut outcome = Err(String::new());
    for part in std::iter::once(all.clone()).chain(parts) {
        outcome = assign(&part);
        if outcome.is_ok() {
            break;
        }
    }
    let chosen = outcome.map_err(|misfits| format!("is not LeNet-5:\n  {misfits}"))?;
    let mut faults: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut values = Vec::new();
    for (tensor, name) in chosen.into_iter().zip(NAMES) {
        match tensor.values() {
            Ok(read) => values.push(Values { shape: shape(name, &tensor.shape), values: read }),
            Err(fault) => faults.entry(fault).or_default().push(&tensor.name),
        }
    }
    values.try_into().map(Parameters::from_array).map_err(|_| {
        let lines: Vec<String> = faults.iter().map(|(fault, names)| format!("{}: {fault}", names.join(", "))).collect();
        format!("has the shapes of LeNet-5, but its values cannot be used:\n  {}", lines.join("\n  "))
    })
}

/// The shape of a parameter in LeNet-5; `None` stands for the number of classes.
fn expected(name: &str) -> &'static [Option<usize>] {
    match name {
        "c1.weight" => &[Some(6), Some(1), Some(5), Some(5)],
        "c1.bias" => &[Some(6)],
        "c3.weight" => &[Some(16), Some(6), Some(5), Some(5)],
        "c3.bias" => &[Some(16)],
        "c5.weight" => &[Some(120), Some(16), Some(5), Some(5)],
        "c5.bias" => &[Some(120)],
        "f6.weight" => &[Some(84), Some(120)],
        "f6.bias" => &[Some(84)],
        "output.weight" => &[None, Some(84)],
        _ => &[None],
    }
}

/// The shape of a tensor that was found for a parameter: C5 as a dense layer of `[120, 400]` has the same values as a
/// convolution.
fn shape(name: &str, found: &[usize]) -> Vec<usize> {
    if name == "c5.weight" { vec![120, 16, 5, 5] } else { found.to_vec() }
}

fn matches(name: &str, found: &[usize]) -> bool {
    let expected = expected(name);
    let same = expected.len() == found.len()
        && expected.iter().zip(found).all(|(expected, found)| expected.is_none_or(|side| side == *found));
    same || name == "c5.weight" && found == [120, 400]
}

/// The tensor of each parameter, in the order of [`NAMES`].
fn assign<'a, 'b>(tensors: &[&'a Foreign<'b>]) -> Result<Vec<&'a Foreign<'b>>, String> {
    let mut chosen: Vec<Option<&Foreign>> = Vec::new();
    for name in NAMES {
        let fitting = tensors.iter().copied().filter(|tensor| matches(name, &tensor.shape));
        let weight = chosen.last().copied().flatten();
        let found = if name.ends_with(".weight") {
            only(fitting)
        } else {
            let classes = weight.and_then(|weight| weight.shape.first());
            let fitting: Vec<_> = fitting.filter(|bias| bias.shape.first() == classes).collect();
            // With 84 classes, say, there are two biases of that length: one belongs to the weight by its name.
            let partner = weight.and_then(|weight| fitting.iter().find(|bias| stem(&bias.name) == stem(&weight.name)));
            partner.copied().or_else(|| only(fitting.into_iter()))
        };
        chosen.push(found);
    }
    let is_chosen = |tensor: &&&Foreign| chosen.iter().flatten().any(|chosen| std::ptr::eq(*chosen, **tensor));
    let left: Vec<&&Foreign> = tensors.iter().filter(|tensor| !is_chosen(tensor)).collect();
    if left.is_empty() && chosen.iter().all(Option::is_some) {
        return Ok(chosen.into_iter().flatten().collect());
    }
    Err(misfit(tensors, &chosen, left))
}

/// The name of a tensor's layer.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(stem, _)| stem)
}

/// The element of an iterator that has one.
fn only<T>(mut iterator: impl Iterator<Item = T>) -> Option<T> {
    let first = iterator.next();
    if iterator.next().is_some() { None } else { first }
}

/// What is missing from a file or there several times, and what has no place in LeNet-5.
fn misfit(tensors: &[&Foreign], chosen: &[Option<&Foreign>], mut left: Vec<&&Foreign>) -> String {
    let mut lines = Vec::new();
    for (name, _) in NAMES.iter().zip(chosen).filter(|(_, found)| found.is_none()) {
        let sides = expected(name).iter().map(|side| side.map_or("classes".into(), |side| side.to_string()));
        let or_dense = if *name == "c5.weight" { " or [120, 400]" } else { "" };
        let parameter = format!("{name} [{}]{or_dense}", sides.collect::<Vec<_>>().join(", "));
        let several = name.ends_with(".weight") && tensors.iter().any(|tensor| matches(name, &tensor.shape));
        lines.push(if several { format!("several for {parameter}") } else { format!("no {parameter}") });
    }
    left.sort_by(|a, b| a.name.cmp(&b.name));
    lines.extend(left.iter().take(LISTED).map(|tensor| format!("no place for {} {:?}", tensor.name, tensor.shape)));
    if left.len() > LISTED {
        lines.push(format!("and for {} more", left.len() - LISTED));
    }
    lines.join("\n  ")
}
