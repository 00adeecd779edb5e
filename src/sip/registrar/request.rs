//! A REGISTER read into what it asks for, or refused. Nothing here knows the bindings.

use super::binding::{Binding, Facts, Texts};
use super::hop::{self, Route};
use super::reply::Refusal;
use super::settings::{Nat, PathSupport, Settings, Short};
use crate::sip::headers::text::{number, trim};
use crate::sip::headers::{Contact, List, NameAddr};
use crate::sip::{Message, Name, Uri};
use crate::vocab::limits::LIST_VALUES_MAX;
use crate::vocab::{Aor, NextHop, Now, Path};
use std::time::Duration;

/// What `expires` means when it is not a number (RFC 3261 section 20.10).
const MALFORMED_EXPIRES_S: u32 = 3_600;
/// Requests for this much or more are never too brief (RFC 3261 section 10.3 step 7).
const NEVER_BRIEF_S: u32 = 3_600;

/// What the contacts of a REGISTER ask for.
#[derive(Debug)]
pub(super) enum Asked<'a> {
    /// No contact: show me what is there.
    Show,
    /// `*`: remove all.
    Clear,
    /// Add, refresh and remove these.
    Update(Vec<Wanted<'a>>),
}

/// One contact of a REGISTER.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// Its URI as it came, without angle brackets.
    pub(super) text: &'a str,
    /// The same, read.
    pub(super) uri: Uri<'a>,
    /// Where the URI itself leads, if anywhere.
    pub(super) hop: Option<NextHop>,
    /// Its parameters as they came, each with its `;`, without `expires`.
    pub(super) params: String,
    /// `+sip.instance` without its quotes, or empty.
    pub(super) instance: &'a str,
    /// Preference in thousandths.
    pub(super) q: u16,
    /// Whether MESSAGE is understood there.
    pub(super) takes_messages: bool,
    /// The time granted; 0 = remove.
    pub(super) expires_s: u32,
}

/// A REGISTER in the registrar's terms.
#[derive(Debug)]
pub(super) struct Register<'a> {
    /// `Call-ID`.
    pub(super) call_id: &'a str,
    /// The number of `CSeq`.
    pub(super) cseq: u32,
    /// What it asks for.
    pub(super) asked: Asked<'a>,
    /// The values of `Path`, each ended by a line feed.
    pub(super) paths: String,
    /// Where the first of them leads.
    route: Route,
    /// Whether the client says `Supported: path`.
    pub(super) knows_path: bool,
    /// True when no proxy stands between the client and this node.
    pub(super) direct: bool,
}

impl<'a> Register<'a> {
    /// Reads `request`, which came over `path`, for `aor`.
    pub(super) fn read(
        request: &'a Message,
        aor: &Aor,
        path: &Path,
        settings: &Settings,
    ) -> Result<Self, Refusal> {
        let knows_path = request.list(Name::Supported).any(|tag| tag.eq_ignore_ascii_case(b"path"));
        let (paths, route) = read_paths(request)?;
        if !paths.is_empty() && !knows_path && settings.path == PathSupport::Required {
            return Err(Refusal::PathUnsupported);
        }
        Ok(Self {
            call_id: text(request.call_id(), "call-id is not text")?,
            cseq: request.cseq().0,
            asked: read_contacts(request, aor, path, settings)?,
            paths,
            route,
            knows_path,
            direct: request.list(Name::Via).nth(1).is_none(),
        })
    }

    /// Makes the binding that `wanted` asks for.
    pub(super) fn bind(
        &self,
        wanted: &Wanted<'_>,
        path: &Path,
        nat: Nat,
        now: Now,
    ) -> Result<Binding, Refusal> {
        let texts = Texts {
            call_id: self.call_id,
            uri: wanted.text,
            instance: wanted.instance,
            params: &wanted.params,
            paths: &self.paths,
        };
        let facts = Facts {
            hop: hop::next_hop(wanted.hop.clone(), &self.route, path, nat),
            expires_us: now.plus(Duration::from_secs(wanted.expires_s.into())).unix_us,
            granted_s: wanted.expires_s,
            cseq: self.cseq,
            q: wanted.q,
            takes_messages: wanted.takes_messages,
            direct: self.direct,
        };
        Binding::pack(&texts, facts).ok_or(Refusal::Bad("contact and path are too long"))
    }
}

