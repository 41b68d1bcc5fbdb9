"""List every job: what it does, how often, and how late it may start. One line a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time

from dispatch.desk.desk import Desk
from jobs import briefings, clocks, followers, notices, policy, recount, resume, retention, shifts
from jobs.work import Work

DAY_S = 86_400


def _at_desk(step: Callable[[Desk, datetime], int]) -> Callable[[Work], int]:
    """Run what needs the Desk and the time alone."""
    return lambda work: step(work.desk, work.now)


@dataclass(frozen=True, slots=True)
class Job:
    """One job: `run(work)` returns the rows it handled; `every_s` and `grace_s` are seconds.

    One with `at` runs once a day at that time of the city's own clock.
    """

    name: str
    every_s: int
    grace_s: int
    zh: str
    en: str
    run: Callable[[Work], int]
    at: time | None = None


JOBS = (
    Job(
        "clocks",
        2,
        30,
        "时限巡查：记下每一个超时",
        "note every limit that has passed",
        _at_desk(clocks.sweep),
    ),
    Job(
        "escalation",
        5,
        60,
        "提级：无人应答逐级上报",
        "raise silence to the next level",
        _at_desk(clocks.escalate),
    ),
    Job("notices", 2, 30, "通知：告知、催办、呼叫", "tell people what happened and is due", notices.tell),
    Job("forgetting", 86_400, 3_600, "清理过期通知", "forget old notices", notices.forget),
    Job("shifts", 60, 300, "交接班：换班时列出未结件", "list what is open at a shift's end", shifts.change),
    Job("rosters", 3_600, 3_600, "排班：续排演示值班表", "draw up the demo's next rosters", shifts.draw),
    Job("types", 60, 300, "事项目录：随政策生效", "let types follow the policy in force", policy.follow),
    Job("recount", 3_600, 3_600, "复核队伍在手件数", "recount what each team holds", recount.recount),
    Job(
        "rollup", 10, 60, "小时汇总：跟随事件", "follow the events into the hourly roll-up", followers.follow
    ),
    Job("daily", 20, 60, "日汇总：每天上报件的去向", "count what became of each day", followers.follow_days),
    Job("experience", 60, 600, "派单经验：哪类队伍办成过", "count how trades fared", followers.remember),
    Job("replayed", 60, 600, "回放来源：按期率", "count how replayed sources did", followers.count_replayed),
    Job("resume", 30, 300, "恢复：挂起到期自动恢复", "resume what was suspended until now", resume.resume),
    Job("corrections", 300, 3_600, "更正：冻结后的申诉", "correct for later appeals", followers.correct),
    Job("kpi", DAY_S, DAY_S, "日指标", "write the last days' figures", followers.write_days, time(0, 20)),
    Job(
        "freeze", DAY_S, DAY_S, "月度冻结", "freeze the months whose day has come", followers.freeze, time(1)
    ),
    Job("assessment", DAY_S, DAY_S, "考核试算", "assess the running months", followers.assess, time(1, 30)),
    Job("digests", 60, 3_600, "简报：日报、周报、月报", "write the morning's briefings", briefings.write),
    Job("old_digests", DAY_S, DAY_S, "清理过期简报", "delete old briefings", briefings.forget, time(4, 10)),
    Job("recheck", DAY_S, DAY_S, "复算核对", "compute again, list differences", followers.check, time(2, 30)),
    Job("backup", DAY_S, DAY_S, "备份", "back the database up", retention.backup, time(3, 30)),
    Job(
        "retention", DAY_S, DAY_S, "清理过期记录", "let go of old notes of checks", retention.forget, time(4)
    ),
    Job("letters", 3_600, 3_600, "死信：脱敏与清理", "mask and drop old dead letters", retention.letters),
    Job(
        "photos", DAY_S, DAY_S, "清理无主照片", "drop photos of no case", retention.forget_photos, time(4, 10)
    ),
    Job("patrol", DAY_S, 3_600, "催办沉默队伍", "remind teams that have gone silent", resume.patrol, time(9)),
)
