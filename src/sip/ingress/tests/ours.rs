//! Requests for the server and for its users.

use super::*;

/// U1.
#[test]
fn a_known_method_that_we_do_not_serve_gets_405_and_hears_what_we_do() {
    for method in ["INVITE", "INFO", "REFER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "BYE"] {
        let reply = ask(method, "sip:example.com").reply();
        assert_eq!(reply.code(), 405, "{method}");
        assert_eq!(header(&reply, "Allow"), "MESSAGE, REGISTER, OPTIONS, CANCEL, ACK");
    }
}

/// U2.
#[test]
fn an_unknown_method_gets_501_and_is_never_taken_for_its_look_alike() {
    for method in ["RE%47ISTER", "message", "Register", "FOO"] {
        let reply = ask(method, "sip:example.com").reply();
        assert_eq!(reply.code(), 501, "{method}");
        assert!(header(&reply, "Allow").contains("MESSAGE"));
    }
}

/// U3, S19, S20.
#[test]
fn a_scheme_that_we_have_no_mailboxes_for_gets_416_whatever_to_says() {
    for uri in ["tel:+15551234", "im:bob@example.com", "nobodyKnowsThisScheme:bob"] {
        for method in ["MESSAGE", "OPTIONS", "REGISTER"] {
            assert_eq!(ask(method, uri).code(), 416, "{method} {uri}");
        }
    }
}

/// U4.
#[test]
fn a_message_goes_where_its_request_uri_says_and_not_where_to_says() {
    let submission =
        text_for("sip:bob@example.com").to("<sip:list@elsewhere.example>").submission();
    assert_eq!(submission.owner.as_str(), "bob@example.com");
    assert_eq!(&submission.to[..], b"<sip:list@elsewhere.example>");
}

/// U6, R2.
#[test]
fn an_extension_that_we_lack_is_named_in_a_420() {
    for ask in [
        ask("REGISTER", "sip:example.com"),
        text_for("sip:bob@example.com"),
        ask("OPTIONS", "sip:example.com"),
    ] {
        let reply = ask.with("Require: path, foo").with("Require: bar").reply();
        assert_eq!(reply.code(), 420);
        assert_eq!(header(&reply, "Unsupported"), "foo, bar");
    }
}

/// P4.
#[test]
fn an_extension_that_proxies_must_have_and_we_lack_is_named_in_a_420() {
    for method in ["MESSAGE", "REGISTER", "INFO", "OPTIONS"] {
        let reply = ask(method, "sip:bob@example.com").with("Proxy-Require: privacy-x").reply();
        assert_eq!(reply.code(), 420);
        assert_eq!(header(&reply, "Unsupported"), "privacy-x");
    }
}

#[test]
fn the_extension_that_we_have_may_be_required() {
    let ask = ask("REGISTER", "sip:example.com").with("Require: PATH");
    assert!(matches!(ask.verdict(), Verdict::Register { .. }));
}

/// U11.
#[test]
fn the_server_tells_what_it_can_do() {
    for ask in [
        ask("OPTIONS", "sip:example.com"),
        ask("OPTIONS", "sip:192.0.2.1:5060"),
        ask("OPTIONS", "sip:bob@example.com").without_hops(),
        ask("OPTIONS", "sip:carol@elsewhere.example").without_hops(),
    ] {
        let reply = ask.reply();
        assert_eq!(reply.code(), 200);
        assert!(header(&reply, "Allow").starts_with("MESSAGE, REGISTER, OPTIONS"));
        assert_eq!(header(&reply, "Accept"), "*/*");
        assert_eq!(header(&reply, "Supported"), "path");
    }
}

/// U13.
#[test]
fn a_message_in_a_dialog_that_we_never_had_gets_481() {
    assert_eq!(text_for("sip:bob@example.com").to("<sip:bob@example.com>;tag=t").code(), 481);
    assert_eq!(text_for("sip:example.com").to("<sip:example.com>;tag=t").code(), 481);
}

/// U13.
#[test]
fn a_message_in_a_dialog_of_others_is_passed_on_and_never_kept() {
    let ask = text_for("sip:bob@example.com")
        .to("<sip:bob@example.com>;tag=t")
        .with("Route: <sip:192.0.2.1;lr>");
    match ask.verdict() {
        Verdict::LocalOther { aor, offline } => {
            assert_eq!((aor.as_str(), offline.code()), ("bob@example.com", 481));
        }
        other => panic!("passed on, not {other:?}"),
    }
}

