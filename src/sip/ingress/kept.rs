//! Which headers of a MESSAGE are kept with it, and go out with it again.
//!
//! Everything is kept that has no row here: what a server does not know it must not lose. The
//! rows have three reasons.
//!
//! * *told apart*: the field has a place of its own in a `Submission`, or is made anew.
//! * *one hop*: it spoke about the way the request came, which is not the way it will go on.
//! * *one exchange*: it spoke about the sender's transaction with this server, which is over.

use crate::sip::codec::Name;

/// The known names that are not kept.
const fn is_left_by_name(name: Name) -> bool {
    match name {
        // Told apart: kept, but not in the header block.
        Name::From | Name::To | Name::CallId | Name::CSeq | Name::ContentType => true,
        // Told apart: counted from the body when it is sent.
        Name::ContentLength => true,
        // One hop: the way of the response.
        Name::Via => true,
        // One hop: the way of the request; the delivery has the contact's own.
        Name::Route | Name::RecordRoute | Name::Path => true,
        // One hop: each request starts with its own.
        Name::MaxForwards => true,
        // One hop: asked of proxies that have done it.
        Name::ProxyRequire => true,
        // RFC 3428 section 4 forbids it; kept, it would lead replies past the sender's proxy.
        Name::Contact => true,
        // One exchange: credentials; shown to the recipient they could be used again.
        Name::Authorization | Name::ProxyAuthorization => true,
        // One exchange: demands on this server, which has met them, and offers to it.
        Name::Require | Name::Supported => true,
        // Headers of responses: in a request they mean nothing, in a delivery they would mislead.
        Name::Unsupported | Name::WwwAuthenticate | Name::ProxyAuthenticate => true,
        Name::RetryAfter | Name::MinExpires => true,
        _ => false,
    }
}

/// The other names that are not kept.
const LEFT_BY_TEXT: [&[u8]; 9] = [
    // One exchange: the sender's clock, for measuring the round trip (RFC 3261 section 20.38).
    b"Timestamp",
    // One hop: agreement on security with the next hop (RFC 3329).
    b"Security-Client",
    b"Security-Server",
    b"Security-Verify",
    // One hop: between the servers of one operator, never for users (RFC 7315 section 4).
    b"P-Access-Network-Info",
    b"P-Charging-Vector",
    b"P-Charging-Function-Addresses",
    b"P-Visited-Network-ID",
    // One hop: how many branches the request may still be forked into (RFC 5393 section 5).
    b"Max-Breadth",
];

/// True when the field is to be kept with a message. `text` is the name as it came;
/// `from_trusted` says whether the sender may assert identities: one that anybody else asserted
/// is worth nothing (RFC 3325 section 5).
#[must_use]
pub(crate) fn is_kept(name: Name, text: &[u8], from_trusted: bool) -> bool {
    match name {
        Name::PAssertedIdentity | Name::PPreferredIdentity => from_trusted,
        Name::Other => !LEFT_BY_TEXT.iter().any(|left| left.eq_ignore_ascii_case(text)),
        known => !is_left_by_name(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str, from_trusted: bool) -> bool {
        is_kept(Name::of(text.as_bytes()), text.as_bytes(), from_trusted)
    }

    /// S15.
    #[test]
    fn what_a_recipient_would_miss_is_kept() {
        for name in [
            "Subject",
            "s",
            "Priority",
            "Date",
            "Expires",
            "Reply-To",
            "In-Reply-To",
            "Call-Info",
            "Organization",
            "User-Agent",
            "Privacy",
            "Referred-By",
            "b",
            "History-Info",
            "Content-Encoding",
            "e",
            "Content-Disposition",
            "Content-Language",
            "Content-Transfer-Encoding",
            "MIME-Version",
            "X-Whatever",
            "Contribution-ID",
        ] {
            assert!(kept(name, false), "{name}");
        }
    }

    #[test]
    fn what_spoke_about_the_sender_s_hop_is_not_kept() {
        for name in [
            "Via",
            "v",
            "Route",
            "Record-Route",
            "max-forwards",
            "Content-Length",
            "l",
            "Contact",
            "m",
            "Authorization",
            "PROXY-AUTHORIZATION",
            "Require",
            "k",
            "Timestamp",
            "p-charging-vector",
            "From",
            "f",
            "Call-ID",
            "i",
        ] {
            assert!(!kept(name, true), "{name}");
        }
    }

    /// Y1.
    #[test]
    fn an_identity_is_kept_only_when_a_trusted_peer_asserts_it() {
        assert!(kept("P-Asserted-Identity", true));
        assert!(!kept("P-Asserted-Identity", false));
        assert!(!kept("p-preferred-identity", false));
    }
}
