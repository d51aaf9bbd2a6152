//! The layers: what each source gave, applied in order, with the origin of each value kept.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Problem};
use super::kind::{Kind, Raw, Value, read_flag, read_ip};
use super::settings::{Reading, Setting, settings};
use super::{ServerConfig, environment, file, rules};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file, with the line.
    File {
        /// The file's name as it was given.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// The environment, with the variable's name (both names where host and port were set apart).
    Environment(String),
    /// The command line, with the flag.
    Flag(String),
    /// A field that was set in code.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line } => write!(f, "{name}, line {line}"),
            Origin::Environment(variable) => write!(f, "environment {variable}"),
            Origin::Flag(flag) => write!(f, "flag --{flag}"),
            Origin::Code => f.write_str("set in code"),
        }
    }
}

/// A flag's values, in the order of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagValue {
    /// The flag without dashes, or `limit`.
    pub flag: String,
    /// Its values; several when it was repeated.
    pub values: Vec<String>,
}

/// What a configuration is read from. Fields are plain, so that a test can give each layer.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file's name and text, if there is one.
    pub file: Option<(String, String)>,
    /// The environment's variables.
    pub environment: Vec<(String, String)>,
    /// The flags that were given.
    pub flags: Vec<FlagValue>,
}

/// A configuration with the origin of each value.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values in force.
    pub config: ServerConfig,
    /// Where each value came from, by the setting's path; a setting that is missing here has its default.
    pub origins: BTreeMap<String, Origin>,
    /// What a person should know: variables that are recognised but have no effect in this version.
    pub notes: Vec<String>,
}

impl Loaded {
    /// Where the value of a setting came from, by its path (`listen`, `limits.max_head_bytes`).
    pub fn origin(&self, path: &str) -> &Origin {
        self.origins.get(path).unwrap_or(&Origin::Default)
    }

    /// The configuration in force as a TOML file, each value with its origin behind it and secrets masked.
    pub fn print_config(&self) -> String {
        super::show::print(self, settings())
    }
}

/// One value that a layer gave for a setting.
pub(super) struct Given<'a> {
    pub(super) setting: &'a Setting,
    pub(super) raw: Raw,
    pub(super) reading: Reading,
    pub(super) origin: Origin,
}

impl Sources {
    /// The sources of this process: its environment, and the file given here or named by `RINGMESH_CONFIG`.
    ///
    /// # Errors
    /// A file that cannot be read, named with the reason.
    pub fn from_process(config_file: Option<&Path>) -> Result<Self, ConfigError> {
        let environment = environment::of_process()?;
        let named =
            environment.iter().find(|(name, value)| name == environment::CONFIG_FILE && !value.is_empty());
        let (path, origin) = match (config_file, named) {
            (Some(path), _) => (path.to_owned(), Origin::Flag("config".to_owned())),
            (None, Some((name, value))) => (PathBuf::from(value), Origin::Environment(name.clone())),
            (None, None) => return Ok(Self { environment, ..Self::default() }),
        };
        let name = path.display().to_string();
        let text = read_bounded(&path).map_err(|error| {
            let message = format!("the file cannot be read: {error}");
            ConfigError::one(Problem { key: "config".to_owned(), value: Some(name.clone()), origin, message })
        })?;
        Ok(Self { file: Some((name, text)), environment, flags: Vec::new() })
    }

    /// Reads all layers.
    ///
    /// # Errors
    /// Everything that is wrong in any layer.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        self.load_with(settings())
    }

    pub(super) fn load_with(&self, table: &[Setting]) -> Result<Loaded, ConfigError> {
        let mut problems = Vec::new();
        let mut given = Vec::new();
        if let Some((name, text)) = &self.file {
            given.extend(file::read(name, text, table, &mut problems));
        }
        given.extend(environment::read(&self.environment, table, &mut problems));
        given.extend(self.read_flags(table, &mut problems));

        let notes = environment::notes(&self.environment);
        let mut loaded = Loaded { config: ServerConfig::default(), origins: BTreeMap::new(), notes };
        for item in given {
            if let Err(problem) = loaded.apply(item) {
                problems.push(problem);
            }
        }
        if problems.is_empty() {
            problems = rules::across_settings(&loaded.config, |path| loaded.origin(path).clone());
        }
        ConfigError::unless_empty(problems)?;
        Ok(loaded)
    }

    fn read_flags<'a>(&self, table: &'a [Setting], problems: &mut Vec<Problem>) -> Vec<Given<'a>> {
        let mut given = Vec::new();
        for FlagValue { flag, values } in &self.flags {
            let origin = Origin::Flag(flag.clone());
            if flag == "limit" {
                given.extend(values.iter().filter_map(|value| match read_limit_flag(value, table) {
                    Ok((setting, raw)) => {
                        Some(Given { setting, raw, reading: Reading::Same, origin: origin.clone() })
                    }
                    Err(problem) => {
                        problems.push(problem);
                        None
                    }
                }));
            } else if let Some(setting) = table.iter().find(|setting| setting.flag == flag) {
                let mut raws: Vec<_> = values.iter().cloned().map(Raw::Text).collect();
                let raw = if raws.len() == 1 { raws.remove(0) } else { Raw::List(raws) };
                given.push(Given { setting, raw, reading: Reading::Same, origin });
            }
        }
        given
    }
}

