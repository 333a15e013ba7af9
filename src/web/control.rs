//! The control socket: how the command line speaks to a running daemon on its own machine.

use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// The longest path that fits into a socket's address on Linux, without its closing zero.
const PATH_BYTES_MAX: usize = 107;
const NAME: &str = "control.sock";
const POINTER: &str = "control.addr";

/// A bound control socket. Its files are removed when it is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    /// Takes connections.
    pub listener: UnixListener,
    /// Where it is.
    pub path: PathBuf,
    pointer: Option<PathBuf>,
}

/// Binds it in the store's directory, or, when that path is too long, in `runtime_dir`, with `control.addr` in the
/// store's directory naming the place. Only for whoever holds the store's lock: a socket left behind is removed.
///
/// # Errors
/// When neither place can be used.
pub fn bind(store_dir: &Path, runtime_dir: &Path) -> io::Result<ControlSocket> {
    let near = std::path::absolute(store_dir)?.join(NAME);
    let pointer = store_dir.join(POINTER);
    remove(&pointer)?;
    if fits(&near) {
        return Ok(ControlSocket { listener: listen(&near)?, path: near, pointer: None });
    }
    let tag = crate::domain::id_of(&[&near.to_string_lossy()]);
    let far = std::path::absolute(runtime_dir)?.join(format!("scm-connect-{tag}.sock"));
    if !fits(&far) {
        let message =
            format!("the control socket's path is longer than {PATH_BYTES_MAX} bytes in both directories");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let listener = listen(&far)?;
    std::fs::write(&pointer, far.as_os_str().as_bytes())?;
    Ok(ControlSocket { listener, path: far, pointer: Some(pointer) })
}

/// The name under which it is bound at first is as long as the last one, plus four.
fn fits(path: &Path) -> bool {
    path.as_os_str().len().saturating_add(4) <= PATH_BYTES_MAX
}

/// It gets its final name only once nobody else may open it. Who connects is checked besides.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let fresh = path.with_extension("sock.new");
    remove(&fresh)?;
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, path)?;
    Ok(listener)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = remove(&self.path);
        if let Some(pointer) = &self.pointer {
            let _ = remove(pointer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_socket_is_for_its_owner_and_replaces_one_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), b"left behind").unwrap();
        let socket = bind(dir.path(), dir.path()).unwrap();
        let mode = std::fs::metadata(&socket.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(UnixStream::connect(dir.path().join(NAME)).is_ok());
        drop(socket);
        assert!(!dir.path().join(NAME).exists());
    }

    #[test]
    fn a_long_path_moves_the_socket_and_leaves_its_address() {
        let (dir, runtime) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let deep = dir.path().join("x".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let socket = bind(&deep, runtime.path()).unwrap();
        let named = std::fs::read_to_string(deep.join(POINTER)).unwrap();
        assert!(UnixStream::connect(named).is_ok());
        drop(socket);
        assert!(!deep.join(POINTER).exists());
    }
}
