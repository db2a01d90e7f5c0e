//! Sizes and ages as people write them: `10G`, `30d`.

use std::time::Duration;

/// Bytes in binary units, with the precision that a person needs: `1.4 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    while unit + 1 < UNITS.len() && count >> (10 * (unit + 1)) > 0 {
        unit += 1;
    }
    if unit == 0 {
        return format!("{count} bytes");
    }
    // In tenths, rounded to the nearest.
    let tenths = (u128::from(count) * 10 + (1u128 << (10 * unit - 1))) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Reads a size: a whole number of bytes, or of binary units (`500M`, `10G`, `2T`).
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size such as 500M, 10G or 2T");
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let trimmed = text
        .strip_suffix("iB")
        .or_else(|| text.strip_suffix('B'))
        .unwrap_or(text);
    let (number, shift) = units
        .iter()
        .find_map(|(letter, shift)| Some((trimmed.strip_suffix(*letter)?, *shift)))
        .unwrap_or((trimmed, 0));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Reads an age: `12h`, `30d`, `4w`.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not an age such as 12h, 30d or 4w");
    let units = [('h', 3600), ('d', 24 * 3600), ('w', 7 * 24 * 3600)];
    let (number, seconds) = units
        .iter()
        .find_map(|(letter, seconds)| Some((text.strip_suffix(*letter)?, *seconds)))
        .ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// An age with the precision that a person needs: `3 days`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (count, unit) = match seconds {
        0..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_and_ages_are_read_and_shown() {
        assert_eq!(parse_bytes("10G"), Ok(10 << 30));
        assert_eq!(parse_bytes("5MiB"), Ok(5 << 20));
        assert_eq!(parse_bytes("17"), Ok(17));
        for wrong in ["", "G", "-1G", "1.5G", "10X", "99999999999T"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(10 << 30), "10.0 GiB");
        assert_eq!(parse_age("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(parse_age("2w"), parse_age("14d"));
        for wrong in ["", "30", "d", "-1d", "99999999999999999999d"] {
            assert!(parse_age(wrong).is_err(), "{wrong}");
        }
        assert_eq!(age(Duration::from_hours(25)), "1 day");
        assert_eq!(age(Duration::from_mins(5)), "5 minutes");
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in "[0-9]{0,25}[KMGTBihdwx]{0,3}", count in any::<u64>()) {
            let _ = (parse_bytes(&text), parse_age(&text));
            prop_assert!(bytes(count).len() < 20);
        }
    }
}
