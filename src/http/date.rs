//! The Date header, formatted once a second.

/// A date as HTTP writes it (RFC 9110, 5.6.7), kept as text until the second changes.
#[derive(Debug, Clone)]
pub struct HttpDate {
    unix_s: u64,
    text: [u8; 29],
}

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// The last second that four digits of a year can name.
const LAST_S: u64 = 253_402_300_799;

impl HttpDate {
    /// The date of a Unix time in seconds.
    pub fn new(unix_s: u64) -> HttpDate {
        HttpDate { unix_s, text: format(unix_s.min(LAST_S)) }
    }

    /// Moves to another second; formats only when it is another one.
    pub fn set(&mut self, unix_s: u64) {
        if unix_s != self.unix_s {
            *self = HttpDate::new(unix_s);
        }
    }

    /// The text, for example `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn as_bytes(&self) -> &[u8; 29] {
        &self.text
    }
}

fn format(unix_s: u64) -> [u8; 29] {
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = civil(days);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    text[..3].copy_from_slice(DAYS[(days % 7) as usize]);
    text[8..11].copy_from_slice(MONTHS[(month - 1) as usize]);
    for (at, value) in [
        (5, day),
        (12, year / 100),
        (14, year % 100),
        (17, second / 3600),
        (20, second / 60 % 60),
        (23, second % 60),
    ] {
        text[at] = b'0' + (value / 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    }
    text
}

/// Year, month and day of a count of days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so
/// that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_seconds_have_their_dates() {
        for (unix_s, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_798_761_600, "Fri, 01 Jan 2027 00:00:00 GMT"),
            (LAST_S, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(HttpDate::new(unix_s).as_bytes(), text.as_bytes(), "{unix_s}");
        }
    }

    #[test]
    fn a_date_follows_its_second() {
        let mut date = HttpDate::new(0);
        date.set(1);
        assert_eq!(&date.as_bytes()[17..25], b"00:00:01");
    }
}
