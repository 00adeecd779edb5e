//! Opening connections.

use super::Shop;
use super::budget::Admission;
use super::conn::Connection;
use super::outbox::Outbox;
use crate::vocab::Path;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Opens a connection and lives its life; a failure fails all that was queued for it.
pub(super) async fn open(shop: Arc<Shop>, path: Path, outbox: Arc<Outbox>, admission: Admission) {
    let patience = shop.settings.connect_timeout;
    let connected = async {
        let stream = connect(path.local, path.remote).await?;
        let local = tune(&stream)?;
        io::Result::Ok((stream, local))
    };
    match timeout(patience, connected).await {
        Ok(Ok((stream, local))) => {
            shop.counters.opened.add(1);
            let path = Path { local, ..path };
            Box::pin(Connection::new(shop, stream, path, outbox, admission, true).run()).await;
        }
        Ok(Err(_)) | Err(_) => {
            shop.counters.open_failed.add(1);
            shop.ended(&outbox, path.flow, false).await;
        }
    }
}

/// Connects from the address the gateway chose, on any port.
async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !local.ip().is_unspecified() && local.is_ipv4() == remote.is_ipv4() {
        // The port is chosen with the destination known, so that one address is good for more
        // connections than it has ports.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(SocketAddr::new(local.ip(), 0))?;
    }
    socket.connect(remote).await
}

/// Sets what every connection has; tells our end's address.
pub(super) fn tune(stream: &TcpStream) -> io::Result<SocketAddr> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_keepalive(true)?;
    stream.local_addr()
}
