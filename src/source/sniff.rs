//! What a stream is, told by its first bytes and never by its name.

/// A container around evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// RFC 1952.
    Gzip,
    /// RFC 8878, with or without skippable frames in front.
    Zstd,
    /// The .xz file format.
    Xz,
    /// bzip2.
    Bzip2,
    /// ustar, GNU or pax tar.
    Tar,
    /// ZIP.
    Zip,
    /// 7z.
    SevenZip,
    /// UTF-16 text with its byte order mark, lower byte first.
    Utf16Le,
    /// UTF-16 text with its byte order mark, higher byte first.
    Utf16Be,
}

impl Container {
    /// The name people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Container::Gzip => "gzip",
            Container::Zstd => "zstd",
            Container::Xz => "xz",
            Container::Bzip2 => "bzip2",
            Container::Tar => "tar",
            Container::Zip => "zip",
            Container::SevenZip => "7z",
            Container::Utf16Le | Container::Utf16Be => "utf-16",
        }
    }
}

/// Bytes of a stream that [`sniff`] wants to see, if it has that many.
pub const SNIFF_BYTES: usize = 1024;

/// Says which container starts with `head`, if any.
pub fn sniff(head: &[u8]) -> Option<Container> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    if starts(&[0x1f, 0x8b, 0x08]) {
        return Some(Container::Gzip);
    }
    let skippable = head.get(1..4) == Some(&[0x2a, 0x4d, 0x18])
        && head.first().is_some_and(|c| c & 0xf0 == 0x50);
    if starts(&[0x28, 0xb5, 0x2f, 0xfd]) || skippable {
        return Some(Container::Zstd);
    }
    if starts(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        return Some(Container::Xz);
    }
    // "BZh", the block size, then the magic of a block or of the end of the stream.
    if starts(b"BZh")
        && matches!(
            head.get(4..10),
            Some([0x31, 0x41, 0x59, 0x26, 0x53, 0x59] | [0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
        )
    {
        return Some(Container::Bzip2);
    }
    if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") {
        return Some(Container::Zip);
    }
    if starts(&[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c]) {
        return Some(Container::SevenZip);
    }
    if is_tar(head) {
        return Some(Container::Tar);
    }
    utf16(head)
}

/// The byte order mark, and behind it text as JSON and logs begin: the same two bytes can begin a
/// damaged line, or UTF-32.
fn utf16(head: &[u8]) -> Option<Container> {
    let (container, high) = match head.get(..2)? {
        [0xff, 0xfe] => (Container::Utf16Le, 1),
        [0xfe, 0xff] => (Container::Utf16Be, 0),
        _ => return None,
    };
    let (units, _) = head.get(2..)?.as_chunks::<2>();
    let mut first = units.iter().take(8).peekable();
    first.peek()?;
    let ascii = |unit: &[u8; 2]| {
        let (high, low) = (unit.get(high), unit.get(1 - high));
        high == Some(&0) && low.is_some_and(|c| c.is_ascii_graphic() || c.is_ascii_whitespace())
    };
    first.all(ascii).then_some(container)
}

/// A tar header has "ustar" at 257 (POSIX and GNU) and a checksum that fits.
fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar") && tar_checksum_fits(head)
}

fn tar_checksum_fits(head: &[u8]) -> bool {
    let (Some(block), Some(field)) = (head.get(..512), head.get(148..156)) else { return false };
    let mut told: u32 = 0;
    for &c in field.iter().skip_while(|c| **c == b' ') {
        if !(b'0'..=b'7').contains(&c) {
            break;
        }
        told = told.saturating_mul(8).saturating_add(u32::from(c - b'0'));
    }
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, &c)| u32::from(if (148..156).contains(&at) { b' ' } else { c }))
        .sum();
    sum == told
}
