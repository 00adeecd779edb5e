//! The story, chapter by chapter. Each claim on the screen is checked before the next one.

use super::node::Node;
use super::page::Page;
use super::phone::Phone;
use crate::sip::build::Outgoing;
use anyhow::ensure;
use std::time::Duration;
use tokio::time::Instant;

/// What alice writes while bob is away.
const TEXTS: [&str; 3] =
    ["Are you there, bob?", "I have moved the meeting to nine.", "Bring the blue folder, please."];
/// What she writes when he is back.
const LIVE: &str = "There you are!";
/// How long bob listens for what must not come: long on loopback, and shorter than T1, so that
/// an answer that he holds back meanwhile is not asked for again.
const SILENCE: Duration = Duration::from_millis(300);
/// How often alice tries to meet bob with an inbox that is empty already.
const LIVE_TRIES: usize = 5;

/// Tells it and answers how long it took.
pub(super) async fn tell(page: &mut Page, node: &mut Node) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    page.chapter("A node starts, on a free port, with a folder for its messages")?;
    page.command(&node.arguments())?;
    let (ready, server) = node.start().await?;
    page.output(&ready)?;
    let mut alice = Phone::new("alice", server).await?;
    let mut bob = Phone::new("bob", server).await?;

    let third = bob_is_away(page, &mut alice, &bob).await?;
    the_node_is_killed(page, node).await?;
    alice_is_not_sure(page, &mut alice, &third).await?;
    bob_comes_back(page, &mut bob).await?;
    bob_is_online(page, &mut alice, &mut bob).await?;
    the_end(page, &mut bob, node).await?;

    Ok(begun.elapsed())
}

/// Stored and accepted; answers the third message, as it was sent.
async fn bob_is_away(page: &mut Page, alice: &mut Phone, bob: &Phone) -> anyhow::Result<Outgoing> {
    page.chapter("bob is offline, and alice writes to him")?;
    let mut last = alice.message(bob, TEXTS[0]);
    store(page, alice, &last).await?;
    page.say("202 means: sipsilo has taken the message over. She writes two more.")?;
    for text in &TEXTS[1..] {
        last = alice.message(bob, text);
        store(page, alice, &last).await?;
    }
    Ok(last)
}

/// Sends a message and asks for a 202.
async fn store(page: &mut Page, alice: &mut Phone, message: &Outgoing) -> anyhow::Result<()> {
    alice.send(message, page)?;
    let code = alice.answer(page).await?;
    ensure!(code == 202, "alice was to hear 202 and heard {code}");
    Ok(())
}

async fn the_node_is_killed(page: &mut Page, node: &mut Node) -> anyhow::Result<()> {
    page.chapter("The node is killed: SIGKILL, without a chance to save anything")?;
    page.shell(&format!("kill -9 {}", node.pid()))?;
    node.kill()?;
    page.say("It is gone. What does its folder hold?")?;
    list(page, node, "3 messages in 1 inbox and no dead letters")?;
    page.say("All three. It is started again.")?;
    page.command(&node.arguments())?;
    let (ready, _) = node.start().await?;
    page.output(&ready)?;
    Ok(())
}

/// Shows the inboxes of a node that is down and asks for this end of the list.
fn list(page: &mut Page, node: &Node, last: &str) -> anyhow::Result<()> {
    page.command(&node.listing())?;
    let listed = node.list()?;
    page.output(&listed)?;
    ensure!(listed.lines().last() == Some(last), "the list was to end with: {last}");
    Ok(())
}

async fn alice_is_not_sure(
    page: &mut Page,
    alice: &mut Phone,
    third: &Outgoing,
) -> anyhow::Result<()> {
    page.chapter("alice's phone is not sure about the last one and sends it again")?;
    page.say(
        "The same Call-ID, CSeq, tag and URI, in a new transaction: the answer is 202 again, and \
         it is still one message. bob will see.",
    )?;
    store(page, alice, third).await
}

async fn bob_comes_back(page: &mut Page, bob: &mut Phone) -> anyhow::Result<()> {
    page.chapter("bob comes back and gets what was kept, oldest first, one at a time")?;
    let register = bob.register(3_600);
    bob.send(&register, page)?;
    let code = bob.answer(page).await?;
    ensure!(code == 200, "bob was to be registered and heard {code}");
    for (number, text) in TEXTS.iter().enumerate() {
        let (key, message) = bob.next(page).await?;
        ensure!(message.body() == text.as_bytes(), "bob was to get: {text}");
        if number == 0 {
            page.say("bob's phone takes its time. The second message waits for the first one.")?;
            bob.hears_nothing(SILENCE).await?;
        }
        bob.take(key, page)?;
    }
    bob.hears_nothing(SILENCE).await?;
    page.say("Three messages, and no fourth: what alice sent twice has come once.")?;
    Ok(())
}

async fn bob_is_online(page: &mut Page, alice: &mut Phone, bob: &mut Phone) -> anyhow::Result<()> {
    page.chapter("bob is online now, and alice writes once more: it is relayed")?;
    for _ in 0..LIVE_TRIES {
        let message = alice.message(bob, LIVE);
        alice.send(&message, page)?;
        let (key, message) = bob.next(page).await?;
        ensure!(message.body() == LIVE.as_bytes(), "bob was to get: {LIVE}");
        bob.take(key, page)?;
        match alice.answer(page).await? {
            200 => {
                page.say("It was not stored: bob has it, and alice knows.")?;
                return Ok(());
            }
            code => ensure!(code == 202, "alice was to hear 200 and heard {code}"),
        }
        page.say("His inbox was not tidied up yet, so it went through there. Once more.")?;
    }
    anyhow::bail!("bob's inbox does not become empty")
}

async fn the_end(page: &mut Page, bob: &mut Phone, node: &mut Node) -> anyhow::Result<()> {
    page.chapter("bob leaves, the node is told to end (SIGTERM), and nothing waits")?;
    let register = bob.register(0);
    bob.send(&register, page)?;
    let code = bob.answer(page).await?;
    ensure!(code == 200, "bob was to be taken off and heard {code}");
    let status = node.terminate().await?;
    ensure!(status.success(), "the node was to end with 0: {status}");
    list(page, node, "no messages and no dead letters")
}
