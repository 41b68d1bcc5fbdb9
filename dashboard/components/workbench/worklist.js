// The list as a person sees it beside the queue as it is: what others do to it waits until it is let in.

/** @import { Burst, DeskMessage, QueueRow } from "../shared/messages.d.ts" */

/** Holds every row as known, and the list as it stands before one person. Cases are named by their ids. */
export class Worklist {
  /** @param {string} me whose own steps change the list at once, such as `account/7` */
  constructor(me) {
    this.me = me;
    /** @type {Map<string, QueueRow>} */
    this.known = new Map(); // as the server last said
    /** @type {Map<string, QueueRow & { was?: string }>} */
    this.shown = new Map(); // as the list stands: what others do to it waits for the person's N
    /** @type {Set<string>} */
    this.fresh = new Set(); // new work above the list
    /** @type {Map<string, QueueRow>} */
    this.taken = new Map(); // rows that somebody else moved on
    /** @type {Map<string, Burst>} */
    this.bursts = new Map(); // key -> many cases that are one matter, as the server found them
    /** @type {Map<string, string>} */
    this.burstOf = new Map(); // id -> key
    /** @type {Set<string>} */
    this.opened = new Set(); // bursts whose cases stand each by itself beneath it
    /** @type {number | null} */
    this.all = null; // how many there are; null until the server has said
  }

  /**
   * Take what the server says: the whole queue, or rows that changed.
   * @param {DeskMessage} said
   */
  take(said) {
    if (!said.rows) return;
    const first = this.all === null;
    this.all = said.all ?? null;
    if (said.bursts) this.gather(said.bursts);
    if (said.full) {
      const there = new Set(said.rows.map((row) => row.id));
      for (const id of this.known.keys()) if (!there.has(id)) this.known.delete(id);
      if (first) {
        for (const row of said.rows) {
          this.known.set(row.id, row);
          this.shown.set(row.id, row);
        }
        return;
      }
      for (const [id, row] of this.shown) {
        if (!there.has(id) && !this.taken.has(id)) this.taken.set(id, { ...row, stage: "" });
      }
      for (const id of [...this.fresh]) if (!there.has(id)) this.fresh.delete(id);
    }
    for (const row of said.rows) this.fold(row);
  }

  /**
   * Take one row that changed. What the person did themselves, and what the house did, changes the list at once.
   * @param {QueueRow} row
   */
  fold(row) {
    const own = row.who === this.me || row.who === "system", standing = this.shown.get(row.id);
    if (row.stage) this.known.set(row.id, row);
    else {
      this.known.delete(row.id);
      this.fresh.delete(row.id);
    }
    if (standing) {
      if (row.stage === standing.stage || row.stage === standing.was || own) {
        this.taken.delete(row.id);
        if (row.stage) this.shown.set(row.id, row);
        else this.shown.delete(row.id);
      } else if (row.seq !== standing.seq) this.taken.set(row.id, row);
    } else if (row.stage === "in_hand" || row.who === this.me) {
      if (row.stage) this.shown.set(row.id, row);
      this.fresh.delete(row.id);
    } else if (row.stage) this.fresh.add(row.id);
  }

  /**
   * Take the bursts as they are now. One is named by its oldest case: where that ended, what was open stays open.
   * @param {Burst[]} bursts
   */
  gather(bursts) {
    const before = this.bursts;
    this.bursts = new Map(bursts.map((burst) => [burst.key, burst]));
    this.burstOf = new Map(bursts.flatMap((burst) => burst.ids.map((id) => [id, burst.key])));
    for (const key of [...this.opened]) {
      if (this.bursts.has(key) || !before.has(key)) continue;
      this.opened.delete(key);
      const now = before.get(key)?.ids.map((id) => this.burstOf.get(id)).find(Boolean);
      if (now) this.opened.add(now);
    }
  }

  /** Let what waited into the list, and what others took out of it. */
  settle() {
    for (const id of this.fresh) {
      const row = this.known.get(id);
      if (row) this.shown.set(id, row);
    }
    for (const [id, row] of this.taken) {
      if (row.stage) this.shown.set(id, row);
      else this.shown.delete(id);
    }
    this.fresh.clear();
    this.taken.clear();
  }
}
