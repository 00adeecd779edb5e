//! One binding in one compact block.

use crate::sip::Uri;
use crate::vocab::{Contact, FlowId, NextHop};
use std::ops::Range;
use std::sync::Arc;

/// The texts of a binding, before they are packed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Texts<'a> {
    /// `Call-ID` of the request that last touched it.
    pub(super) call_id: &'a str,
    /// The contact URI, without angle brackets.
    pub(super) uri: &'a str,
    /// `+sip.instance` without its quotes, or empty.
    pub(super) instance: &'a str,
    /// The contact's parameters as they came, each with its `;`, without `expires`.
    pub(super) params: &'a str,
    /// The values of `Path` in order, each ended by a line feed.
    pub(super) paths: &'a str,
}

impl Texts<'_> {
    /// The most bytes the texts of one binding may take.
    pub(super) const BYTES_MAX: usize = 8_192;

    /// All bytes of all texts.
    pub(super) fn len(&self) -> usize {
        self.call_id.len()
            + self.uri.len()
            + self.instance.len()
            + self.params.len()
            + self.paths.len()
    }
}

/// What is known of a binding beside its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Where to send; `None` when the contact is of a kind this node cannot send to.
    pub(super) hop: Option<NextHop>,
    /// When it ends.
    pub(super) expires_us: i64,
    /// What was granted, so that a clock set back never shows more.
    pub(super) granted_s: u32,
    /// `CSeq` of the request that last touched it.
    pub(super) cseq: u32,
    /// Preference in thousandths.
    pub(super) q: u16,
    /// False when `methods` or `Allow` leave MESSAGE out.
    pub(super) takes_messages: bool,
    /// True when the client itself sent the request, not a proxy before it: then the connection
    /// is the client's, and the binding ends with it.
    pub(super) direct: bool,
}

/// One binding: the facts, and all texts in one allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    text: Box<str>,
    /// Where the URI, the instance, the parameters and the paths begin.
    starts: [u16; 4],
    /// Everything else.
    pub(super) facts: Facts,
}

impl Binding {
    /// Packs a binding. `None` when the texts exceed [`Texts::BYTES_MAX`].
    pub(super) fn pack(texts: &Texts<'_>, facts: Facts) -> Option<Self> {
        if texts.len() > Texts::BYTES_MAX {
            return None;
        }
        let mut text = String::with_capacity(texts.len());
        let mut starts = [0; 4];
        text.push_str(texts.call_id);
        let rest = [texts.uri, texts.instance, texts.params, texts.paths];
        for (start, part) in starts.iter_mut().zip(rest) {
            *start = u16::try_from(text.len()).ok()?;
            text.push_str(part);
        }
        Some(Self { text: text.into_boxed_str(), starts, facts })
    }

    fn part(&self, range: Range<u16>) -> &str {
        &self.text[usize::from(range.start)..usize::from(range.end)]
    }

    /// The texts again.
    pub(super) fn texts(&self) -> Texts<'_> {
        let [uri, instance, params, paths] = self.starts;
        Texts {
            call_id: self.part(0..uri),
            uri: self.part(uri..instance),
            instance: self.part(instance..params),
            params: self.part(params..paths),
            paths: &self.text[usize::from(paths)..],
        }
    }

    /// True while it counts.
    pub(super) fn is_live(&self, unix_us: i64) -> bool {
        self.facts.expires_us > unix_us
    }

    /// The connection it is reached over, if any.
    pub(super) fn flow(&self) -> Option<FlowId> {
        match &self.facts.hop {
            Some(NextHop::Path(path)) => path.flow,
            Some(NextHop::Name { .. }) | None => None,
        }
    }

    /// The address the contact names itself, for when its connection is gone.
    pub(super) fn own_hop(&self) -> Option<NextHop> {
        Uri::parse(self.texts().uri.as_bytes())?.next_hop()
    }

    /// True when MESSAGE can be sent there.
    pub(super) fn is_for_messages(&self) -> bool {
        self.facts.takes_messages && self.facts.hop.is_some()
    }

    /// Whole seconds left at `unix_us`, as `expires` shows them: never zero for a live binding,
    /// never more than was granted.
    pub(super) fn seconds_left(&self, unix_us: i64) -> u32 {
        let left_s = self.facts.expires_us.saturating_sub(unix_us) / 1_000_000;
        u32::try_from(left_s.max(1)).unwrap_or(u32::MAX).min(self.facts.granted_s)
    }

    /// Bytes behind this value.
    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> usize {
        let host = match &self.facts.hop {
            Some(NextHop::Name { host, .. }) => host.len() + 2 * size_of::<usize>() + 16,
            Some(NextHop::Path(_)) | None => 0,
        };
        self.text.len() + host
    }

    /// The binding as senders see it. `None` when there is no way to send to it.
    pub(super) fn contact(&self) -> Option<Contact> {
        let texts = self.texts();
        let route = match texts.paths {
            "" => Arc::default(),
            paths => paths.lines().map(Arc::from).collect(),
        };
        Some(Contact {
            uri: texts.uri.into(),
            q: self.facts.q,
            next_hop: self.facts.hop.clone()?,
            route,
            instance: (!texts.instance.is_empty()).then(|| texts.instance.into()),
            takes_messages: self.facts.takes_messages,
            expires_us: self.facts.expires_us,
        })
    }

    /// The value of `Contact` in a 200.
    pub(super) fn contact_value(&self, unix_us: i64) -> String {
        use std::fmt::Write as _;
        let texts = self.texts();
        let mut value = String::with_capacity(texts.uri.len() + texts.params.len() + 24);
        value.push('<');
        value.push_str(texts.uri);
        value.push('>');
        value.push_str(texts.params);
        // Writing to a `String` cannot fail.
        let _ = write!(value, ";expires={}", self.seconds_left(unix_us));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            hop: None,
            expires_us: 10_000_000,
            granted_s: 10,
            cseq: 1,
            q: 1_000,
            takes_messages: true,
            direct: true,
        }
    }

    #[test]
    fn the_texts_come_out_as_they_went_in() {
        let texts = Texts {
            call_id: "a1@host",
            uri: "sip:bob@192.0.2.1",
            instance: "<urn:uuid:1>",
            params: ";q=0.5",
            paths: "<sip:p1;lr>\n<sip:p2;lr>\n",
        };
        let packed = Binding::pack(&texts, facts()).unwrap();
        assert_eq!(format!("{:?}", packed.texts()), format!("{texts:?}"));
    }

    #[test]
    fn texts_beyond_the_bound_are_not_packed() {
        let long = "x".repeat(Texts::BYTES_MAX);
        let texts = Texts { uri: &long, ..Texts::default() };
        assert!(Binding::pack(&texts, facts()).is_some());
        assert!(Binding::pack(&Texts { call_id: "y", ..texts }, facts()).is_none());
    }

    #[test]
    fn seconds_left_are_never_zero_and_never_more_than_granted() {
        let packed = Binding::pack(&Texts::default(), facts()).unwrap();
        assert_eq!(packed.seconds_left(9_999_999), 1);
        assert_eq!(packed.seconds_left(3_000_001), 6);
        assert_eq!(packed.seconds_left(-50_000_000), 10, "the clock was set back");
    }
}
