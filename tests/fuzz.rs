//! The fuzz targets without libFuzzer: what is kept in `fuzz/corpus`, and a few thousand inputs made of
//! it, through the same functions. `make fuzz` searches; this keeps what was found.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[expect(unreachable_pub, reason = "modules of a library of its own, which `make fuzz` builds")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::TARGETS;

/// Inputs made from the corpus of each target.
const MADE: usize = 4_000;

/// Kept inputs by name, in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut kept: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a readable file")))
        .collect();
    kept.sort();
    kept
}

/// A dice that only needs to be the same in every run.
fn roll(dice: &mut u64, below: usize) -> usize {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*dice >> 33).expect("31 bits") % below.max(1)
}

/// A little of what libFuzzer does: bytes changed, taken out, doubled, and halves of two put together.
fn made(kept: &[(String, Vec<u8>)], dice: &mut u64) -> Vec<u8> {
    let mut one = kept[roll(dice, kept.len())].1.clone();
    for _ in 0..=roll(dice, 3) {
        let (from, to) = (roll(dice, one.len() + 1), roll(dice, one.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        match roll(dice, 5) {
            0 if !one.is_empty() => {
                let at = from.min(one.len() - 1);
                one[at] ^= 1 << roll(dice, 8);
            }
            1 => _ = one.drain(from..to.min(from + 8)),
            2 => {
                let copy = one[from..to].to_vec();
                _ = one.splice(to..to, copy);
            }
            3 => one.insert(from, b"\"\\{}[]:,0\n\0\xff"[roll(dice, 12)]),
            _ => {
                let other = &kept[roll(dice, kept.len())].1;
                one.truncate(from);
                one.extend_from_slice(&other[roll(dice, other.len() + 1)..]);
            }
        }
        one.truncate(1 << 14);
    }
    one
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folders = fs::read_dir("fuzz/corpus").expect("a folder");
    let mut folders: Vec<String> = folders
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, folders);
    let manifest = fs::read_to_string("fuzz/Cargo.toml").expect("a manifest");
    for name in names {
        let binary = format!("[[bin]]\nname = \"{name}\"\npath = \"targets/{name}.rs\"");
        assert!(manifest.contains(&binary), "{name} is not handed to libFuzzer");
        assert!(corpus(name).len() >= 3, "{name} has next to nothing to begin with");
    }
}

#[test]
fn what_is_kept_and_what_is_made_of_it_breaks_no_promise() {
    for (name, target) in TARGETS {
        let kept = corpus(name);
        for (path, bytes) in &kept {
            assert!(catch_unwind(|| target(bytes)).is_ok(), "{name}: {path}");
        }
        let mut dice = 1;
        for nth in 0..MADE {
            let bytes = made(&kept, &mut dice);
            if catch_unwind(|| target(&bytes)).is_err() {
                let path = std::env::temp_dir().join(format!("trunkline-{name}-{nth}"));
                fs::write(&path, &bytes).expect("a file");
                panic!("{name}: the input lies in {}", path.display());
            }
        }
    }
}
