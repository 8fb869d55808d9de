//! How to log in: the settings of each way.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::credentials;
use super::super::settings::wrong;
use super::{NamedFile, Secrecy, SettingsError};

/// Where a pod finds the token of its service account.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The settings as they are written, of which exactly one way must be.
pub(super) struct Ways {
    pub(super) token_file: Option<PathBuf>,
    pub(super) token_credential: Option<String>,
    pub(super) approle: Option<AppRole>,
    pub(super) kubernetes: Option<Kubernetes>,
    pub(super) jwt: Option<Jwt>,
    pub(super) cert: Option<Cert>,
    pub(super) userpass: Option<Userpass>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppRole {
    mount: Option<String>,
    role_id: Option<String>,
    role_id_file: Option<PathBuf>,
    secret_id_file: Option<PathBuf>,
    secret_id_credential: Option<String>,
    wrapped_secret_id_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kubernetes {
    mount: Option<String>,
    role: String,
    token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jwt {
    mount: Option<String>,
    role: Option<String>,
    token_file: Option<PathBuf>,
    token_credential: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cert {
    mount: Option<String>,
    role: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Userpass {
    mount: Option<String>,
    username: String,
    password_file: Option<PathBuf>,
    password_credential: Option<String>,
}

/// The way to log in.
pub(super) enum Auth {
    /// A token that somebody else made.
    Token(PathBuf),
    /// A login at the engine mounted at `auth/MOUNT`.
    Login { mount: String, by: By },
}

/// What proves who we are.
pub(super) enum By {
    AppRole {
        role: Text,
        secret: Option<SecretId>,
    },
    /// Kubernetes, and JWT: a token of somebody else's that is read anew for each login.
    Jwt {
        role: Option<String>,
        token: PathBuf,
    },
    /// The certificate of the connection.
    Cert {
        role: Option<String>,
    },
    Userpass {
        username: String,
        password: PathBuf,
    },
}

/// A text that is no secret by itself: written here, or in a file.
pub(super) enum Text {
    Here(String),
    In(PathBuf),
}

/// The secret id of an AppRole.
pub(super) enum SecretId {
    In(PathBuf),
    /// The file has a token that the secret id is wrapped in, to be unwrapped once.
    WrappedIn(PathBuf),
}

/// A file, or a credential, of which there is at most one.
struct Either<'a> {
    /// What an error points at.
    at: &'a str,
    file: (&'static str, Option<&'a PathBuf>),
    credential: (&'static str, Option<&'a String>),
}

impl Either<'_> {
    fn check(&self) -> Result<(), SettingsError> {
        let ((file, path), (credential, name)) = (self.file, self.credential);
        if path.is_some() && name.is_some() {
            return Err(wrong(self.at, format!("`{file}` and `{credential}` are both set"), "keep one"));
        }
        name.map_or(Ok(()), |name| {
            credentials::check_name(credential, name, &format!("`{file}`"))
                .map_err(|error| SettingsError { key: Some(self.at.to_owned()), ..error })
        })
    }

    fn path(&self, places: &Places<'_>) -> Result<Option<PathBuf>, SettingsError> {
        match (self.file.1, self.credential.1) {
            (Some(path), _) => Ok(Some(places.base.join(path))),
            (None, Some(name)) => credentials::file(self.credential.0, name, places.credentials).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn required(&self, places: &Places<'_>) -> Result<PathBuf, SettingsError> {
        let missing = || missing(self.at, &format!("`{}` or `{}`", self.file.0, self.credential.0));
        self.path(places)?.ok_or_else(missing)
    }

    fn is_set(&self) -> bool {
        self.file.1.is_some() || self.credential.1.is_some()
    }
}

/// Where paths and credentials are.
pub(super) struct Places<'a> {
    pub(super) base: &'a Path,
    pub(super) credentials: Option<&'a Path>,
}

fn missing(at: &str, what: &str) -> SettingsError {
    wrong(at, format!("`{at}` needs {what}"), "docs/vault.md shows each way to log in")
}

impl Ways {
    /// Checks what can be checked without a file, and names the files.
    pub(super) fn check(&self, base: &Path, certificate: bool) -> Result<Vec<NamedFile>, SettingsError> {
        let ways = [
            ("token_file", self.token().is_set()),
            ("approle", self.approle.is_some()),
            ("kubernetes", self.kubernetes.is_some()),
            ("jwt", self.jwt.is_some()),
            ("cert", self.cert.is_some()),
            ("userpass", self.userpass.is_some()),
        ];
        let mut set = ways.iter().filter(|(_, set)| *set).map(|(way, _)| *way);
        match (set.next(), set.next()) {
            (Some(_), None) => {}
            (Some(one), Some(other)) => {
                return Err(wrong(
                    other,
                    format!("`{one}` and `{other}` are two ways to log in"),
                    "keep one",
                ));
            }
            (None, _) => {
                let hint = "set one of `token_file`, `token_credential`, `approle`, `kubernetes`, `jwt`, `cert`, `userpass`";
                return Err(SettingsError {
                    key: None,
                    message: "nothing says how to log in".to_owned(),
                    hint: Some(hint.to_owned()),
                });
            }
        }
        if self.cert.is_some() && !certificate {
            return Err(missing("cert", "`client_certificate` and `client_key` beside it"));
        }
        self.token().check()?;
        let mut files = Vec::new();
        let mut name = |key, path: Option<&PathBuf>, secret| {
            files.extend(path.map(|path| NamedFile { key, path: base.join(path), secret }));
        };
        name("token_file", self.token_file.as_ref(), Secrecy::Private);
        if let Some(role) = &self.approle {
            role.check()?;
            name("approle", role.role_id_file.as_ref(), Secrecy::Public);
            name("approle", role.secret_id_file.as_ref(), Secrecy::Private);
            name("approle", role.wrapped_secret_id_file.as_ref(), Secrecy::Private);
        }
        if let Some(kubernetes) = &self.kubernetes {
            // Its mode is the kubelet's business, and 0644 where the pod does not say otherwise.
            name("kubernetes", Some(&kubernetes.token()), Secrecy::Public);
        }
        if let Some(jwt) = &self.jwt {
            jwt.token().check()?;
            if !jwt.token().is_set() {
                return Err(missing("jwt", "`token_file` or `token_credential`"));
            }
            name("jwt", jwt.token_file.as_ref(), Secrecy::Private);
        }
        if let Some(userpass) = &self.userpass {
            userpass.check()?;
            name("userpass", userpass.password_file.as_ref(), Secrecy::Private);
        }
        Ok(files)
    }

    /// The way to log in, of settings that were checked.
    pub(super) fn auth(self, places: &Places<'_>) -> Result<Auth, SettingsError> {
        if let Some(role) = self.approle {
            let by = By::AppRole { role: role.role(places)?, secret: role.secret(places)? };
            return Ok(login(role.mount, "approle", by));
        }
        if let Some(kubernetes) = self.kubernetes {
            let token = places.base.join(kubernetes.token());
            let by = By::Jwt { role: Some(kubernetes.role), token };
            return Ok(login(kubernetes.mount, "kubernetes", by));
        }
        if let Some(jwt) = self.jwt {
            let token = jwt.token().required(places)?;
            return Ok(login(jwt.mount, "jwt", By::Jwt { role: jwt.role, token }));
        }
        if let Some(Cert { mount, role }) = self.cert {
            return Ok(login(mount, "cert", By::Cert { role }));
        }
        if let Some(userpass) = self.userpass {
            let password = userpass.password().required(places)?;
            return Ok(login(
                userpass.mount,
                "userpass",
                By::Userpass { username: userpass.username, password },
            ));
        }
        self.token().required(places).map(Auth::Token)
    }

    fn token(&self) -> Either<'_> {
        Either {
            at: if self.token_file.is_some() { "token_file" } else { "token_credential" },
            file: ("token_file", self.token_file.as_ref()),
            credential: ("token_credential", self.token_credential.as_ref()),
        }
    }
}

fn login(mount: Option<String>, usual: &str, by: By) -> Auth {
    let mount = mount.map_or_else(|| usual.to_owned(), |mount| mount.trim_matches('/').to_owned());
    Auth::Login { mount, by }
}

impl AppRole {
    fn check(&self) -> Result<(), SettingsError> {
        self.secret_id().check()?;
        match (&self.role_id, &self.role_id_file) {
            (Some(_), Some(_)) => {
                Err(wrong("approle", "`role_id` and `role_id_file` are both set", "keep one"))
            }
            (None, None) => Err(missing("approle", "`role_id` or `role_id_file`")),
            _ if self.secret_id().is_set() && self.wrapped_secret_id_file.is_some() => {
                let message = "`wrapped_secret_id_file` stands beside another secret id";
                Err(wrong("approle", message, "keep one"))
            }
            _ => Ok(()),
        }
    }

    fn role(&self, places: &Places<'_>) -> Result<Text, SettingsError> {
        match (&self.role_id, &self.role_id_file) {
            (Some(id), _) => Ok(Text::Here(id.clone())),
            (None, Some(file)) => Ok(Text::In(places.base.join(file))),
            (None, None) => Err(missing("approle", "`role_id` or `role_id_file`")),
        }
    }

    fn secret(&self, places: &Places<'_>) -> Result<Option<SecretId>, SettingsError> {
        if let Some(file) = &self.wrapped_secret_id_file {
            return Ok(Some(SecretId::WrappedIn(places.base.join(file))));
        }
        Ok(self.secret_id().path(places)?.map(SecretId::In))
    }

    fn secret_id(&self) -> Either<'_> {
        Either {
            at: "approle",
            file: ("secret_id_file", self.secret_id_file.as_ref()),
            credential: ("secret_id_credential", self.secret_id_credential.as_ref()),
        }
    }
}

impl Kubernetes {
    fn token(&self) -> PathBuf {
        self.token_file.clone().unwrap_or_else(|| POD_TOKEN.into())
    }
}

impl Jwt {
    fn token(&self) -> Either<'_> {
        Either {
            at: "jwt",
            file: ("token_file", self.token_file.as_ref()),
            credential: ("token_credential", self.token_credential.as_ref()),
        }
    }
}

impl Userpass {
    fn check(&self) -> Result<(), SettingsError> {
        self.password().check()?;
        if self.username.is_empty() || self.username.contains('/') {
            return Err(wrong("userpass", "`userpass.username` is no user's name", "write it without a `/`"));
        }
        if !self.password().is_set() {
            return Err(missing("userpass", "`password_file` or `password_credential`"));
        }
        Ok(())
    }

    fn password(&self) -> Either<'_> {
        Either {
            at: "userpass",
            file: ("password_file", self.password_file.as_ref()),
            credential: ("password_credential", self.password_credential.as_ref()),
        }
    }
}
