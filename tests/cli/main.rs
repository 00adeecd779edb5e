//! The command line as a user meets it: the built binary, its output and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod configuration;
mod demo;
mod inbox;
mod receive;
mod send;
mod support;

use std::process::{Command, Output};

/// The command, without settings from this environment.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipsilo"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIPSILO__") {
            command.env_remove(name);
        }
    }
    command.args(args);
    command
}

fn sipsilo(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
