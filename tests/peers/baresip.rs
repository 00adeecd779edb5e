//! Goal: a user agent that people use sends messages and gets those it missed.
//! Method: baresip, steered through its control port.

use crate::peer::{Peer, free_port};
use crate::support::{PATIENCE, Server, Ua};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

struct Baresip {
    _folder: tempfile::TempDir,
    control: TcpStream,
    peer: Peer,
}

impl Baresip {
    /// `name@example.com` at `server`, with `friend@example.com` as its current contact.
    fn start(name: &str, friend: &str, server: &Server, registers: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sip, control) = (free_port(), free_port());
        let write =
            |file: &str, text: String| std::fs::write(folder.path().join(file), text).unwrap();
        write(
            "config",
            format!(
                "poll_method epoll\nsip_listen 127.0.0.1:{sip}\n\
                 module_path /usr/lib/baresip/modules\nmodule stdio.so\nmodule_app account.so\n\
                 module_app menu.so\nmodule_app contact.so\nmodule_app ctrl_tcp.so\n\
                 ctrl_tcp_listen 127.0.0.1:{control}\n"
            ),
        );
        let interval = if registers { 60 } else { 0 };
        write(
            "accounts",
            format!(
                "<sip:{name}@example.com>;outbound=\"sip:{};transport=udp\";regint={interval};\
                 auth_user={name};auth_pass=none\n",
                server.udp
            ),
        );
        write("contacts", format!("\"{friend}\" <sip:{friend}@example.com>\n"));
        let path = folder.path().display().to_string();
        let peer = Peer::start("baresip", &["-f", &path, "-v"]);
        peer.says("baresip is ready");
        let control = connect(control);
        Self { _folder: folder, control, peer }
    }

    fn command(&mut self, command: &str, params: &str) {
        let json = format!(r#"{{"command":"{command}","params":"{params}","token":"t"}}"#);
        write!(self.control, "{}:{json},", json.len()).unwrap();
        let mut answer = [0; 4_096];
        let n = self.control.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..n]);
        assert!(answer.contains(r#""ok":true"#), "{command}: {answer}");
    }
}

fn connect(port: u16) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(e) => assert!(Instant::now() < deadline, "baresip's control port: {e}"),
        }
    }
}

#[test]
fn a_message_from_baresip_waits_for_its_recipient() {
    let server = Server::start();
    let mut baresip = Baresip::start("alice", "bob", &server, false);
    baresip.command("contact_next", "");
    baresip.command("message", "typed into baresip");
    let mut bob = Ua::new("bob", server.udp);
    // The first REGISTER may be there before the message: then it is relayed instead.
    bob.register();
    assert_eq!(bob.take_message().text(), "typed into baresip");
    bob.hears_nothing();
}

#[test]
fn baresip_shows_what_was_stored_while_it_was_away() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    assert_eq!(alice.say("bob", "missed by baresip").code(), 202);
    let baresip = Baresip::start("bob", "alice", &server, true);
    baresip.peer.says("missed by baresip");
    // What it took is not kept for anybody else.
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    bob.hears_nothing();
}
