//! `sipsilo inbox`: what waits in the mailboxes of an embedded store that no node is using.

use super::agent::{self, Address};
use super::screen::{body, one_line, time};
use crate::node::SystemClock;
use crate::store::embedded::{EmbeddedStore, Options};
use crate::store::{Cursor, Store};
use crate::vocab::limits::{PAGE_BYTES, PAGE_MESSAGES};
use crate::vocab::{Aor, Key, Message};
use anyhow::ensure;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Inboxes, or dead letters, that are read at once.
const ROWS: usize = 256;

/// What to do with a mailbox.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the mailboxes that hold messages, or the messages of one
    #[command(after_help = "\
Examples:
  sipsilo inbox list
  sipsilo inbox list bob@example.com --data /var/lib/sipsilo")]
    List {
        /// Whose mailbox, for example bob@example.com; without it, all of them
        #[arg(value_name = "ADDRESS", value_parser = agent::address)]
        user: Option<Address>,
        #[command(flatten)]
        data: Data,
    },
    /// Print the messages of a mailbox in full
    #[command(after_help = "Examples:\n  sipsilo inbox show bob@example.com")]
    Show {
        /// Whose mailbox, for example bob@example.com
        #[arg(value_name = "ADDRESS", value_parser = agent::address)]
        user: Address,
        #[command(flatten)]
        data: Data,
    },
    /// Delete all messages and dead letters of a mailbox, without asking
    #[command(after_help = "Examples:\n  sipsilo inbox purge bob@example.com")]
    Purge {
        /// Whose mailbox, for example bob@example.com
        #[arg(value_name = "ADDRESS", value_parser = agent::address)]
        user: Address,
        #[command(flatten)]
        data: Data,
    },
}

/// Where the store is.
#[derive(Debug, clap::Args)]
pub(super) struct Data {
    /// The folder of the store
    #[arg(long = "data", value_name = "DIR", default_value = "./sipsilo-data")]
    folder: PathBuf,
}

impl Data {
    fn open(&self) -> anyhow::Result<EmbeddedStore> {
        // Opening would make an empty store, and a slip of the pen would look like no messages.
        // Every store has this file.
        ensure!(
            self.folder.join("lock").is_file(),
            "there is no store in {}: name its folder with --data",
            self.folder.display()
        );
        let clock = Arc::new(SystemClock::start());
        Ok(EmbeddedStore::open(Options::new(&self.folder, clock))?)
    }
}

/// Runs the command and closes the store.
pub(super) async fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let (Command::List { data, .. } | Command::Show { data, .. } | Command::Purge { data, .. }) =
        command;
    let store = data.open()?;
    let mut out = std::io::stdout().lock();
    let done = match command {
        Command::List { user: None, .. } => list_all(&store, &mut out).await,
        Command::List { user: Some(user), .. } => list(&store, &user.aor, &mut out).await,
        Command::Show { user, .. } => show(&store, &user.aor, &mut out).await,
        Command::Purge { user, .. } => purge(&store, &user.aor, &mut out).await,
    };
    store.close().await?;
    done?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// One line for each mailbox that is not empty, and the number of dead letters.
async fn list_all(store: &impl Store, out: &mut impl Write) -> anyhow::Result<()> {
    let (mut inboxes, mut messages) = (0_u64, 0_u64);
    let mut from: Option<Cursor> = None;
    loop {
        let (found, next) = store.occupied(from, ROWS).await?;
        for inbox in found {
            writeln!(out, "{:>8}  {}", inbox.messages, one_line(inbox.aor.as_str().as_bytes()))?;
            inboxes += 1;
            messages += u64::from(inbox.messages);
        }
        let Some(next) = next else { break };
        from = Some(next);
    }
    let mut dead = 0;
    each_dead_letter(store, None, |_| {
        dead += 1;
        Ok(())
    })
    .await?;
    let (total, dead) = (counted(messages, "message"), counted(dead, "dead letter"));
    match inboxes {
        0 => writeln!(out, "{total} and {dead}")?,
        _ => writeln!(out, "{total} in {} and {dead}", counted(inboxes, "inbox"))?,
    }
    Ok(())
}

