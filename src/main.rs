//! The `sipsilo` command.

fn main() {}
