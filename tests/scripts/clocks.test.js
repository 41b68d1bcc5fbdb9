// Proves that instants are shown in the zone that the server names, and lengths of time as people read them.

import { digits, span, ZoneClock } from "../../dashboard/components/shared/clocks.js";
import { lightAt } from "../../dashboard/components/shared/lights.js";
import { equal } from "./equal.js";

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const WORDS = { d: "d", h: "h" };
const EVE = Date.UTC(2026, 10, 28, 22, 30, 5); // 22:30:05 in UTC, the 29th in China

Deno.test("a clock shows the hour and the day of its own zone", () => {
  const china = new ZoneClock("Asia/Shanghai"), london = new ZoneClock("Europe/London");
  equal([china.hhmmss(EVE), china.hhmm(EVE), china.day(EVE), china.monthDay(EVE)], [
    "06:30:05",
    "06:30",
    "2026-11-29",
    "11-29",
  ]);
  equal([london.hhmm(EVE), london.day(EVE)], ["22:30", "2026-11-28"]);
});

Deno.test("midnight begins a day as 00", () => {
  equal(new ZoneClock("UTC").hhmmss(Date.UTC(2026, 0, 1)), "00:00:00");
});

Deno.test("an instant of another day has its day before it", () => {
  const clock = new ZoneClock("UTC");
  equal(clock.when(EVE, EVE + HOUR), "22:30");
  equal(clock.when(EVE, EVE + 2 * HOUR), "11-28 22:30");
  equal(new ZoneClock("Asia/Shanghai").when(EVE, EVE + 2 * HOUR), "06:30");
});

Deno.test("a day is named in the language of the screen", () => {
  const clock = new ZoneClock("Asia/Shanghai");
  equal([clock.named(EVE, "en"), clock.named(EVE, "zh")], ["29 Nov Sun", "11月29日 周日"]);
});

Deno.test("a length is in digits below ten hours, then in hours, from two days on in days", () => {
  const lengths = [
    0,
    4 * MINUTE + 12 * SECOND,
    HOUR + 12 * MINUTE + 5 * SECOND,
    10 * HOUR - 1,
    10 * HOUR,
    2 * DAY - 1,
  ];
  equal(lengths.map((ms) => span(ms, WORDS)), ["00:00", "04:12", "1:12:05", "9:59:59", "10 h", "47 h"]);
  equal(span(2 * DAY + 5 * HOUR, WORDS), "2 d");
});

Deno.test("where there is room a length says more", () => {
  equal(span(11 * HOUR + 61 * SECOND, WORDS, true), "11:01:01");
  equal([span(2 * DAY + 5 * HOUR, WORDS, true), span(3 * DAY, WORDS, true)], ["2 d 5 h", "3 d"]);
});

Deno.test("a length after a limit reads as one before it", () => {
  equal([digits(-252 * SECOND), span(-3 * DAY, WORDS)], ["04:12", "3 d"]);
});

Deno.test("a light turns yellow at its turn and red after its limit", () => {
  equal([9, 10, 20, 21].map((now) => lightAt(now, 20, 10)), ["green", "yellow", "yellow", "red"]);
  equal([20, 21].map((now) => lightAt(now, 20, null)), ["green", "red"]);
});
