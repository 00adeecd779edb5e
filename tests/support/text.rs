//! A SIP message as a test sees it: lines of text and a body.

use std::fmt;

/// One received message.
#[derive(Clone, PartialEq, Eq)]
pub struct Sip {
    /// The start line.
    pub start: String,
    /// Names as they came, values without surrounding space.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Sip {
    /// Reads a message that is whole. Panics on what no test expects.
    pub fn read(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no end of headers in {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a header line has a colon");
                (name.trim().to_owned(), value.trim().to_owned())
            })
            .collect();
        Self { start, headers, body: bytes[end + 4..].to_vec() }
    }

    /// The status code of a response.
    pub fn code(&self) -> u16 {
        let code = self.start.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        code.and_then(|c| c.parse().ok()).unwrap_or(0)
    }

    /// The first value of a header, by its long name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Every value of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// True for a request of this method.
    pub fn is(&self, method: &str) -> bool {
        self.start.starts_with(&format!("{method} ")) && !self.start.starts_with("SIP/2.0")
    }

    /// A response to this request.
    pub fn answer(&self, code: u16, phrase: &str, extra: &str) -> Vec<u8> {
        let mut out = format!("SIP/2.0 {code} {phrase}\r\n");
        for (name, value) in &self.headers {
            match name.to_ascii_lowercase().as_str() {
                "via" | "from" | "call-id" | "cseq" => {
                    out.push_str(&format!("{name}: {value}\r\n"));
                }
                "to" if value.contains(";tag=") => out.push_str(&format!("To: {value}\r\n")),
                "to" => out.push_str(&format!("To: {value};tag=ua\r\n")),
                _ => {}
            }
        }
        out.push_str(extra);
        out.push_str("Content-Length: 0\r\n\r\n");
        out.into_bytes()
    }
}

impl fmt::Debug for Sip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.start)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", self.text())
    }
}
