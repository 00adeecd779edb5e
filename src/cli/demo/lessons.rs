//! What is to be learnt from a SIP message of the story.

use crate::sip::{Message, Name};

/// The two ends of a message on the wire, seen from a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the phone to sipsilo.
    Out,
    /// From sipsilo to the phone.
    In,
}

/// The kinds of messages in the story; the first of each is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// alice writes.
    Submission,
    /// sipsilo has it.
    Stored,
    /// bob comes.
    Register,
    /// sipsilo knows where he is.
    Registered,
    /// A stored message comes to bob.
    Delivery,
    /// bob's phone has it.
    Taken,
    /// A message comes to bob live.
    Relayed,
    /// bob's answer comes to alice.
    Passed,
}

/// The kind of a message; `None` for those that the story does not know.
pub(super) fn kind(message: &Message, way: Way) -> Option<Kind> {
    let vias = message.list(Name::Via).count();
    match (message.method(), message.code(), way) {
        (b"MESSAGE", 0, Way::Out) => Some(Kind::Submission),
        (b"MESSAGE", 0, Way::In) if vias > 1 => Some(Kind::Relayed),
        (b"MESSAGE", 0, Way::In) => Some(Kind::Delivery),
        (b"MESSAGE", 202, Way::In) => Some(Kind::Stored),
        (b"MESSAGE", 200, Way::In) => Some(Kind::Passed),
        (b"MESSAGE", 200, Way::Out) => Some(Kind::Taken),
        (b"REGISTER", 0, Way::Out) => Some(Kind::Register),
        (b"REGISTER", 200, Way::In) => Some(Kind::Registered),
        _ => None,
    }
}

impl Kind {
    /// What the line with this header says; `None` is the start line.
    pub(super) fn note(self, name: Option<Name>) -> Option<&'static str> {
        match self {
            Self::Submission => submission(name),
            Self::Stored => stored(name),
            Self::Register => register(name),
            Self::Registered => registered(name),
            Self::Delivery => delivery(name),
            Self::Taken => taken(name),
            Self::Relayed => relayed(name),
            Self::Passed => passed(name),
        }
    }
}

fn submission(name: Option<Name>) -> Option<&'static str> {
    match name {
        None => Some("a text for bob at example.com, wherever he may be"),
        Some(Name::Via) => Some("the way back for the answer; the branch names the transaction"),
        Some(Name::From) => Some("alice, and a tag of her phone"),
        Some(Name::CallId) => {
            Some("with CSeq, tag and URI the name of the message: so a copy is known")
        }
        Some(Name::ContentType) => Some("the body may be of any type; not a byte of it is changed"),
        _ => None,
    }
}

fn stored(name: Option<Name>) -> Option<&'static str> {
    match name {
        None => Some("sent after the message had reached the disk (fsync), not before"),
        Some(Name::Via) => Some("copied, so that the answer finds its transaction"),
        _ => None,
    }
}

fn register(name: Option<Name>) -> Option<&'static str> {
    match name {
        None => Some("bob's phone tells the registrar of example.com ..."),
        Some(Name::Contact) => Some("... where he is just now"),
        Some(Name::Expires) => Some("... for the next hour"),
        _ => None,
    }
}

fn registered(name: Option<Name>) -> Option<&'static str> {
    match name {
        None => Some("first the answer to the REGISTER, then the messages"),
        Some(Name::Contact) => Some("what sipsilo knows of bob now, and for how many seconds"),
        _ => None,
    }
}

fn delivery(name: Option<Name>) -> Option<&'static str> {
    match name {
        None => Some("straight to the contact that bob has registered"),
        Some(Name::Via) => Some("a transaction of sipsilo's own"),
        Some(Name::From) => Some("alice, as she wrote it"),
        Some(Name::Date) => Some("when she wrote, not when bob came back"),
        _ => None,
    }
}

fn taken(name: Option<Name>) -> Option<&'static str> {
    match name {
        None => Some("bob's phone has it: only now sipsilo deletes it"),
        _ => None,
    }
}

fn relayed(name: Option<Name>) -> Option<&'static str> {
    match name {
        Some(Name::Via) => Some("the upper one is sipsilo's, the other is alice's own: a relay"),
        Some(Name::MaxForwards) => Some("one hop less"),
        _ => None,
    }
}

fn passed(name: Option<Name>) -> Option<&'static str> {
    match name {
        None => Some("no 202 this time: it is the answer of bob's own phone"),
        _ => None,
    }
}
