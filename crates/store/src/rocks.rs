//! RocksDB, tuned for this work.
//!
//! What the work is: two thirds of all look-ups are for keys that do not exist (a new event, a new identifier); small
//! values are read, changed and written again; effects are written and hardly ever read. So:
//!
//! * **Column families** by access pattern: a cache-friendly one for what is read back, a write-friendly one for effects.
//! * **Bloom filters** of 10 bits on whole keys everywhere, in memtables too: a miss costs a hash and no block. Not
//!   ribbon: it saves a quarter of the filter's memory for three times the CPU of building it, and building is on the
//!   write path here.
//! * **Prefix extraction** by partition and first key: the pages of a cluster, or the effects of a signature, are one
//!   prefix, so a scan touches only files whose filter knows it.
//! * **Hash index in data blocks** for point look-ups; blocks of 8 KiB for values of some hundred bytes.
//! * **LZ4** where values are text; none for `parents` and `seen`, which are hashes and do not compress.
//! * **Universal compaction** for effects: about half the write amplification of levels, paid in scans, which are rare.
//! * **No merge operators.** Read-modify-write happens in memory once per batch; an operator would move the fold into
//!   compaction threads and make a changelog of plain values impossible.
//! * **One block cache** for everything, index and filter blocks in it, so that memory has one bound.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompactionStyle, DBCompressionType, DataBlockIndexType,
    SliceTransform, WriteBatch, WriteOptions,
};

use crate::keys::{CLUSTERS, EFFECTS, META, PARENTS, PREFIX, SEEN};
use crate::{Error, Tables, Writer};

/// The column families of the state.
pub const STATE_FAMILIES: [&str; 5] = [PARENTS, CLUSTERS, EFFECTS, SEEN, META];

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of the block cache, which also holds indexes and filters.
    pub block_cache: usize,
    /// Bytes of all memtables together.
    pub memtables: usize,
    /// Whether writes go without a write-ahead log. Flushes are then atomic over all column families, so that what is
    /// found after a crash is what was written up to some batch.
    pub without_wal: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { block_cache: 256 * MIB, memtables: 256 * MIB, without_wal: false }
    }
}

/// Opens (or makes) a database with the state's column families and those that others bring.
pub fn open(path: &Path, options: Options, others: Vec<ColumnFamilyDescriptor>) -> Result<Arc<DB>, Error> {
    open_with(path, options, others, |_| ())
}

/// As [`open`], with what a log in the same database needs of its options.
pub fn open_with(
    path: &Path,
    options: Options,
    others: Vec<ColumnFamilyDescriptor>,
    configure: impl FnOnce(&mut rocksdb::Options),
) -> Result<Arc<DB>, Error> {
    let mut database = rocksdb::Options::default();
    database.create_if_missing(true);
    database.create_missing_column_families(true);
    database.set_atomic_flush(options.without_wal);
    database.set_db_write_buffer_size(options.memtables);
    database.set_max_background_jobs(2);
    database.set_max_total_wal_size(256 * MIB as u64);
    database.set_bytes_per_sync(MIB as u64);
    database.set_keep_log_file_num(2);
    configure(&mut database);
    let cache = Cache::new_lru_cache(options.block_cache);
    let memtable = options.memtables / 4;
    let families = STATE_FAMILIES.iter().map(|name| ColumnFamilyDescriptor::new(*name, family(name, &cache, memtable)));
    Ok(Arc::new(DB::open_cf_descriptors(&database, path, families.chain(others))?))
}

/// The options of a file made for a column family: those of the family, with a cache of its own that holds nothing.
pub(crate) fn file_options(name: &str) -> rocksdb::Options {
    family(name, &Cache::new_lru_cache(0), 0)
}

fn family(name: &str, cache: &Cache, memtable: usize) -> rocksdb::Options {
    let mut family = rocksdb::Options::default();
    family.set_block_based_table_factory(&blocks(cache));
    family.set_write_buffer_size(memtable);
    family.set_max_write_buffer_number(3);
    family.set_memtable_whole_key_filtering(true);
    family.set_memtable_prefix_bloom_ratio(0.1);
    family.set_prefix_extractor(SliceTransform::create_fixed_prefix(PREFIX));
    family.set_level_compaction_dynamic_level_bytes(true);
    let compression = match name {
        PARENTS | SEEN => DBCompressionType::None,
        _ => DBCompressionType::Lz4,
    };
    family.set_compression_type(compression);
    if name == EFFECTS {
        family.set_compaction_style(DBCompactionStyle::Universal);
    }
    family
}

