//! Notifications to the service manager, after sd_notify(3): one datagram each, without a library.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A service manager that does not read its socket may hold us up no longer than this.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);

/// Tells the service manager how the service fares.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    manager: SocketAddr,
}

impl Notifier {
    /// The notifier that `NOTIFY_SOCKET` asks for; `None` when no service manager asked.
    ///
    /// # Errors
    /// The variable names no socket that can be addressed.
    pub fn from_env() -> io::Result<Option<Self>> {
        match env::var("NOTIFY_SOCKET") {
            Ok(address) if !address.is_empty() => Self::new(&address).map(Some),
            _ => Ok(None),
        }
    }

    /// A notifier for one address: an absolute path, or `@` and a name for an abstract socket.
    ///
    /// # Errors
    /// Another form of address, or no socket can be made.
    pub fn new(address: &str) -> io::Result<Self> {
        let manager = match address.as_bytes() {
            [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => {
                let message =
                    format!("{address:?} is neither an absolute path nor an abstract socket (@name)");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self { socket, manager })
    }

    /// The service has started: listeners are bound and every core is warm.
    ///
    /// # Errors
    /// The datagram cannot be sent; the same holds for the methods below.
    pub fn ready(&self, status: &str) -> io::Result<()> {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)))
    }

    /// The service is shutting down and needs up to `needs` for it, which extends the unit's own stop time-out.
    ///
    /// # Errors
    /// The datagram cannot be sent.
    pub fn stopping(&self, needs: Duration) -> io::Result<()> {
        self.send(&format!("STOPPING=1\nSTATUS=shutting down\nEXTEND_TIMEOUT_USEC={}", needs.as_micros()))
    }

    /// The service is alive; due more often than [`watchdog_period`].
    ///
    /// # Errors
    /// The datagram cannot be sent.
    pub fn watchdog(&self) -> io::Result<()> {
        self.send("WATCHDOG=1")
    }

    /// One line for people, shown by `systemctl status`.
    ///
    /// # Errors
    /// The datagram cannot be sent.
    pub fn status(&self, status: &str) -> io::Result<()> {
        self.send(&format!("STATUS={}", one_line(status)))
    }

    fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.manager).map(|_| ())
    }
}

/// A line break would start another assignment.
fn one_line(status: &str) -> String {
    status.replace(['\n', '\r'], " ")
}

/// How often the service manager wants to hear [`Notifier::watchdog`]: half of its time-out; `None` when it does not.
pub fn watchdog_period() -> Option<Duration> {
    let variable = |name| env::var(name).ok();
    period(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), std::process::id())
}

/// The variables may be inherited from a parent that is watched itself; then they name another process.
fn period(timeout_us: Option<&str>, for_pid: Option<&str>, our_pid: u32) -> Option<Duration> {
    if for_pid.is_some_and(|pid| pid.parse() != Ok(our_pid)) {
        return None;
    }
    let timeout_us: u64 = timeout_us?.parse().ok()?;
    (timeout_us > 0).then(|| Duration::from_micros(timeout_us / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(manager: &UnixDatagram) -> String {
        manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut buffer = [0; 512];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn every_notification_arrives_at_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::new(path.to_str().unwrap()).unwrap();
        notifier.ready("serving\nFAKE=1").unwrap();
        assert_eq!(receive(&manager), "READY=1\nSTATUS=serving FAKE=1");
        notifier.watchdog().unwrap();
        assert_eq!(receive(&manager), "WATCHDOG=1");
        notifier.status("2 cores").unwrap();
        assert_eq!(receive(&manager), "STATUS=2 cores");
        notifier.stopping(Duration::from_secs(11)).unwrap();
        assert_eq!(receive(&manager), "STOPPING=1\nSTATUS=shutting down\nEXTEND_TIMEOUT_USEC=11000000");
    }

    #[test]
    fn an_abstract_socket_is_reached() {
        let name = format!("ringmesh-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::new(&format!("@{name}")).unwrap().watchdog().unwrap();
        assert_eq!(receive(&manager), "WATCHDOG=1");
    }

    #[test]
    fn an_address_of_another_form_is_an_error_and_a_dead_manager_does_no_harm() {
        assert!(Notifier::new("vsock:2:1234").is_err());
        assert!(Notifier::new("@").is_err());
        assert!(Notifier::new("/nowhere/notify").unwrap().watchdog().is_err());
    }

    #[test]
    fn the_watchdog_period_is_half_the_time_out_and_only_for_us() {
        assert_eq!(period(Some("30000000"), None, 7), Some(Duration::from_secs(15)));
        assert_eq!(period(Some("30000000"), Some("7"), 7), Some(Duration::from_secs(15)));
        assert_eq!(period(Some("30000000"), Some("8"), 7), None);
        assert_eq!(period(Some("0"), None, 7), None);
        assert_eq!(period(Some("soon"), None, 7), None);
        assert_eq!(period(None, None, 7), None);
    }
}
