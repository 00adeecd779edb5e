//! What leaves for a contact, and what its answer means. Row numbers are those of the conformance
//! reference.

use super::*;
use crate::sip::build::{Reply, print_request};
use crate::sip::codec::Message;
use crate::sip::endpoint::ClientResult;
use crate::sip::ingress::{DiscardAnswer, IpNet, Policy};
use crate::vocab::{self, Answer, Aor, Contact, Key, MessageId, NextHop, Outcome, Path, Transport};
use std::sync::Arc;
use std::time::Duration;

/// Thu, 01 Jan 2026 00:00:00 GMT.
const RECEIPT_S: i64 = 1_767_225_600;

fn kept() -> vocab::Message {
    vocab::Message {
        key: Key { inc_us: RECEIPT_S * 1_000_000 + 999_999, id: MessageId([0xab; 16]) },
        owner: Aor::from_parts("bob", "example.com"),
        from: "\"Alice, A\" <sip:alice@example.org;x=1>;y=\"2;tag=3\";tag=f1;z".into(),
        to: "sip:bob@example.com;tag=t1;w=1".into(),
        call_id: "c1".into(),
        content_type: "text/plain;charset=utf-8".into(),
        headers: "Subject: hi\r\nExpires: 60\r\nX-Mine: 1\r\n".into(),
        body: "hello\0\n".into(),
        expires_s: RECEIPT_S + 60,
        attempts: 0,
    }
}

fn contact() -> Contact {
    let path = Path {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "203.0.113.50:5070".parse().unwrap(),
        flow: None,
    };
    Contact {
        uri: "sip:bob@203.0.113.50:5070;ob?Subject=x".into(),
        q: 1_000,
        next_hop: NextHop::Path(path),
        route: ["<sip:edge.example;lr;ob>".into()].into(),
        instance: None,
        takes_messages: true,
        expires_us: i64::MAX,
    }
}

fn policy() -> Policy {
    Policy { host: "silo.example".to_owned(), ..Policy::default() }
}

