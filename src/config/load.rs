//! From sources to settings: each source is checked, the later one wins, the result is validated.

use super::error::{Error, Problem};
use super::layer::{Layer, Schema, shown};
use super::settings::Settings;
use config::{Config, ConfigError, File, FileFormat, Source as _, Value, ValueKind};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What a variable's name begins with.
const PREFIX: &str = "SIPSILO__";

/// Where settings come from, by rising priority.
#[derive(Debug, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables, as `std::env::vars_os` gives them; others than
    /// `SIPSILO__SECTION__KEY` are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags of the command line; a later one wins.
    pub flags: Vec<Flag>,
}

/// One setting from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// How the operator wrote it (`--listen`), for error texts.
    pub origin: String,
    /// `section.key`.
    pub key: String,
    /// The value; a list is separated by commas.
    pub value: String,
}

/// Reads, merges and validates.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn load(sources: Sources) -> Result<Settings, Error> {
    let schema = Schema::new();
    let mut builder = Config::builder();
    if let Some(file) = &sources.file {
        builder = builder.add_source(file_layer(&schema, file)?);
    }
    builder = builder
        .add_source(environment_layer(&schema, sources.environment)?)
        .add_source(flags_layer(&schema, sources.flags)?);
    let merged = builder.build().map_err(|cause| foreign(&cause))?;
    let settings: Settings =
        merged.clone().try_deserialize().map_err(|cause| refused(&merged, &cause))?;
    settings.validate().map_err(|problem| {
        let origin = value_of(&merged, &problem.key).map_or("the defaults".into(), |(o, _)| o);
        Error::Refused { origin, problem }
    })?;
    Ok(settings)
}

fn file_layer(schema: &Schema, file: &Path) -> Result<Layer, Error> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| Error::Unreadable { file: file.into(), source })?;
    let origin = file.display().to_string();
    let tree = File::from_str(&text, FileFormat::Toml).collect().map_err(|cause| {
        Error::Syntax { origin: origin.clone(), cause: cause.to_string().trim_end().into() }
    })?;
    schema.file(&origin, tree)
}

fn environment_layer(
    schema: &Schema,
    variables: Vec<(OsString, OsString)>,
) -> Result<Layer, Error> {
    let mut layer = Layer::default();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let syntax = |cause: &str| Error::Syntax { origin: name.into(), cause: cause.into() };
        let value = value.to_str().ok_or_else(|| syntax("its value is not UTF-8 text"))?;
        let path = name[PREFIX.len()..].to_ascii_lowercase();
        let key = path
            .split_once("__")
            .ok_or_else(|| syntax("a variable is SIPSILO__SECTION__KEY, with two underscores"))?;
        schema.text(&mut layer, name, key, value)?;
    }
    Ok(layer)
}

fn flags_layer(schema: &Schema, flags: Vec<Flag>) -> Result<Layer, Error> {
    let mut layer = Layer::default();
    for Flag { origin, key, value } in flags {
        let path = key.split_once('.').ok_or_else(|| Error::Syntax {
            origin: origin.clone(),
            cause: format!("write --set section.key=value, not {key:?}"),
        })?;
        schema.text(&mut layer, &origin, path, &value)?;
    }
    Ok(layer)
}

/// The origin of a merged value, and the value as an operator would write it. `key` is
/// `section.key`, or `section.key[0]` for an element of a list.
fn value_of(merged: &Config, key: &str) -> Option<(String, String)> {
    let (path, index) = match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
        Some((path, index)) => (path, Some(index.parse::<usize>().ok()?)),
        None => (key, None),
    };
    let inside = |table: &Value, name: &str| match &table.kind {
        ValueKind::Table(table) => table.get(name).cloned(),
        _ => None,
    };
    let (section, name) = path.split_once('.')?;
    let mut value = inside(&inside(&merged.cache, section)?, name)?;
    let origin = value.origin()?.to_owned();
    if let (Some(index), ValueKind::Array(items)) = (index, &value.kind) {
        value = items.get(index)?.clone();
    }
    Some((origin, shown(path, &value.kind)))
}

/// Finds place and value of what a type refused.
fn refused(merged: &Config, cause: &ConfigError) -> Error {
    let (key, allowed) = match cause {
        ConfigError::At { error, key: Some(key), .. } => (key, error.to_string()),
        ConfigError::Type { expected, key: Some(key), .. } => {
            (key, format!("it must be {expected}"))
        }
        other => return foreign(other),
    };
    let (origin, value) =
        value_of(merged, key).unwrap_or_else(|| ("the configuration".into(), "?".into()));
    Error::Refused { origin, problem: Problem::new(key, value, allowed) }
}

/// What only a mistake of ours could bring; it is still told, not a panic.
fn foreign(cause: &ConfigError) -> Error {
    Error::Syntax { origin: "the configuration".into(), cause: cause.to_string() }
}
