"""One secret per installation: it seals checkpoints and keys the pseudonyms of redaction."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from tools.errors import AuditUnavailable

KEY_BYTES = 32


def install_key(directory: Path) -> bytes:
    """The installation's secret, made on first use (mode 0600). Raises AuditUnavailable when it cannot be kept."""
    path = directory / "install.key"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create(path)
        key = path.read_bytes()
    except OSError as error:
        raise AuditUnavailable(
            f"cannot write the state directory {directory}: {error.strerror}",
            hint="free space there or choose another with PLUMBLINE_STATE_DIR",
        ) from None
    if len(key) != KEY_BYTES:
        raise AuditUnavailable(f"{path} is damaged", hint="remove it; sealed sessions can then not be resumed")
    return key


def _create(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(secrets.token_bytes(KEY_BYTES))
        os.fsync(handle.fileno())
    try:
        os.link(draft, path)  # the first of two processes wins; the other reads what it wrote
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def derive(key: bytes, purpose: str) -> bytes:
    """A key for one purpose, so that no two uses share bytes."""
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()
