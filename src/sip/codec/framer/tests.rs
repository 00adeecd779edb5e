use super::*;

fn message(length: &str, body: &str) -> String {
    format!(
        "MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\
         From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n\
         {length}\r\n{body}"
    )
}

fn whole(body: &str) -> String {
    message(&format!("Content-Length: {}\r\n", body.len()), body)
}

fn pushed(framer: &mut Framer, bytes: &str) -> Vec<Frame> {
    framer.push(bytes.as_bytes());
    std::iter::from_fn(|| framer.next()).collect()
}

fn is_message(frame: &Frame, text: &str) -> bool {
    matches!(frame, Frame::Message(bytes) if bytes == text.as_bytes())
}

/// The code a stream dies with, and whether there is a request to answer.
fn death(bytes: &str) -> (u16, bool) {
    let mut framer = Framer::new();
    let frames = pushed(&mut framer, bytes);
    let [Frame::Bad { answer, code, .. }] = &frames[..] else { panic!("{frames:?}") };
    framer.push(whole("after").as_bytes());
    assert!(framer.next().is_none() && !framer.is_mid_message(), "a lost stream is not read on");
    (*code, answer.is_some())
}

#[test]
fn many_messages_may_come_at_once() {
    let (one, two) = (whole("one"), whole(""));
    let mut framer = Framer::new();
    let frames = pushed(&mut framer, &format!("{one}{two}{one}"));
    assert!(matches!(&frames[..], [a, b, c]
        if is_message(a, &one) && is_message(b, &two) && is_message(c, &one)));
    assert!(!framer.is_mid_message());
}

#[test]
fn one_message_may_come_in_any_number_of_pieces() {
    let text = whole("body\r\n\r\nwith line ends");
    let mut framer = Framer::new();
    for at in 0..text.len() - 1 {
        assert!(pushed(&mut framer, &text[at..=at]).is_empty());
        assert!(framer.is_mid_message());
    }
    let frames = pushed(&mut framer, &text[text.len() - 1..]);
    assert!(matches!(&frames[..], [frame] if is_message(frame, &text)));
}

#[test]
fn two_line_ends_are_a_ping_and_one_is_nothing() {
    let mut framer = Framer::new();
    assert!(pushed(&mut framer, "\r\n").is_empty());
    assert!(!framer.is_mid_message());
    assert!(matches!(pushed(&mut framer, "\r\n")[..], [Frame::Ping]));
    assert!(matches!(pushed(&mut framer, "\r\n\r\n\r\n\r\n")[..], [Frame::Ping, Frame::Ping]));
    let text = whole("x");
    let frames = pushed(&mut framer, &format!("\r\n{text}\r\n"));
    assert!(matches!(&frames[..], [frame] if is_message(frame, &text)));
    assert!(pushed(&mut framer, "\r").is_empty() && framer.is_mid_message());
    assert!(matches!(pushed(&mut framer, "\n")[..], [Frame::Ping]));
}

#[test]
fn the_length_may_be_compact_spaced_continued_or_said_twice() {
    for length in [
        "l:2\r\n",
        "CONTENT-LENGTH \t:  002 \r\n",
        "Content-Length:\r\n 2\r\n",
        "Content-Length: 2\r\nl: 2\r\n",
        "Content-Length: 2\r\nX: 1,\r\n\t2\r\n",
    ] {
        let text = message(length, "ab");
        let frames = pushed(&mut Framer::new(), &format!("{text}\r\n"));
        assert!(matches!(&frames[..], [frame] if is_message(frame, &text)), "{length}");
    }
}

#[test]
fn a_length_that_leaves_doubt_is_answered_and_ends_the_stream() {
    for length in [
        "",
        "Content-Length:\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 1\r\nl: 2\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 1 2\r\n",
    ] {
        assert_eq!(death(&message(length, "ab")), (400, true), "{length}");
    }
    assert_eq!(death(&message("Content-Length: 18446744073709551615\r\n", "")), (513, true));
    assert_eq!(death(&message("Content-Length: 65535\r\n", "")), (513, true));
}

#[test]
fn what_is_not_sip_ends_the_stream_at_its_first_line() {
    assert_eq!(death("GET / HTTP/1.1\r\n"), (400, false));
    assert_eq!(death(&"x".repeat(LINE_BYTES_MAX + 1)), (400, false));
    assert_eq!(death("\n"), (400, false));
}

#[test]
fn headers_that_do_not_end_are_not_kept_for_ever() {
    let mut framer = Framer::new();
    let mut frames = pushed(&mut framer, "MESSAGE sip:bob@example.com SIP/2.0\r\n");
    let mut held = 0;
    while frames.is_empty() {
        assert!(held <= MESSAGE_BYTES_MAX, "held {held} bytes");
        frames = pushed(&mut framer, "X: 1\r\nY: 2\r\n");
        held += 12;
    }
    assert!(matches!(frames[..], [Frame::Bad { code: 513, answer: None, .. }]));
}

#[test]
fn a_response_with_a_bad_length_is_not_answered() {
    let text = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
                To: <sip:b@h>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n\r\n";
    assert_eq!(death(text), (400, false));
}

#[test]
fn between_messages_no_room_is_held() {
    let mut framer = Framer::new();
    pushed(&mut framer, &whole(&"x".repeat(30_000)));
    assert_eq!(framer.buffer.capacity(), 0);
    pushed(&mut framer, "\r\n");
    assert_eq!(framer.buffer.capacity(), 0);
}
