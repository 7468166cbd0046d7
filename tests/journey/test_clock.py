"""A host whose clock is an hour off: records and proof go by the platform's clock, and it is said."""

import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from harness import EVENTS, STATE, Sim, Stand, Trunkline, config, proven, total, wait_for

SHIFT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(id, at);
  if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += SECONDS;
  return failed;
}
int gettimeofday(struct timeval *at, void *zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}
/* the kernel's clock is right: what waits for a time of day waits for the shifted one */
static struct timespec right(const struct timespec *until) {
  struct timespec at = *until;
  if (at.tv_sec > 1000000000) at.tv_sec -= SECONDS;
  return at;
}
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until) {
  static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (!real) real = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  struct timespec at = right(until);
  return real(cond, mutex, &at);
}
int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until) {
  static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
  if (!real) real = (int (*)(cnd_t *, mtx_t *, const struct timespec *))dlsym(RTLD_NEXT, "cnd_timedwait");
  struct timespec at = right(until);
  return real(cond, mutex, &at);
}
time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
"""


def shifted(folder: str, seconds: int) -> dict:
    """An environment in which a process takes another time of day for the right one."""
    source, library = pathlib.Path(folder) / "shift.c", pathlib.Path(folder) / f"shift{seconds}.so"
    source.write_text(SHIFT)
    command = ["cc", "-shared", "-fPIC", f"-DSECONDS=({seconds})", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return {**os.environ, "LD_PRELOAD": str(library)}


class WrongClock(unittest.TestCase):
    def test_an_hour_ahead(self):
        self.run_off(3_600)

    def test_an_hour_behind(self):
        self.run_off(-3_600)

    def run_off(self, seconds: int):
        with Stand() as stand, Sim("--rate", "50", "--wait-for-channels", "2") as sim, tempfile.TemporaryDirectory() as folder:
            began = time.time()
            with Trunkline(config(stand, sim.url), env=shifted(folder, seconds)).wait_ready() as app:
                self.assertTrue(wait_for(lambda: abs(time.time() - proven(app)) < 25 and total(app, "trunkline_events_published_total") > 200, 40))
                self.assertTrue(wait_for(lambda: "clock_wrong" in app.codes(), 5))
                self.assertAlmostEqual(total(app, "trunkline_clock_ahead_seconds"), seconds, delta=3)
                self.assertEqual(app.stop()[0], 0)
            ended = time.time()
            records = list(stand.records(EVENTS))
            self.assertGreater(len(records), 200)
            for raw in records:
                heard = raw["record"]["received_at"].timestamp()
                for at in (heard, raw["timestamp"] / 1000):
                    self.assertTrue(began - 2 < at < ended + 2, f"{at} is not between {began} and {ended}")
            for raw in stand.records(STATE):
                self.assertTrue(began - 2 < raw["timestamp"] / 1000 < ended + 2)


if __name__ == "__main__":
    unittest.main()
