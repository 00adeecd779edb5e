//! `sipsilo demo`: the whole story, with real processes, real sockets and a real SIGKILL.
//!
//! `story` tells it and checks each step; `node` is the server, a child process of the same
//! program; `phone` is a user; `page` is the screen and `lessons` says what is seen there. The
//! story ends with an error as soon as anything goes another way than it is told.

mod lessons;
mod node;
mod page;
mod phone;
mod story;

use anyhow::{Context as _, bail};
use node::{Folder, Node};
use page::Page;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long anything may take that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The options of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sipsilo demo
  sipsilo demo | less

alice writes to bob, who is offline; the node is killed and started again; bob registers and gets
everything once and in order. The node listens on a free port of 127.0.0.1, its messages are in a
folder of their own under $TMPDIR or /tmp, and nothing of it is left at the end. The exit code is 0
if every step went as it is told. NO_COLOR=1 turns colours off.")]
pub(super) struct Args {}

/// Tells the story and takes everything down again, whatever its end.
pub(super) async fn run(_: &Args) -> anyhow::Result<ExitCode> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let folder = Folder::create()?;
    let mut node = Node::new(&folder)?;
    let mut page = Page::on_stdout();
    let told = tokio::select! {
        told = story::tell(&mut page, &mut node) => told,
        _ = interrupted.recv() => bail!("interrupted; nothing is left behind"),
        _ = terminated.recv() => bail!("told to end; nothing is left behind"),
    };
    if told.is_err() {
        for line in node.log_tail() {
            eprintln!("node: {line}");
        }
    }
    let took = told.context("the story went another way than it is told")?;
    drop(node);
    folder.remove()?;
    page.end(took)?;
    Ok(ExitCode::SUCCESS)
}
