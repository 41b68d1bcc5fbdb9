// A card of markup that the server wrote and escaped; what carries data-open is pressed and told back.

import { fromServer, put } from "../shared/markup.js";
import { every, hit, one } from "../shared/page.js";

/** @import { Given } from "../shared/page.js" */

/** @type {WeakMap<HTMLElement, string>} */
const shown = new WeakMap();

/** @param {Given<{ html: string }>} given */
export default function ({ data, parentElement, setTriggerValue }) {
  if (!parentElement.querySelector(".gw-panel")) return;
  const host = one(parentElement, ".gw-panel");
  if (shown.get(host) !== data.html) {
    // Whoever walks by keyboard stays where they were when figures change below them.
    const at = document.activeElement;
    const had = at instanceof HTMLElement && host.contains(at) ? at.dataset.open : undefined;
    // What scrolls within itself stays where it was, too.
    const tops = new Map(every(host, "[data-keep]").map((box) => [box.dataset.keep, box.scrollTop]));
    put(host, fromServer(data.html));
    for (const box of every(host, "[data-keep]")) box.scrollTop = tops.get(box.dataset.keep) ?? 0;
    shown.set(host, data.html);
    if (had) every(host, `[data-open="${CSS.escape(had)}"]`)[0]?.focus({ preventScroll: true });
  }
  host.onclick = (event) => {
    const pressed = hit(event, "[data-open]");
    if (pressed) setTriggerValue("open", pressed.dataset.open);
  };
  // A shape of a map is no button by itself.
  host.onkeydown = (event) => {
    const on = event.target;
    if (event.key !== "Enter" && event.key !== " ") return;
    if (!(on instanceof HTMLElement || on instanceof SVGElement)) return;
    if (on.tagName === "BUTTON" || !on.dataset.open) return;
    event.preventDefault();
    setTriggerValue("open", on.dataset.open);
  };
}