/// One line for each message of a mailbox.
async fn list(store: &impl Store, aor: &Aor, out: &mut impl Write) -> anyhow::Result<()> {
    let (mut messages, mut dead) = (0, 0);
    each_message(store, aor, |message| {
        messages += 1;
        Ok(summary(out, message, "")?)
    })
    .await?;
    each_dead_letter(store, Some(aor), |message| {
        dead += 1;
        Ok(summary(out, message, "dead letter, ")?)
    })
    .await?;
    let messages = counted(messages, "message");
    writeln!(out, "{messages} and {} for {}", counted(dead, "dead letter"), shown(aor))?;
    Ok(())
}

/// Every message of a mailbox with its headers and its body.
async fn show(store: &impl Store, aor: &Aor, out: &mut impl Write) -> anyhow::Result<()> {
    let mut found = 0;
    each_message(store, aor, |message| {
        found += 1;
        Ok(in_full(out, message, "message")?)
    })
    .await?;
    each_dead_letter(store, Some(aor), |message| {
        found += 1;
        Ok(in_full(out, message, "dead letter")?)
    })
    .await?;
    if found == 0 {
        writeln!(out, "no messages for {}", shown(aor))?;
    }
    Ok(())
}

/// Deletes what a mailbox holds; dead letters are put back first, for only messages are deleted.
async fn purge(store: &impl Store, aor: &Aor, out: &mut impl Write) -> anyhow::Result<()> {
    let mut dead: Vec<Key> = Vec::new();
    each_dead_letter(store, Some(aor), |message| {
        dead.push(message.key);
        Ok(())
    })
    .await?;
    for key in &dead {
        store.exhume(aor, *key).await?;
    }
    let (mut deleted, mut after) = (0_usize, None);
    loop {
        let page = store.page(aor, after, PAGE_MESSAGES, PAGE_BYTES).await?;
        for message in &page.messages {
            store.delete(aor, message.key).await?;
            after = Some(message.key);
        }
        deleted += page.messages.len();
        if page.is_last {
            break;
        }
    }
    let messages = counted(deleted.saturating_sub(dead.len()) as u64, "message");
    let dead = counted(dead.len() as u64, "dead letter");
    writeln!(out, "deleted {messages} and {dead} for {}", shown(aor))?;
    Ok(())
}

/// Reads a mailbox page by page, oldest first.
async fn each_message(
    store: &impl Store,
    aor: &Aor,
    mut visit: impl FnMut(&Message) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = store.page(aor, after, PAGE_MESSAGES, PAGE_BYTES).await?;
        page.messages.iter().try_for_each(&mut visit)?;
        after = page.messages.last().map(|message| message.key).or(after);
        if page.is_last {
            return Ok(());
        }
    }
}

async fn each_dead_letter(
    store: &impl Store,
    aor: Option<&Aor>,
    mut visit: impl FnMut(&Message) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut from = None;
    loop {
        let (letters, next) = store.dead_letters(aor, from, ROWS).await?;
        letters.iter().try_for_each(&mut visit)?;
        if next.is_none() {
            return Ok(());
        }
        from = next;
    }
}

fn summary(out: &mut impl Write, message: &Message, kind: &str) -> std::io::Result<()> {
    writeln!(
        out,
        "{}  from {}  {kind}{} {}, until {}",
        time(message.key.inc_us),
        one_line(&message.from),
        counted(message.body.len() as u64, "byte"),
        one_line(&message.content_type),
        until(message)
    )
}

fn in_full(out: &mut impl Write, message: &Message, kind: &str) -> std::io::Result<()> {
    writeln!(out, "{kind} {}", message.key.id)?;
    let attempts = counted(message.attempts.into(), "failed delivery");
    writeln!(out, "  taken in {}, until {}, {attempts}", time(message.key.inc_us), until(message))?;
    for (name, value) in [
        ("From", &message.from),
        ("To", &message.to),
        ("Call-ID", &message.call_id),
        ("Content-Type", &message.content_type),
    ] {
        if !value.is_empty() {
            writeln!(out, "  {name}: {}", one_line(value))?;
        }
    }
    write!(out, "{}", body(&message.headers))?;
    writeln!(out, "\n{}", body(&message.body))
}

fn until(message: &Message) -> String {
    time(message.expires_s.saturating_mul(1_000_000))
}

fn shown(aor: &Aor) -> String {
    one_line(aor.as_str().as_bytes())
}

/// `1 message`, `2 messages`, `no messages`.
fn counted(number: u64, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if noun.ends_with('x') => format!("{noun}es"),
        None => format!("{noun}s"),
    };
    match number {
        0 => format!("no {plural}"),
        1 => format!("1 {noun}"),
        _ => format!("{number} {plural}"),
    }
}
