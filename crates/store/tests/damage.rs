//! What a crash, a torn file or a flipped bit leaves of real files of RocksDB: what was written up to some batch, or an
//! error. Never anything else.

use std::path::{Path, PathBuf};

use musubi_store::{Error, Options, Rocks, STATE_FAMILIES, Tables, Writer, keys, open};
use tempfile::TempDir;

/// How often each kind of damage is tried.
const TRIES: u64 = 40;
const BATCHES: u64 = 60;
/// Every so many batches write the same keys again.
const KEYS: u64 = 17;
const OPTIONS: Options = Options { block_cache: 1 << 20, memtables: 4 << 20, without_wal: false };

/// A generator of numbers that says the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn pick<T: Clone>(&mut self, things: &[T]) -> T {
        things[usize::try_from(self.below(things.len() as u64)).expect("it is an index")].clone()
    }
}

fn key(batch: u64) -> Vec<u8> {
    [&[0, 1], format!("key-{:08}-and-sixteen", batch % KEYS).as_bytes()].concat()
}

fn value(batch: u64) -> Vec<u8> {
    format!("value of {batch}, {}", "and so on ".repeat(30)).into_bytes()
}

/// Every batch writes a key of each table, and says in `meta` how many there were.
fn write(rocks: &Rocks, batch: u64) {
    let written = rocks.write(|writer| {
        for family in values() {
            writer.put(family, &key(batch), &value(batch));
        }
        writer.put(keys::META, &keys::changelog(1), &batch.to_be_bytes());
    });
    written.expect("it is written");
}

fn values() -> impl Iterator<Item = &'static str> {
    STATE_FAMILIES.into_iter().filter(|family| *family != keys::META)
}

/// A database in the midst of its work, as a crash leaves it: its files are copied while it is open.
fn crashed(options: Options, dice: &mut Dice) -> TempDir {
    let (living, dead) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    let rocks = Rocks::new(open(living.path(), options, Vec::new()).expect("it opens"));
    let rocks = if options.without_wal { rocks.without_wal() } else { rocks };
    for batch in 1..=BATCHES {
        write(&rocks, batch);
        if dice.below(20) == 0 {
            // One table's memtable is written out, as happens when it is full; the others with it where they go together.
            let family = rocks.database().cf_handle(dice.pick(&STATE_FAMILIES)).expect("it is there");
            rocks.database().flush_cf(family).expect("it is flushed");
        }
    }
    for file in files(living.path()) {
        std::fs::copy(&file, dead.path().join(file.file_name().expect("it has a name"))).expect("it is copied");
    }
    dead
}

/// The files of a database that say something.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("it can be listed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.retain(|path| name(path) != "LOCK" && !name(path).starts_with("LOG"));
    files.sort();
    files
}

fn of_kind(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let is = |path: &PathBuf| path.extension().is_some_and(|its| its == extension);
    files(directory).into_iter().filter(is).collect()
}

/// How many batches are there, where all that is there is what so many batches leave.
fn batches(directory: &Path, options: Options) -> Result<u64, Error> {
    let rocks = Rocks::new(open(directory, options, Vec::new())?);
    let mut batches = 0;
    rocks.get_many(keys::META, &[keys::changelog(1)], |_, value| {
        batches = value.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes")));
        Ok(())
    })?;
    let newest = (batches.saturating_sub(KEYS - 1)..=batches).filter(|batch| *batch > 0);
    let mut wanted: Vec<_> = newest.map(|batch| (key(batch), value(batch))).collect();
    wanted.sort();
    for family in values() {
        let mut found = Vec::new();
        rocks.scan(family, &[0, 1], |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            Ok(())
        })?;
        assert!(found == wanted, "`{family}` is not what {batches} batches leave");
    }
    Ok(batches)
}

/// Tries a damage on many crashed databases. Returns how many were found damaged, and how many opened with less.
fn try_all(options: Options, damage: impl Fn(&Path, &mut Dice)) -> (u64, u64) {
    let (mut found, mut less) = (0, 0);
    for seed in 1..=TRIES {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let dead = crashed(options, &mut dice);
        damage(dead.path(), &mut dice);
        match batches(dead.path(), options) {
            Ok(BATCHES) => {}
            Ok(_) => less += 1,
            Err(why) => {
                assert!(why.is_damage(), "seed {seed}: {why}");
                found += 1;
            }
        }
    }
    (found, less)
}

/// Cuts off the end of a file, up to 64 KiB of it.
fn tear(path: &Path, dice: &mut Dice) {
    let length = std::fs::metadata(path).expect("it is there").len();
    let kept = length - (1 + dice.below(64 << 10)).min(length);
    std::fs::OpenOptions::new().write(true).open(path).expect("it opens").set_len(kept).expect("it is cut");
}

fn flip(path: &Path, dice: &mut Dice) {
    let mut bytes = std::fs::read(path).expect("it is there");
    if !bytes.is_empty() {
        let place = usize::try_from(dice.below(bytes.len() as u64)).expect("it is an index");
        bytes[place] ^= 1 << dice.below(8);
        std::fs::write(path, bytes).expect("it is written");
    }
}

#[test]
fn a_killed_process_loses_nothing() {
    assert_eq!(try_all(OPTIONS, |_, _| ()), (0, 0));
}

#[test]
fn a_log_that_lost_its_end_leaves_an_earlier_batch_or_is_found() {
    let (found, less) = try_all(OPTIONS, |directory, dice| {
        if let Some(last) = of_kind(directory, "log").last() {
            tear(last, dice);
        }
    });
    assert!(found + less > TRIES / 2, "{found} were found, {less} had less");
}

#[test]
fn a_file_of_values_that_is_torn_is_found() {
    let (found, _) = try_all(OPTIONS, |directory, dice| {
        let files = of_kind(directory, "sst");
        if !files.is_empty() {
            tear(&dice.pick(&files), dice);
        }
    });
    assert!(found > TRIES / 2, "{found}");
}

/// The files with checksums. `CURRENT` has none: a bit of it that flips names a file that is not there.
fn checked(directory: &Path) -> Vec<PathBuf> {
    let mut files = files(directory);
    files.retain(|path| !path.ends_with("CURRENT"));
    files
}

#[test]
fn a_bit_that_flips_under_a_checksum_is_found_or_leaves_an_earlier_batch() {
    let (found, less) = try_all(OPTIONS, |directory, dice| flip(&dice.pick(&checked(directory)), dice));
    assert!(found + less > TRIES / 4, "{found} were found, {less} had less");
}
