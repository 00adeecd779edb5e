//! Contact: a binding's address with its parameters.

use super::name_addr::NameAddr;
use super::text::number;

/// One Contact value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact<'a> {
    /// The address; `addr.uri` is `*` for the value that means all bindings.
    pub addr: NameAddr<'a>,
}

impl<'a> Contact<'a> {
    /// Reads one element of a Contact list; `None` for what must be answered with 400.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        NameAddr::parse(value).map(|addr| Self { addr })
    }

    /// True for `*` (RFC 3261 section 10.2.2).
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.addr.uri == b"*"
    }

    /// The preference in thousandths, 1,000 when there is no `q`; `None` when `q` is broken.
    #[must_use]
    pub fn q(&self) -> Option<u16> {
        match self.addr.params.get(b"q") {
            None => Some(1_000),
            Some(value) => thousandths(value?),
        }
    }

    /// The `expires` parameter in seconds: `None` = not there, `Some(None)` = malformed, which a
    /// registrar treats as 3,600 (RFC 3261 section 20.10); above 2^32-1 counts as malformed.
    #[must_use]
    pub fn expires(&self) -> Option<Option<u32>> {
        let value = self.addr.params.get(b"expires")?;
        Some(value.and_then(number).and_then(|seconds| u32::try_from(seconds).ok()))
    }

    /// The text inside the quotes of `+sip.instance`, `<urn:uuid:…>` (RFC 5626 section 4.1).
    #[must_use]
    pub fn instance(&self) -> Option<&'a [u8]> {
        self.addr.params.value(b"+sip.instance")
    }

    /// `reg-id`, 1 to 2^31-1 (RFC 5626 section 4.2).
    #[must_use]
    pub fn reg_id(&self) -> Option<u32> {
        let id = number(self.addr.params.value(b"reg-id")?)?;
        u32::try_from(id).ok().filter(|id| (1..=0x7fff_ffff).contains(id))
    }
}

/// Reads a `qvalue`: 0 to 1 with up to three decimals.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = super::text::split_once(text, b'.').unwrap_or((text, b""));
    if decimals.len() > 3 {
        return None;
    }
    let mut value = match whole {
        b"0" => 0,
        b"1" => 1_000,
        _ => return None,
    };
    let mut unit = 100;
    for &digit in decimals {
        if !digit.is_ascii_digit() {
            return None;
        }
        value += u16::from(digit - b'0') * unit;
        unit /= 10;
    }
    (value <= 1_000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(text: &str) -> Option<u16> {
        let value = format!("<sip:a@b>{text}");
        Contact::parse(value.as_bytes()).unwrap().q()
    }

    #[test]
    fn q_is_read_in_thousandths_and_is_1_when_absent() {
        assert_eq!(
            [";q=0", ";q=0.5", ";q=0.123", ";q=1.000", ";q=1.", ""].map(q),
            [0, 500, 123, 1_000, 1_000, 1_000].map(Some)
        );
        for bad in [";q", ";q=2", ";q=1.001", ";q=0.1234", ";q=.5", ";q=-1", ";q=a"] {
            assert_eq!(q(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_lifetime_beyond_32_bits_is_malformed_not_wrapped() {
        let expires =
            |text: &str| Contact::parse(format!("<sip:a@b>{text}").as_bytes()).unwrap().expires();
        assert_eq!(expires(";expires=60"), Some(Some(60)));
        assert_eq!(expires(";expires=4294967296"), Some(None));
        assert_eq!(expires(";expires=soon"), Some(None));
        assert_eq!(expires(";expires"), Some(None));
        assert_eq!(expires(""), None);
    }

    #[test]
    fn the_parameters_of_a_device_are_found() {
        let text = br#""A" <sip:a@b;x=1?y=2>;reg-id=1;+sip.instance="<urn:uuid:0>";methods="MESSAGE,INVITE""#;
        let contact = Contact::parse(text).unwrap();
        assert_eq!(contact.reg_id(), Some(1));
        assert_eq!(contact.instance(), Some(&b"<urn:uuid:0>"[..]));
        assert_eq!(contact.addr.params.value(b"methods"), Some(&b"MESSAGE,INVITE"[..]));
        assert!(Contact::parse(b"*").unwrap().is_all());
    }
}
