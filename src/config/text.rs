//! Parsing of settings' texts, the same for the command line, the environment and the TOML file.
//!
//! An error's message continues the setting's name: "must be a duration such as 5m, not …". The
//! place where the text is written names the setting.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// List: comma-separated on the command line and in the environment, an array in the file.
#[derive(Clone, Debug, Default)]
pub struct Listed<T>(pub T);

impl<T: TryFrom<Vec<String>>> FromStr for Listed<T> {
    type Err = T::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        T::try_from(text.split(',').map(str::to_owned).collect()).map(Self)
    }
}

impl<'de, T: TryFrom<Vec<String>, Error = anyhow::Error>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let listed = Vec::deserialize(deserializer)?;
        T::try_from(listed).map(Self).map_err(de::Error::custom)
    }
}

/// Declares the type of a setting with the function that parses its text, for clap and serde alike.
macro_rules! setting {
    ($(#[$attribute:meta])* $name:ident($value:ty) = $parse:expr $(, default $default:expr)?) => {
        $(#[$attribute])*
        pub struct $name(pub(super) $value);

        impl std::str::FromStr for $name {
            type Err = anyhow::Error;

            fn from_str(text: &str) -> anyhow::Result<Self> {
                $parse(text).map(Self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(text)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        $(impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        })?
    };
}
pub(super) use setting;

/// Parses a duration.
pub(super) fn duration(text: &str, example: &str) -> anyhow::Result<Duration> {
    humantime::parse_duration(text).map_err(|error| {
        anyhow::anyhow!("must be a duration such as {example}, not {text:?}: {error}")
    })
}
