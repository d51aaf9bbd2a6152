//! Peers that misbehave: the offender loses its stream or its connection, others notice nothing, and memory stays flat.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unreachable_pub,
    dead_code,
    reason = "tests say what they expect by unwrapping it, and their attacker is a small library"
)]

mod attacker;
#[path = "../common/mod.rs"]
mod common;
mod node;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use attacker::{Attacker, DATA, MCP, PING, TASK_QUEUE, call, length_of, line, proposal, tcp};
use node::Node;

/// What an allocator and its caches may keep of a second run of the same attack.
const SPARE_KIB: u64 = 8 << 10;

/// Whether the node ends the connection within a time.
fn hangs_up(mut stream: &TcpStream, within: Duration) -> bool {
    let begun = Instant::now();
    stream.set_read_timeout(Some(within)).unwrap();
    let mut rest = vec![0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) if begun.elapsed() < within => {}
            Ok(_) => return false,
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

fn opens_with(node: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = tcp(node).unwrap();
    // The node may hang up before it has read everything.
    let _ = stream.write_all(bytes);
    stream
}

#[test]
fn what_is_no_multistream_is_hung_up_on() {
    let node = Node::start(&[]);
    node.withstands(SPARE_KIB, |node| {
        let endless = vec![0xff; 1 << 20];
        let unending = [vec![0x13], b"/multistream/1.0.1\n".to_vec()].concat();
        let long = [vec![0xff, 0xff, 0x03], vec![b'a'; 100_000]].concat();
        let many: Vec<u8> = std::iter::once(line("/multistream/1.0.0"))
            .chain((0..10_000).map(|i| line(&format!("/no/such/{i}"))))
            .flatten()
            .collect();
        for bytes in [&endless, &unending, &long, &many, &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()] {
            let stream = opens_with(node.at, bytes);
            assert!(hangs_up(&stream, common::PATIENCE), "{:?}…", &bytes[..bytes.len().min(20)]);
        }
    });
}

#[test]
fn a_truncated_handshake_costs_the_one_who_began_it() {
    let node = Node::start(&[]);
    node.withstands(SPARE_KIB, |node| {
        let noise = proposal("/noise");
        let short = [&noise[..], &[0, 32], &[7; 10]].concat();
        let random = [&noise[..], &[0, 32], &[7; 32]].concat();
        let empty = [&noise[..], &[0, 0]].concat();
        let long = [&noise[..], &[0xff, 0xff], &[7; 65_535]].concat();
        let mut streams = Vec::new();
        for bytes in [&noise, &short, &random, &empty, &long, &noise[..5].to_vec(), &Vec::new()] {
            streams.push(opens_with(node.at, bytes));
            let half = opens_with(node.at, bytes);
            half.shutdown(Shutdown::Write).unwrap();
            streams.push(half);
        }
        for (at, stream) in streams.iter().enumerate() {
            assert!(hangs_up(stream, common::PATIENCE), "attack {at}");
        }
    });
}

#[test]
fn an_oversized_frame_costs_its_stream() {
    let node = Node::start(&[]);
    node.withstands(SPARE_KIB, |node| {
        let mut peer = Attacker::connect(node.at).unwrap();
        let kept = peer.open_with(MCP, &[]).unwrap();
        for length in [u32::MAX, 1 << 31, (16 << 20) + 1] {
            let stream = peer.open_with(MCP, &length.to_be_bytes()).unwrap();
            let (told, _) = peer.rest(stream).unwrap();
            let told = String::from_utf8_lossy(&told[proposal(MCP).len().min(told.len())..]).into_owned();
            assert!(told.is_empty() || told.contains("-32") || told.contains("frame"), "{told}");
        }
        // Allowed, and never sent: it must not be allocated.
        let allowed = peer.open_with(MCP, &(16_u32 << 20).to_be_bytes()).unwrap();
        peer.send(kept, &call(7, "kept")).unwrap();
        let got = peer.read_until(kept, |got| String::from_utf8_lossy(got).contains("kept")).unwrap();
        assert!(length_of(&got[proposal(MCP).len()..]) > 0);
        peer.reset(allowed).unwrap();
        peer.echo("on the same connection").unwrap();
    });
}

#[test]
fn an_oversized_line_costs_its_stream() {
    let node = Node::start(&[]);
    node.withstands(SPARE_KIB, |node| {
        let mut peer = Attacker::connect(node.at).unwrap();
        let stream = peer.open_with(TASK_QUEUE, b"{\"op\":\"").unwrap();
        // As much as the window allows at once; then as the node takes it.
        let mut owed: usize = (1 << 20) + 10;
        let mut window: usize = 256 << 10;
        window -= 64;
        let mut told = Vec::new();
        'sending: while owed > 0 {
            while window < 16 << 10 {
                let frame = peer.receive().unwrap();
                if frame.stream == stream {
                    window += frame.window as usize;
                    told.extend_from_slice(&frame.body);
                    if frame.ends() {
                        break 'sending;
                    }
                }
            }
            let part = owed.min(16 << 10);
            peer.frame(DATA, 0, stream, part as u32, &vec![b'x'; part]).unwrap();
            owed -= part;
            window -= part;
        }
        if owed == 0 {
            told.extend(peer.rest(stream).unwrap().0);
        }
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.contains("frame_too_large"), "{told}");
        peer.echo("on the same connection").unwrap();
    });
}

