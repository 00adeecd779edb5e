//! What a request is to us: the first decision about everything that comes in.
//!
//! [`classify`] reads one request that the endpoint has taken in as new, and says which part of
//! the server it belongs to, or what it is answered at once. It knows no user and no message
//! but this one; it asks nobody and remembers nothing.
//!
//! The order of the checks is that of RFC 3261 sections 16.3 and 8.2: what no element may pass on
//! first, then whose request it is, then what is asked.
//!
//! * `policy`: what this server is and whom it trusts.
//! * `routing`: Route headers.
//! * `submission`: a MESSAGE as the inbox takes it; `kept`: which headers that includes.
//! * `refuse`: the answers that are given at once.

pub(crate) mod kept;
mod policy;
mod refuse;
mod routing;
mod submission;
#[cfg(test)]
mod tests;

pub use policy::{
    ALLOWED, DiscardAnswer, Domains, InviteAnswer, IpNet, OfflineAnswer, Policy, SUPPORTED,
};

use super::build::Reply;
use super::codec::{Message, Name};
use super::relay::{Target, loops};
use super::uri::{Scheme, Uri};
use crate::vocab::{Aor, Now, Path, Submission};
use routing::Routing;
use rsip::Method;
use std::net::SocketAddr;
use std::sync::Arc;

/// Which part of the server a request belongs to.
#[derive(Debug)]
pub enum Verdict {
    /// None: this is the answer.
    Reply(Reply),
    /// The registrar: a REGISTER for one of our users.
    Register {
        /// Whose bindings.
        aor: Aor,
    },
    /// The inbox: a MESSAGE for one of our users.
    Message {
        /// What is to be kept.
        submission: Box<Submission>,
    },
    /// The relay, if the user is online: any other request for one of our users, and a MESSAGE
    /// inside of somebody's dialog, which is never kept.
    LocalOther {
        /// Whose contacts.
        aor: Aor,
        /// The answer when he is offline.
        offline: Reply,
    },
    /// The relay: a trusted peer's request for somebody elsewhere.
    Foreign {
        /// Whom it names; decides which shard does the work.
        aor: Aor,
        /// Where it goes.
        target: Box<Target>,
    },
}

/// Decides what `request`, which came by `path`, is to us.
#[must_use]
pub fn classify(request: &Arc<Message>, path: &Path, policy: &Policy, now: Now) -> Verdict {
    let inquiry = Inquiry {
        request,
        method: request.known_method(),
        arrived: path.local,
        from_trusted: policy.is_trusted(path.remote.ip()),
        policy,
        now,
    };
    inquiry.decide().unwrap_or_else(Verdict::Reply)
}

/// One request, with all that is known before it is read.
struct Inquiry<'a> {
    request: &'a Arc<Message>,
    method: Option<Method>,
    /// The address of ours that it came to.
    arrived: SocketAddr,
    from_trusted: bool,
    policy: &'a Policy,
    now: Now,
}

