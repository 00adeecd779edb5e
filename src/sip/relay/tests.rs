//! A request on its way to several phones. Row numbers are those of the conformance reference.

use super::*;
use crate::sip::build::print_request;
use crate::sip::codec::{Message, Name};
use crate::sip::endpoint::ClientResult;
use crate::vocab::{Contact, NextHop, Now, Path, Reach, Transport};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

const NOW: Now = Now { mono_us: 1_000, unix_us: 1_767_225_600_000_000 };

fn after(ms: u64) -> Now {
    NOW.plus(Duration::from_millis(ms))
}

fn settings() -> Settings {
    Settings {
        group_window: Duration::from_millis(2_000),
        window: Duration::from_millis(5_000),
        loop_key: 42,
    }
}

fn request_with(lines: &str) -> Arc<Message> {
    let text = format!(
        "MESSAGE sip:bob@example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 203.0.113.9:5099;branch=z9hG4bKabc;rport\r\n\
         From: <sip:alice@example.org>;tag=f1\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: c1\r\nCSeq: 7 MESSAGE\r\n{lines}X-Mine: 1\r\nContent-Length: 5\r\n\r\nhello"
    );
    let mut request = Message::parse_datagram(text.into()).unwrap();
    request.set_source("203.0.113.9:5100".parse().unwrap());
    Arc::new(request)
}

fn request() -> Arc<Message> {
    request_with("Max-Forwards: 70\r\n")
}

fn contact(uri: &str, q: u16) -> Contact {
    let path = Path {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "203.0.113.50:5070".parse().unwrap(),
        flow: None,
    };
    Contact {
        uri: uri.into(),
        q,
        next_hop: NextHop::Path(path),
        route: [].into(),
        instance: None,
        takes_messages: true,
        expires_us: i64::MAX,
    }
}

fn phones(qs: &[u16]) -> Vec<Target> {
    let phone = |(i, &q): (usize, &u16)| Target::contact(&contact(&format!("sip:p{i}@h"), q));
    qs.iter().enumerate().map(phone).collect()
}

fn fork(qs: &[u16]) -> (Fork, Vec<ForkEffect>) {
    Fork::new(&request(), phones(qs), Sender::Untrusted, settings(), NOW)
}

fn response(code: u16, lines: &str) -> ClientResult {
    let text = format!(
        "SIP/2.0 {code} Whatever\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours, \
         SIP/2.0/UDP 203.0.113.9:5099;branch=z9hG4bKabc;rport=5100;received=203.0.113.9\r\n\
         From: <sip:alice@example.org>;tag=f1\r\nTo: <sip:bob@example.com>;tag=t{code}\r\n\
         Call-ID: c1\r\nCSeq: 7 MESSAGE\r\n{lines}\r\n"
    );
    ClientResult::Final(Arc::new(Message::parse_datagram(text.into()).unwrap()))
}

/// The effects in short: `start p0`, `cancel 0`, `passed 200`, `failed 404`, `failed`.
fn shown(effects: &[ForkEffect]) -> Vec<String> {
    let one = |effect: &ForkEffect| match effect {
        ForkEffect::Start(branch) => {
            let uri = String::from_utf8_lossy(&branch.outgoing.uri).into_owned();
            format!("start {}", uri.trim_start_matches("sip:").trim_end_matches("@h"))
        }
        ForkEffect::Cancel(index) => format!("cancel {index}"),
        ForkEffect::Done(ForkResult::Passed { code, .. }) => format!("passed {code}"),
        ForkEffect::Done(ForkResult::Failed { best: Some((code, _)) }) => format!("failed {code}"),
        ForkEffect::Done(ForkResult::Failed { best: None }) => "failed".to_owned(),
    };
    effects.iter().map(one).collect()
}

fn final_bytes(effects: &[ForkEffect]) -> Bytes {
    let bytes = effects.iter().find_map(|effect| match effect {
        ForkEffect::Done(ForkResult::Passed { response, .. }) => Some(response.clone()),
        ForkEffect::Done(ForkResult::Failed { best }) => best.clone().map(|(_, bytes)| bytes),
        ForkEffect::Start(_) | ForkEffect::Cancel(_) => None,
    });
    bytes.expect("a final response")
}

