//! The node's network, with the witness in between.

use super::witness::Witness;
use bytes::Bytes;
use futures_util::StreamExt;
use sipsilo::actors::gateway::StartNet;
use sipsilo::net::memory::Memory;
use sipsilo::net::{Event, ListenSpec, Report, Wire};
use sipsilo::vocab::{FlowId, Path, SendTag, Transport};
use std::net::SocketAddr;
use std::sync::Arc;

struct Watched {
    inner: Box<dyn Wire>,
    witness: Arc<Witness>,
}

impl Wire for Watched {
    fn send(&mut self, path: Path, bytes: Bytes, tag: Option<SendTag>) {
        self.witness.node_sends(&path, &bytes);
        self.inner.send(path, bytes, tag);
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        self.inner.local_for(transport, remote)
    }

    fn close(&mut self, flow: FlowId) {
        self.inner.close(flow);
    }

    fn listeners(&self) -> &[(Transport, SocketAddr)] {
        self.inner.listeners()
    }

    fn shutdown(&mut self) {
        self.inner.shutdown();
    }

    fn report(&self) -> Report {
        self.inner.report()
    }
}

/// A worker's sockets on `memory`; opened when the gateway starts.
pub fn net(memory: &Memory, witness: &Arc<Witness>, specs: Vec<ListenSpec>) -> StartNet {
    let (memory, witness) = (memory.clone(), witness.clone());
    Box::new(move || {
        let (inner, events) = memory.wire(0, &specs);
        let wire: Box<dyn Wire> = Box::new(Watched { inner, witness: witness.clone() });
        let watched = events.inspect(move |event| {
            if let Event::Packets(packets) = event {
                packets.iter().for_each(|packet| witness.node_received(&packet.bytes));
            }
        });
        Ok((wire, watched.boxed_local()))
    })
}
