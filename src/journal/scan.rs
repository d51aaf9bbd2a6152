//! What one file says: its batches up to the first damage, and what can still be read behind that.

use super::batch::{self, Batch};
use super::header::{Header, SECTOR, is_blank};

/// A file, read from its first sector to its last.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where the batches lie, without a gap.
    pub(super) batches: Vec<usize>,
    /// Where the next batch would begin.
    pub(super) end: usize,
    /// The number of the next batch.
    pub(super) next_batch: u64,
    /// Everything before this offset of the log was durable, as the batches have it, those behind a damage too.
    pub(super) durable: u64,
    /// The last batch ends the file.
    pub(super) closed: bool,
    /// What is wrong at `end`, if anything is.
    pub(super) damage: Option<Damage>,
}

#[derive(Debug)]
pub(super) struct Damage {
    pub(super) why: String,
    /// Where whole batches lie behind it.
    pub(super) beyond: Vec<usize>,
    /// The damage is none that a crash can do.
    pub(super) is_gap: bool,
}

/// The batch that lies at a place which a scan gave.
pub(super) fn batch_at<'a>(file: &'a [u8], header: &Header, at: usize) -> Option<Batch<'a>> {
    batch::decode(file.get(at..)?, header.id, header.salt)
}

pub(super) fn scan(file: &[u8], header: &Header) -> Scan {
    let mut scan = Scan {
        batches: Vec::new(),
        end: SECTOR,
        next_batch: header.first_batch,
        durable: 0,
        closed: false,
        damage: None,
    };
    while let Some(batch) = batch_at(file, header, scan.end) {
        if scan.closed || batch.head.number != scan.next_batch {
            let why = format!("batch {} lies where batch {} belongs", batch.head.number, scan.next_batch);
            scan.damage = Some(Damage { why, beyond: Vec::new(), is_gap: true });
            break;
        }
        scan.durable = scan.durable.max(batch.head.durable);
        scan.closed = batch.head.last;
        scan.batches.push(scan.end);
        scan.end += batch.bytes;
        scan.next_batch += 1;
    }
    if scan.damage.is_none() && !is_blank(&file[scan.end.min(file.len())..]) {
        let why = "what lies here is no whole batch".to_owned();
        scan.damage = Some(Damage { why, beyond: Vec::new(), is_gap: false });
    }
    scan.look_beyond(file, header);
    scan
}

impl Scan {
    /// Finds the whole batches behind a damage: what they call durable decides whether a crash can have done it.
    fn look_beyond(&mut self, file: &[u8], header: &Header) {
        let Some(damage) = &mut self.damage else { return };
        let mut at = self.end;
        while at + SECTOR <= file.len() {
            match batch_at(file, header, at) {
                Some(batch) => {
                    self.durable = self.durable.max(batch.head.durable);
                    damage.beyond.push(at);
                    at += batch.bytes;
                }
                None => at += SECTOR,
            }
        }
    }
}
