//! The flags of the settings, made from the table of settings.

use std::path::PathBuf;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use crate::config::{ConfigError, FlagValue, Kind, Loaded, Setting, Sources, settings};

const HEADING: &str = "Settings";

/// The settings that a command line gave, and the file it named.
#[derive(Debug, Clone, Default)]
pub struct SettingFlags {
    /// The configuration file.
    pub config_file: Option<PathBuf>,
    /// The flags with their values, as given.
    pub flags: Vec<FlagValue>,
}

impl SettingFlags {
    /// Reads the whole configuration: defaults, file, environment and these flags.
    ///
    /// # Errors
    /// Everything that is wrong in any layer, or a file that cannot be read.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let sources = Sources::from_process(self.config_file.as_deref())?;
        Sources { flags: self.flags.clone(), ..sources }.load()
    }
}

fn takes_several(setting: &Setting) -> bool {
    matches!(
        setting.kind,
        Kind::Addresses
            | Kind::Hosts
            | Kind::Origins
            | Kind::Globs
            | Kind::TypeLimits
            | Kind::P2pListen
            | Kind::PeerAddresses
            | Kind::PeerIds
    )
}

fn value_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text { .. } => "TEXT",
        Kind::Integer { .. } => "NUMBER",
        Kind::Flag => "BOOL",
        Kind::Addresses | Kind::Address => "IP:PORT",
        Kind::Path => "PATH",
        Kind::File => "FILE",
        Kind::P2pListen | Kind::PeerAddresses => "MULTIADDR",
        Kind::PeerIds => "PEER_ID",
        Kind::Directory => "DIR",
        Kind::Cores => "CORES",
        Kind::Hosts => "HOST",
        Kind::Origins => "ORIGIN",
        Kind::Globs => "GLOB",
        Kind::TypeLimits => "TYPE=COUNT",
        Kind::LogLevels => "LEVEL",
        Kind::Choice(_) => "WORD",
    }
}

fn argument(setting: &'static Setting) -> Arg {
    let several = takes_several(setting);
    let repeat = if several { " May be repeated." } else { "" };
    let help = StyledStr::from(format!("{}{repeat}\n[allowed: {}]", setting.doc, setting.kind.allowed()));
    let argument = Arg::new(setting.key)
        .long(setting.flag)
        .value_name(value_name(&setting.kind))
        .help(setting.doc.trim_end_matches('.'))
        .long_help(help)
        .help_heading(HEADING)
        .action(if several { ArgAction::Append } else { ArgAction::Set });
    match setting.kind {
        // `--debug` alone means yes; a value needs the equals sign, so that it cannot swallow the next argument.
        Kind::Flag => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => argument,
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("A TOML file of settings; RINGMESH_CONFIG names it in the environment");
        let limit = Arg::new("limit")
            .long("limit")
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .help_heading(HEADING)
            .help("Sets one limit, like max_body_bytes=1048576; may be repeated");
        let flags = settings().iter().filter(|setting| !setting.flag.is_empty()).map(argument);
        command.arg(config).args(flags).arg(limit)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |key: &str, flag: &str| {
            let values = matches.get_many::<String>(key)?.cloned().collect();
            Some(FlagValue { flag: flag.to_owned(), values })
        };
        let flags = settings().iter().filter(|setting| !setting.flag.is_empty());
        let flags = flags.filter_map(|setting| given(setting.key, setting.flag));
        Ok(Self {
            config_file: matches.get_one::<PathBuf>("config").cloned(),
            flags: flags.chain(given("limit", "limit")).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
