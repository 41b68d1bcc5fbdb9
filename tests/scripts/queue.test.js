// Proves how a desk's list follows the queue: what others do waits, what one does oneself is seen at once, groups hold.

import { groups, limitOf, passes } from "../../dashboard/components/workbench/groups.js";
import { Worklist } from "../../dashboard/components/workbench/worklist.js";
import { equal } from "./equal.js";

/** @import { QueueRow } from "../../dashboard/components/shared/messages.d.ts" */
/** @import { Look } from "../../dashboard/components/workbench/groups.js" */

const ME = "dispatcher:me", OTHER = "dispatcher:other", MINUTE = 60000, NOW = Date.UTC(2026, 10, 29);

/**
 * @param {number} id
 * @param {Partial<QueueRow>} own
 * @returns {QueueRow}
 */
const row = (id, own = {}) => ({
  id: String(id),
  seq: 1,
  no: `2026-${1000 + id}`,
  sev: 3,
  type: "Rubbish",
  short: "Rubbish",
  place: "East village",
  town: "Town",
  at: "12 High Street",
  stage: "accept",
  state: "reported",
  holder: "",
  clock: "acceptance",
  due: NOW + 5 * MINUTE,
  near: NOW + 4 * MINUTE,
  left: null,
  paused: "",
  up: false,
  verb: "reported",
  by: "somebody",
  who: OTHER,
  when: NOW,
  since: NOW - MINUTE,
  ...own,
});

/** @param {...QueueRow} rows */
function listOf(...rows) {
  const list = new Worklist(ME);
  list.take({ now: NOW, at: NOW, n: 0, full: true, all: rows.length, rows, bursts: [] });
  return list;
}

/** @param {Worklist} list */
const seen = (list) => ({
  shown: [...list.shown.keys()],
  fresh: [...list.fresh],
  taken: [...list.taken.keys()],
});

/** @type {Look} */
const LOOK = { now: NOW, stage: "", search: "", sort: "", t: (text) => text };

Deno.test("what the queue first holds is the list", () => {
  equal(seen(listOf(row(1), row(2))), { shown: ["1", "2"], fresh: [], taken: [] });
});

Deno.test("new work waits above the list until it is let in", () => {
  const list = listOf(row(1));
  list.fold(row(2));
  equal(seen(list), { shown: ["1"], fresh: ["2"], taken: [] });
  list.settle();
  equal(seen(list), { shown: ["1", "2"], fresh: [], taken: [] });
});

Deno.test("a row that another moved on stays where it is until it is let go", () => {
  const list = listOf(row(1), row(2));
  list.fold(row(1, { seq: 2, stage: "dispatch" }));
  equal(seen(list), { shown: ["1", "2"], fresh: [], taken: ["1"] });
  equal(list.shown.get("1")?.stage, "accept");
  list.settle();
  equal(list.shown.get("1")?.stage, "dispatch");
  list.fold(row(2, { seq: 2, stage: "" }));
  list.settle();
  equal(seen(list), { shown: ["1"], fresh: [], taken: [] });
});

Deno.test("one's own step, and the house's, changes the list at once", () => {
  for (const who of [ME, "system"]) {
    const list = listOf(row(1));
    list.fold(row(1, { seq: 2, stage: "dispatch", who }));
    equal([list.shown.get("1")?.stage, seen(list).taken], ["dispatch", []]);
  }
  const list = listOf(row(1));
  list.fold(row(1, { seq: 2, stage: "", who: ME }));
  equal(seen(list), { shown: [], fresh: [], taken: [] });
});

Deno.test("a row that came back to where it stood was never taken", () => {
  const list = listOf(row(1));
  list.fold(row(1, { seq: 2, stage: "dispatch" }));
  list.fold(row(1, { seq: 3 }));
  equal([list.shown.get("1")?.seq, seen(list).taken], [3, []]);
});

