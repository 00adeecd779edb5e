//! The screen of the story: plain text of 80 columns, with colours on a terminal.

use super::lessons::{Kind, Way, kind};
use crate::cli::screen::{body, one_line};
use crate::cli::words::phrase;
use crate::sip::{Message, Name};
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

/// The width of the page.
const COLUMNS: usize = 80;
/// Before each line of a SIP message.
const SIP: &str = "    | ";
/// Before each line of a note.
const NOTE: &str = "    |     ^ ";

/// How a piece of text looks.
#[derive(Clone, Copy)]
enum Look {
    Plain,
    Bold,
    Wire,
    Dim,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Wire => "\x1b[36m",
            Self::Dim => "\x1b[2m",
        }
    }
}

/// Where the story is told.
pub(super) struct Page {
    out: Box<dyn Write>,
    colours: bool,
    chapter: u32,
    /// Explained already.
    seen: Vec<Kind>,
}

impl Page {
    pub(super) fn on_stdout() -> Self {
        let out = io::stdout();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colours = out.is_terminal() && !is_set("NO_COLOR") && !is_dumb;
        Self { out: Box::new(out), colours, chapter: 0, seen: Vec::new() }
    }

    /// Begins a chapter.
    pub(super) fn chapter(&mut self, title: &str) -> io::Result<()> {
        self.chapter += 1;
        let title = format!("{}. {title}", self.chapter);
        writeln!(self.out)?;
        self.lines(&wrapped(&title, "", "   "), Look::Bold)
    }

    /// Tells something.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.lines(&wrapped(text, "   ", "   "), Look::Plain)
    }

    /// Shows a command as it could be typed.
    pub(super) fn command(&mut self, words: &[String]) -> io::Result<()> {
        self.lines(&typed(words), Look::Wire)
    }

    /// Shows a command of others.
    pub(super) fn shell(&mut self, text: &str) -> io::Result<()> {
        self.lines(&[format!("   $ {text}")], Look::Wire)
    }

    /// Shows what a command has printed.
    pub(super) fn output(&mut self, text: &str) -> io::Result<()> {
        let lines: Vec<_> =
            text.lines().map(|l| format!("     {}", one_line(l.as_bytes()))).collect();
        self.lines(&lines, Look::Wire)
    }

    /// Shows a SIP message: the first of its kind in full and line by line, others in short.
    pub(super) fn sip(&mut self, phone: &str, way: Way, message: &Message) -> io::Result<()> {
        let arrow = match (phone, way) {
            ("alice", Way::Out) => "alice --> sipsilo",
            ("alice", Way::In) => "alice <-- sipsilo",
            (_, Way::Out) => "sipsilo <-- bob",
            (_, Way::In) => "sipsilo --> bob",
        };
        let Some(kind) = kind(message, way).filter(|kind| !self.seen.contains(kind)) else {
            return self.lines(&[in_short(arrow, message)], Look::Wire);
        };
        self.seen.push(kind);
        self.lines(&[format!("   {arrow}")], Look::Wire)?;
        for line in in_full(message, kind) {
            match line {
                Line::Wire(text) => self.lines(&broken(&text), Look::Wire)?,
                Line::Note(text) => self.lines(&wrapped(text, NOTE, NOTE), Look::Dim)?,
            }
        }
        Ok(())
    }

    /// Says that everything is over.
    pub(super) fn end(&mut self, took: Duration) -> io::Result<()> {
        let seconds = took.as_secs_f64();
        writeln!(self.out)?;
        let sum = format!("The story went as it was told, each step checked, in {seconds:.1} s.");
        self.lines(&[sum], Look::Bold)?;
        self.lines(&["Its folder is removed. To go on: sipsilo --help".into()], Look::Plain)?;
        self.out.flush()
    }

    fn lines(&mut self, lines: &[String], look: Look) -> io::Result<()> {
        for line in lines {
            if self.colours && !look.code().is_empty() {
                writeln!(self.out, "{}{line}\x1b[0m", look.code())?;
            } else {
                writeln!(self.out, "{line}")?;
            }
        }
        Ok(())
    }
}

