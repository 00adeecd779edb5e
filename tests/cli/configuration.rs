//! Settings: what is checked, printed and refused before a node starts.

use super::{err, out, sipsilo};

fn config_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn the_help_of_every_command_shows_examples() {
    for command in [
        &["--help"][..],
        &["run", "--help"],
        &["send", "--help"],
        &["receive", "--help"],
        &["inbox", "list", "--help"],
        &["inbox", "show", "--help"],
        &["inbox", "purge", "--help"],
        &["check-config", "--help"],
        &["config", "default", "--help"],
    ] {
        let output = sipsilo(command);
        assert!(output.status.success(), "{command:?}");
        assert!(out(&output).contains("Examples:"), "{command:?}: {}", out(&output));
    }
}

#[test]
fn the_version_is_told() {
    let output = sipsilo(&["--version"]);
    assert_eq!(out(&output), concat!("sipsilo ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn the_printed_default_configuration_passes_the_check() {
    let printed = sipsilo(&["config", "default"]);
    assert!(printed.status.success());
    let file = config_file(&out(&printed));
    let checked = sipsilo(&["check-config", file.path().to_str().unwrap()]);
    assert!(checked.status.success(), "{}", err(&checked));
    assert!(out(&checked).contains("is valid: listens on udp:127.0.0.1:5060"), "{}", out(&checked));
    assert_eq!(err(&checked), "");
}

#[test]
fn a_file_with_a_slip_fails_the_check_with_one_sentence() {
    let file = config_file("[sip]\nlisten = [\"udp:127.0.0.1\"]\n");
    let name = file.path().to_str().unwrap();
    let checked = sipsilo(&["check-config", name]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(out(&checked), "");
    assert_eq!(
        err(&checked),
        format!(
            "sipsilo: {name}: sip.listen[0] = \"udp:127.0.0.1\" is not allowed: listen address \
             \"udp:127.0.0.1\" must name a numeric address and a port, as in \
             `udp:192.0.2.1:5060` or `tcp:[::1]:5060` (every address: `0.0.0.0` or `[::]`)\n"
        )
    );
}

#[test]
fn a_file_that_opens_the_node_to_others_passes_with_a_warning() {
    let file = config_file("[sip]\nlisten = [\"udp:0.0.0.0:5060\"]\n");
    let checked = sipsilo(&["check-config", file.path().to_str().unwrap()]);
    assert!(checked.status.success());
    assert!(err(&checked).contains("warning: other machines can reach udp:0.0.0.0:5060"));
}

#[test]
fn a_missing_file_is_named() {
    let checked = sipsilo(&["check-config", "/no/such.toml"]);
    assert_eq!(checked.status.code(), Some(1));
    assert_eq!(
        err(&checked),
        "sipsilo: cannot read the configuration file /no/such.toml: \
         No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_node_that_cannot_be_configured_does_not_start() {
    for (args, text) in [
        (&["run", "--set", "sip.invite=200"][..], "--set: sip.invite = 200 is not allowed"),
        (&["--listen", "udp:localhost:5060"], "--listen: sip.listen[0] = \"udp:localhost:5060\""),
        (&["--domain", "a.example", "--domain", "b:5"], "--domain: sip.domains = \"b:5\""),
        (
            &["run", "--db-url", "mysql://u:pw@h/silo"],
            "--db-url: msilo.db_url = \"mysql://***@h/silo\"",
        ),
        (&["run", "--config", "/no/such.toml"], "cannot read the configuration file /no/such.toml"),
    ] {
        let output = sipsilo(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = format!("sipsilo: {text}");
        assert!(err(&output).starts_with(&text), "{args:?}: {}", err(&output));
        assert_eq!(err(&output).lines().count(), 1, "{args:?}: {}", err(&output));
    }
}

#[test]
fn a_command_line_that_makes_no_sense_exits_with_2() {
    for args in [&["--no-such-option"][..], &["dance"], &["run", "--set", "sip.invite"]] {
        let output = sipsilo(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(err(&output).contains("--help"), "{args:?}: {}", err(&output));
    }
}
