//! A COPY under way: a thread of its own hands the rows to the server, so that the next batch is read and brought into form
//! while the server still works on the one before.

use std::io::Write;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::thread::JoinHandle;

use postgres::Client;

/// The data leave in pieces of this size.
const PIECE: usize = 256 * 1024;
/// How many of them wait at most (I10).
const WAITING: usize = 4;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// How it ended.
pub type Ended = std::result::Result<(), postgres::Error>;

/// A COPY in binary form.
pub struct Copying {
    pieces: SyncSender<Vec<u8>>,
    thread: JoinHandle<(Box<Client>, Ended)>,
    piece: Vec<u8>,
}

impl Copying {
    /// Begins one, with the connection for itself.
    pub fn begin(mut client: Box<Client>, sql: String) -> Copying {
        let (pieces, taken) = sync_channel(WAITING);
        let thread = std::thread::spawn(move || {
            let ended = write(&mut client, &sql, taken);
            (client, ended)
        });
        let mut piece = room();
        piece.extend_from_slice(SIGNATURE);
        Copying { pieces, thread, piece }
    }

    /// Where the next row is appended.
    pub fn piece(&mut self) -> &mut Vec<u8> {
        &mut self.piece
    }

    /// After a row: hands it on when enough has gathered. `false` when the server has ended the COPY.
    pub fn pass_on(&mut self) -> bool {
        self.piece.len() < PIECE || self.pieces.send(std::mem::replace(&mut self.piece, room())).is_ok()
    }

    /// Ends it, and gives the connection back.
    pub fn end(mut self) -> (Box<Client>, Ended) {
        self.piece.extend_from_slice(&END);
        // Where this fails the server has ended the COPY, and its reason is what comes back.
        drop(self.pieces.send(self.piece));
        drop(self.pieces);
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn room() -> Vec<u8> {
    Vec::with_capacity(PIECE + PIECE / 4)
}

fn write(client: &mut Client, sql: &str, pieces: Receiver<Vec<u8>>) -> Ended {
    let mut writer = client.copy_in(sql)?;
    for piece in pieces {
        if writer.write_all(&piece).is_err() {
            break; // the server's reason comes with the end
        }
    }
    writer.finish().map(drop)
}
