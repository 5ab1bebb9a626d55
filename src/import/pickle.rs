//! What a pickle would run if Python loaded it. Here nothing of it is executed.

use std::{
    borrow::Cow,
    io::{Cursor, Read},
};

use zip::ZipArchive;

/// More bytes of a pickle are not read: that of LeNet-5 has a few thousand.
const MAX_BYTES: u64 = 64 << 20;

/// What of Python runs programs or code, or opens files and connections: modules with all that is in them, and functions. A
/// pickle that names it does something when Python loads it.
///
/// Source: those that pickle scanners call dangerous, such as <https://github.com/mmaitre314/picklescan>.
const RUNNING: [&str; 45] = [
    "_io",
    "_pickle",
    "_posixsubprocess",
    "asyncio",
    "bdb",
    "builtins",
    "cProfile",
    "code",
    "codeop",
    "commands",
    "ctypes",
    "ftplib",
    "http",
    "importlib",
    "io",
    "marshal",
    "multiprocessing",
    "nt",
    "operator",
    "os",
    "pdb",
    "pickle",
    "pip",
    "posix",
    "profile",
    "pty",
    "pydoc",
    "requests",
    "runpy",
    "shutil",
    "signal",
    "smtplib",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "telnetlib",
    "timeit",
    "torch.hub",
    "torch.load",
    "torch.serialization",
    "trace",
    "types",
    "urllib",
    "webbrowser",
];

/// What of it only makes a value.
const VALUES: [&str; 13] = [
    "builtins.bool",
    "builtins.bytearray",
    "builtins.bytes",
    "builtins.complex",
    "builtins.dict",
    "builtins.float",
    "builtins.frozenset",
    "builtins.list",
    "builtins.object",
    "builtins.set",
    "builtins.slice",
    "builtins.str",
    "types.SimpleNamespace",
];

/// What in a file of PyTorch runs when Python loads it: the first such function or class.
pub(super) fn what_runs(file: &[u8]) -> Option<String> {
    pickles(file).iter().flat_map(|pickle| globals(pickle)).find(|name| runs_something(name))
}

/// Whether this function or class of Python does more than make a value.
fn runs_something(name: &str) -> bool {
    let is_in = |of: &str| name.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    RUNNING.iter().any(|of| is_in(of)) && !VALUES.contains(&name)
}

/// The pickles of a file: those in PyTorch's archive, or the file itself, as PyTorch wrote it before 1.6.
fn pickles(bytes: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else { return vec![bytes.into()] };
    let count = archive.len();
    let read = |index| {
        let entry = archive.by_index(index).ok()?;
        let is_pickle = entry.name().is_ok_and(|name| name.ends_with(".pkl"));
        let mut pickle = Vec::new();
        // What cannot be read here cannot be read later, either, which is told then.
        let done = is_pickle && entry.take(MAX_BYTES).read_to_end(&mut pickle).is_ok();
        done.then(|| pickle.into())
    };
    (0..count).filter_map(read).collect()
}

/// The functions and classes that a pickle names, as `module.name`, wherever they stand in it: also where the reader of
/// PyTorch's files would leave them out, as an argument or a state of something harmless.
///
/// Source: Python's `pickletools`, opcodes `GLOBAL`, `INST` and `STACK_GLOBAL`.
fn globals(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    (0..bytes.len()).filter_map(|at| {
        let rest = &bytes[at + 1..];
        let (module, name) = match bytes[at] {
            // GLOBAL and INST: two lines.
            b'c' | b'i' => {
                let (module, rest) = line(rest)?;
                (module, line(rest)?.0)
            }
            // SHORT_BINUNICODE twice, each perhaps kept, and STACK_GLOBAL.
            0x8c => {
                let (module, rest) = short_text(rest)?;
                let (name, rest) = short_text(rest.strip_prefix(&[0x8c])?)?;
                rest.starts_with(&[0x93]).then_some((module, name))?
            }
            _ => return None,
        };
        let module = if module == "__builtin__" { "builtins" } else { module };
        Some(format!("{module}.{name}"))
    })
}

/// A line that is a name in Python, and what follows it.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().take(100).position(|byte| *byte == b'\n')?;
    Some((python_name(&bytes[..end])?, &bytes[end + 1..]))
}

/// A name with its length before it, and what follows it and the opcode that keeps it.
fn short_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    let rest = match rest {
        // MEMOIZE, BINPUT and LONG_BINPUT.
        [0x94, rest @ ..] | [b'q', _, rest @ ..] | [b'r', _, _, _, _, rest @ ..] | rest => rest,
    };
    Some((python_name(text)?, rest))
}

fn python_name(bytes: &[u8]) -> Option<&str> {
    let of_a_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._".contains(byte);
    (!bytes.is_empty() && bytes.iter().all(of_a_name)).then(|| std::str::from_utf8(bytes).ok())?
}
