//! What an operator may turn, in one plain struct for each part of the node.
//!
//! A setting comes from the defaults, then a TOML file, then the environment
//! (`SIPSILO__SECTION__KEY`), then the command line; the later one wins. Nothing is ignored: a
//! key that does not exist, a value of the wrong kind and options that contradict each other are
//! errors that name the place, the key, the value and what is allowed.
//!
//! The rest of the node is handed values; it never reads files or the environment.

mod error;
mod layer;
mod load;
mod settings;
#[cfg(test)]
mod tests;
mod validate;
mod values;

pub use error::{Error, Problem};
pub use load::{Flag, Sources, load};
pub use settings::{Delivery, Limits, Log, Msilo, Registrar, Settings, Sip};
pub use values::{DbUrl, EmptyBody, LogFormat, Nat, Network};

/// The configuration file with every option and its default, as `sipsilo config default` prints
/// it.
pub const DEFAULT_FILE: &str = include_str!("../../config/sipsilo.toml");