#[test]
fn yamux_that_is_none_costs_the_connection() {
    let node = Node::start(&[]);
    node.withstands(SPARE_KIB, |node| {
        type Attack = fn(&mut Attacker) -> std::io::Result<()>;
        let attacks: [Attack; 5] = [
            |peer| peer.raw(&[0xff; 64]),
            // More than any window.
            |peer| peer.frame(DATA, 1, 1, u32::MAX, &[0; 1000]),
            |peer| peer.frame(DATA, 0, 77, 10, &[0; 10]),
            |peer| peer.frame(9, 0, 1, 0, &[]),
            // A stream that would be the node's own.
            |peer| peer.frame(DATA, 1, 2, 0, &[]),
        ];
        for attack in attacks {
            let mut peer = Attacker::connect(node.at).unwrap();
            let _ = attack(&mut peer);
            // Unknown streams may be forgiven; nothing else may.
            while peer.echo("forgiven").is_err() {
                if peer.receive().is_err() {
                    break;
                }
            }
        }
    });
}

#[test]
fn a_flood_of_streams_costs_the_streams() {
    let node = Node::start(&[]);
    node.withstands(SPARE_KIB, |node| {
        let mut peer = Attacker::connect(node.at).unwrap();
        let mut opened = 0;
        for _ in 0..2_000 {
            // Agreed on, and then nothing.
            if peer.open_with(MCP, &[]).is_err() {
                break;
            }
            opened += 1;
        }
        assert!(opened > 256, "the node hung up after {opened} streams");
    });
}

#[test]
fn a_peer_that_never_reads_waits_alone() {
    let node = Node::start(&[]);
    node.withstands(4 * SPARE_KIB, |node| {
        let mut peers: Vec<Attacker> = (0..4).map(|_| Attacker::connect(node.at).unwrap()).collect();
        let text = "x".repeat(100_000);
        for peer in &mut peers {
            for _ in 0..16 {
                let Ok(stream) = peer.open_with(MCP, &call(1, &text)) else { break };
                // The second one has no room in the window of the answers.
                let _ = peer.send(stream, &call(2, &text));
            }
        }
        std::thread::sleep(Duration::from_millis(300));
    });
}

/// It has been asked who it is by then, and says nothing.
#[test]
fn a_peer_that_says_nothing_does_not_hold_up_a_stop() {
    let node = Node::start(&[]);
    let _silent = Attacker::connect(node.at).unwrap();
    std::thread::sleep(Duration::from_millis(2_500));
    let took = node.stop();
    assert!(took < Duration::from_secs(6), "{took:?}; the grace is 10 s");
}

#[test]
fn half_closed_streams_are_let_go() {
    let node = Node::start(&[]);
    node.withstands(SPARE_KIB, |node| {
        let mut peer = Attacker::connect(node.at).unwrap();
        // More in turn than may be open at once.
        for i in 0..600 {
            let protocol = [MCP, TASK_QUEUE, PING][i % 3];
            let stream = peer.open_with(protocol, &[]).unwrap();
            peer.finish(stream).unwrap();
            peer.rest(stream).unwrap();
        }
        for part in [&b"{\"op\""[..], &[0, 0, 1, 0, b'{'][..]] {
            let protocol = if part[0] == 0 { MCP } else { TASK_QUEUE };
            let stream = peer.open_with(protocol, part).unwrap();
            peer.finish(stream).unwrap();
            peer.rest(stream).unwrap();
        }
        peer.echo("on the same connection").unwrap();
    });
}

#[test]
fn a_connection_a_millisecond_is_borne() {
    let node = Node::start(&[]);
    node.withstands(SPARE_KIB, |node| {
        let begun = Instant::now();
        let mut kept = Vec::new();
        for i in 0..500_u32 {
            let bytes = [proposal("/noise"), Vec::new(), b"nonsense".to_vec()][i as usize % 3].clone();
            let stream = opens_with(node.at, &bytes);
            // Every other one stays, as long as the node has it.
            if i % 2 == 0 {
                kept.push(stream);
            }
            std::thread::sleep(Duration::from_millis(u64::from(i + 1)).saturating_sub(begun.elapsed()));
        }
        for stream in &kept {
            assert!(
                hangs_up(stream, common::PATIENCE),
                "a connection that never got anywhere is still there"
            );
        }
    });
}