/// Reads `name=value` of `--limit`.
fn read_limit_flag<'a>(value: &str, table: &'a [Setting]) -> Result<(&'a Setting, Raw), Problem> {
    let origin = Origin::Flag("limit".to_owned());
    let Some((name, number)) = value.split_once('=') else {
        let message = "allowed is NAME=VALUE, like max_body_bytes=1048576".to_owned();
        return Err(Problem { key: "limit".to_owned(), value: Some(format!("{value:?}")), origin, message });
    };
    let name = name.trim().replace('-', "_");
    let limits = || table.iter().filter(|setting| setting.section == "limits");
    match limits().find(|setting| setting.key == name) {
        Some(setting) => Ok((setting, Raw::Text(number.to_owned()))),
        None => {
            let hint = super::suggest::did_you_mean(&name, limits().map(|setting| setting.key));
            let message = format!("there is no such limit{hint}");
            Err(Problem { key: name, value: None, origin, message })
        }
    }
}

impl Loaded {
    fn apply(&mut self, given: Given<'_>) -> Result<(), Problem> {
        let Given { setting, raw, reading, origin } = given;
        let path = setting.path();
        let value = self.read(setting, &raw, reading).map_err(|(allowed, reason)| Problem {
            key: path.clone(),
            value: Some(if setting.secret { "(hidden)".to_owned() } else { raw.display() }),
            origin: origin.clone(),
            message: match reason.is_empty() || setting.secret {
                true => format!("allowed is {allowed}"),
                false => format!("{reason}; allowed is {allowed}"),
            },
        })?;
        setting.put(&mut self.config, value);
        let origin = match (self.origins.get(&path), origin) {
            // The port alone was set before or after the host: both names explain the address.
            (Some(Origin::Environment(first)), Origin::Environment(second)) if reading == Reading::Port => {
                Origin::Environment(format!("{first} and {second}"))
            }
            (_, origin) => origin,
        };
        self.origins.insert(path, origin);
        Ok(())
    }

    /// Reads one value; the error is what is allowed and, where known, what is wrong.
    fn read(&self, setting: &Setting, raw: &Raw, reading: Reading) -> Result<Value, (String, String)> {
        let first: SocketAddr =
            self.config.listen.first().copied().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8000)));
        match reading {
            Reading::Same => setting.kind.read(raw).map_err(|reason| (setting.kind.allowed(), reason)),
            Reading::Inverted => {
                read_flag(raw).map(|flag| Value::Flag(!flag)).map_err(|r| (Kind::Flag.allowed(), r))
            }
            Reading::Seconds => read_seconds(setting, raw),
            Reading::Host => {
                let ip: IpAddr = text_of(raw)
                    .and_then(read_ip)
                    .map_err(|reason| ("an IP address, like 0.0.0.0 or ::1".to_owned(), reason))?;
                Ok(Value::Addresses(vec![SocketAddr::new(ip, first.port())]))
            }
            Reading::Port => Ok(Value::Addresses(vec![SocketAddr::new(first.ip(), port_of(raw)?)])),
            Reading::P2pPort => Ok(Value::List(vec![format!("/ip4/127.0.0.1/tcp/{}", port_of(raw)?)])),
        }
    }
}

fn port_of(raw: &Raw) -> Result<u16, (String, String)> {
    let port = text_of(raw).ok().and_then(|text| text.parse().ok());
    port.ok_or_else(|| ("a port from 0 to 65535".to_owned(), String::new()))
}

fn text_of(raw: &Raw) -> Result<&str, String> {
    match raw {
        Raw::Text(text) => Ok(text.trim()),
        _ => Err(String::new()),
    }
}

/// Seconds for a setting in milliseconds; the setting's own range is checked and told in seconds.
fn read_seconds(setting: &Setting, raw: &Raw) -> Result<Value, (String, String)> {
    let Kind::Integer { min, max, .. } = setting.kind else {
        unreachable!("invariant: only settings in milliseconds have a name in seconds");
    };
    let wrong = || (format!("seconds from {} to {}", min as f64 / 1e3, max as f64 / 1e3), String::new());
    let seconds: f64 = text_of(raw).ok().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    let millis = (seconds * 1e3).round();
    let fits = millis.is_finite() && millis >= min as f64 && millis <= max as f64;
    if fits { Ok(Value::Integer(millis as u64)) } else { Err(wrong()) }
}

/// Reads a configuration file, and no device that never ends.
fn read_bounded(path: &Path) -> std::io::Result<String> {
    const MAX_BYTES: u64 = 1 << 20;
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        let message = format!("it is longer than {MAX_BYTES} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}
