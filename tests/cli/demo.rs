//! `sipsilo demo` from its first line to its last.

use super::support::Running;
use super::{command, err};
use std::fs::read_dir;

/// A demo whose temporary folder is in `parent`.
fn demo(parent: &std::path::Path) -> Running {
    let mut command = command(&["demo"]);
    command.env("TMPDIR", parent);
    Running::of(command)
}

#[test]
fn the_story_is_told_to_its_end_and_nothing_is_left_behind() {
    let parent = tempfile::tempdir().unwrap();
    let running = demo(parent.path());
    let lines = running.rest();
    let text = lines.join("\n");
    assert!(running.end().success(), "{text}");
    let told = [
        "2. bob is offline, and alice writes to him",
        "    | MESSAGE sip:bob@example.com SIP/2.0",
        "    | SIP/2.0 202 Accepted",
        "3. The node is killed: SIGKILL, without a chance to save anything",
        "     3 messages in 1 inbox and no dead letters",
        "4. alice's phone is not sure about the last one and sends it again",
        "   alice --> sipsilo  MESSAGE \"Bring the blue folder, please.\"",
        "   alice <-- sipsilo  202 Accepted",
        "5. bob comes back and gets what was kept, oldest first, one at a time",
        "    | REGISTER sip:example.com SIP/2.0",
        "    | SIP/2.0 200 OK",
        "    | Are you there, bob?",
        "   sipsilo --> bob    MESSAGE \"I have moved the meeting to nine.\"",
        "   sipsilo <-- bob    200 OK",
        "   sipsilo --> bob    MESSAGE \"Bring the blue folder, please.\"",
        "   sipsilo <-- bob    200 OK",
        "6. bob is online now, and alice writes once more: it is relayed",
        "    |     ^ no 202 this time: it is the answer of bob's own phone",
        "     no messages and no dead letters",
    ];
    let mut rest = lines.iter();
    for line in told {
        assert!(rest.any(|l| l == line), "not there, or not in its place: {line}\n{text}");
    }
    assert!(lines.last().unwrap().starts_with("Its folder is removed."), "{text}");
    for line in &lines {
        assert!(line.chars().count() <= 80 && !line.contains('\x1b'), "{line:?}");
    }
    assert_eq!(read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let running = demo(parent.path());
    while !running.line().starts_with("2.") {}
    running.terminate();
    let lines = running.rest();
    assert_eq!(running.end().code(), Some(1));
    assert_eq!(lines.last().unwrap(), "sipsilo: told to end; nothing is left behind");
    assert_eq!(read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_demo_without_a_place_for_its_folder_says_what_to_do() {
    let output = command(&["demo"]).env("TMPDIR", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = err(&output);
    assert!(text.starts_with("sipsilo: cannot create /nowhere/sipsilo-demo-"), "{text}");
    assert!(text.contains("; set TMPDIR"), "{text}");
}
