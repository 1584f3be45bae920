//! Conversion of UTF-16, which `PowerShell` and some editors write, to UTF-8.

use std::io::{self, Read};

/// Size of a read, in bytes.
const BUFFER_BYTES: usize = 16 << 10;

/// Encoding of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8, or an unknown encoding, which the service rejects.
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// UTF-32, which is not supported.
    Utf32,
}

impl Encoding {
    /// Bytes that `of` needs.
    pub(super) const BYTES: usize = 4;

    /// Detects the encoding by the byte order mark, or by zeros beside the first character, which
    /// is ASCII in JSON.
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0xff, 0xfe, 0, 0, ..]
            | [0, 0, 0xfe, 0xff, ..]
            | [1..=0x7f, 0, 0, 0, ..]
            | [0, 0, 0, 1..=0x7f, ..] => Self::Utf32,
            [0xff, 0xfe, ..] | [1..=0x7f, 0, ..] => Self::Utf16Le,
            [0xfe, 0xff, ..] | [0, 1..=0x7f, ..] => Self::Utf16Be,
            _ => Self::Utf8,
        }
    }
}

/// Reader that converts UTF-16 to UTF-8. A lone surrogate becomes U+FFFD.
pub(super) struct Transcoded<R> {
    text: R,
    is_big_endian: bool,
    /// Undecoded bytes: less than a character.
    rest: Vec<u8>,
    /// Decoded bytes, of which `consumed` were returned.
    out: Vec<u8>,
    consumed: usize,
}

impl<R: Read> Transcoded<R> {
    pub(super) fn new(text: R, is_big_endian: bool) -> Self {
        Self { text, is_big_endian, rest: Vec::new(), out: Vec::new(), consumed: 0 }
    }

    /// Decodes more; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.out.clear();
        self.consumed = 0;
        while self.out.is_empty() {
            let before = self.rest.len();
            self.rest.resize(before + BUFFER_BYTES, 0);
            let read = self.text.read(&mut self.rest[before..]);
            self.rest.truncate(before + *read.as_ref().unwrap_or(&0));
            let is_end = match read {
                Ok(count) => count == 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.decode(is_end)?;
            if is_end {
                break;
            }
        }
        Ok(!self.out.is_empty())
    }

    fn decode(&mut self, is_end: bool) -> io::Result<()> {
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if self.is_big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        let mut units: Vec<u16> = self.rest.chunks_exact(2).map(unit).collect();
        // The second surrogate of a pair may follow later.
        let is_half = units.last().is_some_and(|last| (0xd800..0xdc00).contains(last));
        if is_half && !is_end {
            units.pop();
        }
        let mut character = [0; 4];
        for decoded in char::decode_utf16(units.iter().copied()) {
            let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.out.extend_from_slice(decoded.encode_utf8(&mut character).as_bytes());
        }
        self.rest.drain(..units.len() * 2);
        if is_end && !self.rest.is_empty() {
            let error = "the UTF-16 text ends in the middle of a character";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
        }
        Ok(())
    }
}

impl<R: Read> Read for Transcoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || (self.consumed == self.out.len() && !self.fill()?) {
            return Ok(0);
        }
        let count = buffer.len().min(self.out.len() - self.consumed);
        buffer[..count].copy_from_slice(&self.out[self.consumed..self.consumed + count]);
        self.consumed += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    #[test]
    fn every_character_is_converted() {
        let text = "{\"a\": \"h\u{e9}llo \u{1f600} \u{9000}\u{6b3e}\"}\r\n\u{10ffff}\n";
        let long = text.repeat(2_000);
        for text in [text, &long] {
            let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(Encoding::of(&le), Encoding::Utf16Le);
            assert_eq!(Encoding::of(&be), Encoding::Utf16Be);
            for (bytes, is_big_endian) in [(&le, false), (&be, true)] {
                let mut out = String::new();
                Transcoded::new(&bytes[..], is_big_endian).read_to_string(&mut out).unwrap();
                assert!(out == text);
                if text.len() > 1_000 {
                    continue;
                }
                out.clear();
                Transcoded::new(Slow(bytes), is_big_endian).read_to_string(&mut out).unwrap();
                assert!(out == text);
            }
        }
    }

    #[test]
    fn lone_surrogate_is_replaced_and_half_a_unit_is_an_error() {
        let mut out = String::new();
        let lone = [0x00, 0xd8, b'a', 0, 0x00, 0xdc, 0x01, 0xd8];
        Transcoded::new(&lone[..], false).read_to_string(&mut out).unwrap();
        assert_eq!(out, "\u{fffd}a\u{fffd}\u{fffd}");
        let cut = Transcoded::new(&lone[..3], false).read_to_string(&mut out).unwrap_err();
        assert!(cut.to_string().contains("middle of a character"), "{cut}");
    }

    #[test]
    fn encoding_is_detected_by_the_first_bytes() {
        for (head, expected) in [
            (&b"\xff\xfe{\0"[..], Encoding::Utf16Le),
            (b"\xfe\xff\0{", Encoding::Utf16Be),
            (b"{\0\"\0", Encoding::Utf16Le),
            (b"\0{\0\"", Encoding::Utf16Be),
            (b"\xff\xfe", Encoding::Utf16Le),
            (b"\xff\xfe\0\0", Encoding::Utf32),
            (b"{\0\0\0", Encoding::Utf32),
            (b"\0\0\0{", Encoding::Utf32),
            (b"\xef\xbb\xbf{", Encoding::Utf8),
            (b"{\"a\"", Encoding::Utf8),
            (b"", Encoding::Utf8),
        ] {
            assert_eq!(Encoding::of(head), expected, "{head:?}");
        }
    }
}
