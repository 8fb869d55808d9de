//! What is told of a login that the server does not let in: where it was, what it used, and what helps.

use std::path::Path;

use super::ProviderError;
use super::auth::{By, SecretId, Text};

/// What a status that is no login's comes to, if it is one that is told of here. `place` is the server's address.
pub(super) fn denied(path: &str, place: &str, by: &By, status: u16) -> Option<ProviderError> {
    let at = format!("`{path}` at {place}");
    match status {
        403 if locks(by) => Some(ProviderError::Refused(format!(
            "{at}: the login is refused (HTTP 403): the server may have locked it out after several failures, with good credentials too: `bao read sys/locked-users` shows it, and `bao write -f sys/locked-users/ACCESSOR/unlock/ALIAS` ends it; then {}. If it is not locked: {}",
            again(by),
            compare(by)
        ))),
        400 | 401 | 403 => Some(ProviderError::Refused(format!(
            "{at}: the credentials are not accepted (HTTP {status}): {}",
            compare(by)
        ))),
        404 | 405 => Some(ProviderError::Misconfigured(format!(
            "{at}: nobody can log in there (HTTP {status}); see `mount`, `namespace`"
        ))),
        _ => None,
    }
}

/// Whether a server locks out who fails that way.
fn locks(by: &By) -> bool {
    matches!(by, By::AppRole { .. } | By::Userpass { .. })
}

/// How the next login comes at once.
fn again(by: &By) -> String {
    let wait = "wait for the next try, at most 5 min later";
    match file(by) {
        Some(path) => format!("`touch {}`, or {wait}", path.display()),
        None => wait.to_owned(),
    }
}

/// The file that is read for each login.
fn file(by: &By) -> Option<&Path> {
    match by {
        By::AppRole { secret: Some(SecretId::In(path)), .. }
        | By::AppRole { secret: None, role: Text::In(path) }
        | By::Jwt { token: path, .. }
        | By::Userpass { password: path, .. } => Some(path),
        // With a file that is touched, its token would be unwrapped a second time, which gives nothing.
        By::AppRole { .. } | By::Cert { .. } => None,
    }
}

/// What to look at.
fn compare(by: &By) -> String {
    match by {
        By::AppRole { role, secret } => {
            let role = match role {
                Text::Here(_) => "`role_id`".to_owned(),
                Text::In(path) => path.display().to_string(),
            };
            match secret {
                Some(SecretId::In(path)) => format!(
                    "compare {role} and {}, which may be used up or expired, or not for this host",
                    path.display()
                ),
                Some(SecretId::WrappedIn(path)) => format!(
                    "compare {role}; the secret id that was wrapped in {} may be used up or expired, or not for this host: have a new one wrapped",
                    path.display()
                ),
                None => format!("compare {role}; the role may want a secret id, or not be for this host"),
            }
        }
        By::Jwt { role, token } => format!(
            "compare {} and {}, which may be expired, or not for this role",
            role.as_ref().map_or("the server's default role", |_| "`role`"),
            token.display()
        ),
        By::Cert { .. } => "compare `role` and `client_certificate`".to_owned(),
        By::Userpass { password, .. } => format!("compare `username` and {}", password.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_names_where_it_was_what_it_used_and_that_it_may_be_locked_out() {
        let secret = |secret| By::AppRole { role: Text::Here("id".into()), secret: Some(secret) };
        let told = |by: &By, status| {
            denied("auth/approle/login", "https://vault:8200", by, status).unwrap().to_string()
        };
        let plain = secret(SecretId::In("/etc/hushfs/secret-id".into()));
        let wrong = told(&plain, 400);
        let wanted = "`auth/approle/login` at https://vault:8200: the credentials are not accepted (HTTP 400): compare `role_id` and /etc/hushfs/secret-id, which may be used up or expired";
        assert!(wrong.contains(wanted), "{wrong}");
        let locked = told(&plain, 403);
        assert!(
            locked.contains("sys/locked-users") && locked.contains("`touch /etc/hushfs/secret-id`"),
            "{locked}"
        );
        let locked = told(&secret(SecretId::WrappedIn("/w".into())), 403);
        assert!(locked.contains("wait for the next try") && !locked.contains("touch"), "{locked}");
        let by = By::Jwt { role: None, token: "/t".into() };
        assert!(!told(&by, 403).contains("locked"), "that way locks nobody out");
        assert!(denied("p", "a", &by, 500).is_none());
    }
}
