//! Addresses of servers.

use std::net::IpAddr;

use reqwest::Url;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(Url);

impl Address {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let url: Url = text.parse().map_err(|_| "is no address")?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err("is no address of `http` or `https`");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user in it, which is sent nowhere");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a `?` or `#` in it");
        }
        Ok(Self(url))
    }

    /// Whether it is one of `http`.
    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Whether what is sent there can be read on the way.
    pub(super) fn is_open(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
        self.is_plain() && !here
    }

    /// The address of something at this server: `path` below `/v1/`.
    pub(super) fn of(&self, path: &str, query: Option<(&str, &str)>) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path.split('/'));
        }
        if let Some((name, value)) = query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }

    /// The same server, called by the name on its certificate; whoever resolves names must know where it is.
    pub(super) fn named(&self, name: &str) -> Option<Self> {
        let mut url = self.0.clone();
        url.set_host(Some(name)).ok()?;
        Some(Self(url))
    }

    /// Host and port.
    pub(super) fn place(&self) -> (String, u16) {
        let host = self.0.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        (host.to_owned(), self.0.port_or_known_default().unwrap_or_default())
    }

    /// Whether `to` is at this server.
    pub(super) fn is_origin_of(&self, to: &Url) -> bool {
        self.0.origin() == to.origin()
    }

    /// As an operator writes it, for messages.
    pub(super) fn shown(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_of_a_server_is_told() {
        for text in
            ["", "vault:8200", "localhost", "ftp://a", "https://", "https://u@a", "http://a?b", "http://a#b"]
        {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn segments_of_a_path_are_encoded_one_by_one() {
        let address = Address::parse("https://a.example/vault/").unwrap();
        let url = address.of("secret/data/a b%/c?d#e", Some(("version", "3")));
        assert_eq!(url.as_str(), "https://a.example/vault/v1/secret/data/a%20b%25/c%3Fd%23e?version=3");
        assert_eq!(Address::parse("http://a:1").unwrap().of("x", None).as_str(), "http://a:1/v1/x");
    }

    #[test]
    fn plain_http_is_open_to_others_unless_it_stays_on_this_host() {
        for (text, open) in [
            ("http://127.0.0.1:8200", false),
            ("http://[::1]:8200", false),
            ("http://localhost", false),
            ("http://vault.example", true),
            ("http://10.0.0.1", true),
            ("https://vault.example", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_open(), open, "{text}");
        }
    }
}
