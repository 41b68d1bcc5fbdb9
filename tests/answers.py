"""Follows what a page and its server say to one another, to know when every wish has been answered."""

from __future__ import annotations

import time
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

WAIT_S = 120.0
# Until no short timer runs in the page for a while: behind one of them the workbench says what was chosen, and the
# longest of them takes 250 ms. The page itself counts, so that a slow one is waited for.
LEFT = """() => new Promise((done) => {
    const later = window.plainTimeout ?? setTimeout, timers = window.shortTimers ?? new Set();
    let looks = 0, quiet = 0;
    const look = () => {
        looks += 1;
        quiet = timers.size ? 0 : quiet + 1;
        if (quiet < 5 && looks < 20) later(look, 20);
        else done(Number(sessionStorage.wishes ?? 0));
    };
    look();
})"""
COUNTING = """
    const plain = WebSocket.prototype.send;
    WebSocket.prototype.send = function (...given) {
        if (this.url.includes("/_stcore/stream")) sessionStorage.wishes = Number(sessionStorage.wishes ?? 0) + 1;
        return plain.apply(this, given);
    };
    const later = window.setTimeout, never = window.clearTimeout, timers = new Set();
    window.plainTimeout = later.bind(window);
    window.shortTimers = timers;
    window.setTimeout = function (run, ms, ...given) {
        if (typeof run !== "function" || ms > 400) return later.call(window, run, ms, ...given);
        const id = later.call(window, function (...with_) {
            timers.delete(id);
            return run.apply(this, with_);
        }, ms, ...given);
        timers.add(id);
        return id;
    };
    window.clearTimeout = function (id) {
        timers.delete(id);
        return never.call(window, id);
    };
"""


class Answers:
    """Know of one tab whether all that it asked its server for has been drawn up by it."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self.sent = 0  # how often something was asked
        self._open, self._begun = False, False
        page.add_init_script(COUNTING)
        page.on("websocket", self._connected)

    def wait(self) -> None:
        """Wait until what was pressed has left and its answer is drawn."""
        deadline = time.monotonic() + WAIT_S
        left = self._page.evaluate(LEFT)
        while self.sent < left or self._open:
            assert time.monotonic() < deadline, f"asked {left} times, seen {self.sent}, open: {self._open}"
            self._page.wait_for_timeout(20)
        self._page.wait_for_function(
            "() => document.querySelector('.stApp').dataset.testScriptState === 'notRunning'",
            timeout=WAIT_S * 1000,
        )

    def more_than(self, sent: int) -> None:
        """Wait until more was asked than so often."""
        deadline = time.monotonic() + WAIT_S
        while self.sent <= sent:
            assert time.monotonic() < deadline, "nothing was asked"
            self._page.wait_for_timeout(10)

    def _connected(self, line: Any) -> None:
        if "/_stcore/stream" in line.url:
            line.on("framesent", self._asked)
            line.on("framereceived", self._told)

    def _asked(self, payload: str | bytes) -> None:
        self.sent += 1
        if isinstance(payload, bytes) and BackMsg.FromString(payload).WhichOneof("type") == "rerun_script":
            self._open, self._begun = True, False

    def _told(self, payload: str | bytes) -> None:
        if not isinstance(payload, bytes):
            return
        message = ForwardMsg.FromString(payload)
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._begun = True
        elif kind == "script_finished" and self._begun:
            early = message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN
            self._open = early