impl Inquiry<'_> {
    fn decide(&self) -> Result<Verdict, Reply> {
        if self.is_options() && self.has_no_hops_left() {
            // Whoever it was for: it asks how far it came (RFC 3261 section 11).
            return Err(refuse::capabilities());
        }
        refuse::unknown_extensions(self.request, Name::ProxyRequire, &[])?;
        let routing = Routing::of(self.request, self.policy, self.arrived)?;
        let uri = Uri::parse(routing.uri).ok_or_else(refuse::bad_request)?;
        if !routing.routes.is_empty() {
            // The sender has chosen the way, even if the user at its end is ours.
            return self.foreign(&uri, &routing);
        }
        if !is_sip(uri.scheme) {
            // No number plan, nor any other way to map these to a mailbox.
            return Err(Reply::new(416));
        }
        if !self.policy.is_ours(uri.host, uri.port, self.arrived) {
            return self.foreign(&uri, &routing);
        }
        if self.method == Some(Method::Register) {
            return self.register();
        }
        match uri.aor().filter(|aor| !aor.user().is_empty()) {
            None => Err(self.to_ourselves()),
            Some(aor) if !self.policy.has_user(&aor) => Err(Reply::new(404)),
            Some(aor) if self.method == Some(Method::Message) => self.message(aor, &routing),
            Some(aor) => self.local_other(aor),
        }
    }

    fn is_options(&self) -> bool {
        self.method == Some(Method::Options)
    }

    fn has_no_hops_left(&self) -> bool {
        self.request.max_forwards() == Some(0)
    }

    fn has_hops_left(&self) -> Result<(), Reply> {
        if self.has_no_hops_left() { Err(Reply::new(483)) } else { Ok(()) }
    }

    fn may_be_passed_on(&self) -> Result<(), Reply> {
        self.has_hops_left()?;
        self.is_no_loop()
    }

    fn is_no_loop(&self) -> Result<(), Reply> {
        if loops::is_loop(self.request, self.policy.loop_key) {
            return Err(Reply::new(482));
        }
        Ok(())
    }

    /// A request that names the server and no user.
    fn to_ourselves(&self) -> Reply {
        match self.method {
            Some(Method::Options) => {
                let require = refuse::unknown_extensions(self.request, Name::Require, &SUPPORTED);
                require.err().unwrap_or_else(refuse::capabilities)
            }
            Some(Method::Message) if self.request.to_tag().is_some() => Reply::new(481),
            Some(Method::Message) => Reply::new(404),
            Some(_) => refuse::method_not_allowed(),
            None => refuse::not_implemented(),
        }
    }

    /// RFC 3261 section 10.3, steps 1, 2 and 5; the rest is the registrar's.
    fn register(&self) -> Result<Verdict, Reply> {
        refuse::unknown_extensions(self.request, Name::Require, &SUPPORTED)?;
        self.body_fits()?;
        let to = Uri::parse(self.request.to().uri).ok_or_else(refuse::bad_request)?;
        if !is_sip(to.scheme) {
            return Err(refuse::bad_request());
        }
        // Any of our domains will do: phones register with `sip:ADDRESS` for `user@domain`.
        let aor = to.aor().filter(|aor| self.policy.has_user(aor));
        match aor {
            Some(aor) if self.policy.is_ours(to.host, to.port, self.arrived) => {
                Ok(Verdict::Register { aor })
            }
            Some(_) | None => Err(Reply::new(404)),
        }
    }

    fn message(&self, owner: Aor, routing: &Routing<'_>) -> Result<Verdict, Reply> {
        if self.request.to_tag().is_some() {
            return self.message_in_a_dialog(owner, routing);
        }
        self.is_no_loop()?;
        refuse::unknown_extensions(self.request, Name::Require, &SUPPORTED)?;
        self.body_fits()?;
        let submission =
            submission::submission(self.request, owner, self.from_trusted, self.policy, self.now)?;
        Ok(Verdict::Message { submission })
    }

    /// Sent through us it goes on or comes back; sent to us it names a dialog that we never had
    /// (RFC 3261 section 12.2.2).
    fn message_in_a_dialog(&self, aor: Aor, routing: &Routing<'_>) -> Result<Verdict, Reply> {
        if !routing.is_by_us {
            return Err(Reply::new(481));
        }
        self.may_be_passed_on()?;
        Ok(Verdict::LocalOther { aor, offline: Reply::new(481) })
    }

    fn local_other(&self, aor: Aor) -> Result<Verdict, Reply> {
        if self.method == Some(Method::Invite) {
            return Err(match self.policy.invite {
                InviteAnswer::NotAllowed => refuse::method_not_allowed(),
                InviteAnswer::Unavailable => Reply::new(480),
            });
        }
        self.may_be_passed_on()?;
        let offline = match (&self.method, self.policy.offline_other) {
            // Nobody there to ask: then we are the end of the way, and do not know it either.
            (None, _) => refuse::not_implemented(),
            (Some(_), OfflineAnswer::NotFound) => Reply::new(404),
            (Some(_), OfflineAnswer::Unavailable) => Reply::new(480),
        };
        Ok(Verdict::LocalOther { aor, offline })
    }

    /// Only a trusted peer gets further than here: this is no open relay (RFC 3261 section 26).
    fn foreign(&self, uri: &Uri<'_>, routing: &Routing<'_>) -> Result<Verdict, Reply> {
        self.has_hops_left()?;
        if !self.from_trusted {
            return Err(Reply::new(403));
        }
        if self.method == Some(Method::Invite) {
            // Calls are out of scope: no state, no Record-Route, no CANCEL on its way.
            return Err(refuse::method_not_allowed());
        }
        self.is_no_loop()?;
        let routes = routing.routes.iter().map(|value| String::from_utf8_lossy(value).into());
        let target = Target::onward(routing.uri, routes.collect());
        // Without TLS a sips address is one we do not serve; otherwise there is no address in it
        // that we could send to, as if looking it up had failed.
        let code = if uri.scheme == Scheme::Sips { 416 } else { 500 };
        let target = Box::new(target.ok_or_else(|| Reply::new(code))?);
        Ok(Verdict::Foreign { aor: shard_name(uri), target })
    }

    fn body_fits(&self) -> Result<(), Reply> {
        if self.request.body().len() > self.policy.body_bytes_max {
            return Err(Reply::new(413));
        }
        Ok(())
    }
}

/// True for the two schemes whose users we know.
const fn is_sip(scheme: Scheme) -> bool {
    match scheme {
        Scheme::Sip | Scheme::Sips => true,
        Scheme::Tel | Scheme::Im | Scheme::Other => false,
    }
}

/// A name for sharding by; a URI without a user, or without a host, has one too.
fn shard_name(uri: &Uri<'_>) -> Aor {
    uri.aor().unwrap_or_else(|| Aor::from_parts("", &String::from_utf8_lossy(uri.host)))
}