fn first_request(effects: &[ForkEffect]) -> Message {
    let ForkEffect::Start(branch) = &effects[0] else { panic!("a branch, not {effects:?}") };
    let sent = print_request(&branch.outgoing, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours");
    Message::parse_datagram(sent).unwrap()
}

/// S2, P9.
#[test]
fn phones_of_equal_preference_ring_together_and_the_first_2xx_goes_back_at_once() {
    let (mut fork, effects) = fork(&[500, 1_000, 1_000]);
    assert_eq!(shown(&effects), ["start p1", "start p2"]);
    assert_eq!(shown(&fork.on_result(1, &response(200, ""), after(10))), ["passed 200"]);
    assert_eq!(fork.deadline(), None);
}

/// P9.
#[test]
fn an_answer_after_the_decision_is_absorbed() {
    let (mut fork, _) = fork(&[1_000, 1_000]);
    assert_eq!(shown(&fork.on_result(0, &response(200, ""), after(10))), ["passed 200"]);
    assert!(fork.on_result(1, &response(200, ""), after(20)).is_empty());
    assert!(fork.on_result(1, &response(603, ""), after(30)).is_empty());
    assert!(fork.on_timeout(after(9_999)).is_empty());
}

#[test]
fn less_preferred_phones_are_tried_once_all_others_have_failed() {
    let (mut fork, _) = fork(&[1_000, 1_000, 300, 0]);
    assert!(fork.on_result(0, &response(486, ""), after(10)).is_empty());
    assert_eq!(shown(&fork.on_result(1, &ClientResult::Timeout, after(20))), ["start p2"]);
    let next = fork.on_result(2, &ClientResult::TransportError, after(30));
    assert_eq!(shown(&next), ["start p3"]);
    assert_eq!(shown(&fork.on_result(3, &response(404, ""), after(40))), ["failed 486"]);
}

#[test]
fn a_phone_that_does_not_answer_does_not_keep_the_next_one_waiting_beyond_its_window() {
    let (mut fork, _) = fork(&[1_000, 500]);
    assert_eq!(fork.deadline(), Some(after(2_000).mono_us));
    assert!(fork.on_timeout(after(1_999)).is_empty());
    assert_eq!(shown(&fork.on_timeout(after(2_000))), ["start p1"]);
    assert_eq!(fork.deadline(), Some(after(5_000).mono_us));
    // The first one may still win.
    assert_eq!(shown(&fork.on_result(0, &response(200, ""), after(3_000))), ["passed 200"]);
}

/// S3.
#[test]
fn when_nobody_answers_in_time_the_fork_has_failed_and_sending_stops() {
    let (mut fork, _) = fork(&[1_000, 1_000, 0]);
    assert_eq!(shown(&fork.on_timeout(after(2_000))), ["start p2"]);
    let effects = fork.on_timeout(after(5_000));
    assert_eq!(shown(&effects), ["cancel 0", "cancel 1", "cancel 2", "failed"]);
    assert!(fork.on_result(0, &response(200, ""), after(5_001)).is_empty());
}

#[test]
fn a_user_without_phones_or_a_request_without_hops_has_failed_at_once() {
    assert_eq!(shown(&fork(&[]).1), ["failed"]);
    let spent = request_with("Max-Forwards: 0\r\n");
    let (_, effects) = Fork::new(&spent, phones(&[1_000]), Sender::Trusted, settings(), NOW);
    assert_eq!(shown(&effects), ["failed"]);
}

/// P9: RFC 3261 section 16.7 step 5.
#[test]
fn a_6xx_stops_further_tries_and_goes_back_unless_somebody_else_takes_the_request() {
    let (mut fork, _) = fork(&[1_000, 1_000, 0]);
    assert!(fork.on_result(0, &response(603, ""), after(10)).is_empty());
    assert_eq!(shown(&fork.on_result(1, &response(480, ""), after(20))), ["passed 603"]);
    let (mut fork, _) = self::fork(&[1_000, 1_000, 0]);
    assert!(fork.on_result(0, &response(603, ""), after(10)).is_empty());
    assert_eq!(shown(&fork.on_result(1, &response(202, ""), after(20))), ["passed 202"]);
    let (mut fork, _) = self::fork(&[1_000, 1_000, 0]);
    assert!(fork.on_result(0, &response(603, ""), after(10)).is_empty());
    assert_eq!(shown(&fork.on_timeout(after(5_000))), ["cancel 1", "passed 603"]);
}

/// P9, T9.
#[test]
fn the_best_answer_is_the_one_that_helps_the_sender_most() {
    for (codes, best) in [
        (&[404, 486][..], "failed 404"),
        (&[500, 404], "failed 404"),
        (&[404, 302], "failed 302"),
        (&[404, 407], "failed 407"),
        (&[404, 420], "failed 420"),
        (&[415, 401], "failed 401"),
        (&[503], "failed 500"),
        (&[408, 500], "failed 500"),
        (&[408], "failed"),
        (&[606, 603], "passed 606"),
    ] {
        let (mut fork, _) = fork(&vec![1_000; codes.len()]);
        let mut last = Vec::new();
        for (index, code) in codes.iter().enumerate() {
            last = fork.on_result(u32::try_from(index).unwrap(), &response(*code, ""), after(1));
        }
        assert_eq!(shown(&last), [best], "{codes:?}");
    }
}

/// P9: RFC 3261 section 16.7 step 7.
#[test]
fn the_challenges_of_all_phones_go_back_in_one_answer() {
    let (mut fork, _) = fork(&[1_000, 1_000, 1_000]);
    let challenge = |realm: &str| format!("Digest realm=\"{realm}\", nonce=\"n\"");
    let first = response(401, &format!("WWW-Authenticate: {}\r\n", challenge("a")));
    let second = response(407, &format!("Proxy-Authenticate: {}\r\n", challenge("b")));
    assert!(fork.on_result(0, &first, after(1)).is_empty());
    assert!(fork.on_result(1, &second, after(1)).is_empty());
    let bytes = final_bytes(&fork.on_result(2, &response(486, ""), after(1)));
    let message = Message::parse_datagram(bytes).unwrap();
    assert_eq!(message.code(), 401);
    assert_eq!(message.field(Name::WwwAuthenticate), Some(challenge("a").as_bytes()));
    assert_eq!(message.field(Name::ProxyAuthenticate), Some(challenge("b").as_bytes()));
}

/// P9: RFC 3261 section 16.7 step 6.
#[test]
fn another_server_s_503_goes_back_as_500_and_without_its_retry_after() {
    let (mut fork, _) = fork(&[1_000]);
    let effects = fork.on_result(0, &response(503, "Retry-After: 60\r\n"), after(1));
    let message = Message::parse_datagram(final_bytes(&effects)).unwrap();
    assert_eq!((message.code(), message.field(Name::RetryAfter)), (500, None));
    assert_eq!(message.to_tag(), Some(&b"t503"[..]));
    assert_eq!(message.list(Name::Via).count(), 1);
}

/// P8.
#[test]
fn the_answer_goes_back_as_it_came_without_our_via() {
    let (mut fork, _) = fork(&[1_000]);
    let effects = fork.on_result(0, &response(200, "X-Theirs: 1\r\n"), after(1));
    assert_eq!(
        std::str::from_utf8(&final_bytes(&effects)).unwrap(),
        "SIP/2.0 200 Whatever\r\n\
         Via: SIP/2.0/UDP 203.0.113.9:5099;branch=z9hG4bKabc;rport=5100;received=203.0.113.9\r\n\
         From: <sip:alice@example.org>;tag=f1\r\nTo: <sip:bob@example.com>;tag=t200\r\n\
         Call-ID: c1\r\nCSeq: 7 MESSAGE\r\nX-Theirs: 1\r\nContent-Length: 0\r\n\r\n"
    );
}

/// P2, P7, P8.
#[test]
fn a_request_is_passed_on_unchanged_but_for_what_a_proxy_must_change() {
    let mut phone = contact("sip:bob@203.0.113.50:5070;ob", 1_000);
    phone.route = [Arc::from("<sip:edge.example;lr>"), Arc::from("sip:192.0.2.8;lr")].into();
    let request = request_with(
        "Max-Forwards: 7\r\nX-Odd :  a\r\nRoute: <sip:192.0.2.1;lr>\r\nSubject: x, y\r\n",
    );
    let target = vec![Target::contact(&phone)];
    let (_, effects) = Fork::new(&request, target, Sender::Untrusted, settings(), NOW);
    let ForkEffect::Start(branch) = &effects[0] else { panic!("a branch, not {effects:?}") };
    let mark = String::from_utf8(branch.outgoing.via_params.to_vec()).unwrap();
    let sent = print_request(&branch.outgoing, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours");
    assert_eq!(
        std::str::from_utf8(&sent).unwrap(),
        format!(
            "MESSAGE sip:bob@203.0.113.50:5070;ob SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours{mark}\r\n\
             Route: <sip:edge.example;lr>\r\nRoute: <sip:192.0.2.8;lr>\r\n\
             Via: SIP/2.0/UDP 203.0.113.9:5099;branch=z9hG4bKabc;rport=5100;received=203.0.113.9\r\n\
             From: <sip:alice@example.org>;tag=f1\r\nTo: <sip:bob@example.com>\r\n\
             Call-ID: c1\r\nCSeq: 7 MESSAGE\r\nMax-Forwards: 6\r\nX-Odd: a\r\nSubject: x, y\r\n\
             X-Mine: 1\r\nContent-Length: 5\r\n\r\nhello"
        )
    );
}

/// P2.
#[test]
fn a_request_that_counts_no_hops_starts_with_70() {
    let request = request_with("");
    let (_, effects) = Fork::new(&request, phones(&[0]), Sender::Untrusted, settings(), NOW);
    assert_eq!(first_request(&effects).max_forwards(), Some(70));
}

/// Y1.
#[test]
fn an_identity_asserted_by_a_stranger_is_not_passed_on() {
    let request = request_with("P-Asserted-Identity: <sip:boss@example.com>\r\n");
    for (sender, is_shown) in [(Sender::Untrusted, false), (Sender::Trusted, true)] {
        let (_, effects) = Fork::new(&request, phones(&[0]), sender, settings(), NOW);
        let sent = first_request(&effects);
        assert_eq!(sent.field(Name::PAssertedIdentity).is_some(), is_shown);
    }
}

/// P3.
#[test]
fn a_request_that_comes_back_to_us_is_known_by_its_mark() {
    let (_, effects) = fork(&[1_000]);
    let forked = first_request(&effects);
    assert!(!loops::is_loop(&request(), 42));
    // The phone's address is another Request-URI: a spiral so far.
    assert!(!loops::is_loop(&forked, 42));
    let target = Target::onward(b"sip:bob@example.com", Vec::new()).unwrap();
    let (_, effects) = Fork::new(&request(), vec![target], Sender::Trusted, settings(), NOW);
    assert!(loops::is_loop(&first_request(&effects), 42));
}

/// RFC 3261 section 16.6 step 6.
#[test]
fn a_strict_router_gets_its_own_address_and_the_true_one_at_the_end() {
    let routes = vec!["<sip:old.example;x=1>".into(), "<sip:new.example;lr>".into()];
    let target = Target::onward(b"sip:carol@elsewhere.example", routes).unwrap();
    let (uri, routes) = target.on_the_wire();
    assert_eq!(&uri[..], b"sip:old.example;x=1");
    let routes: Vec<&str> = routes.iter().map(|r| &**r).collect();
    assert_eq!(routes, ["<sip:new.example;lr>", "<sip:carol@elsewhere.example>"]);
}

#[test]
fn what_has_no_place_in_a_request_uri_is_left_out_of_it() {
    for (contact, uri) in [
        ("sip:a@h;x=1", "sip:a@h;x=1"),
        ("sip:a@h;x=1?Subject=hi", "sip:a@h;x=1"),
        ("sip:a@h;method=INVITE;x=1;lr?Subject=hi", "sip:a@h;x=1;lr"),
        ("sip:a;b?c@h;Method=REGISTER", "sip:a;b?c@h"),
        ("sip:a@h SIP/2.0\r\nX: 1", "sip:a@h%20SIP/2.0%0D%0AX:%201"),
    ] {
        assert_eq!(&targets::request_uri(contact.as_bytes())[..], uri.as_bytes(), "{contact}");
    }
}

/// D9, R23.
#[test]
fn each_device_gets_one_copy_and_one_that_knows_no_messages_gets_none() {
    let device = |uri: &str, instance: &str| Contact {
        instance: Some(instance.into()),
        ..contact(uri, 1_000)
    };
    let reach = Reach::new(vec![
        device("sip:new@h", "<urn:uuid:1>"),
        device("sip:old@h", "<urn:uuid:1>"),
        device("sip:other@h", "<urn:uuid:2>"),
        Contact { takes_messages: false, ..contact("sip:voice@h", 900) },
        Contact { expires_us: NOW.unix_us, ..contact("sip:gone@h", 900) },
        contact("sip:plain@h", 100),
    ]);
    let uris = |for_messages| {
        let targets = targets(&reach, for_messages, NOW.unix_us);
        let uri = |target: &Target| String::from_utf8(target.uri.to_vec()).unwrap();
        targets.iter().map(uri).collect::<Vec<_>>()
    };
    assert_eq!(uris(true), ["sip:new@h", "sip:other@h", "sip:plain@h"]);
    assert_eq!(uris(false), ["sip:new@h", "sip:other@h", "sip:voice@h", "sip:plain@h"]);
}
