"""The process takes away its own powers: no program can be started, no file written outside the state directory.

Rules: best effort and never an error; what is on, and why something is not, is in the report. What is taken away
is gone for this process and its children. Landlock knows ports, not hosts, and no UDP (docs/limits.md says so).
Kernel interfaces: docs.kernel.org/userspace-api/landlock.html and .../seccomp_filter.html.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PR_SET_NO_NEW_PRIVS: Final = 38
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
"""System call numbers; the same on every architecture."""
_VERSION_FLAG: Final = 1
_RULE_PATH, _RULE_PORT = 1, 2

_FS_EXECUTE: Final = 1 << 0
_FS_WRITE: Final = (1 << 1) | (0x1FF << 4)
"""Write a file; remove and make every kind of entry (bits 4 to 12)."""
_FS_REFER: Final = 1 << 13
"""From ABI 2: link or rename between directories."""
_FS_TRUNCATE: Final = 1 << 14
"""From ABI 3."""
_NET_CONNECT: Final = 1 << 1
"""From ABI 4: connect over TCP."""

_SECCOMP_SET_MODE_FILTER: Final = 1
_SECCOMP_TSYNC: Final = 1
_RET_ALLOW, _RET_ERRNO = 0x7FFF0000, 0x00050000
_LD_WORD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06


@dataclass(frozen=True, slots=True)
class _Machine:
    """What differs between architectures (linux/audit.h and the system call tables)."""

    audit: int
    seccomp: int
    execve: int
    execveat: int
    x32_bit: int | None = None


_MACHINES: Final = {
    "x86_64": _Machine(audit=0xC000003E, seccomp=317, execve=59, execveat=322, x32_bit=0x40000000),
    "aarch64": _Machine(audit=0xC00000B7, seccomp=277, execve=221, execveat=281),
}


@dataclass(frozen=True, slots=True)
class Lockdown:
    """What is on. An empty reason means on; otherwise it says why not."""

    files: str = "not applied"
    """Landlock: writing outside the state directory, and executing files."""
    network: str = "not applied"
    """Landlock: TCP connections to other ports than those given."""
    programs: str = "not applied"
    """seccomp: starting any program."""

    def lines(self) -> list[str]:
        """The report, one line each, for `doctor`."""
        parts = (
            ("writes outside the state directory", self.files),
            ("TCP to other ports", self.network),
            ("starting programs", self.programs),
        )
        return [f"{what}: {'blocked' if not why else 'not blocked, ' + why}" for what, why in parts]


_applied = Lockdown()


def status() -> Lockdown:
    """What this process has applied so far."""
    return _applied


def apply(*, writable: Sequence[Path], tcp_ports: Sequence[int] | None = None) -> Lockdown:
    """Lock this process down for good; call it once, after start-up. Never raises.

    `writable`: directories that stay writable. `tcp_ports`: ports that may be connected to; None leaves TCP alone.
    """
    global _applied
    if not sys.platform.startswith("linux"):
        why = "only Linux has it"
        _applied = Lockdown(files=why, network=why, programs=why)
        return _applied
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        why = f"no_new_privs refused: {_error()}"
        _applied = Lockdown(files=why, network=why, programs=why)
        return _applied
    files, network = _landlock(libc, writable, tcp_ports)
    _applied = Lockdown(files=files, network=network, programs=_seccomp(libc))
    return _applied


# --- Landlock --------------------------------------------------------------------------------------------------


def _landlock(libc: ctypes.CDLL, writable: Sequence[Path], tcp_ports: Sequence[int] | None) -> tuple[str, str]:
    """(why files are not restricted, why the network is not); "" where they are."""
    abi = libc.syscall(_LANDLOCK_CREATE, None, 0, _VERSION_FLAG)
    if abi < 1:
        why = f"this kernel has no Landlock ({_error()})"
        return why, why
    network = _why_no_network(abi, tcp_ports)
    handled = _FS_EXECUTE | _FS_WRITE | (_FS_REFER if abi >= 2 else 0) | (_FS_TRUNCATE if abi >= 3 else 0)
    connect = _NET_CONNECT if not network else 0
    attributes = struct.pack("=QQ", handled, connect) if abi >= 4 else struct.pack("=Q", handled)
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        why = f"Landlock refused the rules: {_error()}"
        return why, why
    try:
        problem = _allow(libc, ruleset, writable, handled & ~_FS_EXECUTE, (tcp_ports or ()) if connect else ())
        if not problem and libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) != 0:
            problem = f"Landlock would not start: {_error()}"
        older = len(os.listdir("/proc/self/task")) - 1
        if not problem and older:
            problem = f"not in {older} threads that ran before (Landlock binds a thread and what it starts)"
    finally:
        os.close(ruleset)
    return problem, problem or network


def _why_no_network(abi: int, tcp_ports: Sequence[int] | None) -> str:
    if tcp_ports is None:
        return "no list of ports was given"
    return "" if abi >= 4 else f"this kernel's Landlock (ABI {abi}) knows no network rules (ABI 4 does)"


def _allow(libc: ctypes.CDLL, ruleset: int, writable: Sequence[Path], access: int, ports: Sequence[int]) -> str:
    for path in (*writable, Path("/dev/null"), Path("/dev/tty")):
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if str(path).startswith("/dev/"):
                continue
            return f"{path} cannot be opened: {error.strerror}"
        try:
            allowed = access if path.is_dir() else access & ((1 << 1) | _FS_TRUNCATE)
            rule = struct.pack("=Qi", allowed, descriptor)
            if libc.syscall(_LANDLOCK_ADD, ruleset, _RULE_PATH, rule, 0) != 0:
                return f"Landlock refused {path}: {_error()}"
        finally:
            os.close(descriptor)
    for port in ports:
        if libc.syscall(_LANDLOCK_ADD, ruleset, _RULE_PORT, struct.pack("=QQ", _NET_CONNECT, port), 0) != 0:
            return f"Landlock refused port {port}: {_error()}"
    return ""


# --- seccomp ---------------------------------------------------------------------------------------------------


def _seccomp(libc: ctypes.CDLL) -> str:
    """Why programs can still be started, or "". The filter goes to all threads of the process."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return f"no filter for {platform.machine()}"
    program = _filter(machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    descriptor = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    result = libc.syscall(machine.seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_TSYNC, descriptor)
    if result > 0:
        return f"thread {result} could not be filtered"
    return "" if result == 0 else f"seccomp refused the filter: {_error()}"


def _filter(machine: _Machine) -> bytes:
    """A classic BPF program over struct seccomp_data {nr, arch, …}: execve and execveat answer EPERM.

    Foreign architectures (a 32-bit call table) answer EPERM to everything, as their numbers mean other calls.
    """
    refuse = (_RETURN, 0, 0, _RET_ERRNO | errno.EPERM)
    program = [
        (_LD_WORD, 0, 0, 4),
        (_JUMP_EQUAL, 1, 0, machine.audit),
        refuse,
        (_LD_WORD, 0, 0, 0),
    ]
    if machine.x32_bit is not None:
        program += [(_JUMP_GREATER_EQUAL, 0, 1, machine.x32_bit), refuse]
    for number in (machine.execve, machine.execveat):
        program += [(_JUMP_EQUAL, 0, 1, number), refuse]
    program.append((_RETURN, 0, 0, _RET_ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _error() -> str:
    return os.strerror(ctypes.get_errno())
