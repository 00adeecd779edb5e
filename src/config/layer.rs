//! One source of settings, checked against the options there are before it is merged.
//!
//! The check is done here and not left to deserialisation because only here it is known which
//! file, variable or flag a value came from, and that the text of a variable has no type of its
//! own.

use super::error::{Error, Problem};
use super::settings::{Msilo, Settings};
use config::{ConfigError, Map, Source, Value, ValueKind};

/// The two levels of a configuration: sections of keys.
type Sections = Map<String, Value>;

/// Checked settings of one source.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer(Sections);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Sections, ConfigError> {
        Ok(self.0.clone())
    }
}

/// The options there are, with a value of each one's kind: the defaults.
pub(super) struct Schema(toml::Table);

impl Schema {
    pub(super) fn new() -> Self {
        let defaults = toml::Table::try_from(Settings::default());
        Self(defaults.expect("the defaults are two levels of plain values"))
    }

    fn section(&self, name: &str) -> Option<&toml::Table> {
        self.0.get(name).and_then(toml::Value::as_table)
    }

    fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(section, keys)| {
            let keys = keys.as_table().into_iter().flatten();
            keys.map(move |(key, _)| (section.as_str(), key.as_str()))
        })
    }

    /// Takes in what a file says.
    pub(super) fn file(&self, origin: &str, tree: Sections) -> Result<Layer, Error> {
        let mut layer = Layer::default();
        for (section, value) in tree {
            let keys = match value.kind {
                ValueKind::Table(keys) if self.section(&section).is_some() => keys,
                _ => return Err(self.unknown_section(origin, &section)),
            };
            for (key, value) in keys {
                self.put(&mut layer, origin, (&section, &key), value)?;
            }
        }
        Ok(layer)
    }

    /// Takes in one text from the environment or the command line. A list is separated by commas.
    pub(super) fn text(
        &self,
        layer: &mut Layer,
        origin: &str,
        (section, key): (&str, &str),
        text: &str,
    ) -> Result<(), Error> {
        let model = self.model(origin, (section, key))?;
        let typed = match model {
            toml::Value::Integer(_) => text.parse::<i64>().ok().map(ValueKind::I64),
            toml::Value::Float(_) => text.parse::<f64>().ok().map(ValueKind::Float),
            toml::Value::Boolean(_) => text.parse::<bool>().ok().map(ValueKind::Boolean),
            toml::Value::Array(_) => Some(ValueKind::Array(list(origin, text))),
            _ => None,
        };
        let kind = typed.unwrap_or_else(|| ValueKind::String(text.into()));
        self.put(layer, origin, (section, key), Value::new(Some(&origin.into()), kind))
    }

    /// Puts one value into `layer` if the option exists and the value is of its kind.
    fn put(
        &self,
        layer: &mut Layer,
        origin: &str,
        (section, key): (&str, &str),
        value: Value,
    ) -> Result<(), Error> {
        let model = self.model(origin, (section, key))?;
        let name = format!("{section}.{key}");
        if !same_kind(model, &value.kind) {
            let problem = Problem::new(&name, shown(&name, &value.kind), expected(model));
            return Err(Error::Refused { origin: origin.into(), problem });
        }
        let empty = || Value::new(None, Map::<String, Value>::new());
        let keys = layer.0.entry(section.into()).or_insert_with(empty);
        if let ValueKind::Table(keys) = &mut keys.kind {
            keys.insert(key.into(), Value::new(Some(&origin.into()), value.kind));
        }
        Ok(())
    }

    /// The default of an option, which shows its kind.
    fn model(&self, origin: &str, (section, key): (&str, &str)) -> Result<&toml::Value, Error> {
        let keys = self.section(section).ok_or_else(|| self.unknown_section(origin, section))?;
        keys.get(key).ok_or_else(|| self.unknown_key(origin, section, key))
    }

    fn unknown_section(&self, origin: &str, section: &str) -> Error {
        let names = || self.0.keys().map(String::as_str);
        let advice = match nearest(section, names()) {
            Some(near) => format!("did you mean [{near}]?"),
            None => format!("the sections are {}", names().collect::<Vec<_>>().join(", ")),
        };
        Error::Unknown { origin: origin.into(), key: format!("section [{section}]"), advice }
    }

    fn unknown_key(&self, origin: &str, section: &str, key: &str) -> Error {
        let here = || self.keys().filter(|(s, _)| *s == section).map(|(_, k)| k);
        let elsewhere = self.keys().find(|(_, k)| *k == key);
        let advice = if section == "msilo" && Msilo::NOT_YET.contains(&key) {
            "it is a parameter of Kamailio's msilo that this version of sipsilo does not have: \
             remove it"
                .into()
        } else if let Some(near) = nearest(key, here()) {
            format!("did you mean {section}.{near}?")
        } else if let Some((section, key)) = elsewhere {
            format!("did you mean {section}.{key}?")
        } else {
            format!("the keys of [{section}] are {}", here().collect::<Vec<_>>().join(", "))
        };
        Error::Unknown { origin: origin.into(), key: format!("key {section}.{key}"), advice }
    }
}