Deno.test("what teams have in hand is no new work", () => {
  const list = listOf();
  list.fold(row(1, { stage: "in_hand" }));
  equal(seen(list), { shown: ["1"], fresh: [], taken: [] });
});

Deno.test("after a break the whole queue says what has gone and what came back", () => {
  const list = listOf(row(1), row(2));
  list.fold(row(3));
  list.take({ now: NOW, at: NOW, n: 9, full: true, all: 2, rows: [row(1), row(4)], bursts: [] });
  equal(seen(list), { shown: ["1", "2"], fresh: ["4"], taken: ["2"] });
  equal([...list.known.keys()].sort(), ["1", "4"]);
});

Deno.test("groups go by the next limit, and a suspended row keeps its place", () => {
  const rows = [
    row(1, { due: NOW + 90 * MINUTE }),
    row(2, { due: NOW - MINUTE }),
    row(3, { due: NOW + 9 * MINUTE }),
    row(4, { due: null, near: null, left: 20 * MINUTE, paused: "rain" }),
    row(5, { due: null, near: null }),
  ];
  const found = groups(listOf(...rows), LOOK);
  const ids = found.map(({ items }) => items.map((item) => ("row" in item ? item.row.id : "")));
  equal(found.map(({ name, count }) => [name, count]), [
    ["Overdue", 1],
    ["Within 10 minutes", 1],
    ["Within an hour", 1],
    ["Later", 2],
  ]);
  equal(ids, [["2"], ["3"], ["4"], ["1", "5"]]);
  equal(limitOf(rows[3], NOW), NOW + 20 * MINUTE);
});

Deno.test("by gravity or by place each group has its own name", () => {
  const list = listOf(row(1, { sev: 4 }), row(2, { sev: 1, place: "West village" }));
  equal(groups(list, { ...LOOK, sort: "severity" }).map(({ name }) => name), ["extreme", "ordinary"]);
  equal(groups(list, { ...LOOK, sort: "place" }).map(({ name }) => name), ["East village", "West village"]);
});

Deno.test("a burst of three is one row where its first limit is, and two are not one", () => {
  const list = listOf(row(1, { due: NOW - MINUTE }), row(2), row(3), row(4));
  list.gather([{ key: "hail/1", name: "Hail", ids: ["1", "2", "3"] }]);
  const [overdue, soon] = groups(list, LOOK);
  equal([overdue.items.length, "burst" in overdue.items[0] && overdue.items[0].rows.length], [1, 3]);
  equal([overdue.within, soon.within, soon.count, soon.items.length], [1, 2, 3, 1]);
  equal(groups(list, { ...LOOK, search: "1001" }).map(({ items }) => "row" in items[0]), [true]);
});

Deno.test("an open burst stays open when its oldest case has ended", () => {
  const list = listOf(row(1), row(2), row(3), row(4));
  list.gather([{ key: "hail/1", name: "Hail", ids: ["1", "2", "3", "4"] }]);
  list.opened.add("hail/1");
  list.gather([{ key: "hail/2", name: "Hail", ids: ["2", "3", "4"] }]);
  equal([...list.opened], ["hail/2"]);
});

Deno.test("the filter leaves what waits for a desk, and of what is in hand only what is late", () => {
  const late = { stage: "in_hand", due: NOW - 1 }, fine = { stage: "in_hand", due: NOW + 1, near: NOW };
  equal([row(1), row(2, late), row(3, fine)].map((each) => passes(each, LOOK)), [true, true, false]);
  equal([row(1), row(3, fine)].map((each) => passes(each, { ...LOOK, stage: "in_hand" })), [false, true]);
});

Deno.test("a search looks for words anywhere and for digits in the number", () => {
  /** @param {string} search */
  const finds = (search) => passes(row(7), { ...LOOK, search });
  equal(["high street", " RUBBISH ", "20261007", "1007", "999", "west"].map(finds), [
    true,
    true,
    true,
    true,
    false,
    false,
  ]);
});
