//! The log's column families and how they are tuned.

use rocksdb::{
    BlockBasedOptions, ColumnFamilyDescriptor, DBCompactionStyle, DBCompressionType, DBRecoveryMode, Options,
};

use super::Durability;
use super::keys::{BOOK, RECORDS};

/// Memory that appended records fill before they go to disk. With two buffers a burst of commits goes on while the
/// other is written out.
const RECORDS_BUFFER_BYTES: usize = 64 * 1024 * 1024;

/// The book is a few kilobytes, rewritten with every commit.
const BOOK_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A value deleted or superseded leaves the disk within so many seconds, touched or not: an erasure must not wait for
/// the next record of its neighbourhood. Thirty days.
const REWRITE_SECONDS: u64 = 30 * 24 * 60 * 60;

/// The column families that the log needs in the database handed to it.
pub fn families() -> Vec<ColumnFamilyDescriptor> {
    vec![ColumnFamilyDescriptor::new(RECORDS, records()), ColumnFamilyDescriptor::new(BOOK, book())]
}

/// What the log needs of the database's own options; all others are its owner's.
///
/// Without a write-ahead log only an atomic flush of all families keeps positions, outputs and state together.
/// Recovery stops at the first torn record, so what survives a crash is always a prefix of what was written.
pub fn configure(options: &mut Options, durability: Durability) {
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_atomic_flush(durability == Durability::None);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
}

/// Chunks are written at the tail of each lane, read in sequence, never looked up by key, and deleted in ranges. So:
/// universal compaction (an append-only lane gains nothing from being merged level by level, and it writes each byte a
/// few times instead of ten or more); no bloom filter; no block cache, so that a replay does not push the stitcher's
/// state out of memory; blocks the size of a chunk.
fn records() -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(super::chunk::TARGET_BYTES);
    blocks.disable_cache();
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_compaction_style(DBCompactionStyle::Universal);
    options.set_write_buffer_size(RECORDS_BUFFER_BYTES);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options.set_periodic_compaction_seconds(REWRITE_SECONDS);
    options
}

/// Small, hot and overwritten: it lives in its memtable.
fn book() -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(BOOK_BUFFER_BYTES);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}
