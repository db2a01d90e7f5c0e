//! Which part of a file an answer holds: `Content-Range` (RFC 9110, section 14.4).

/// A `Content-Range` in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentRange {
    /// `bytes first-last/total`: a part of the file; the total may be unknown (`*`).
    Part {
        /// Offset of its first byte.
        first: u64,
        /// Offset of its last byte.
        last: u64,
        /// Size of the whole file.
        total: Option<u64>,
    },
    /// `bytes */total`: no part of the file, whose size this is.
    Nothing {
        /// Size of the whole file.
        total: u64,
    },
}

impl ContentRange {
    /// Reads the field's value; `None` where it is none, or contradicts itself.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (unit, rest) = value.trim().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (range, total) = rest.trim().split_once('/')?;
        if range == "*" {
            return number(total).map(|total| Self::Nothing { total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let total = if total == "*" { None } else { Some(number(total)?) };
        let consistent = first <= last && last < u64::MAX && total.is_none_or(|total| last < total);
        consistent.then_some(Self::Part { first, last, total })
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_rfc_9110_has_them() {
        let part = |first, last, total| Some(ContentRange::Part { first, last, total });
        assert_eq!(ContentRange::parse("bytes 42-1233/1234"), part(42, 1233, Some(1234)));
        assert_eq!(ContentRange::parse("bytes 42-1233/*"), part(42, 1233, None));
        assert_eq!(
            ContentRange::parse("bytes */1234"),
            Some(ContentRange::Nothing { total: 1234 })
        );
        for bad in [
            "",
            "bytes",
            "bytes 1",
            "bytes 1-2",
            "bytes 2-1/9",
            "bytes 1-9/9",
            "bytes -1-2/9",
            "bytes +1-2/9",
            "bytes */*",
            "items 1-2/9",
            "bytes 1-99999999999999999999/*",
        ] {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_consistent_range_is_read_back(first in 0..u64::MAX / 4, length in 1..u64::MAX / 4, rest in 0..u64::MAX / 4) {
            let last = first + length - 1;
            let total = last + 1 + rest;
            let read = ContentRange::parse(&format!("bytes {first}-{last}/{total}"));
            prop_assert_eq!(read, Some(ContentRange::Part { first, last, total: Some(total) }));
        }

        #[test]
        fn what_is_read_is_consistent(value in "(bytes )?[0-9*]{0,21}-?[0-9]{0,21}/?[0-9*]{0,21}|\\PC*") {
            if let Some(ContentRange::Part { first, last, total }) = ContentRange::parse(&value) {
                prop_assert!(first <= last && total.is_none_or(|total| last < total));
            }
        }
    }
}
