//! What a final response to a MESSAGE means, in words.

use super::screen::one_line;
use crate::sip::Message;

/// The reason phrase of an answer, as it came.
pub(super) fn phrase(answer: &Message) -> String {
    let phrase = answer.start_line().splitn(3, |&byte| byte == b' ').nth(2);
    one_line(phrase.unwrap_or_default())
}

/// Says what became of a message that was answered with `code`.
pub(super) const fn meaning(code: u16) -> &'static str {
    match code {
        ..=199 | 700.. => "no final answer",
        200 => "delivered: the recipient's device has the message",
        202 => "stored: the message is safe and will be delivered when the recipient registers",
        201 | 203..=299 => "accepted: somebody has taken responsibility for the message",
        300..=399 => "not sent: the recipient can be reached somewhere else",
        400 => "refused: the server does not understand the request",
        401 | 407 => "refused: the server asks for a password, and this command has none",
        403 => "refused: the server does not take this message from us",
        404 => "refused: the server knows no such user or does not serve this domain",
        405 | 501 => "refused: nobody there understands MESSAGE",
        408 | 504 => "not delivered: somebody on the way did not answer in time",
        410 => "refused: the recipient is gone for good",
        413 | 513 => "refused: the message is too long",
        415 | 488 | 606 => "refused: the recipient does not take this type of content",
        416 => "refused: the server does not know this kind of address",
        420 | 421 => "refused: an extension of SIP is asked for that the other side does not have",
        430 => "not delivered: the recipient's connection is gone",
        480 => "not delivered and not stored: the mailbox is full, or the message may not wait",
        481 => "refused: the message belongs to a conversation that is over",
        482 | 483 => "not delivered: the message went in circles",
        486 => "not delivered: the recipient is busy",
        503 => "not stored: the server cannot take messages just now, try again later",
        600 | 603 => "delivered, and declined by the recipient",
        604 => "refused: no such user exists anywhere",
        _ if code < 500 => "refused",
        _ if code < 600 => "not delivered: a server on the way has failed",
        _ => "refused by the recipient",
    }
}
