//! Goal: in any order of events, a request comes up once in its life and is answered once.
//! Method: random events on the endpoint and on a model of a few lines, compared step by step.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

/// One event; requests are numbered.
#[derive(Clone, Copy, Debug)]
enum Event {
    Receive(usize),
    Respond(usize),
    Wait(u64),
}

/// What the model knows of a request: when it came up, and when it was answered.
#[derive(Clone, Copy)]
struct Known {
    came: u64,
    answered: Option<u64>,
}

impl Known {
    fn ends(self) -> u64 {
        self.answered.unwrap_or(self.came) + 32_000
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..8_usize).prop_map(Event::Receive),
        3 => (0..8_usize).prop_map(Event::Respond),
        2 => (1..9_000_u64).prop_map(Event::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// T4, T8, T9
    #[test]
    fn the_endpoint_behaves_like_its_model(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        let mut keys: HashMap<usize, ServerKey> = HashMap::new();
        let mut model: HashMap<usize, Known> = HashMap::new();
        for event in events {
            let ms = world.ms();
            model.retain(|_, known| known.ends() > ms);
            match event {
                Event::Wait(wait) => {
                    let trying = |k: &&Known| k.answered.is_none()
                        && (ms + 1..=ms + wait).contains(&(k.came + 3_500));
                    let expected = model.values().filter(trying).count();
                    prop_assert_eq!(world.run_to(ms + wait).len(), expected);
                }
                Event::Receive(n) => {
                    let effects = world.receive(&message(&format!("z9hG4bK{n}")));
                    match model.get(&n) {
                        None => {
                            let is_new = matches!(effects[..], [Effect::Request { .. }]);
                            prop_assert!(is_new, "{:?}", effects);
                            if let [Effect::Request { key, .. }] = effects[..] {
                                keys.insert(n, key);
                            }
                            model.insert(n, Known { came: ms, answered: None });
                        }
                        Some(Known { answered: Some(_), .. }) => {
                            prop_assert!(text(&effects).starts_with("SIP/2.0 202 "));
                        }
                        Some(known) if ms >= known.came + 3_500 => {
                            prop_assert!(text(&effects).starts_with("SIP/2.0 100 "));
                        }
                        Some(_) => prop_assert!(effects.is_empty()),
                    }
                }
                Event::Respond(n) => {
                    let Some(&key) = keys.get(&n) else { continue };
                    let effects = world.respond(key, 202);
                    match model.get_mut(&n).filter(|known| known.answered.is_none()) {
                        Some(known) => {
                            known.answered = Some(ms);
                            prop_assert_eq!(effects.len(), 1);
                        }
                        None => prop_assert!(effects.is_empty()),
                    }
                }
            }
            let unanswered = model.values().filter(|known| known.answered.is_none());
            let open = unanswered.filter(|known| known.ends() > world.ms()).count();
            prop_assert_eq!(world.endpoint.open_transactions(), open);
        }
        world.run_to(world.ms() + 100_000);
        prop_assert_eq!(world.endpoint.deadline(), None);
        prop_assert_eq!(world.endpoint.observe().completed_bytes, 0);
    }
}
