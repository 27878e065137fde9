"""Preloaded into the workers of `test_worker`: content that does to its reader what it says."""

from __future__ import annotations

import ctypes
import os
import signal
import time

from ingestion import run

_read = run.read_delimited


def _boom(data: bytes) -> None:
    if b"KILL" in data:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"SEGV" in data:
        ctypes.string_at(0)
    if b"STOP" in data:
        os.kill(os.getpid(), signal.SIGTERM)
    if b"EXIT" in data:
        os._exit(3)
    if b"ALLOCATE" in data:
        held = []
        while True:
            held.append(bytes(64 << 20))
    if b"SPIN" in data:
        while True:
            pass
    if b"SLEEP" in data:
        time.sleep(3600)
    if b"RAISE" in data:
        raise LookupError(data.decode())
    if b"SECRETS" in data:
        raise OSError(0, ",".join(sorted(os.environ)))


def read_delimited(opened, source):
    _boom(opened.data or b"")
    return _read(opened, source)


run.read_delimited = read_delimited
