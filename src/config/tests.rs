//! What an operator sees: defaults, priorities, and the text of every kind of refusal.

use super::*;
use crate::vocab::Transport;
use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn flag(key: &str, value: &str) -> Flag {
    Flag { origin: "--set".into(), key: key.into(), value: value.into() }
}

fn from_file(text: &str) -> Result<Settings, Error> {
    let file = file(text);
    load(Sources { file: Some(file.path().into()), ..Sources::default() })
}

fn from_variable(name: &str, value: &str) -> Result<Settings, Error> {
    load(Sources { environment: variables(&[(name, value)]), ..Sources::default() })
}

fn from_flag(key: &str, value: &str) -> Result<Settings, Error> {
    load(Sources { flags: vec![flag(key, value)], ..Sources::default() })
}

/// The refusal of a file with this text, without the file's name.
fn refusal_of_file(text: &str) -> String {
    let file = file(text);
    let origin = format!("{}: ", file.path().display());
    let error = load(Sources { file: Some(file.path().into()), ..Sources::default() }).unwrap_err();
    error.to_string().strip_prefix(&origin).expect("the text begins with the file").to_owned()
}

fn refusal_of_flag(key: &str, value: &str) -> String {
    from_flag(key, value).unwrap_err().to_string()
}

#[test]
fn the_documented_file_and_the_defaults_say_the_same() {
    let documented: toml::Table = DEFAULT_FILE.parse().unwrap();
    let defaults = toml::Table::try_from(Settings::default()).unwrap();
    assert_eq!(documented, defaults, "an option is missing, or has another default");
    assert_eq!(from_file(DEFAULT_FILE).unwrap(), Settings::default());
}

#[test]
fn the_reference_names_every_option_with_its_default() {
    let reference = include_str!("../../docs/reference/configuration.md");
    for (section, keys) in toml::Table::try_from(Settings::default()).unwrap() {
        assert!(reference.contains(&format!("## [{section}]")), "[{section}] is missing");
        for (key, default) in keys.as_table().unwrap() {
            let default = toml::Table::from_iter([(key.clone(), default.clone())]);
            let default = DEFAULT_FILE
                .lines()
                .find(|line| line.parse::<toml::Table>().is_ok_and(|line| line == default))
                .and_then(|line| line.split_once(" = "))
                .expect("the file has the default")
                .1;
            let row = format!("| `{key}` | `{default}` |");
            assert!(reference.contains(&row), "{section}.{key}: no row begins with {row}");
        }
    }
}

#[test]
fn without_any_source_the_defaults_hold_and_are_valid() {
    assert_eq!(load(Sources::default()).unwrap(), Settings::default());
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let file = file("[msilo]\nexpire_time = 1\ncheck_time = 1\nclean_period = 1\n");
    let environment =
        variables(&[("SIPSILO__MSILO__EXPIRE_TIME", "2"), ("SIPSILO__MSILO__CHECK_TIME", "2")]);
    let flags = vec![flag("msilo.expire_time", "9"), flag("msilo.expire_time", "3")];
    let msilo = load(Sources { file: Some(file.path().into()), environment, flags }).unwrap().msilo;
    assert_eq!((msilo.expire_time, msilo.check_time, msilo.clean_period), (3, 2, 1));
    assert_eq!(msilo.max_messages, 0, "what nobody names keeps its default");
}

#[test]
fn lists_in_variables_are_separated_by_commas() {
    let settings =
        from_variable("SIPSILO__SIP__LISTEN", "udp:127.0.0.1:0, tcp:[::1]:5070").unwrap();
    let listen = settings.sip.listen;
    assert_eq!(listen[0].transport, Transport::Udp);
    assert_eq!(listen[1].to_string(), "tcp:[::1]:5070");
    let settings = from_variable("SIPSILO__SIP__TRUSTED", "").unwrap();
    assert!(settings.sip.trusted.is_empty());
}

#[test]
fn texts_of_variables_become_numbers_switches_and_durations() {
    assert!(
        from_variable("SIPSILO__REGISTRAR__REPLACE_OLDEST", "true")
            .unwrap()
            .registrar
            .replace_oldest
    );
    assert_eq!(from_flag("delivery.retry_jitter", "1").unwrap().delivery.retry_jitter, 1.0);
    assert_eq!(
        from_flag("delivery.retry_initial", "250ms").unwrap().delivery.retry_initial,
        Duration::from_millis(250)
    );
    assert_eq!(from_flag("msilo.db_url", "memory:").unwrap().msilo.db_url, DbUrl::Memory);
}

#[test]
fn variables_of_other_programs_are_passed_over() {
    assert!(from_variable("SIPSILO_HOME", "x").is_ok());
    assert!(from_variable("PATH", "x").is_ok());
}

#[test]
fn domains_are_compared_in_lower_case() {
    assert_eq!(from_flag("sip.domains", "Example.COM").unwrap().sip.domains, ["example.com"]);
}

