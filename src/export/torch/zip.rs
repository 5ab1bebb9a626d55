//! A zip archive of entries that are stored without compression.
//!
//! Source: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, sections 4.3 and 4.4.

/// The content of each entry begins at a multiple of this, in bytes, so that PyTorch can map it into memory.
const ALIGNMENT: usize = 64;
/// The header of an extra field, which is how entries are shifted: an identifier, for which PyTorch has `FB`, and a length.
const EXTRA_HEADER: usize = 4;
/// A local header without name and extra field, in bytes.
const LOCAL_HEADER: usize = 30;
/// The version of the format that reading needs: 1.0.
const VERSION: u16 = 10;
/// 1 January 1980 in the format's date, its zero.
const DATE: u16 = 0x21;

/// An archive being written. It is far below 4 GiB, which the 32-bit lengths of the format allow.
#[derive(Default)]
pub(super) struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

impl Zip {
    pub fn add(&mut self, name: &str, content: &[u8]) {
        let offset = self.bytes.len();
        let unaligned = offset + LOCAL_HEADER + name.len() + EXTRA_HEADER;
        let padding = unaligned.next_multiple_of(ALIGNMENT) - unaligned;

        // What a local header and its entry in the directory share.
        let mut shared = Vec::new();
        // No flags, stored, at midnight.
        for field in [VERSION, 0, 0, 0, DATE] {
            shared.extend(field.to_le_bytes());
        }
        shared.extend(crc32fast::hash(content).to_le_bytes());
        shared.extend(u32_of(content.len()));
        shared.extend(u32_of(content.len()));
        shared.extend(u16_of(name.len()));

        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&shared);
        self.bytes.extend(u16_of(EXTRA_HEADER + padding));
        self.bytes.extend(name.bytes());
        self.bytes.extend(b"FB");
        self.bytes.extend(u16_of(padding));
        self.bytes.resize(self.bytes.len() + padding, b'Z');
        self.bytes.extend(content);

        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(VERSION.to_le_bytes());
        self.directory.extend(&shared);
        // No extra field, comment, disk number or attributes: 2, 2, 2 and 2 + 4 bytes.
        self.directory.extend([0; 12]);
        self.directory.extend(u32_of(offset));
        self.directory.extend(name.bytes());
        self.entries += 1;
    }

    pub fn finish(mut self) -> Vec<u8> {
        let offset = self.bytes.len();
        self.bytes.extend(&self.directory);
        self.bytes.extend(b"PK\x05\x06");
        // This is disk 0, and so is the directory's.
        self.bytes.extend([0; 4]);
        self.bytes.extend(self.entries.to_le_bytes());
        self.bytes.extend(self.entries.to_le_bytes());
        self.bytes.extend(u32_of(self.directory.len()));
        self.bytes.extend(u32_of(offset));
        // No comment.
        self.bytes.extend([0; 2]);
        self.bytes
    }
}

fn u32_of(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

fn u16_of(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes()
}