/// A line of a message that is shown in full.
enum Line {
    Wire(String),
    Note(&'static str),
}

/// The lines of a message, each with what is to be said about it.
fn in_full(message: &Message, kind: Kind) -> Vec<Line> {
    let mut lines = vec![Line::Wire(one_line(message.start_line()))];
    lines.extend(kind.note(None).map(Line::Note));
    let fields: Vec<_> = message.all_fields().collect();
    for (at, field) in fields.iter().enumerate() {
        let (name, value) = (one_line(field.name_text), one_line(field.value));
        lines.push(Line::Wire(format!("{name}: {value}")));
        // Of several alike, the last one has the note.
        let is_last = fields.iter().skip(at + 1).all(|later| later.name != field.name);
        if field.name != Name::Other && is_last {
            lines.extend(kind.note(Some(field.name)).map(Line::Note));
        }
    }
    let text = message.body();
    if !text.is_empty() {
        lines.push(Line::Wire(String::new()));
        let shown = body(&text);
        lines.extend(shown.lines().map(|line| Line::Wire(line.trim_start().to_owned())));
    }
    lines
}

/// A message in one line.
fn in_short(arrow: &str, message: &Message) -> String {
    let what = if !message.is_request() {
        format!("{} {}", message.code(), phrase(message))
    } else if message.body().is_empty() {
        let expires = message.field(Name::Expires).map(one_line).unwrap_or_default();
        format!("{}, Expires: {expires}", one_line(message.method()))
    } else {
        format!("{} \"{}\"", one_line(message.method()), one_line(&message.body()))
    };
    format!("   {arrow:<17}  {what}")
}

/// Breaks text between words.
fn wrapped(text: &str, first: &str, others: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(std::mem::replace(&mut line, others.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

/// Breaks a line of SIP that is too long, at a parameter where there is one, and sets off what
/// follows.
fn broken(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut before = SIP.to_owned();
    let mut rest: Vec<char> = text.chars().collect();
    loop {
        let room = COLUMNS - before.len();
        if rest.len() <= room {
            let line: String = before.chars().chain(rest).collect();
            lines.push(line.trim_end().to_owned());
            return lines;
        }
        let cut = rest[1..room].iter().rposition(|&c| c == ';').map_or(room, |at| at + 1);
        let later = rest.split_off(cut);
        lines.push(before.chars().chain(rest).collect());
        rest = later;
        before = format!("{SIP}    ");
    }
}

/// A command line that can be copied: broken before options, with a backslash.
fn typed(words: &[String]) -> Vec<String> {
    let mut lines = vec![String::from("   $ sipsilo")];
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let mut unit = format!(" {word}");
        if word.starts_with("--") {
            // An option stays with its value.
            if let Some(value) = words.next_if(|next| !next.starts_with("--")) {
                unit = format!("{unit} {value}");
            }
        }
        match lines.last_mut() {
            // Two columns for the backslash.
            Some(line) if line.len() + unit.len() + 2 <= COLUMNS => line.push_str(&unit),
            _ => lines.push(format!("      {unit}")),
        }
    }
    let last = lines.len() - 1;
    for line in lines.iter_mut().take(last) {
        line.push_str(" \\");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_page() {
        let long = "word ".repeat(60);
        for line in wrapped(&long, "   ", "   ").iter().chain(&broken(&"x".repeat(500))) {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        let via = broken(&format!("Via: SIP/2.0/UDP 192.0.2.1;{};rport=5060", "x".repeat(42)));
        assert!(via[0].ends_with('x') && via[1].ends_with("    ;rport=5060"), "{via:?}");
        let joined: String = broken(&"x".repeat(500)).concat();
        assert_eq!(joined.matches('x').count(), 500);
    }

    #[test]
    fn a_command_can_be_copied() {
        let words: Vec<_> =
            (0..20).flat_map(|n| [format!("--option-{n}"), format!("value-{n}")]).collect();
        let lines = typed(&words);
        assert!(lines.iter().all(|line| line.len() <= COLUMNS), "{lines:?}");
        let text = lines.join("\n").replace("\\\n", "");
        let back: Vec<_> = text.split_whitespace().skip(2).collect();
        assert_eq!(back, words);
    }

    #[test]
    fn what_comes_from_outside_cannot_steer_the_terminal() {
        let raw = b"MESSAGE sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\n\
            From: \"\x1b[2J\" <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: 1\r\n\
            CSeq: 1 MESSAGE\r\nContent-Length: 5\r\n\r\n\x1b[2Jx";
        let message = Message::parse_datagram(bytes::Bytes::from_static(raw)).unwrap();
        let mut shown = in_short("sipsilo --> bob", &message);
        for line in in_full(&message, Kind::Delivery) {
            if let Line::Wire(text) = line {
                shown.push_str(&text);
            }
        }
        assert!(!shown.contains('\x1b'), "{shown:?}");
    }
}
