//! Every store against the promises of `sipsilo::store`, and the embedded one against crashes,
//! damage, full disks and other processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crash;
mod damage;
mod faults;
mod model;
mod restart;
mod support;

/// One test for each promise, for the backend that `$subject` makes.
macro_rules! promises {
    ($backend:ident, $subject:expr, [$($promise:ident),* $(,)?]) => {
        mod $backend {
            $(
                #[tokio::test]
                async fn $promise() {
                    let subject = $subject;
                    sipsilo::store::conformance::$promise(subject.store.clone()).await;
                }
            )*
        }
    };
}

macro_rules! all_promises {
    ($backend:ident, $subject:expr) => {
        promises!(
            $backend,
            $subject,
            [
                a_message_comes_back_as_it_was_put,
                the_same_message_is_kept_once,
                a_message_just_deleted_is_not_kept_again,
                of_two_puts_at_once_one_is_stored,
                the_same_identity_of_two_owners_is_two_messages,
                pages_follow_the_order_of_keys,
                a_page_is_bounded_in_bytes_but_never_stuck,
                a_page_shows_what_has_expired,
                a_delete_takes_exactly_its_message,
                attempts_are_remembered,
                a_dead_letter_comes_back_to_its_place,
                a_dead_letter_can_be_deleted,
                dead_letters_are_listed_in_parts,
                a_count_does_not_go_beyond_its_bound,
                the_inboxes_that_hold_something_are_enumerated,
                a_sweep_removes_what_has_expired,
                a_sweep_keeps_to_its_limit,
                operations_happen_unpolled_and_in_order,
                a_closed_store_says_so,
            ]
        );
    };
}

all_promises!(memory, crate::support::memory());
all_promises!(embedded, crate::support::embedded());
// Cut after every batch: rows and overlay are mixed in every way.
all_promises!(embedded_with_tiny_generations, crate::support::embedded_tiny());
