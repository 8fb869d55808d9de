//! `[metrics]`: where numbers for Prometheus are told.

use std::net::SocketAddr;
use std::path::Path;

use super::checked::{Metrics, MetricsAt};
use super::files::resolve;
use super::merge::Merged;
use super::owners;
use super::report::{Found, Report};
use super::source::Source;
use super::table::Entry;
use super::trust::Trust;

/// What is shown of how to write it.
const HINT: &str = "write `listen = \"/run/hushfs-metrics.sock\"`, or `listen = \"127.0.0.1:9464\"`";

/// Where metrics are told; `None`: nowhere.
pub(super) fn metrics(
    merged: &Merged<'_>,
    trust: &Trust,
    control: &Path,
    sources: &[Source<'_>],
    report: &mut Report,
) -> Option<Metrics> {
    let entry = |key: &str| merged.values.get(&format!("metrics.{key}"));
    let group = entry("group").map(|entry| (entry, owners::group(entry, report)));
    let secrets = entry("secrets").and_then(|entry| {
        let written = entry.value.as_bool();
        if written.is_none() {
            report.error(entry.wrong_type("true or false"));
        }
        written
    });
    let Some(listen) = entry("listen") else {
        if let Some(other) = entry("group").or(entry("secrets")) {
            let message = format!("`{}` without `listen`: no metrics are told", other.key);
            report.error(Found::at(&other.key_at, message).hint(HINT));
        }
        return None;
    };
    let text = listen.text(report)?;
    let listen = if text.contains('/') {
        let path = resolve(text, &listen.at, sources);
        trust.to_be_made(&path, &listen.at, report);
        if path == control {
            let message = "`listen` is the control socket (`control`)";
            report.error(Found::at(&listen.at, message).hint(HINT));
        }
        MetricsAt::Socket { path, group: group.and_then(|(_, gid)| gid) }
    } else {
        if let Some((entry, _)) = group {
            let message = "`group` is for a socket: whoever is on this host can reach an address of it";
            report.error(
                Found::at(&entry.key_at, message).hint("write `listen = \"/run/hushfs-metrics.sock\"`"),
            );
        }
        let address = loopback(text, listen, report)?;
        if let Some(entry) = entry("secrets").filter(|_| secrets == Some(true)) {
            let message = "every process of this host can read the references of all secrets";
            report.warn(Found::at(&entry.at, message).hint("listen on a socket, or leave `secrets` out"));
        }
        MetricsAt::Loopback(address)
    };
    Some(Metrics { listen, secrets: secrets.unwrap_or(false) })
}

/// An address that no other host can reach.
fn loopback(text: &str, entry: &Entry<'_>, report: &mut Report) -> Option<SocketAddr> {
    let message = match text.parse::<SocketAddr>() {
        Ok(address) if !address.ip().is_loopback() => {
            format!("other hosts could reach `{text}`, and metrics are told to whoever asks")
        }
        Ok(address) if address.port() == 0 => format!("`{text}` has no port"),
        Ok(address) => return Some(address),
        Err(_) => "`listen` takes the path of a socket, or an address with a port".to_owned(),
    };
    report.error(Found::at(&entry.at, message).hint(format!("{HINT}; a path has a `/`")));
    None
}
