//! The few opcodes of Python's pickle, protocol 2, that a `state_dict` needs.
//!
//! Source: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.

/// A pickle being written. Each call writes what pushes a value, or changes the topmost one.
pub(super) struct Pickle(Vec<u8>);

impl Pickle {
    pub fn new() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.0.push(b'.');
        self.0
    }

    /// A class or a function.
    pub fn global(&mut self, module: &str, name: &str) {
        self.0.extend(format!("c{module}\n{name}\n").bytes());
    }

    pub fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.u32(text.len());
        self.0.extend(text.bytes());
    }

    /// A whole number below 2^31.
    pub fn int(&mut self, number: usize) {
        self.0.push(b'J');
        self.u32(number);
    }

    /// `False`.
    pub fn no(&mut self) {
        self.0.push(0x89);
    }

    /// `{}`
    pub fn dict(&mut self) {
        self.0.push(b'}');
    }

    /// `collections.OrderedDict()`
    pub fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.tuple(|_| {});
        self.call();
    }

    /// A tuple of what `content` writes.
    pub fn tuple(&mut self, content: impl FnOnce(&mut Self)) {
        self.between(b'(', content, b't');
    }

    /// Puts the keys and values that `content` writes into the dictionary before it.
    pub fn items(&mut self, content: impl FnOnce(&mut Self)) {
        self.between(b'(', content, b'u');
    }

    /// Sets the attributes, which `content` writes as one key and its value, of the object before it.
    pub fn attributes(&mut self, content: impl FnOnce(&mut Self)) {
        self.dict();
        self.items(content);
        self.0.push(b'b');
    }

    /// What the reader's `persistent_load` gives for a tuple of what `content` writes.
    pub fn persistent(&mut self, content: impl FnOnce(&mut Self)) {
        self.tuple(content);
        self.0.push(b'Q');
    }

    /// Calls the function before the topmost tuple with it.
    pub fn call(&mut self) {
        self.0.push(b'R');
    }

    fn between(&mut self, before: u8, content: impl FnOnce(&mut Self), after: u8) {
        self.0.push(before);
        content(self);
        self.0.push(after);
    }

    fn u32(&mut self, number: usize) {
        // Texts and shapes here are far below 4 GiB.
        self.0.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }
}