#[test]
fn a_misspelt_key_is_an_error_that_offers_the_right_one() {
    assert_eq!(
        refusal_of_file("[sip]\nlisen = []\n"),
        "there is no key sip.lisen; did you mean sip.listen?"
    );
    assert_eq!(
        refusal_of_file("[sip]\nexpire_time = 5\n"),
        "there is no key sip.expire_time; did you mean msilo.expire_time?"
    );
    assert_eq!(
        from_variable("SIPSILO__MSILO__EXPIRETIME", "5").unwrap_err().to_string(),
        "SIPSILO__MSILO__EXPIRETIME: there is no key msilo.expiretime; \
         did you mean msilo.expire_time?"
    );
    assert_eq!(
        refusal_of_flag("log.colour", "red"),
        "--set: there is no key log.colour; the keys of [log] are format, level"
    );
}

#[test]
fn a_misspelt_section_is_an_error_that_offers_the_right_one() {
    assert_eq!(
        refusal_of_file("[spi]\nlisten = []\n"),
        "there is no section [spi]; did you mean [sip]?"
    );
    assert_eq!(
        refusal_of_file("listen = []\n"),
        "there is no section [listen]; \
         the sections are delivery, limits, log, msilo, registrar, sip"
    );
}

#[test]
fn a_parameter_of_msilo_that_is_not_here_yet_is_named_as_such() {
    assert_eq!(
        refusal_of_file("[msilo]\nadd_date = 1\n"),
        "there is no key msilo.add_date; it is a parameter of Kamailio's msilo that this version \
         of sipsilo does not have: remove it"
    );
}

