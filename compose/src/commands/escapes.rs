//! Backslash escapes of C strings, as `printf` formats, `tr` and awk have them.

/// `text` with its escapes replaced; an unknown one stays as it is written.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\\'
            && let Some((byte, length)) = escape(&bytes[at + 1..])
        {
            out.push(byte);
            at += 1 + length;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

/// The byte that the escape after a backslash stands for, and its length.
pub(crate) fn escape(rest: &[u8]) -> Option<(u8, usize)> {
    let byte = match rest.first()? {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'0'..=b'7' => {
            let length = rest
                .iter()
                .take(3)
                .take_while(|digit| (b'0'..=b'7').contains(digit))
                .count();
            let value = rest[..length]
                .iter()
                .fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
            return Some((u8::try_from(value & 0xff).ok()?, length));
        }
        _ => return None,
    };
    Some((byte, 1))
}