fn sent(message: &vocab::Message, contact: &Contact, policy: &Policy) -> String {
    let out = delivery(message, contact, &Ids::attempt(message, 0xf00), policy);
    let bytes = print_request(&out, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx");
    assert!(Message::parse_datagram(bytes.clone()).is_ok(), "{bytes:?}");
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// D3, S14, S15.
#[test]
fn a_delivery_is_a_new_request_of_the_old_sender_by_the_contact_s_own_way() {
    assert_eq!(
        sent(&kept(), &contact(), &policy()),
        "MESSAGE sip:bob@203.0.113.50:5070;ob SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n\
         Route: <sip:edge.example;lr;ob>\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice, A\" <sip:alice@example.org;x=1>;y=\"2;tag=3\";z;tag=0000000000000f00\r\n\
         To: sip:bob@example.com;w=1\r\n\
         Call-ID: abababababababababababababababab@silo.example\r\n\
         CSeq: 1 MESSAGE\r\n\
         Content-Type: text/plain;charset=utf-8\r\n\
         Subject: hi\r\n\
         Expires: 60\r\n\
         X-Mine: 1\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Length: 7\r\n\r\nhello\0\n"
    );
}

/// D6.
#[test]
fn the_sender_s_date_is_kept() {
    for line in ["Date: Sat, 13 Nov 2010 23:29:00 GMT", "date: whatever he wrote"] {
        let message = vocab::Message { headers: format!("{line}\r\n").into(), ..kept() };
        let text = sent(&message, &contact(), &policy());
        assert!(text.contains(line), "{text}");
        assert_eq!(text.to_lowercase().matches("\r\ndate:").count(), 1);
    }
}

#[test]
fn a_message_keeps_its_call_id_over_all_attempts_and_shares_it_with_no_other() {
    let field = |text: String, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.unwrap()
    };
    let again = vocab::Message { attempts: 4, ..kept() };
    let (first, again) =
        (sent(&kept(), &contact(), &policy()), sent(&again, &contact(), &policy()));
    assert_eq!(field(first.clone(), "Call-ID: "), field(again.clone(), "Call-ID: "));
    assert_eq!(field(again, "CSeq: "), "5 MESSAGE");
    let mut other = kept();
    other.key.id = MessageId([0xac; 16]);
    assert_ne!(field(first, "Call-ID: "), field(sent(&other, &contact(), &policy()), "Call-ID: "));
}

#[test]
fn a_message_that_came_without_a_content_type_leaves_without_one() {
    let message = vocab::Message { content_type: "".into(), ..kept() };
    assert!(!sent(&message, &contact(), &policy()).contains("Content-Type"));
}

#[test]
fn a_sender_that_cannot_be_read_is_nobody() {
    let message = vocab::Message { from: "<<".into(), ..kept() };
    let text = sent(&message, &contact(), &policy());
    assert!(text.contains("From: <sip:anonymous@anonymous.invalid>;tag="), "{text}");
}

/// Y1.
#[test]
fn an_identity_under_privacy_is_shown_to_trusted_peers_only() {
    let headers = "P-Asserted-Identity: <sip:alice@example.org>\r\nPrivacy: user; ID\r\n";
    let message = vocab::Message { headers: headers.into(), ..kept() };
    assert!(!sent(&message, &contact(), &policy()).contains("P-Asserted"));
    let trusting =
        Policy { trusted: vec![IpNet::new("203.0.113.0".parse().unwrap(), 24)], ..policy() };
    assert!(sent(&message, &contact(), &trusting).contains("P-Asserted"));
    let open = "P-Asserted-Identity: <sip:alice@example.org>\r\nPrivacy: none\r\n";
    let message = vocab::Message { headers: open.into(), ..kept() };
    assert!(sent(&message, &contact(), &policy()).contains("P-Asserted"));
}

fn ended(code: u16, retry_after: &str) -> Outcome {
    let mut text = format!(
        "SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n"
    );
    if !retry_after.is_empty() {
        text.push_str(&format!("Retry-After: {retry_after}\r\n"));
    }
    text.push_str("\r\n");
    outcome(&ClientResult::Final(Arc::new(Message::parse_datagram(text.into()).unwrap())))
}

/// The table of final responses: every code that is named in it, and one of each class that is
/// not.
#[test]
fn each_final_response_means_what_the_table_says() {
    let unreachable = |code| Outcome::Unreachable { retry_after: None, code: Some(code) };
    for code in [200, 202, 204, 299] {
        assert_eq!(ended(code, ""), Outcome::Delivered, "{code}");
    }
    for code in [600, 603, 604, 606, 607, 699] {
        assert_eq!(ended(code, ""), Outcome::Refused, "{code}");
    }
    for code in [404, 408, 410, 416, 430, 480, 484, 486, 500, 503, 504] {
        assert_eq!(ended(code, ""), unreachable(code), "{code}");
    }
    for code in [405, 413, 415, 488, 493, 501, 513] {
        assert_eq!(ended(code, ""), Outcome::Unfit { code }, "{code}");
    }
    for code in [400, 401, 402, 403, 407, 420, 482, 483, 505, 300, 302, 499, 580, 599] {
        assert_eq!(ended(code, ""), Outcome::Rejected { code }, "{code}");
    }
}

#[test]
fn no_answer_and_no_connection_leave_a_contact_unreachable() {
    for result in [ClientResult::Timeout, ClientResult::TransportError] {
        assert_eq!(outcome(&result), Outcome::Unreachable { retry_after: None, code: None });
    }
}

#[test]
fn retry_after_is_honoured_within_reason() {
    for (text, seconds) in [
        ("120", Some(120)),
        ("0", Some(0)),
        ("18 (in a meeting)", Some(18)),
        ("18;duration=3600", Some(18)),
        ("18000", Some(3_600)),
        ("99999999999999999999999", Some(3_600)),
        ("-1", None),
        ("soon", None),
        ("12x", None),
        ("(x) 12", None),
    ] {
        let retry_after = seconds.map(Duration::from_secs);
        let expected = Outcome::Unreachable { retry_after, code: Some(480) };
        assert_eq!(ended(480, text), expected, "{text}");
    }
}

fn lines(reply: &Reply) -> Vec<String> {
    reply.headers.iter().map(ToString::to_string).collect()
}

/// S1, S10, S11, S12, S16, Y3, Y5.
#[test]
fn each_answer_of_the_inbox_is_one_response() {
    let full = "Warning: 399 silo.example \"mailbox full\"";
    let expired = "Warning: 399 silo.example \"message already expired\"";
    for (given, code, headers) in [
        (Answer::Stored, 202, &[][..]),
        (Answer::Duplicate, 202, &[]),
        (Answer::Discarded, 202, &[]),
        (Answer::NotKept, 480, &[]),
        (Answer::Expired, 480, &[expired]),
        (Answer::MailboxFull, 480, &[full]),
        (Answer::StoreDown, 503, &["Retry-After: 10"]),
        (Answer::Overloaded, 503, &[]),
        (Answer::Relayed, 200, &[]),
        (Answer::Declined, 603, &[]),
    ] {
        let reply = answer(&given, &policy());
        assert_eq!(
            (reply.code(), lines(&reply)),
            (code, headers.iter().map(|h| (*h).to_owned()).collect())
        );
    }
    assert_eq!(answer(&Answer::Stored, &policy()).phrase(), "Accepted");
    let plain_ok = Policy { discarded: DiscardAnswer::Ok, ..policy() };
    assert_eq!(answer(&Answer::Discarded, &plain_ok).code(), 200);
}
