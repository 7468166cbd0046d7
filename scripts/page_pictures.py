"""Pictures of the status page in a real browser, of the shipped binary before, during and after an outage of the platform; and of
the simulator's page while faults are in force: `page_pictures.py [--minutes N] [--to FOLDER] [--only simulator]`. Fails when the
browser reports a breach of a page's policy, or a picture is large."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/journey"))

from harness import Sim, Stand, Trunkline, config, coverage, get, proven, wait_for  # noqa: E402

BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
LARGEST = 200_000


def say(text: str) -> None:
    print(f"page: {text}", file=sys.stderr)


def browse(url: str, *flags) -> str:
    """What the browser says on its way."""
    with tempfile.TemporaryDirectory() as profile:
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr",
                   f"--user-data-dir={profile}", *flags, url]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    breach = re.search(r"CONSOLE.*(Content Security Policy|Refused to|Error)", run.stderr)
    if run.returncode or breach:
        raise SystemExit(f"page: {breach[0] if breach else run.stderr[-500:]}")
    return run.stdout


def picture(url: str, path: pathlib.Path, size: tuple[int, int] = (1160, 1300), *flags) -> None:
    browse(url, f"--window-size={size[0]},{size[1]}", f"--screenshot={path}", *flags)
    if not 5_000 < path.stat().st_size < LARGEST:
        raise SystemExit(f"page: {path} has {path.stat().st_size} bytes")
    say(f"{path} ({path.stat().st_size} bytes)")


def refreshes(app: Trunkline) -> None:
    """The page's own script fetches the answer again."""
    stamp = re.search(r"<time>([^<]+)</time>", browse(app.admin + "/", "--virtual-time-budget=12000", "--dump-dom"))[1]
    say(f"the script left the page as of {stamp}")
    asked = re.search(r"<time>([^<]+)</time>", get(app.admin + "/page/main"))[1]
    if stamp[:10] != asked[:10]:
        raise SystemExit(f"page: as of {stamp} in the browser, {asked} at the server")


def simulator(sim: Sim, app: Trunkline, folder: pathlib.Path) -> None:
    """The simulator's page: one cable pulled, a storm of 429, and a socket announced to close."""
    sim.fault("close", whom="newest", args={"code": 1001, "reason": "maintenance"})
    time.sleep(15)
    sim.fault("socket_closing", whom="newest", for_ms=60_000)
    sim.fault("http_status", for_ms=60_000, args={"status": 429, "retry_after": "2"})
    sim.fault("half_open")
    assert wait_for(lambda: json.loads(get(app.admin + "/api/v1/status"))["reconnects"]["half_open"], 60, 0.5), "nobody noticed"
    picture(sim.url + "/sim/", folder / "sim-page.png", (1160, 1000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4, help="how long everything is well before the outage")
    parser.add_argument("--outage", type=float, default=50, help="seconds")
    parser.add_argument("--only", choices=["simulator"])
    parser.add_argument("--to", type=pathlib.Path, default=ROOT / "docs/img")
    args = parser.parse_args()
    if not BROWSER:
        raise SystemExit("page: no chromium; scripts/setup.sh --for page installs it")
    args.to.mkdir(parents=True, exist_ok=True)
    with Stand() as stand, Sim("--rate", "60", "--wait-for-channels", "2") as sim:
        tree = config(stand, sim.url, instance="contact-centre", replica="trunkline-0", admin__token="shown-nowhere-in-a-picture")
        with Trunkline(tree).wait_ready() as app:
            assert wait_for(lambda: proven(app), 60), "nothing is proven"
            if args.only:
                time.sleep(20)
                simulator(sim, app, args.to)
                return
            say(f"{args.minutes} minutes of good weather")
            time.sleep(args.minutes * 60)
            picture(app.admin + "/", args.to / "page-before.png")
            refreshes(app)
            sim.fault("outage", for_ms=int(args.outage * 1000))
            assert wait_for(lambda: any(gap["to"] is None for gap in coverage(app)["gaps"]), 60, 0.5), "an outage without a gap"
            time.sleep(args.outage / 5)
            picture(app.admin + "/", args.to / "page-during.png")
            done = lambda: coverage(app)["gaps"] and all(gap["to"] for gap in coverage(app)["gaps"])
            assert wait_for(done, args.outage + 120, 1), "the gap has no end"
            time.sleep(45)
            picture(app.admin + "/", args.to / "page-after.png")
            picture(app.admin + "/", args.to / "page-phone-dark.png", (500, 1400), "--force-dark-mode", "--blink-settings=preferredColorScheme=0")
            simulator(sim, app, args.to)
            app.stop()


if __name__ == "__main__":
    main()
