use super::*;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a URI"))
}

fn same(a: &str, b: &str) -> bool {
    let forth = uri(a).equals(&uri(b));
    assert_eq!(forth, uri(b).equals(&uri(a)), "{a} and {b}: equality is symmetric");
    forth
}

fn aor(text: &str) -> String {
    uri(text).aor().unwrap_or_else(|| panic!("{text} has an address of record")).to_string()
}

#[test]
fn the_equal_uris_of_rfc_3261_are_equal() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert!(same(a, b), "{a} is {b}");
    }
}

#[test]
fn the_different_uris_of_rfc_3261_are_different() {
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ] {
        assert!(!same(a, b), "{a} is not {b}");
    }
}

#[test]
fn equality_counts_what_changes_the_meaning_and_nothing_else() {
    for param in ["user=phone", "ttl=1", "method=MESSAGE", "maddr=h", "transport=udp"] {
        assert!(!same("sip:a@h", &format!("sip:a@h;{param}")), "{param} counts when in one only");
    }
    assert!(same("sip:a@h;lr", "sip:a@h;LR"));
    assert!(!same("sip:a@h;x=1", "sip:a@h;x"));
    assert!(!same("sip:a@h", "sips:a@h"));
    assert!(!same("sip:a@h", "sip:h"));
    assert!(!same("sip:a:pw@h", "sip:a@h"));
    assert!(!same("sip:a:pw@h", "sip:a:PW@h"));
    assert!(!same("sip:a@h?x=1&x=2", "sip:a@h?x=1&x=1"));
    assert!(same("sip:a%2Bb@h", "sip:a+b@h"));
    assert!(same("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0:0::1]"));
    assert!(!same("sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]"));
}

#[test]
fn a_uri_with_too_many_parts_is_only_equal_to_its_own_bytes() {
    let params = format!("sip:a@h{}", ";a".repeat(100));
    assert!(same(&params, &params) && !same(&params, &format!("{params};a")));
    let headers = format!("sip:a@h?x{}", "&a".repeat(100));
    assert!(same(&headers, &headers) && !same(&headers, &headers.replacen("?x&a", "?a&x", 1)));
}

#[test]
fn numbers_are_equal_without_their_separators_and_unknown_uris_byte_for_byte() {
    assert!(same("tel:+1-201-555-0123", "TEL:+1(201)5550123"));
    assert!(!same("tel:+12015550123", "tel:2015550123"));
    assert!(!same("tel:1;phone-context=a", "tel:1;phone-context=b"));
    assert!(same("URN:service:sos", "urn:service:sos"));
    assert!(!same("urn:service:SOS", "urn:service:sos"));
}

#[test]
fn an_address_of_record_has_one_spelling() {
    for text in [
        "sip:bob@example.com",
        "SIP:bob@EXAMPLE.com:5070;transport=tcp?Subject=x",
        "sips:b%6Fb:secret@example.com",
        "im:bob@Example.Com",
    ] {
        assert_eq!(aor(text), "bob@example.com", "{text}");
    }
    assert_eq!(aor("sip:Bob@example.com"), "Bob@example.com");
    assert_eq!(aor("sip:example.com"), "@example.com");
    assert_eq!(aor("sip:a@[2001:DB8:0::1]"), "a@[2001:db8::1]");
    assert_eq!(aor("sip:%2b358%3b40@h"), "+358;40@h");
}

#[test]
fn an_escape_that_protects_something_stays_in_upper_case() {
    assert_eq!(aor("sip:a%40b@h"), "a%40b@h");
    assert_eq!(aor("sip:a%00b@h"), "a%00b@h");
    assert_eq!(aor("sip:a%2540b@h"), "a%2540b@h");
    assert_eq!(aor("sip:a%3ab%c3%bc@h"), "a%3Ab%C3%BC@h");
    assert_eq!(aor("sip:ü@h"), "%C3%BC@h");
}

#[test]
fn a_number_and_an_unknown_scheme_have_no_mailbox_of_their_own() {
    assert_eq!(uri("tel:+12015550123").aor(), None);
    assert_eq!(uri("urn:service:sos").aor(), None);
}

#[test]
fn what_breaks_the_grammar_is_no_uri() {
    for text in [
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a@b@c",
        "sip:a@h:",
        "sip:a@h:x",
        "sip:a@h:65536",
        "sip:a%4@h",
        "sip:a%zz@h",
        "sip:a b@h",
        "sip:a@h;x=\"1\"",
        "sip:a@h>",
        "sip:a@2001:db8::1",
        "sip:a@[2001:db8::1",
        "sip:a@[host]",
        "sip:a@h\0",
        "tel:",
        "tel:+x",
        ":a@h",
        "1sip:a@h",
        "urn:",
        "sip:a@h/x",
    ] {
        assert!(Uri::parse(text.as_bytes()).is_none(), "{text:?}");
    }
}

#[test]
fn the_parts_of_a_uri_are_found() {
    let uri = uri("sips:a;b=c:p;q@Host.example:5061;lr;maddr=192.0.2.1?x=y&z=");
    assert_eq!((uri.scheme, uri.user), (Scheme::Sips, Some(&b"a;b=c"[..])));
    assert_eq!((uri.password, uri.host), (Some(&b"p;q"[..]), &b"Host.example"[..]));
    assert_eq!((uri.port, uri.headers), (Some(5061), &b"x=y&z="[..]));
    assert_eq!(uri.params.get(b"LR"), Some(None));
    assert_eq!(uri.params.value(b"maddr"), Some(&b"192.0.2.1"[..]));
}

fn path(text: &str) -> (Transport, String) {
    match uri(text).next_hop() {
        Some(NextHop::Path(path)) => {
            assert!(path.flow.is_none() && path.local.ip().is_unspecified());
            assert_eq!(path.local.is_ipv4(), path.remote.is_ipv4());
            (path.transport, path.remote.to_string())
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn an_address_in_numbers_is_the_way_itself() {
    assert_eq!(path("sip:a@192.0.2.1"), (Transport::Udp, "192.0.2.1:5060".to_owned()));
    assert_eq!(
        path("sip:a@192.0.2.1:5070;transport=TCP"),
        (Transport::Tcp, "192.0.2.1:5070".to_owned())
    );
    assert_eq!(path("sip:[2001:db8::1]:5062"), (Transport::Udp, "[2001:db8::1]:5062".to_owned()));
    assert_eq!(
        path("sip:a@example.com:5070;maddr=192.0.2.9"),
        (Transport::Udp, "192.0.2.9:5070".to_owned())
    );
}

#[test]
fn a_name_is_left_to_be_looked_up() {
    let name = |transport, host: &str, port| NextHop::Name { transport, host: host.into(), port };
    assert_eq!(uri("sip:a@Example.COM").next_hop(), Some(name(None, "example.com", None)));
    assert_eq!(
        uri("sip:a@example.com:5070;transport=udp").next_hop(),
        Some(name(Some(Transport::Udp), "example.com", Some(5070)))
    );
}

#[test]
fn there_is_no_way_to_where_we_cannot_go() {
    for text in [
        "sips:a@192.0.2.1",
        "sip:a@192.0.2.1;transport=tls",
        "sip:a@h;transport",
        "tel:+1",
        "urn:x",
        "sip:a@h;maddr=a:b",
        "sip:a@h;maddr=",
    ] {
        assert_eq!(uri(text).next_hop(), None, "{text}");
    }
}
