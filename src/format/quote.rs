//! One value as it stands in a text of some format, for the filters of templates.

use zeroize::Zeroizing;

use super::error::Unfit;
use super::{FormatError, dotenv, env, ini, properties, toml, yaml};

/// For which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quote {
    /// One word of a shell's command.
    Sh,
    /// After `NAME=`, as `format = "dotenv"` writes it.
    Dotenv,
    /// A scalar of YAML, which is JSON too but for rare characters.
    Yaml,
    /// A string of TOML.
    Toml,
    /// After `name =`, for readers that know no quoting.
    Ini,
    /// After `name=`, for `java.util.Properties`.
    Properties,
}

impl Quote {
    /// `text` with the quotes and escapes that it needs there.
    ///
    /// # Errors
    /// When it cannot be written so.
    pub fn quote(self, text: &str) -> Result<Zeroizing<String>, FormatError> {
        let mut quoted = Zeroizing::new(String::with_capacity(text.len() + 16));
        let written: Result<(), Unfit> = match self {
            Self::Sh => sh(text, &mut quoted),
            Self::Dotenv => dotenv::quote(text, &mut quoted),
            Self::Ini => ini::plain(text, &mut quoted),
            Self::Yaml => {
                yaml::quote(text, &mut quoted);
                Ok(())
            }
            Self::Toml => {
                quoted = toml::string(text);
                Ok(())
            }
            Self::Properties => {
                properties::quote(text, &mut quoted);
                Ok(())
            }
        };
        written.map_err(|unfit| unfit.of("the value".to_owned()))?;
        Ok(quoted)
    }
}

fn sh(text: &str, quoted: &mut String) -> Result<(), Unfit> {
    env::without_nul(text, "sh")?;
    quoted.extend(["'", &Zeroizing::new(text.replace('\'', "'\\''")), "'"]);
    Ok(())
}