/// A value as text. The codec leaves no line ends in values; that is checked again here, for
/// stored paths are cut at them.
fn text<'a>(bytes: &'a [u8], why: &'static str) -> Result<&'a str, Refusal> {
    if has_line_end(bytes) {
        return Err(Refusal::Bad(why));
    }
    std::str::from_utf8(bytes).map_err(|_| Refusal::Bad(why))
}

fn has_line_end(bytes: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, bytes).is_some()
}

fn read_paths(request: &Message) -> Result<(String, Route), Refusal> {
    const WHY: &str = "path is not a list of addresses";
    let mut paths = String::new();
    let mut route = Route::None;
    for (index, value) in request.list(Name::Path).enumerate() {
        if index + 1 >= LIST_VALUES_MAX {
            return Err(Refusal::Bad("too many values of path"));
        }
        let address = NameAddr::parse(value).ok_or(Refusal::Bad(WHY))?;
        let uri = Uri::parse(address.uri).ok_or(Refusal::Bad(WHY))?;
        if index == 0 {
            route = uri.next_hop().map_or(Route::Unusable, Route::To);
        }
        paths.push_str(text(value, WHY)?);
        paths.push('\n');
    }
    Ok((paths, route))
}

fn read_contacts<'a>(
    request: &'a Message,
    aor: &Aor,
    path: &Path,
    settings: &Settings,
) -> Result<Asked<'a>, Refusal> {
    let header_s = request.field(Name::Expires).map(seconds);
    let allow = allows_messages(request);
    let mut wanted = Vec::new();
    let mut clear = false;
    for (index, value) in request.list(Name::Contact).enumerate() {
        // At the bound there may be more that were not looked at: all or nothing.
        if clear || index + 1 >= LIST_VALUES_MAX {
            return Err(Refusal::Bad("too many contacts, or another one beside *"));
        }
        if value == b"*" {
            clear = true;
            if index > 0 || header_s != Some(0) {
                return Err(Refusal::Bad("contact * needs expires: 0 and no other contact"));
            }
            continue;
        }
        let mut contact = Wanted::read(value, allow, header_s, settings)?;
        if contact.hop.as_ref().is_some_and(|hop| is_own(hop, aor, path, settings)) {
            return Err(Refusal::Bad("contact is this server itself"));
        }
        contact.expires_s = grant(contact.expires_s, settings)?;
        wanted.push(contact);
    }
    match (clear, wanted.is_empty()) {
        (true, _) => Ok(Asked::Clear),
        (false, false) => Ok(Asked::Update(wanted)),
        (false, true) if request.field(Name::Contact).is_some() => {
            Err(Refusal::Bad("contact is empty"))
        }
        (false, true) => Ok(Asked::Show),
    }
}

impl<'a> Wanted<'a> {
    /// Reads one value of `Contact`; the time is as asked, not yet granted.
    fn read(
        value: &'a [u8],
        allow: bool,
        header_s: Option<u32>,
        settings: &Settings,
    ) -> Result<Self, Refusal> {
        const WHY: &str = "contact is not an address";
        let contact = Contact::parse(value).ok_or(Refusal::Bad(WHY))?;
        let uri = Uri::parse(contact.addr.uri).ok_or(Refusal::Bad(WHY))?;
        let mut wanted = Self {
            text: text(contact.addr.uri, WHY)?,
            uri,
            hop: uri.next_hop(),
            params: String::new(),
            instance: "",
            q: 1_000,
            takes_messages: allow,
            expires_s: header_s.unwrap_or(settings.default_expires_s),
        };
        wanted.read_params(&contact)?;
        Ok(wanted)
    }

