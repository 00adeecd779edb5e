//! What must be true of a world when it has come to rest.

use super::letter::{Kind, Left, Letter};
use super::world::World;
use sipsilo::node::Node;

/// Nothing is left in memory of what is over.
pub async fn at_rest(world: &World, node: &Node) {
    let observed = node.observe().await;
    let load = &node.world().load;
    let left = [
        ("AoR actors", observed.actors),
        ("occupied inboxes", observed.occupied),
        ("open transactions", observed.open_transactions),
        ("open requests", load.open_now()),
        ("deliveries", load.deliveries_now()),
    ];
    for (what, count) in left {
        if count > 0 {
            world.witness.accuse(format!("bounds: {count} {what} are left at rest"));
        }
    }
    if !observed.is_complete {
        world.witness.accuse("bounds: the set of occupied inboxes is not complete".into());
    }
    let weather = &world.weather;
    if weather.has_sound_disk() && weather.ends == 0 && weather.fleeting == 0.0 {
        let stats = &node.world().stats;
        let (delivered, buried) = (stats.ended_delivered.get(), stats.ended_undeliverable.get());
        let stored = stats.stored_messages.get();
        if stored != delivered + buried {
            let ends = format!("{delivered} delivered and {buried} buried");
            world.witness.accuse(format!("custody: {stored} messages stored, {ends}"));
        }
    }
}

/// Every message that was accepted has ended in one way.
pub fn of_letters(world: &World) {
    let mut broken = Vec::new();
    for (serial, letter) in &world.witness.book().letters {
        let is_over = matches!(letter.left, Some(Left::Expired | Left::Buried));
        if letter.accepted_us.is_some() && letter.shown.is_empty() && !is_over {
            broken.push(format!("custody: m{serial} was accepted and nobody has it"));
        }
        let devices: Vec<&str> = letter.shown.iter().map(|(_, d)| d.as_str()).collect();
        if letter.left == Some(Left::Deleted) && devices.is_empty() {
            broken.push(format!("custody: m{serial} was deleted and nobody has it"));
        }
        if world.weather.is_calm && !is_as_in_calm_weather(letter) {
            let heard = letter.heard;
            broken
                .push(format!("in calm weather m{serial} came to {devices:?}, answered {heard:?}"));
        }
    }
    broken.into_iter().for_each(|what| world.witness.accuse(what));
}

/// One answer, and one copy where one is due.
fn is_as_in_calm_weather(letter: &Letter) -> bool {
    match (letter.kind, letter.heard, letter.shown.len()) {
        (_, Some(200), copies) => copies == 1,
        (Kind::Kept, Some(202), copies) => copies == 1,
        (Kind::NowOrNever, Some(480), copies) | (Kind::Typing, Some(202), copies) => copies == 0,
        _ => false,
    }
}
