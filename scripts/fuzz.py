"""Strangers' bytes into every place that takes them, with libFuzzer on the stable compiler: a line for each target.

usage: fuzz.py [--seconds N] [--keep] [target ...]

Each target begins with what is kept in fuzz/corpus; what it finds lies in target/fuzz/found, and crashes in
target/fuzz/crashes. With --keep, some of what reaches further is added to fuzz/corpus.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FUZZ, TARGET = ROOT / "fuzz", ROOT / "target" / "fuzz"
BINARIES, FOUND, CRASHES = TARGET / "debug", TARGET / "found", TARGET / "crashes"
# inputs larger than this find little that smaller ones do not, and make the corpus heavy
LONGEST, KEPT_LONGEST, KEPT_INPUTS = 8192, 1024, 48
# a mistake that is planted, and the target that has to notice: a record is believed without its checksum
SEEDED, NOTICES = "15", "spool"


def build() -> None:
    env = {**os.environ, "RUSTC_WRAPPER": str(FUZZ / "rustc.sh"), "CARGO_TARGET_DIR": str(TARGET)}
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    subprocess.run(["cargo", "build", "--bins", *quiet], cwd=FUZZ, env=env, check=True)


def libfuzzer(target: str, *arguments: object, bug: str = "0") -> tuple[int, str]:
    """The end of a run and what it said."""
    env = {**os.environ, "TRUNKLINE_SEEDED_BUG": bug, "RUST_BACKTRACE": "0"}
    command = [str(BINARIES / target), *map(str, arguments)]
    ended = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return ended.returncode, ended.stdout.decode(errors="replace")


def search(target: str, seconds: int, bug: str = "0") -> tuple[bool, str, str]:
    """Whether nothing broke, the line for it, and what libFuzzer said."""
    (found := FOUND / (target if bug == "0" else f"{target}-{bug}")).mkdir(parents=True, exist_ok=True)
    CRASHES.mkdir(parents=True, exist_ok=True)
    name = f"-artifact_prefix={CRASHES}/{target}-" if bug == "0" else f"-artifact_prefix={found}/crash-"
    code, said = libfuzzer(
        target, f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=2048",
        "-print_final_stats=1", name, found, FUZZ / "corpus" / target, bug=bug,
    )
    runs = re.search(r"stat::number_of_executed_units: (\d+)", said)
    runs = int(runs.group(1)) if runs else 0
    last = re.findall(r"cov: (\d+) ft: \d+ corp: (\d+)", said)
    coverage, corpus = map(int, last[-1]) if last else (0, 0)
    holds = code == 0 and runs > 0 and coverage > 0
    line = f"{target:<12} {runs:>9} executions, coverage {coverage:>5}, corpus {corpus:>5}, {0 if holds else 1} crashes"
    return holds, line, said


def keep(target: str) -> None:
    """Adds some of what was found and is needed to reach what is reached, of every size, to the kept corpus."""
    kept, merged = FUZZ / "corpus" / target, TARGET / "merged" / target
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    cover = ["-set_cover_merge=1", "-use_counters=0", f"-max_len={KEPT_LONGEST}"]
    code, said = libfuzzer(target, *cover, merged, kept, FOUND / target)
    if code != 0:
        raise SystemExit(f"{target} cannot be merged:\n{said[-2000:]}")
    known = {path.read_bytes() for path in kept.iterdir()}
    new = sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name))
    new = [path for path in new if path.read_bytes() not in known]
    room = max(KEPT_INPUTS - len(known), 0)
    for path in new[:: max(len(new) // room, 1)][:room] if room else []:
        shutil.copy(path, kept / path.name[:12])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("targets", nargs="*")
    options = parser.parse_args()
    everything = sorted(path.stem for path in (FUZZ / "targets").glob("*.rs"))
    targets = options.targets or everything
    if unknown := set(targets) - set(everything):
        raise SystemExit(f"no target {', '.join(unknown)}; there are {', '.join(everything)}")
    build()
    if search(NOTICES, 60, bug=SEEDED)[0]:
        raise SystemExit("a record that is believed without its checksum was not noticed: the search proves nothing")
    crashed = []
    for target in targets:
        holds, line, said = search(target, options.seconds)
        print(line, flush=True)
        if not holds:
            crashed.append(target)
            tell(target, said)
        elif options.keep:
            keep(target)
    print(f"{len(targets)} targets, {len(crashed)} crashes")
    return 1 if crashed else 0


def tell(target: str, said: str) -> None:
    """What broke, and how to see it again."""
    panics = re.findall(r"panicked at .*\n.*", said)
    print("\n".join(panics) or said[-2000:])
    if written := re.search(r"Test unit written to (\S+)", said):
        path = pathlib.Path(written.group(1)).relative_to(ROOT)
        print(f"the input: {path}\nagain:     target/fuzz/debug/{target} {path}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
