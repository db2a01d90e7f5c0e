//! The little of DER (X.690) and PEM (RFC 7468) that naming a certificate by its subject needs.

/// A value: its tag and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

/// The values that follow one another in `data`; nothing if they are cut short.
pub(super) fn values(mut data: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut found = Vec::new();
    while let [tag, length, rest @ ..] = data {
        let (length, rest) = match *length {
            short @ 0..0x80 => (usize::from(short), rest),
            long => {
                let digits = rest
                    .get(..usize::from(long & 0x7f))
                    .filter(|digits| (1..=4).contains(&digits.len()))?;
                let length = digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit));
                (length, &rest[digits.len()..])
            }
        };
        found.push(Value {
            tag: *tag,
            content: rest.get(..length)?,
        });
        data = &rest[length..];
    }
    data.is_empty().then_some(found)
}

/// `content` with tag and length before it.
pub(super) fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let bytes = content.len().to_be_bytes();
    let digits = &bytes[bytes.iter().take_while(|&&byte| byte == 0).count()..];
    if let Ok(short @ 0..0x80) = u8::try_from(content.len()) {
        out.push(short);
    } else {
        out.push(0x80 | u8::try_from(digits.len()).expect("a length has at most eight bytes"));
        out.extend_from_slice(digits);
    }
    out.extend_from_slice(content);
    out
}

/// The contents of all `CERTIFICATE` blocks of a PEM text; blocks that are not base64 are left out.
pub(super) fn certificates(text: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
        let Some((body, after)) = after.split_once("-----END CERTIFICATE-----") else {
            break;
        };
        found.extend(base64(body));
        rest = after;
    }
    found
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).expect("masked to a byte"));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_both_forms() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let encoded = encode(4, &content);
            assert_eq!(
                values(&encoded).unwrap(),
                [Value {
                    tag: 4,
                    content: &content
                }]
            );
        }
        assert_eq!(values(&[4, 2, 0]), None);
        assert_eq!(values(&[4, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }

    #[test]
    fn pem_blocks_are_decoded() {
        let text = "x\n-----BEGIN CERTIFICATE-----\nTWFu\nTWE=\n-----END CERTIFICATE-----\ny";
        assert_eq!(certificates(text), [b"ManMa".to_vec()]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(data: Vec<u8>) {
            values(&data);
        }
    }
}
