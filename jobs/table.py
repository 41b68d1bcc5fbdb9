"""List every job: what it does, how often, and how late it may start. One line a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from dispatch.desk import Desk
from jobs import clocks, notices, shifts, upkeep

Work = Callable[[Desk, datetime], int]


@dataclass(frozen=True, slots=True)
class Job:
    """One job: `run(desk, now)` returns the rows it handled; `every_s` and `grace_s` are seconds."""

    name: str
    every_s: int
    grace_s: int
    zh: str
    en: str
    run: Work


JOBS = (
    Job("clocks", 2, 30, "时限巡查：记下每一个超时", "note every limit that has passed", clocks.sweep),
    Job("escalation", 5, 60, "提级：无人应答逐级上报", "raise silence to the next level", clocks.escalate),
    Job("notices", 2, 30, "通知：告知、催办、呼叫", "tell people what happened and is due", notices.tell),
    Job("forgetting", 86_400, 3_600, "清理过期通知", "forget old notices", notices.forget),
    Job("shifts", 60, 300, "交接班：换班时列出未结件", "list what is open at a shift's end", shifts.change),
    Job("rosters", 3_600, 3_600, "排班：续排演示值班表", "draw up the demo's next rosters", shifts.draw),
    Job("recount", 3_600, 3_600, "复核队伍在手件数", "recount what each team holds", upkeep.recount),
)
