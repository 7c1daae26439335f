//! Where what the taps sent waits: so many bytes in memory, so many more on disk, and then nobody is read (I10).

use crate::shelf::Files;
use dativo_bus_engine::shelf::Shelf;
use std::io;
use std::path::Path;

/// Some bytes that wait.
#[derive(Debug)]
pub enum Block {
    /// In memory.
    Here(Vec<u8>),
    /// On disk.
    Shelved {
        /// The shelf's name for them.
        ticket: u64,
        /// How many.
        length: usize,
    },
}

/// What all taps together may leave waiting.
pub struct Room {
    memory: u64,
    disk: u64,
    here: u64,
    shelved: u64,
    shelf: Option<Files>,
}

impl Room {
    /// Bounds in bytes; without a folder nothing is put on disk.
    pub fn new(memory: u64, disk: u64, folder: Option<&Path>) -> io::Result<Room> {
        Ok(Room {
            memory,
            disk,
            here: 0,
            shelved: 0,
            shelf: folder.filter(|_| disk > 0).map(Files::within).transpose()?,
        })
    }

    /// Whether nothing more is to be read. What is empty is never full, however small.
    pub fn full(&self) -> bool {
        self.here + self.shelved > 0 && self.here >= self.memory && (self.shelf.is_none() || self.shelved >= self.disk)
    }

    /// Lets bytes wait. A disk that fails is used no more: memory is all there is then.
    pub fn keep(&mut self, bytes: Vec<u8>) -> Block {
        let length = bytes.len();
        if self.here + length as u64 > self.memory && self.shelved < self.disk {
            if let Some(shelf) = &mut self.shelf {
                match shelf.put(&bytes) {
                    Ok(ticket) => {
                        self.shelved += length as u64;
                        return Block::Shelved { ticket, length };
                    }
                    Err(_) => self.disk = 0,
                }
            }
        }
        self.here += length as u64;
        Block::Here(bytes)
    }

    /// Their turn has come.
    pub fn take(&mut self, block: Block) -> io::Result<Vec<u8>> {
        match block {
            Block::Here(bytes) => {
                self.here -= bytes.len() as u64;
                Ok(bytes)
            }
            Block::Shelved { ticket, length } => {
                let shelf = self.shelf.as_mut().ok_or(io::Error::from(io::ErrorKind::NotFound))?;
                let bytes = shelf.get(ticket, length)?;
                shelf.free(ticket);
                self.shelved -= length as u64;
                Ok(bytes)
            }
        }
    }

    /// Nobody wants them any more.
    pub fn drop(&mut self, block: Block) {
        match block {
            Block::Here(bytes) => self.here -= bytes.len() as u64,
            Block::Shelved { ticket, length } => {
                self.shelved -= length as u64;
                if let Some(shelf) = &mut self.shelf {
                    shelf.free(ticket);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_memory_does_not_hold_is_on_disk_and_comes_back() {
        let place = std::env::temp_dir().join(format!("dativo-room-{}", std::process::id()));
        let mut room = Room::new(10, 20, Some(&place)).unwrap();
        let kept: Vec<Block> = (0..4u8).map(|at| room.keep(vec![at; 8])).collect();
        assert!(matches!(kept[0], Block::Here(_)) && matches!(kept[1], Block::Shelved { .. }));
        assert!(!room.full(), "there are two bytes of memory left");
        let last = room.keep(vec![4; 8]);
        assert!(room.full());
        for (at, block) in kept.into_iter().enumerate() {
            assert_eq!(room.take(block).unwrap(), vec![at as u8; 8]);
        }
        room.drop(last);
        assert_eq!((room.here, room.shelved), (0, 0));
        std::fs::remove_dir_all(place).unwrap();
    }
}