fn list(origin: &str, text: &str) -> Vec<Value> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| Value::new(Some(&origin.into()), ValueKind::from(item))).collect()
}

fn same_kind(model: &toml::Value, kind: &ValueKind) -> bool {
    match (model, kind) {
        (toml::Value::String(_), ValueKind::String(_))
        | (toml::Value::Integer(_), ValueKind::I64(_) | ValueKind::U64(_))
        | (toml::Value::Float(_), ValueKind::Float(_) | ValueKind::I64(_))
        | (toml::Value::Boolean(_), ValueKind::Boolean(_)) => true,
        (toml::Value::Array(_), ValueKind::Array(items)) => {
            items.iter().all(|item| matches!(item.kind, ValueKind::String(_)))
        }
        _ => false,
    }
}

/// What a value of this kind looks like, in words; a text has its default as the example, which
/// shows an operator who wrote `5` that `"5s"` is meant.
fn expected(model: &toml::Value) -> String {
    match model {
        toml::Value::Integer(_) => "it must be a whole number".into(),
        toml::Value::Float(_) => "it must be a number".into(),
        toml::Value::Boolean(_) => "it must be true or false".into(),
        toml::Value::Array(_) => "it must be a list of texts, for example [\"a\", \"b\"]".into(),
        toml::Value::String(text) => format!("it must be a text in quotes, for example {text:?}"),
        toml::Value::Datetime(_) | toml::Value::Table(_) => "it must be a plain value".into(),
    }
}

/// A value as an operator would write it, without passwords.
pub(super) fn shown(key: &str, kind: &ValueKind) -> String {
    match kind {
        ValueKind::String(text) if key == "msilo.db_url" => format!("{:?}", redacted(text)),
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(key, &item.kind)).collect();
            format!("[{}]", items.join(", "))
        }
        kind => kind.to_string(),
    }
}

/// Hides what stands between `://` and `@`.
fn redacted(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?))) {
        Some((scheme, (_, host))) => format!("{scheme}://***@{host}"),
        None => url.into(),
    }
}

/// The name that is most like `wrong`, if it can be a slip of the pen: at most two letters off.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) = names.map(|name| (distance(wrong, name), name)).min()?;
    (distance <= 2 && distance < name.len()).then_some(name)
}

/// Levenshtein's distance: insertions, deletions and replacements of bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_by_a_slip_are_near() {
        let names = ["listen", "domains", "trusted"];
        assert_eq!(nearest("lisen", names.into_iter()), Some("listen"));
        assert_eq!(nearest("domain", names.into_iter()), Some("domains"));
        assert_eq!(nearest("colour", names.into_iter()), None);
    }

    #[test]
    fn a_password_in_a_url_is_never_shown() {
        let url = ValueKind::from("scylla://silo:s3cr@t@db1/keyspace");
        assert_eq!(shown("msilo.db_url", &url), r#""scylla://***@db1/keyspace""#);
    }
}
