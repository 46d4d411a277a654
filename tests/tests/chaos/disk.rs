//! A disk that takes no more: the process ends with a word that says so, and goes on right once there is room.
//!
//! By default the disk is modelled by a limit on the size of a file (`RLIMIT_FSIZE`): a write to RocksDB's log fails half
//! way, with another error number than a full disk has and on the same way. With `MUSUBI_CHAOS_DISK` naming a directory
//! on a small file system (`tests/chaos --disk`), that one is filled up in truth.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use musubi_tests::chance::{dose, tell};
use musubi_tests::cluster::{Fixture, PATIENCE, touchpoints_with_copies};
use musubi_tests::crew::Crew;
use musubi_tests::processes::{Stitcher, Under};

/// How large a file may become where the disk is modelled: RocksDB's log reaches it soon.
const LARGEST_KIB: u64 = 512;

/// Fills what is left of a file system; the file to be removed again.
fn fill(directory: &str) -> Result<PathBuf> {
    let path = PathBuf::from(directory).join("filler");
    let mut file = std::fs::File::create(&path)?;
    let piece = vec![0_u8; 64 << 10];
    while std::io::Write::write_all(&mut file, &piece).is_ok() {}
    Ok(path)
}

/// Waits until it has ended, not well; its last words.
fn end_of(mut stopped: Stitcher) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    while stopped.lives()? {
        ensure!(Instant::now() < deadline, "it goes on although nothing can be written");
        std::thread::sleep(Duration::from_millis(50));
    }
    ensure!(stopped.ended()?.is_some_and(|how| !how.success()), "it says that all is well");
    Ok(stopped.last_words())
}

#[test]
fn a_full_disk_ends_a_process_with_a_word_and_room_lets_it_go_on() -> Result<()> {
    let times = dose("MUSUBI_CHAOS_DISKS", 1);
    let small = std::env::var("MUSUBI_CHAOS_DISK").ok();
    let fixture = Fixture::start(2)?;
    let lines = touchpoints_with_copies(4_000 * (times + 1), 18);
    let chunk = lines.len().div_ceil(times as usize + 1);
    let mut crew = match &small {
        Some(directory) => Crew::start_on(&fixture, 1, &["stitch.batch=200"], directory)?,
        None => Crew::start(&fixture, 1, &["stitch.batch=200"])?,
    };
    fixture.feed(&lines[..chunk])?;
    crew.settle()?;
    for full in lines[chunk..].chunks(chunk) {
        let filler = small.as_deref().map(fill).transpose()?;
        fixture.feed(full)?;
        // On a disk that is full already it may not even come up: it has to say so then, too.
        let begun = if filler.is_none() {
            crew.take(0)?.kill()?;
            crew.begin_in(0, &Under { largest_file: Some(LARGEST_KIB), ..Under::default() })
        } else {
            Ok(())
        };
        let words = match begun {
            Ok(()) => end_of(crew.take(0)?)?,
            Err(why) => format!("{why:#}"),
        };
        ensure!(
            words.contains("File too large") || words.contains("No space left on device"),
            "it does not say why it ends: {words}"
        );
        if let Some(filler) = filler {
            std::fs::remove_file(filler)?;
        }
        crew.begin(0)?;
        crew.settle()?;
    }
    tell(&format!("{times} times no room; {}", if small.is_some() { "a full file system" } else { "RLIMIT_FSIZE" }));
    tell(&crew.account(&lines)?);
    Ok(())
}
