// Which rows of a queue are seen, in what order, under which names: rows in, groups out.

import { lightAt } from "../shared/lights.js";

/** @import { Light } from "../shared/lights.js" */
/** @import { QueueRow } from "../shared/messages.d.ts" */
/** @import { Worklist } from "./worklist.js" */

/** @typedef {"" | "severity" | "place"} Order by the next limit alone, or by something else first */
/** @typedef {{ row: QueueRow }} Single */
/** @typedef {{ burst: string, rows: QueueRow[] }} Many a burst that stands as one */

/**
 * Rows beneath one name: a key to fold it by, its place among the groups, how many cases, and how many in bursts.
 * @typedef {object} Group
 * @property {string} key
 * @property {number} rank
 * @property {string} name
 * @property {number} count
 * @property {number} within
 * @property {(Single | Many)[]} items
 */

/**
 * How a queue is looked at: when, filtered by what, in which order, with names in which language.
 * @typedef {object} Look
 * @property {number} now
 * @property {string} stage
 * @property {string} search
 * @property {Order} sort
 * @property {(text: string) => string} t
 */

const TEN_MIN_MS = 600000, HOUR_MS = 3600000;
const FOLD_LEAST = 3; // of a burst that the filter leaves fewer of, each stands by itself
export const SEVERITIES = ["", "extreme", "urgent", "pressing", "ordinary"];

/**
 * red, yellow or green, by the row's own limit; a suspended row is never red.
 * @param {QueueRow} row
 * @param {number} now
 * @returns {Light}
 */
export const lightOf = (row, now) => row.paused || !row.due ? "green" : lightAt(now, row.due, row.near);

/**
 * Tell whether a filter leaves a row: of a stage, or all that waits for a desk and what is late in hand; and words.
 * @param {QueueRow} row
 * @param {Look} look
 */
export function passes(row, { now, stage, search }) {
  if (stage ? row.stage !== stage : row.stage === "in_hand" && lightOf(row, now) !== "red") return false;
  const words = search.trim().toLowerCase();
  if (!words) return true;
  const digits = words.replaceAll("-", "");
  if (/^\d{3,}$/.test(digits)) return row.no.replaceAll("-", "").includes(digits);
  const parts = [row.type, row.place, row.town, row.at, row.holder, row.state];
  return parts.some((part) => part.toLowerCase().includes(words));
}

/**
 * When a row's next limit comes; a suspended one keeps the place that it had.
 * @param {QueueRow} row
 * @param {number} now
 */
export const limitOf = (row, now) => row.due ?? (row.left === null ? Infinity : now + Math.max(0, row.left));

/**
 * @param {QueueRow[]} rows
 * @param {number} now
 */
const byLimit = (rows, now) =>
  rows.sort((a, b) => limitOf(a, now) - limitOf(b, now) || Number(a.id) - Number(b.id));

/**
 * Which of the groups of the chosen order a row belongs to: a key to fold it by, its place among them, its name.
 * @param {QueueRow} row
 * @param {Look} look
 * @returns {[key: string, rank: number, name: string]}
 */
export function groupOf(row, { now, sort, t }) {
  if (sort === "severity") return [`s${row.sev}`, row.sev, t(SEVERITIES[row.sev])];
  if (sort === "place") return [`p${row.place}`, 0, row.place];
  const left = limitOf(row, now) - now;
  const n = left < 0 && !row.paused ? 0 : left < TEN_MIN_MS ? 1 : left < HOUR_MS ? 2 : 3;
  return [String(n), n, [t("Overdue"), t("Within 10 minutes"), t("Within an hour"), t("Later")][n]];
}

/**
 * The groups in their order, each with what stands beneath it: rows, and bursts as one. A burst stands where its
 * first limit does, so nothing overdue is beneath a name that says otherwise; every group counts its own cases.
 * @param {Worklist} list
 * @param {Look} look
 * @returns {Group[]}
 */
export function groups(list, look) {
  const rows = byLimit([...list.shown.values()].filter((row) => passes(row, look)), look.now);
  /** @type {Map<string, QueueRow[]>} */
  const many = new Map();
  if (!look.sort) {
    for (const row of rows) {
      const key = list.burstOf.get(row.id);
      if (key) many.set(key, [...(many.get(key) ?? []), row]);
    }
  }
  /** @type {Map<string, Group>} */
  const found = new Map();
  for (const row of rows) {
    const [key, rank, name] = groupOf(row, look);
    const group = found.get(key) ?? { key, rank, name, count: 0, within: 0, items: [] };
    found.set(key, group);
    group.count += 1;
    const burst = list.burstOf.get(row.id) ?? "", all = many.get(burst) ?? [];
    if (all.length < FOLD_LEAST) group.items.push({ row });
    else {
      if (!list.opened.has(burst)) group.within += 1;
      // A suspended case has no limit that comes: the first that has one leads.
      if (row === (all.find((each) => !each.paused) ?? all[0])) group.items.push({ burst, rows: all });
    }
  }
  // Rows come by their limit: a place stands where its first case does.
  return [...found.values()].sort((a, b) => a.rank - b.rank);
}