fn blocks(cache: &Cache) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(8 * KIB);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_whole_key_filtering(true);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    blocks.set_format_version(5);
    blocks
}

/// The state's tables in RocksDB. Cheap to clone.
#[derive(Clone)]
pub struct Rocks {
    database: Arc<DB>,
    without_wal: bool,
    /// Bytes of the last batch: the next is about as large.
    batch_bytes: Arc<AtomicUsize>,
}

impl Rocks {
    /// The tables of a database that [`open`] opened.
    pub fn new(database: Arc<DB>) -> Self {
        Self { database, without_wal: false, batch_bytes: Arc::default() }
    }

    /// The same tables, written without a write-ahead log: for a database that was opened so.
    pub fn without_wal(self) -> Self {
        Self { without_wal: true, ..self }
    }

    /// The database.
    pub fn database(&self) -> &Arc<DB> {
        &self.database
    }

    pub(crate) fn family(&self, table: &'static str) -> &rocksdb::ColumnFamily {
        self.database.cf_handle(table).expect("the database was opened with the state's column families")
    }

    /// Writes what `fill` puts into a batch, atomically.
    pub fn write(&self, fill: impl FnOnce(&mut RocksBatch<'_>)) -> Result<(), Error> {
        let room = self.batch_bytes.load(Ordering::Relaxed);
        let mut batch = RocksBatch { rocks: self, batch: WriteBatch::with_capacity_bytes(room), family: None };
        fill(&mut batch);
        self.batch_bytes.store(batch.batch.size_in_bytes(), Ordering::Relaxed);
        let mut options = WriteOptions::default();
        options.disable_wal(self.without_wal);
        Ok(self.database.write_opt(batch.batch, &options)?)
    }
}

/// A batch of writes to RocksDB.
pub struct RocksBatch<'a> {
    rocks: &'a Rocks,
    batch: WriteBatch,
    /// The family of the last write, which is mostly that of the next.
    family: Option<(&'static str, &'a rocksdb::ColumnFamily)>,
}

impl<'a> RocksBatch<'a> {
    fn family(&mut self, table: &'static str) -> &'a rocksdb::ColumnFamily {
        match self.family {
            Some((last, family)) if last == table => family,
            Some(_) | None => self.family.insert((table, self.rocks.family(table))).1,
        }
    }
}

impl Writer for RocksBatch<'_> {
    fn put(&mut self, table: &'static str, key: &[u8], value: &[u8]) {
        let family = self.family(table);
        self.batch.put_cf(family, key, value);
    }

    fn delete(&mut self, table: &'static str, key: &[u8]) {
        let family = self.family(table);
        self.batch.delete_cf(family, key);
    }

    fn delete_range(&mut self, table: &'static str, from: &[u8], to: &[u8]) {
        let family = self.family(table);
        self.batch.delete_range_cf(family, from, to);
    }
}

impl Tables for Rocks {
    fn get_many<K: AsRef<[u8]>>(
        &self,
        table: &'static str,
        keys: &[K],
        mut visit: impl FnMut(usize, Option<&[u8]>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let values = self.database.batched_multi_get_cf(self.family(table), keys.iter().map(AsRef::as_ref), true);
        values.into_iter().enumerate().try_for_each(|(place, value)| visit(place, value?.as_deref()))
    }

    fn scan(
        &self,
        table: &'static str,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut options = rocksdb::ReadOptions::default();
        options.set_total_order_seek(prefix.len() < PREFIX);
        options.set_prefix_same_as_start(prefix.len() >= PREFIX);
        let mut keys = self.database.raw_iterator_cf_opt(self.family(table), options);
        keys.seek(prefix);
        while let Some((key, value)) = keys.item().filter(|(key, _)| key.starts_with(prefix)) {
            visit(key, value)?;
            keys.next();
        }
        Ok(keys.status()?)
    }
}