#[test]
fn a_variable_or_flag_without_section_and_key_says_how_to_write_it() {
    assert_eq!(
        from_variable("SIPSILO__SIP_LISTEN", "x").unwrap_err().to_string(),
        "SIPSILO__SIP_LISTEN: a variable is SIPSILO__SECTION__KEY, with two underscores"
    );
    assert_eq!(
        refusal_of_flag("listen", "x"),
        "--set: write --set section.key=value, not \"listen\""
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_with_an_example() {
    assert_eq!(
        refusal_of_file("[msilo]\nexpire_time = \"3 days\"\n"),
        "msilo.expire_time = \"3 days\" is not allowed: it must be a whole number"
    );
    assert_eq!(
        refusal_of_file("[delivery]\nretry_initial = 5\n"),
        "delivery.retry_initial = 5 is not allowed: \
         it must be a text in quotes, for example \"5s\""
    );
    assert_eq!(
        refusal_of_file("[msilo]\nexpire_time = 2.5\n"),
        "msilo.expire_time = 2.5 is not allowed: it must be a whole number"
    );
    assert_eq!(
        refusal_of_flag("sip.oversize_udp", "yes"),
        "--set: sip.oversize_udp = \"yes\" is not allowed: it must be true or false"
    );
    assert_eq!(
        refusal_of_file("[sip]\nlisten = \"udp:127.0.0.1:5060\"\n"),
        "sip.listen = \"udp:127.0.0.1:5060\" is not allowed: \
         it must be a list of texts, for example [\"a\", \"b\"]"
    );
}

#[test]
fn a_number_outside_its_type_is_refused_by_name() {
    for (key, value) in [
        ("msilo.expire_time", "-1"),
        ("msilo.expire_time", "4294967296"),
        ("delivery.attempts_max", "65536"),
        ("sip.workers", "-1"),
        ("delivery.retry_jitter", "nan"),
        ("delivery.retry_jitter", "inf"),
    ] {
        let text = refusal_of_flag(key, value);
        assert!(text.starts_with(&format!("--set: {key} = ")), "{text}");
    }
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let text = refusal_of_file("[sip]\nlisten = [\n");
    assert!(text.contains("line 2"), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load(Sources { file: Some("/no/such.toml".into()), ..Sources::default() });
    let text = error.unwrap_err().to_string();
    assert_eq!(text, "cannot read the configuration file /no/such.toml");
}

#[test]
fn durations_need_a_unit() {
    for bad in ["5", "", "s", "5 s", "-5s", "1.5s", "5S", "99999999999999999999s", "1w"] {
        let text = refusal_of_flag("delivery.retry_initial", bad);
        assert!(text.contains("a whole number with a unit: ms, s, m, h or d"), "{bad}: {text}");
    }
}

#[test]
fn addresses_to_listen_on_need_transport_and_port() {
    for bad in ["127.0.0.1:5060", "udp:localhost:5060", "udp:127.0.0.1", "tls:127.0.0.1:5061"] {
        let text = refusal_of_flag("sip.listen", bad);
        assert!(text.starts_with(&format!("--set: sip.listen[0] = \"{bad}\"")), "{text}");
        assert!(text.contains(", as in `udp:"), "{text}");
    }
}

#[test]
fn a_block_of_addresses_contains_its_own_and_no_others() {
    let holds = |network: &str, peer: &str| {
        Network::parse(network).unwrap().contains(peer.parse().unwrap())
    };
    assert!(holds("192.0.2.0/24", "192.0.2.255"));
    assert!(holds("192.0.2.0/24", "::ffff:192.0.2.7"));
    assert!(!holds("192.0.2.0/24", "192.0.3.0"));
    assert!(!holds("192.0.2.0/24", "::c000:200"));
    assert!(holds("192.0.2.7", "192.0.2.7"));
    assert!(!holds("192.0.2.7", "192.0.2.8"));
    assert!(holds("0.0.0.0/0", "203.0.113.9"));
    assert!(!holds("0.0.0.0/0", "2001:db8::1"));
    assert!(holds("::/0", "2001:db8::1"));
    assert!(holds("2001:db8::/32", "2001:db8:ffff::1"));
    assert!(!holds("2001:db8::/32", "2001:db9::1"));
}

#[test]
fn a_block_of_addresses_that_means_something_else_is_refused() {
    assert!(refusal_of_flag("sip.trusted", "192.0.2.7/24").contains("behind its first 24"));
    for bad in ["192.0.2.0/33", "2001:db8::/129", "example.com", "192.0.2.0/", "192.0.2.0/-1"] {
        let text = refusal_of_flag("sip.trusted", bad);
        assert!(text.contains("an address or an address block"), "{bad}: {text}");
    }
}

#[test]
fn a_store_that_is_not_here_yet_is_refused_without_its_password() {
    let text = refusal_of_flag("msilo.db_url", "scylla://silo:secret@db1/silo");
    assert_eq!(
        text,
        "--set: msilo.db_url = \"scylla://***@db1/silo\" is not allowed: this version stores in \
         \"embedded:DIR\" (a folder of this machine) or, for tests, \"memory:\""
    );
    assert!(from_flag("msilo.db_url", "embedded:").is_err());
}

#[test]
fn words_are_refused_with_the_list_of_words() {
    assert_eq!(
        refusal_of_flag("registrar.nat", "maybe"),
        "--set: registrar.nat = \"maybe\" is not allowed: \
         it must be \"auto\" or \"off\" or \"always\""
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    assert_eq!(
        refusal_of_file("[registrar]\nmin_expires = \"10m\"\ndefault_expires = \"5m\"\n"),
        "registrar.default_expires = \"5m\" is not allowed: \
         it must not be below registrar.min_expires (\"10m\")"
    );
    assert_eq!(
        refusal_of_flag("registrar.max_expires", "30m"),
        "--set: registrar.max_expires = \"30m\" is not allowed: \
         it must not be below registrar.default_expires (\"1h\")"
    );
    // The value at fault is the default; the flag made it so.
    assert_eq!(
        refusal_of_flag("delivery.retry_initial", "1h"),
        "the defaults: delivery.retry_max = \"10m\" is not allowed: \
         it must not be below delivery.retry_initial (\"1h\")"
    );
}

#[test]
fn values_that_no_node_could_run_with_are_refused() {
    for (key, value, allowed) in [
        ("sip.invite", "404", "it must be 405 or 480"),
        ("sip.offline_other", "405", "it must be 404 or 480"),
        ("sip.iscomposing", "480", "it must be 200 or 202"),
        ("sip.listen", "", "name at least one address"),
        ("sip.listen", "udp:127.0.0.1:5060,udp:127.0.0.1:5060", "it is listed twice"),
        ("sip.domains", "", "name at least one domain"),
        ("sip.domains", "sip:example.com", "a domain is a host name or an address"),
        ("sip.domains", "example.com:5060", "a domain is a host name or an address"),
        ("sip.users", "bob", "write user@domain"),
        ("sip.users", "sip:bob@example.com", "write user@domain"),
        ("sip.users", "bob@example.com:5060", "write user@domain"),
        ("sip.users", "bob@", "write user@domain"),
        ("sip.body_bytes_max", "65536", "it must be from 1 to 65535"),
        ("sip.workers", "1000", "it must be from 0 to 256"),
        ("msilo.expire_time", "0", "it must be from 1 to"),
        ("msilo.check_time", "0", "it must be from 1 to"),
        ("msilo.clean_period", "0", "it must be from 1 to"),
        ("registrar.min_expires", "0s", "whole seconds"),
        ("registrar.min_expires", "2h", "at most \"1h\""),
        ("registrar.default_expires", "1500ms", "whole seconds"),
        ("registrar.max_contacts", "0", "it must be from 1 to 1000"),
        ("delivery.retry_factor", "0", "it must be from 1 to 100"),
        ("delivery.retry_jitter", "2", "it must be from 0 to 1"),
        ("delivery.attempts_max", "0", "it must be from 1 to"),
        ("delivery.timeout", "33s", "at most \"32s\""),
        ("delivery.relay_timeout", "32s", "below \"32s\""),
        ("limits.tcp_write_queue_bytes", "1000", "it must be from 65535"),
        ("log.level", "inof", "it must be error, warn, info"),
    ] {
        let text = refusal_of_flag(key, value);
        assert!(text.contains(key) && text.contains(allowed), "{key}={value}: {text}");
    }
}

#[test]
fn ports_that_the_system_chooses_may_be_asked_for_more_than_once() {
    assert!(from_flag("sip.listen", "udp:127.0.0.1:0,udp:127.0.0.1:0").is_ok());
}
