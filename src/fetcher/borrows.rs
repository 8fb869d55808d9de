//! The fetcher's end: asks the front for files, since this process may open none.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;

use super::packet;
use crate::providers::files;

/// How long a file is waited for. Whoever asked for a secret has long given up then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has every file that a provider reads come from the other end of `socket`, from now on.
///
/// # Errors
/// When no thread can be started.
pub(super) fn borrow_from(socket: OwnedFd) -> io::Result<()> {
    let front = Arc::new(Front { socket, asked: Mutex::default() });
    let receives = Arc::clone(&front);
    std::thread::Builder::new().name("files".into()).spawn(move || receives.receive())?;
    files::come_from(Box::new(move |path| front.open(path)));
    Ok(())
}

struct Front {
    socket: OwnedFd,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    last: u32,
    waiting: HashMap<u32, SyncSender<io::Result<File>>>,
    /// Nobody answers any more.
    closed: bool,
}

impl Front {
    fn open(&self, path: &Path) -> io::Result<File> {
        let (answer, answered) = sync_channel(1);
        let id = {
            let mut asked = self.asked.lock();
            if asked.closed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            asked.last = asked.last.wrapping_add(1);
            let id = asked.last;
            asked.waiting.insert(id, answer);
            id
        };
        let sent = packet::ask(self.socket.as_fd(), id, path);
        let file = sent.and_then(|()| match answered.recv_timeout(PATIENCE) {
            Ok(file) => file,
            Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
        });
        self.asked.lock().waiting.remove(&id);
        file
    }

    fn receive(&self) {
        while let Ok(Some((id, file))) = packet::lent(self.socket.as_fd()) {
            if let Some(answer) = self.asked.lock().waiting.remove(&id) {
                let _ = answer.send(file);
            }
        }
        let mut asked = self.asked.lock();
        asked.closed = true;
        asked.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::PathBuf;

    use super::super::lends::{Desk, Named, files_of};
    use super::super::settings::ProviderSettings;
    use super::*;

    #[test]
    fn what_the_settings_name_is_lent_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("store.age"), "the store").unwrap();
        std::fs::write(dir.path().join("other"), "x").unwrap();
        let named = Named::default();
        let table = "path = 'store.age'\nkey = 'sub/../missing'".parse().unwrap();
        let settings =
            |base: &Path| ProviderSettings { name: "p".into(), kind: "store", table, base: base.to_owned() };
        named.replace(files_of(&[settings(dir.path())]));
        let (desk, socket) = Desk::open(&named).unwrap();
        let front = Arc::new(Front { socket, asked: Mutex::default() });
        let receives = Arc::clone(&front);
        let receiver = std::thread::spawn(move || receives.receive());
        let mut text = String::new();
        front.open(&dir.path().join("store.age")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "the store");
        let errno = |path: PathBuf| front.open(&path).unwrap_err().raw_os_error();
        assert_eq!(errno(dir.path().join("sub/../missing")), Some(libc::ENOENT));
        for path in ["other", "missing", "sub/../store.age"] {
            assert_eq!(errno(dir.path().join(path)), Some(libc::ENOENT), "{path}");
        }
        assert_eq!(errno("/etc/shadow".into()), Some(libc::ENOENT));
        assert_eq!(errno("x".repeat(5000).into()), Some(libc::ENAMETOOLONG));
        named.replace(files_of(&[]));
        assert_eq!(errno(dir.path().join("store.age")), Some(libc::ENOENT));
        drop(desk);
        receiver.join().unwrap();
        assert_eq!(front.open(&dir.path().join("store.age")).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    /// A front that lends the store of that directory, for as long as the desk is there.
    fn lent_from(dir: &std::path::Path) -> (Desk, Arc<Front>) {
        let named = Named::default();
        let table = "path = 'store.age'".parse().unwrap();
        named.replace(files_of(&[ProviderSettings {
            name: "p".into(),
            kind: "store",
            table,
            base: dir.to_owned(),
        }]));
        let (desk, socket) = Desk::open(&named).unwrap();
        let front = Arc::new(Front { socket, asked: Mutex::default() });
        let receives = Arc::clone(&front);
        std::thread::spawn(move || receives.receive());
        (desk, front)
    }

    #[test]
    fn a_pipe_without_a_writer_holds_up_nobody_and_is_not_lent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.age");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        let (_desk, front) = lent_from(dir.path());
        assert_eq!(front.open(&path).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn many_who_want_one_file_at_once_all_get_it_from_its_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.age");
        std::fs::write(&path, "the store").unwrap();
        let (_desk, front) = lent_from(dir.path());
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let mut text = String::new();
                        front.open(&path).unwrap().read_to_string(&mut text).unwrap();
                        assert_eq!(text, "the store");
                    }
                });
            }
        });
    }
}
