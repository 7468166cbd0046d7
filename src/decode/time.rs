//! Times of bodies, as ISO-8601 text, to milliseconds since 1970.

/// Reads an ISO-8601 time.
pub(super) fn parse(text: &str) -> Option<i64> {
    common(text.as_bytes())
        .or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond))
}

/// The form the platform writes, `YYYY-MM-DDTHH:MM:SS.mmmZ`, a dozen times in every body.
fn common(text: &[u8]) -> Option<i64> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b'.',
        f1,
        f2,
        f3,
        b'Z',
    ] = *text
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute) = (number(&[h1, h2])?, number(&[n1, n2])?);
    let (second, milli) = (number(&[s1, s2])?, number(&[f1, f2, f3])?);
    if !(1..=12).contains(&month)
        || !(1..=28).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None; // the ends of months are left to the calendar of the library
    }
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * m + 2) / 5 + day - 1;
    let days = era * 146_097 + doe - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + milli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_form_and_the_calendar_agree() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "2024-02-28T23:59:59.999Z",
            "2026-11-24T10:00:01.001Z",
            "2000-03-01T12:00:00.500Z",
        ] {
            let slow = text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            assert_eq!(common(text.as_bytes()), Some(slow), "{text}");
        }
    }

    #[test]
    fn other_forms_are_read_and_nonsense_is_absent() {
        assert_eq!(parse("2024-02-29T12:34:56Z"), Some(1_709_210_096_000));
        assert_eq!(parse("2024-02-29T13:34:56.7+01:00"), Some(1_709_210_096_700));
        assert_eq!(parse("2024-02-30T00:00:00.000Z"), None);
        assert_eq!(parse("soon"), None);
    }
}
