"""What the kernel can take away from a process that is about to read a hostile file.

What does NOT belong here: what may be read or written in a given task (`ingestion.worker`), limits
of memory and time (there too), rules of DuckDB (`ingestion.sql`).

Two layers of Linux, neither of which needs root, both one-way and inherited by every thread:

- Landlock (from 5.13): files beyond the ones granted do not open, nor does TCP (from 6.7), and no
  signal and no abstract socket leaves the process (from 6.12).
- seccomp: no socket, no program, no new process, no look into another one, no signal to one, no
  mount, no kernel interface that would do the same by other means (io_uring, file handles), and no
  limit is raised.

Where seccomp is not there, a network namespace without any interface stands in for its first part.
What a machine lacks is *said* (`lacking`), and the process goes on without it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

#: What a layer keeps from the process, in words for people.
FILES, NETWORK, PROCESSES = "other files", "the network", "other programs and processes"

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_PR_SET_SECCOMP, _PR_GET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 21, 38
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_THREAD = 0x10000000, 0x40000000, 0x00010000

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REG, _TRUNCATE, _IOCTL = 1 << 5, 1 << 8, 1 << 14, 1 << 15
#: By version of Landlock: all rights on files that it knows.
_KNOWN_RIGHTS = ((5, (1 << 16) - 1), (3, (1 << 15) - 1), (2, (1 << 14) - 1), (1, (1 << 13) - 1))
_ON_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READING = _READ_FILE | _READ_DIR
_WRITING = _READING | _WRITE_FILE | _TRUNCATE | _MAKE_REG | _REMOVE_FILE

_ARCHITECTURES = MappingProxyType({"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)})
#: Calls refused outright: name -> number on x86_64, on aarch64 (None: it has no such call).
_REFUSED: Mapping[str, tuple[int | None, int | None]] = MappingProxyType(
    {
        "socket": (41, 198),
        "socketpair": (53, 199),
        "connect": (42, 203),
        "accept": (43, 202),
        "accept4": (288, 242),
        "sendto": (44, 206),
        "sendmsg": (46, 211),
        "sendmmsg": (307, 269),
        "bind": (49, 200),
        "listen": (50, 201),
        "execve": (59, 221),
        "execveat": (322, 281),
        "fork": (57, None),
        "vfork": (58, None),
        "ptrace": (101, 117),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "tkill": (200, 130),
        "pidfd_send_signal": (424, 424),
        "pidfd_open": (434, 434),
        "pidfd_getfd": (438, 438),
        "io_uring_setup": (425, 425),
        "io_uring_enter": (426, 426),
        "io_uring_register": (427, 427),
        "name_to_handle_at": (303, 264),
        "open_by_handle_at": (304, 265),
        "mount": (165, 40),
        "umount2": (166, 39),
        "open_tree": (428, 428),
        "move_mount": (429, 429),
        "fsopen": (430, 430),
        "fsmount": (432, 432),
        "mount_setattr": (442, 442),
        "pivot_root": (155, 41),
        "chroot": (161, 51),
        "unshare": (272, 97),
        "setns": (308, 268),
        "bpf": (321, 280),
        "perf_event_open": (298, 241),
        "userfaultfd": (323, 282),
        "add_key": (248, 217),
        "request_key": (249, 218),
        "keyctl": (250, 219),
        "init_module": (175, 105),
        "finit_module": (313, 273),
        "delete_module": (176, 106),
        "kexec_load": (246, 104),
        "setrlimit": (160, 164),
    }
)
_CLONE, _CLONE3 = (56, 220), (435, 435)
_KILL, _TGKILL, _PRLIMIT = (62, 129), (234, 131), (302, 261)

# Classic BPF, as much of it as is needed.
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000


class SandboxError(OSError):
    """The kernel offers a layer and then refused it; the message says which."""


@dataclass(frozen=True)
class Offer:
    """What this machine's kernel offers without root.

    Attributes:
        landlock: Its version; 0 if there is none.
        seccomp: Whether calls can be refused on this processor.
    """

    landlock: int
    seccomp: bool

    def lacking(self) -> list[str]:
        """What a confined process could still reach, in words; empty if nothing."""
        missing = [] if self.landlock else [FILES]
        return missing if self.seccomp else [*missing, NETWORK, PROCESSES]


def offer() -> Offer:
    """Ask the kernel. Costs microseconds and changes nothing."""
    if not sys.platform.startswith("linux"):
        return Offer(0, False)
    libc = _libc()
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    known = platform.machine() in _ARCHITECTURES
    return Offer(max(version, 0), known and libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) == 0)


def confine(read: Iterable[Path], write: Iterable[Path]) -> list[str]:
    """Take everything else away from this process, for good.

    To be called in a process with one thread. Threads that it starts later are confined too.

    Args:
        read: Files and folders (with what is below) that may be read; missing ones are left out.
        write: Files that may be written, and folders in which files may also be made and removed.

    Returns:
        What could not be taken away on this machine, as `Offer.lacking`.

    Raises:
        SandboxError: If the kernel offers a layer and then refuses it.
    """
    here = offer()
    lacking = here.lacking()
    if here.landlock or here.seccomp:
        _checked(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if here.landlock:
        _landlock(here.landlock, read, write)
    if here.seccomp:
        _seccomp()
    elif sys.platform.startswith("linux") and without_network():
        lacking.remove(NETWORK)
    return lacking


def without_network() -> bool:
    """Go into a network namespace without interfaces, if the kernel lets ordinary users do so."""
    return bool(_libc().unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise SandboxError(code, f"the kernel refused {what} ({os.strerror(code)})")
    return result


# ---- Landlock


def _landlock(version: int, read: Iterable[Path], write: Iterable[Path]) -> None:
    libc = _libc()
    rights = next(known for least, known in _KNOWN_RIGHTS if version >= least)
    attributes = struct.pack("=Q", rights)
    if version >= 4:
        attributes += struct.pack("=Q", 3)  # TCP: bind and connect
    if version >= 6:
        attributes += struct.pack("=Q", 3)  # abstract sockets and signals
    ruleset = _checked(
        libc.syscall(
            _LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)
        ),
        "a Landlock ruleset",
    )
    try:
        for paths, wanted in ((read, _READING), (write, _WRITING)):
            for path in paths:
                _grant(libc, ruleset, path, wanted & rights)
        _checked(libc.syscall(_LANDLOCK_RESTRICT, ruleset, ctypes.c_uint32(0)), "Landlock")
    finally:
        os.close(ruleset)


def _grant(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
            return  # what cannot be reached needs no right
        raise
    try:
        if not path.is_dir():
            rights &= _ON_A_FILE
        rule = struct.pack("=Qi", rights, handle)
        _checked(
            libc.syscall(_LANDLOCK_ADD, ruleset, ctypes.c_int(1), rule, ctypes.c_uint32(0)),
            "a Landlock rule",
        )
    finally:
        os.close(handle)


# ---- seccomp


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _fail(code: int) -> bytes:
    return _op(_RETURN, _FAIL | code)


def _only_with(number: int, argument: int, value: int, refusal: int = errno.EPERM) -> bytes:
    """Refuse a call unless both halves of an argument are as wanted."""
    at = _ARGUMENTS + 8 * argument
    return (
        _op(_EQUAL, number, 0, 6)
        + _op(_LOAD, at)
        + _op(_EQUAL, value & 0xFFFFFFFF, 0, 3)
        + _op(_LOAD, at + 4)
        + _op(_EQUAL, value >> 32, 0, 1)
        + _op(_RETURN, _ALLOW)
        + _fail(refusal)
    )


def program(machine: str, pid: int) -> bytes:
    """The filter of system calls: for each, allow or an error number.

    Args:
        machine: x86_64 or aarch64.
        pid: Of the process that will be filtered; it may signal itself.
    """
    which, architecture = _ARCHITECTURES[machine]
    clone = _CLONE[which]
    parts = [
        _op(_LOAD, _ARCHITECTURE),
        _op(_EQUAL, architecture, 1, 0),
        _op(_RETURN, _KILL_PROCESS),
        _op(_LOAD, _NUMBER),
        # The other numbering of calls on x86_64 would go round all that follows.
        _op(_AT_LEAST, _X32, 0, 1),
        _fail(errno.ENOSYS),
        # Its flags stand in memory, where a filter cannot look: the C library then takes `clone`.
        _op(_EQUAL, _CLONE3[which], 0, 1),
        _fail(errno.ENOSYS),
        # A thread, but no process.
        _op(_EQUAL, clone, 0, 4),
        _op(_LOAD, _ARGUMENTS),
        _op(_HAS_BIT, _CLONE_THREAD, 0, 1),
        _op(_RETURN, _ALLOW),
        _fail(errno.EPERM),
        _only_with(_KILL[which], 0, pid),
        _only_with(_TGKILL[which], 0, pid),
        _only_with(_PRLIMIT[which], 2, 0),  # limits may be asked for, not set
    ]
    for numbers in _REFUSED.values():
        number = numbers[which]
        if number is not None:
            parts.append(_op(_EQUAL, number, 0, 1) + _fail(errno.EPERM))
    return b"".join([*parts, _op(_RETURN, _ALLOW)])


def _seccomp() -> None:
    filtering = program(platform.machine(), os.getpid())
    told = _Program(len(filtering) // 8, filtering)
    _checked(_libc().prctl(_PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.byref(told), 0, 0), "seccomp")
