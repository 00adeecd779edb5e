//! Why a configuration is refused. Every text says where, what, and what is allowed.

use std::fmt;
use std::path::PathBuf;

/// Why settings could not be made from what the operator gave.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text of a source is not what its form asks for.
    #[error("{origin}: {cause}")]
    Syntax {
        /// Which file, variable or flag.
        origin: String,
        /// What is wrong, with the place where it is known.
        cause: String,
    },
    /// A section or key that does not exist.
    #[error("{origin}: there is no {key}; {advice}")]
    Unknown {
        /// Which file, variable or flag.
        origin: String,
        /// `section [x]` or `key section.key`.
        key: String,
        /// What to write instead.
        advice: String,
    },
    /// A value that is not allowed.
    #[error("{origin}: {problem}")]
    Refused {
        /// Which file, variable or flag; `the defaults` for a contradiction between them.
        origin: String,
        /// What is wrong.
        problem: Problem,
    },
}

/// A value that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `section.key`.
    pub key: String,
    /// The value as an operator would write it in the file.
    pub value: String,
    /// What would be allowed.
    pub allowed: String,
}

impl Problem {
    /// Names a value that is not allowed, and what is.
    pub fn new(key: &str, value: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.to_string(), allowed: allowed.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} is not allowed: {}", self.key, self.value, self.allowed)
    }
}
