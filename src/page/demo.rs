//! The net itself as a page: draw a digit, see every layer, follow a pixel to the loss and an error back to a weight.
//!
//! The page computes everything by itself, in `demo/*.js`, and requests nothing.

use base64::{Engine, engine::general_purpose::STANDARD};
use burn::{module::Param, tensor::Tensor};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    charts::{DARK, LIGHT},
    render,
};
use crate::{Error, Result, data::ImageSet, evaluation::Miss, fused::values, inference::Trained, model::LeNet5};

/// The page's modules, each behind those that it imports.
const MODULES: [&str; 20] = [
    include_str!("demo/net.js"),
    include_str!("demo/backward.js"),
    include_str!("demo/units.js"),
    include_str!("demo/ways.js"),
    include_str!("demo/strokes.js"),
    include_str!("demo/picture.js"),
    include_str!("demo/dom.js"),
    include_str!("demo/text.js"),
    include_str!("demo/paint.js"),
    include_str!("demo/pad.js"),
    include_str!("demo/views.js"),
    include_str!("demo/layers.js"),
    include_str!("demo/tables.js"),
    include_str!("demo/explain-forward.js"),
    include_str!("demo/explain-backward.js"),
    include_str!("demo/inspector.js"),
    include_str!("demo/answer.js"),
    include_str!("demo/sources.js"),
    include_str!("demo/feedback.js"),
    include_str!("demo/app.js"),
];
const STYLE: &str = include_str!("demo/demo.css");

/// How many examples that the net misreads are in the page.
const MISREAD_EXAMPLES: usize = 6;

/// What the page tells beside the net itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The net's name.
    pub name: &'a str,
    /// The images that the examples are taken from.
    pub test: Option<&'a ImageSet>,
    /// Those that the net misreads, the most confident first.
    pub misses: &'a [Miss],
    /// Whether a service delivers the page and takes corrections.
    pub feedback: bool,
}

/// A net as a page.
#[derive(Debug, Clone)]
pub struct Demo {
    /// One HTML file. It requests nothing, unless a service takes corrections.
    pub html: String,
    /// Its content security policy, which is also in it.
    pub policy: String,
}

/// Makes the page of a net.
///
/// # Errors
/// The parameters cannot be read, or the page cannot be made.
pub fn demo(trained: &Trained, about: &About) -> Result<Demo> {
    let card = &trained.card;
    let (slope, background) = card.scale.linear();
    let data = json!({
        "classes": card.classes,
        "scale": { "slope": slope, "background": background },
        "sure": card.thresholds.sure,
        "noClass": card.thresholds.no_digit,
        "examples": about.test.map(|set| examples(set, about.misses, card.classes.len())).unwrap_or_default(),
        "feedback": about.feedback,
        "parameters": STANDARD.encode(parameters(&trained.net)?),
    });
    // In a script element, only `<` could end it.
    let data = data.to_string().replace('<', "\\u003c");
    let script = bundle(&MODULES);
    let style = format!(":root{{{LIGHT}}}@media(prefers-color-scheme:dark){{:root{{{DARK}}}}}\n{STYLE}");
    let connect = if about.feedback { "'self'" } else { "'none'" };
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src {connect}; base-uri 'none'; \
         form-action 'none'",
        hash(&script),
        hash(&style)
    );
    let html = render(
        "demo.html",
        &json!({
            "thing": thing(&card.classes),
            "name": about.name,
            "version": env!("CARGO_PKG_VERSION"),
            "accuracy": card.test_accuracy,
            "feedback": about.feedback,
            "policy": policy,
            "style": style,
            "script": script,
            "data": data,
        }),
    )?;
    Ok(Demo { html, policy })
}

/// What one draws for a net with these classes.
fn thing(classes: &[String]) -> &'static str {
    let all = |is: fn(char) -> bool| classes.iter().all(|class| class.chars().count() == 1 && class.chars().all(is));
    if all(|c| c.is_ascii_digit()) {
        "a digit"
    } else if all(char::is_alphabetic) {
        "a letter"
    } else {
        "something"
    }
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

/// Modules as one script: without their imports, since all are in one scope, and without the word `export`.
fn bundle(modules: &[&str]) -> String {
    let mut script = String::from("\n");
    for module in modules {
        let mut in_import = false;
        for line in module.lines() {
            in_import |= line.starts_with("import ");
            if !in_import {
                script += line.strip_prefix("export ").unwrap_or(line);
                script.push('\n');
            }
            in_import &= !line.ends_with(';');
        }
    }
    script
}

/// All parameters as little-endian `f32`, layer by layer, weights before biases. A layer's weights are
/// `[outputs, inputs]` or `[outputs, inputs, 5, 5]`; Burn's linear layers have `[inputs, outputs]`.
fn parameters(net: &LeNet5) -> Result<Vec<u8>> {
    fn layer<const D: usize>(weight: Tensor<D>, bias: Option<&Param<Tensor<1>>>) -> Result<Vec<f32>> {
        let bias = bias.ok_or_else(|| Error::Page("the net has a layer without biases".into()))?;
        Ok([values(weight)?, values(bias.val())?].concat())
    }
    let layers = [
        layer(net.c1.weight.val(), net.c1.bias.as_ref())?,
        layer(net.c3.weight.val(), net.c3.bias.as_ref())?,
        layer(net.c5.weight.val(), net.c5.bias.as_ref())?,
        layer(net.f6.weight.val().transpose(), net.f6.bias.as_ref())?,
        layer(net.output.weight.val().transpose(), net.output.bias.as_ref())?,
    ];
    Ok(layers.concat().into_iter().flat_map(f32::to_le_bytes).collect())
}

/// An image to try the net on.
#[derive(Serialize)]
struct Example {
    /// 784 bytes in base64.
    pixels: String,
    label: u8,
    /// What the net takes it for, where that is not its label.
    misread_as: Option<usize>,
}

/// The first image of each class, then some that the net misreads.
fn examples(set: &ImageSet, misses: &[Miss], classes: usize) -> Vec<Example> {
    let example = |index: usize, misread_as: Option<usize>| Example {
        pixels: STANDARD.encode(set.image(index)),
        label: set.label(index),
        misread_as,
    };
    let is_misread = |index: usize| misses.iter().any(|miss| miss.index == index);
    let first = |class: usize| (0..set.len()).find(|i| usize::from(set.label(*i)) == class && !is_misread(*i));
    let firsts = (0..classes).filter_map(first).map(|index| example(index, None));
    let misses = misses.iter().filter(|miss| miss.index < set.len() && miss.answer < classes);
    firsts.chain(misses.take(MISREAD_EXAMPLES).map(|miss| example(miss.index, Some(miss.answer)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_become_one_script() {
        let modules =
            ["export const A = 1;\n", "import {\n  A,\n} from './a.js';\nimport { B } from './b.js';\nf(A);\n"];
        assert_eq!(bundle(&modules), "\nconst A = 1;\nf(A);\n");
        let script = bundle(&MODULES);
        assert!(script.lines().all(|line| !line.starts_with("import ") && !line.starts_with("export ")));
        assert!(!script.contains("</script"));
    }
}
