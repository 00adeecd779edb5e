//! The time format of `Date` (RFC 3261 section 20.17): RFC 1123 dates, always in GMT.

use chrono::{DateTime, NaiveDate};

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Writes seconds since 1970 as `Sat, 13 Nov 2010 23:29:00 GMT`. A time outside of the calendar
/// is written as its start.
#[must_use]
pub fn format(unix_s: i64) -> String {
    let time = DateTime::from_timestamp(unix_s, 0).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads what [`format()`] writes, in any case, as seconds since 1970. The day of the week is not
/// compared; a zone other than GMT is no SIP date.
#[must_use]
pub fn parse(text: &[u8]) -> Option<i64> {
    let text = match text.iter().position(|&b| b == b',') {
        Some(comma) => &text[comma + 1..],
        None => text,
    };
    let mut words = text.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let day = number(words.next()?)?;
    let month = words.next()?;
    let (month, _) = (1..).zip(MONTHS).find(|(_, name)| name.eq_ignore_ascii_case(month))?;
    let year = number(words.next()?)?;
    let mut clock = words.next()?.split(|&b| b == b':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if clock.next().is_some() || !words.next()?.eq_ignore_ascii_case(b"GMT") {
        return None;
    }
    // A leap second is the last second of its minute.
    let second = second.min(59);
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(date.and_hms_opt(hour, minute, second)?.and_utc().timestamp())
}

/// At most four digits: longer ones are in no date.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    digits.iter().try_fold(0, |sum: u32, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfc_s_own_example_reads_and_writes() {
        let text = "Sat, 13 Nov 2010 23:29:00 GMT";
        assert_eq!(parse(text.as_bytes()), Some(1_289_690_940));
        assert_eq!(format(1_289_690_940), text);
    }

    #[test]
    fn sloppy_but_clear_dates_are_read() {
        for text in ["13 Nov 2010 23:29:00 GMT", "sat,13 NOV 2010  23:29:00 gmt"] {
            assert_eq!(parse(text.as_bytes()), Some(1_289_690_940), "{text}");
        }
    }

    #[test]
    fn what_is_no_sip_date_is_not_guessed() {
        for text in [
            "",
            "yesterday",
            "Fri, 01 Jan 2010 16:00:00 EST",
            "Sat, 31 Feb 2010 00:00:00 GMT",
            "Sat, 13 Nov 2010 25:00:00 GMT",
            "Sat, 13 Nov 99999 23:29:00 GMT",
            "Sat, 13 Nov 2010 23:29 GMT",
            "Sat, 13 Nov 2010 23:29:00",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
