"""Says where a data folder's servers keep what is theirs: in it, or where their account can reach it."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

DEFAULT_DATA_DIR = Path("data")
# Where root keeps data whose own folder is closed to the servers' account; else the system's temporary folder.
SYSTEM_PLACE = Path("/var/lib/gridwhistle")
# The shortest limit of the systems supported (macOS); Linux takes 107.
SOCKET_PATH_LIMIT_BYTES = 103

_POSTGRES_SOCKET = ".s.PGSQL.5432"


def data_dir(given: Path | None) -> Path:
    """Return the data folder: the one given, else the environment's, else the default one."""
    return (given or Path(os.environ.get("DATA_DIR") or DEFAULT_DATA_DIR)).expanduser().resolve()


def home_of(folder: Path) -> Path:
    """Return where the data of `folder` is, or would be: once chosen, the place stays whatever modes do later."""
    if os.geteuid() or (folder / "postgres").exists():
        return folder
    if (folder / "place").exists() or not open_to_all(folder):
        return common_place() / hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return folder


def common_place() -> Path:
    """Return the folder that is open to every account, for what cannot stay in a private one."""
    writable = os.access(SYSTEM_PLACE if SYSTEM_PLACE.exists() else SYSTEM_PLACE.parent, os.W_OK)
    return SYSTEM_PLACE if writable else Path(tempfile.gettempdir()) / "gridwhistle"


def open_to_all(path: Path) -> bool:
    """Tell whether every account may pass through `path` and all above it; what does not exist yet will be open."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents) if each.exists())


def socket_dir(folder: Path) -> Path:
    """Return where the sockets of a server's folder stand: in it, unless its path is too long or odd for one."""
    # A comma would separate two hosts in an address.
    if len(os.fsencode(folder / _POSTGRES_SOCKET)) <= SOCKET_PATH_LIMIT_BYTES and "," not in str(folder):
        return folder
    return Path("/tmp") / f"gridwhistle-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"


def valkey_socket(home: Path) -> Path:
    """Return the socket of the stream server whose data lies under `home`."""
    return socket_dir(home / "valkey") / "valkey.sock"
