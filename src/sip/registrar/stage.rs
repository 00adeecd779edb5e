//! What the bindings will be, worked out before anything is touched.
//!
//! A REGISTER is carried out whole or not at all (RFC 3261 section 10.3 step 7). So its contacts
//! are first played through on a stage that only names bindings; the machine then makes it so,
//! and nothing can fail any more.

use super::binding::Binding;
use super::reply::Refusal;
use super::request::Wanted;
use super::settings::{Full, Settings};
use crate::sip::uri::Uri;
use smallvec::SmallVec;

/// The outcome of one REGISTER.
#[derive(Debug)]
pub(super) struct Stage {
    /// For each binding that was there, in order: whether it stays as it is.
    pub(super) kept: SmallVec<[bool; 8]>,
    /// Indices of the contacts that become the newest bindings, in order.
    pub(super) added: SmallVec<[usize; 4]>,
}

/// Where a contact was found.
enum Found {
    /// Among the bindings that were there.
    Before(usize),
    /// Among those added by the same request.
    Added(usize),
}

impl Stage {
    /// All that is live stays, nothing is added.
    fn set(before: &[Binding], unix_us: i64) -> Self {
        let kept = before.iter().map(|binding| binding.is_live(unix_us)).collect();
        Self { kept, added: SmallVec::new() }
    }

    /// Plays `contact: *`: all go.
    pub(super) fn clear(
        before: &[Binding],
        call_id: &str,
        cseq: u32,
        unix_us: i64,
    ) -> Result<Self, Refusal> {
        for binding in before.iter().filter(|binding| binding.is_live(unix_us)) {
            in_order(binding, call_id, cseq)?;
        }
        Ok(Self { kept: before.iter().map(|_| false).collect(), added: SmallVec::new() })
    }

    /// Plays the contacts of a REGISTER in turn.
    pub(super) fn update(
        before: &[Binding],
        wanted: &[Wanted<'_>],
        (call_id, cseq): (&str, u32),
        settings: &Settings,
        unix_us: i64,
    ) -> Result<Self, Refusal> {
        let mut stage = Self::set(before, unix_us);
        for (index, contact) in wanted.iter().enumerate() {
            match stage.find(before, wanted, contact) {
                Some(Found::Before(at)) => {
                    in_order(&before[at], call_id, cseq)?;
                    stage.kept[at] = false;
                }
                Some(Found::Added(at)) => {
                    stage.added.remove(at);
                }
                None => {}
            }
            if contact.expires_s > 0 {
                stage.added.push(index);
            }
        }
        stage.make_room(settings)?;
        Ok(stage)
    }

    /// Finds the binding that `contact` means: the one with the same text, else the newest that
    /// is equal by RFC 3261 section 19.1.4. (That equality is not transitive: a contact may be
    /// equal to two bindings that differ from each other.)
    fn find(
        &self,
        before: &[Binding],
        wanted: &[Wanted<'_>],
        contact: &Wanted<'_>,
    ) -> Option<Found> {
        let kept = || before.iter().enumerate().filter(|(at, _)| self.kept[*at]).rev();
        let added = || self.added.iter().enumerate().rev();
        if let Some((at, _)) = added().find(|(_, index)| wanted[**index].text == contact.text) {
            return Some(Found::Added(at));
        }
        if let Some((at, _)) = kept().find(|(_, binding)| binding.texts().uri == contact.text) {
            return Some(Found::Before(at));
        }
        if let Some((at, _)) = added().find(|(_, index)| wanted[**index].uri.equals(&contact.uri)) {
            return Some(Found::Added(at));
        }
        let is_equal = |binding: &Binding| {
            Uri::parse(binding.texts().uri.as_bytes()).is_some_and(|uri| uri.equals(&contact.uri))
        };
        kept().find(|(_, binding)| is_equal(binding)).map(|(at, _)| Found::Before(at))
    }

    /// Holds the bound on bindings of one user.
    fn make_room(&mut self, settings: &Settings) -> Result<(), Refusal> {
        let staying = self.kept.iter().filter(|kept| **kept).count();
        let excess = (staying + self.added.len()).saturating_sub(settings.contacts_max);
        if excess == 0 || self.added.is_empty() {
            return Ok(());
        }
        if settings.full == Full::Refuse || excess > staying {
            return Err(Refusal::TooManyContacts);
        }
        for kept in self.kept.iter_mut().filter(|kept| **kept).take(excess) {
            *kept = false;
        }
        Ok(())
    }

    /// True when the bindings end up as they were.
    pub(super) fn is_idle(&self) -> bool {
        self.added.is_empty() && self.kept.iter().all(|kept| *kept)
    }
}

/// Requests of one client must come in order; an older one must not undo a newer one.
fn in_order(binding: &Binding, call_id: &str, cseq: u32) -> Result<(), Refusal> {
    if binding.texts().call_id == call_id && cseq <= binding.facts.cseq {
        return Err(Refusal::Bad("cseq is not above that of an earlier register"));
    }
    Ok(())
}
