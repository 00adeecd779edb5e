//! Requests that go elsewhere, and how they are kept from going round for ever.

use super::*;
use crate::sip::relay::loops;
use crate::vocab::NextHop;

fn address(target: &Target) -> String {
    match &target.next_hop {
        NextHop::Path(path) => path.remote.to_string(),
        NextHop::Name { host, .. } => host.to_string(),
    }
}

/// S5.
#[test]
fn a_foreign_user_is_reached_through_us_by_trusted_peers_only() {
    let ask = text_for("sip:carol@elsewhere.example");
    assert_eq!(ask.code(), 403);
    let target = ask.by_a_trusted_peer().target();
    assert_eq!(&target.uri[..], b"sip:carol@elsewhere.example");
    assert_eq!(address(&target), "elsewhere.example");
}

#[test]
fn our_listening_address_with_another_port_is_somebody_else() {
    assert_eq!(text_for("sip:bob@192.0.2.1:5080").code(), 403);
    assert_eq!(text_for("sip:bob@192.0.2.1").submission().owner.as_str(), "bob@192.0.2.1");
}

/// P5.
#[test]
fn a_route_that_names_us_is_taken_off() {
    let ask = text_for("sip:bob@example.com")
        .with("Route: <sip:192.0.2.1:5060;lr>, <sip:example.com;lr;transport=tcp>");
    assert_eq!(ask.submission().owner.as_str(), "bob@example.com");
    let ask = text_for("sip:bob@example.com")
        .with("Route: <sip:192.0.2.1;lr>")
        .with("Route: <sip:198.51.100.1;lr>, <sip:198.51.100.2;lr>")
        .by_a_trusted_peer();
    let target = ask.target();
    let routes: Vec<&str> = target.routes.iter().map(|r| &**r).collect();
    assert_eq!(routes, ["<sip:198.51.100.1;lr>", "<sip:198.51.100.2;lr>"]);
    assert_eq!(address(&target), "198.51.100.1:5060");
}

/// P5.
#[test]
fn what_a_strict_router_did_to_the_request_uri_is_undone() {
    let ask = text_for("sip:192.0.2.1;lr").with("Route: <sip:bob@example.com>");
    assert_eq!(ask.submission().owner.as_str(), "bob@example.com");
    let ask = text_for("sip:192.0.2.1;lr")
        .with("Route: <sip:198.51.100.1;lr>, <sip:carol@elsewhere.example>")
        .by_a_trusted_peer();
    let target = ask.target();
    assert_eq!(&target.uri[..], b"sip:carol@elsewhere.example");
    assert_eq!(target.routes.len(), 1);
}

/// P6.
#[test]
fn a_stranger_cannot_send_elsewhere_through_us_by_a_route() {
    let ask = text_for("sip:bob@example.com").with("Route: <sip:198.51.100.1;lr>");
    assert_eq!(ask.code(), 403);
    let in_dialog = ask.to("<sip:bob@example.com>;tag=t").with("Route: <sip:x.example;lr>");
    assert_eq!(in_dialog.code(), 403);
}

#[test]
fn a_route_that_cannot_be_read_gets_400() {
    for route in ["<sip:", "<>", "sip:a b", "<nonsense>"] {
        let ask = text_for("sip:bob@example.com").with(format!("Route: {route}"));
        assert_eq!(ask.code(), 400, "{route}");
    }
}

#[test]
fn a_place_that_we_have_no_transport_for_cannot_be_reached() {
    let ask = text_for("sip:carol@elsewhere.example;transport=sctp").by_a_trusted_peer();
    assert_eq!(ask.code(), 500);
    assert_eq!(text_for("sips:carol@elsewhere.example").by_a_trusted_peer().code(), 416);
}

#[test]
fn calls_are_not_passed_on_even_for_trusted_peers() {
    assert_eq!(ask("INVITE", "sip:carol@elsewhere.example").by_a_trusted_peer().code(), 405);
}

fn marked(ask: Ask, mark: &[u8]) -> Ask {
    let mark = String::from_utf8(mark.to_vec()).unwrap();
    ask.with(format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours{mark}"))
}

/// P3.
#[test]
fn a_request_that_comes_round_unchanged_gets_482() {
    let ask = text_for("sip:bob@example.com");
    let mark = loops::via_params(&ask.message(), ask.policy.loop_key);
    assert_eq!(marked(ask.clone(), &mark).code(), 482);
    let info = super::ask("INFO", "sip:bob@example.com");
    let mark = loops::via_params(&info.message(), ask.policy.loop_key);
    assert_eq!(marked(info, &mark).code(), 482);
    let foreign = text_for("sip:carol@elsewhere.example").by_a_trusted_peer();
    let mark = loops::via_params(&foreign.message(), ask.policy.loop_key);
    assert_eq!(marked(foreign, &mark).code(), 482);
}

/// P3.
#[test]
fn a_request_that_comes_round_for_somebody_else_goes_on() {
    let before = text_for("sip:bob@example.com");
    let mark = loops::via_params(&before.message(), before.policy.loop_key);
    marked(text_for("sip:bob-mobile@example.com"), &mark).submission();
}

#[test]
fn the_mark_of_another_server_of_our_make_is_no_loop() {
    let ask = text_for("sip:bob@example.com");
    let mark = loops::via_params(&ask.message(), ask.policy.loop_key + 1);
    marked(ask, &mark).submission();
}

#[test]
fn a_strange_via_below_is_no_obstacle() {
    text_for("sip:bob@example.com")
        .with("Via: SIP/2.0/UDP [::1];sipsilo-loop;x=\"sipsilo-loop=0\";sipsilo-loop=\"\"")
        .submission();
}