    /// One walk over the parameters: all are kept but `expires`, some mean something here.
    fn read_params(&mut self, contact: &Contact<'a>) -> Result<(), Refusal> {
        const WHY: &str = "contact parameters are not text";
        let params = contact.addr.params;
        let mut kept = Vec::with_capacity(params.as_bytes().len());
        for (name, value) in params.raw() {
            if name.eq_ignore_ascii_case(b"expires") {
                self.expires_s = contact.expires().flatten().unwrap_or(MALFORMED_EXPIRES_S);
                continue;
            } else if name.eq_ignore_ascii_case(b"q") {
                self.q = contact.q().ok_or(Refusal::Bad("q is not a number between 0 and 1"))?;
            } else if name.eq_ignore_ascii_case(b"methods") {
                self.takes_messages = lists_message(unquoted(value.unwrap_or_default()));
            } else if name.eq_ignore_ascii_case(b"+sip.instance") {
                self.instance = text(unquoted(value.unwrap_or_default()), WHY)?;
            }
            kept.push(b';');
            kept.extend_from_slice(name);
            if let Some(value) = value {
                kept.push(b'=');
                kept.extend_from_slice(value);
            }
        }
        if has_line_end(&kept) {
            return Err(Refusal::Bad(WHY));
        }
        self.params = String::from_utf8(kept).map_err(|_| Refusal::Bad(WHY))?;
        Ok(())
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

/// A time in seconds; what is no number below 2^32 counts as an hour.
fn seconds(value: &[u8]) -> u32 {
    number(trim(value)).and_then(|s| u32::try_from(s).ok()).unwrap_or(MALFORMED_EXPIRES_S)
}

/// What `Allow` says; silence means yes.
fn allows_messages(request: &Message) -> bool {
    request.field(Name::Allow).is_none() || request.list(Name::Allow).any(|m| m == b"MESSAGE")
}

/// What the feature tag `methods` says (RFC 3840 section 10): a list of those that are
/// understood, or, with `!`, of those that are not.
fn lists_message(methods: &[u8]) -> bool {
    let mut unlisted = false;
    for method in List::new(methods) {
        match method {
            [b'!', excluded @ ..] if excluded.eq_ignore_ascii_case(b"MESSAGE") => return false,
            [b'!', ..] => unlisted = true,
            _ if method.eq_ignore_ascii_case(b"MESSAGE") => return true,
            _ => {}
        }
    }
    unlisted
}

/// The time that is granted for `asked_s` (RFC 3261 section 10.3 step 7); 0 stays 0.
fn grant(asked_s: u32, settings: &Settings) -> Result<u32, Refusal> {
    let min_s = settings.min_expires_s;
    let brief = asked_s > 0 && asked_s < min_s && asked_s < NEVER_BRIEF_S;
    let granted_s = match (brief, settings.short) {
        (false, _) => asked_s,
        (true, Short::Lift) => min_s,
        (true, Short::Refuse) => return Err(Refusal::TooBrief { min_s }),
    };
    Ok(granted_s.min(settings.max_expires_s))
}

/// True when sending to `hop` would come back to this node.
fn is_own(hop: &NextHop, aor: &Aor, path: &Path, settings: &Settings) -> bool {
    let own = &settings.own_addresses;
    match hop {
        NextHop::Path(to) => to.remote == path.local || own.contains(&to.remote),
        NextHop::Name { host, port, .. } => {
            let is_own_host =
                **host == *aor.host() || settings.own_hosts.iter().any(|own| **own == **host);
            is_own_host
                && port.is_none_or(|port| {
                    port == path.local.port() || own.iter().any(|own| own.port() == port)
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_tag_may_be_a_list_of_what_is_not_understood() {
        assert!(lists_message(b"INVITE, MESSAGE"));
        assert!(lists_message(b"!INVITE"));
        assert!(!lists_message(b"!MESSAGE"));
        assert!(!lists_message(b"INVITE,BYE"));
        assert!(!lists_message(b""));
    }
}
