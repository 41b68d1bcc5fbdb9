// A command desk, live: its head, its queue, a case's clocks and its small map. All parts share one line to the server.

import { mounting } from "../shared/page.js";
import { CaseMap } from "./casemap.js";
import { Head, Place } from "./head.js";
import { Queue } from "./queue.js";
import { Clocks } from "./strip.js";

/** @import { Given } from "../shared/page.js" */
/** @import { Part, PartData } from "./desk.js" */

/** @type {Record<string, new (host: HTMLElement, given: Given<any>) => Part<any>>} */
const PARTS = { head: Head, queue: Queue, place: Place, clocks: Clocks, map: CaseMap };

/**
 * Tell whether a part can take what a rerun brings: it is the same part of the same desk.
 * @param {Part<any>} part
 * @param {PartData} data
 */
const same = (part, data) =>
  part.data.part === data.part && part.desk.area === data.area && part.desk.lang === data.lang;

export default mounting(
  (host, /** @type {Given<PartData>} */ given) => new PARTS[given.data.part](host, given),
  same,
);