#[test]
fn a_message_for_nobody_s_mailbox_gets_404() {
    assert_eq!(text_for("sip:example.com").code(), 404);
}

/// S4.
#[test]
fn with_a_list_of_users_nobody_else_has_a_mailbox() {
    let mut listed = text_for("sip:bob@EXAMPLE.com");
    listed.policy.users = [Aor::from_parts("bob", "example.com")].into_iter().collect();
    listed.submission();
    let policy = listed.policy;
    let unlisted = |ask: Ask| Ask { policy: policy.clone(), ..ask }.code();
    assert_eq!(unlisted(text_for("sip:Bob@example.com")), 404);
    assert_eq!(unlisted(ask("INFO", "sip:carol@example.com")), 404);
    assert_eq!(unlisted(ask("REGISTER", "sip:example.com").to("<sip:carol@example.com>")), 404);
}

/// U14.
#[test]
fn a_body_over_the_limit_gets_413() {
    let mut ask = text_for("sip:bob@example.com");
    ask.policy.body_bytes_max = 5;
    assert_eq!(ask.submission().body.len(), 5);
    ask.body.push(b'!');
    assert_eq!(ask.code(), 413);
}

/// R1.
#[test]
fn a_registration_elsewhere_is_refused_or_passed_on_for_a_trusted_peer() {
    let ask = ask("REGISTER", "sip:elsewhere.example").to("<sip:bob@elsewhere.example>");
    assert_eq!(ask.code(), 403);
    assert_eq!(&ask.by_a_trusted_peer().target().uri[..], b"sip:elsewhere.example");
}

/// R5.
#[test]
fn a_registration_is_for_the_address_in_to_if_that_is_ours() {
    let ask = ask("REGISTER", "sip:192.0.2.1").to("\"Bob\" <sips:%62ob@EXAMPLE.com:5070;x=y>");
    match ask.verdict() {
        Verdict::Register { aor } => assert_eq!(aor.as_str(), "bob@example.com"),
        other => panic!("registered, not {other:?}"),
    }
    assert_eq!(ask.clone().to("<sip:bob@elsewhere.example>").code(), 404);
    assert_eq!(ask.clone().to("<sip:example.com>").code(), 404);
    assert_eq!(ask.clone().to("<tel:+15551234>").code(), 400);
    assert_eq!(ask.to("<mailto:bob@example.com>").code(), 400);
}

#[test]
fn a_call_to_one_of_our_users_gets_what_the_operator_chose() {
    let mut ask = ask("INVITE", "sip:bob@example.com");
    assert_eq!(ask.code(), 405);
    ask.policy.invite = InviteAnswer::Unavailable;
    assert_eq!(ask.code(), 480);
}

#[test]
fn other_requests_for_a_user_are_for_the_relay_and_404_when_he_is_offline() {
    for (method, unavailable, code) in [
        ("INFO", false, 404),
        ("SUBSCRIBE", false, 404),
        ("OPTIONS", false, 404),
        ("SUBSCRIBE", true, 480),
        ("FOO", false, 501),
        ("FOO", true, 501),
    ] {
        let mut ask = ask(method, "sip:bob@example.com");
        if unavailable {
            ask.policy.offline_other = OfflineAnswer::Unavailable;
        }
        match ask.verdict() {
            Verdict::LocalOther { aor, offline } => {
                assert_eq!((aor.as_str(), offline.code()), ("bob@example.com", code), "{method}");
            }
            other => panic!("for the relay, not {other:?}"),
        }
    }
}

/// P1, S21.
#[test]
fn no_hops_left_ends_what_must_be_passed_on_but_not_what_ends_here() {
    assert_eq!(ask("INFO", "sip:bob@example.com").without_hops().code(), 483);
    assert_eq!(text_for("sip:carol@elsewhere.example").without_hops().code(), 483);
    let relayed = text_for("sip:carol@elsewhere.example").without_hops().by_a_trusted_peer();
    assert_eq!(relayed.code(), 483);
    text_for("sip:bob@example.com").without_hops().submission();
    let register = ask("REGISTER", "sip:example.com").without_hops();
    assert!(matches!(register.verdict(), Verdict::Register { .. }));
}
