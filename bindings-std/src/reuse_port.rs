//! The other listeners on an address (`SO_REUSEPORT`), by the kernel's table of listeners. Not here: what a listener does about them
//! (core's `door`).

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;

use winddown_core::Group;

/// A socket's number in the kernel's tables.
pub(crate) type Inode = u64;

/// Returns the socket's number, if it shares its address with others, or may.
pub(crate) fn member(listener: &impl AsFd) -> io::Result<Option<Inode>> {
    if !socket2::SockRef::from(listener).reuse_port()? {
        return Ok(None);
    }
    #[allow(clippy::useless_conversion, reason = "its size depends on the system")]
    Ok(Some(rustix::fs::fstat(listener)?.st_ino.into()))
}

/// Looks for members that are not among `own`, on the address of the socket `inode`.
///
/// Two listeners are in one group if their address and their user are the same (`reuseport_add_sock` in Linux's
/// `net/core/sock_reuseport.c`). Other conditions (the device, say) are not looked at: a listener too many in the group is
/// harmless, because the door is then left open until the queue is empty.
pub(crate) fn find(inode: Inode, own: &[Inode]) -> io::Result<Group> {
    let mut rows = Vec::new();
    for table in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
        rows.extend(listeners(table)?);
    }
    let mine = rows.iter().find(|row| row.inode == inode);
    let mine = mine.ok_or_else(|| io::Error::other("the listener is not in the kernel's table"))?;
    let is_foreign = |row: &Row| row.address == mine.address && row.user == mine.user && !own.contains(&row.inode);
    Ok(if rows.iter().any(is_foreign) { Group::Foreign { migrates: queues_migrate() } } else { Group::Own })
}

/// A listener in the kernel's table.
struct Row {
    address: String,
    user: String,
    inode: Inode,
}

/// Reads the listeners, which come first in the table: connections, of which there may be many, are not read. A table that is
/// not there (IPv6 is switched off) is empty.
fn listeners(table: &str) -> io::Result<Vec<Row>> {
    const LISTENING: &str = "0A";
    let file = match File::open(table) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let mut rows = Vec::new();
    for line in BufReader::new(file).lines().skip(1) {
        let line = line?;
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [_, address, _, LISTENING, _, _, _, user, _, inode, ..] = columns[..] else { break };
        let Ok(inode) = inode.parse() else { break };
        rows.push(Row { address: address.to_owned(), user: user.to_owned(), inode });
    }
    Ok(rows)
}

/// Whether the kernel moves the queue of a listener that is closed to another member of its group (A9).
fn queues_migrate() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req").is_ok_and(|setting| setting.trim() == "1")
}
