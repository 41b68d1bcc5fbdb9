"""Runs one command that cannot outlive its parent: `python tied_process.py SIGNAL PARENT_PID USER COMMAND…`.

This file is started as a script of its own rather than as a `preexec_fn`, because Python code between fork and
exec may deadlock in a process that has threads. It imports nothing of the project, so it costs about 15 ms.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
import threading

# From <sys/prctl.h>: have the kernel send a signal to this process when its parent dies.
PR_SET_PDEATHSIG = 1
# What a shell answers for a command that cannot be run, and for one that was ended by a signal.
CANNOT_RUN = 126
ENDED_BY_SIGNAL = 128
# Stands in the place of a user's name for "stay who you are".
SAME_USER = "-"


def wrap(command: list[str], death_signal: signal.Signals, user: str | None = None) -> list[str]:
    """Wrap a command so that it runs as `user` and gets `death_signal` when the calling process dies.

    What the kernel watches is the thread that starts the command, so only one started from the main thread is bound.
    """
    bound = int(death_signal) if threading.current_thread() is threading.main_thread() else 0
    return [sys.executable, "-I", "-S", __file__, str(bound), str(os.getpid()), user or SAME_USER, *command]


def main(arguments: list[str]) -> int:
    """Become COMMAND as USER, after asking the kernel to send SIGNAL when the parent dies; return only on failure."""
    death_signal, parent, user, *command = arguments
    # A parent may have blocked or ignored signals; the command starts with none of that.
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if user != SAME_USER:
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        os.environ.update(HOME=account.pw_dir, USER=user, LOGNAME=user)
    if int(death_signal) and sys.platform == "linux":
        # After setuid, which clears this wish; exec keeps it.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):
            # The parent died before the kernel knew of the wish.
            return ENDED_BY_SIGNAL + int(death_signal)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
