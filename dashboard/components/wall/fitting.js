// Lines of a wall: each says as much as there is room for, in the fullest wordings that fit, and none is ever cut.

import { markup } from "../shared/markup.js";
import { every } from "../shared/page.js";

const NARROW = 0.78, NARROWEST = 0.5; // how much narrower a line is set than its type, gladly and at the very most
const TURNS = 12;

/** @typedef {{ element: HTMLElement, texts: string[], at: number }} Place of a line, and which wording it has */

/**
 * Wordings of one thing, the fullest first; names are never cut, so the first that fits its place is shown.
 * @param {...(string | undefined | (string | undefined)[])} wordings
 */
export function fit(...wordings) {
  const texts = [...new Set(wordings.flat().filter((text) => text !== undefined))];
  return markup`<span class="fit" data-fit="${JSON.stringify(texts)}">${texts[0]}</span>`;
}

/**
 * Give the next shorter wording to the place that loses least by it: of those left, the longest one.
 * @param {Place[]} places
 * @param {boolean} empty whether a wording may be nothing
 * @returns {boolean} whether there was one
 */
function shorten(places, empty) {
  const open = places.filter(({ texts, at }) => at + 1 < texts.length && (empty || texts[at + 1]));
  const next = open.sort((a, b) => b.texts[b.at].length - a.texts[a.at].length)[0];
  if (!next) return false;
  next.at += 1;
  next.element.textContent = next.texts[next.at];
  return true;
}

/**
 * @param {HTMLElement} line
 * @param {Place[]} places
 */
function narrow(line, places) {
  const over = () => line.scrollWidth > line.clientWidth,
    part = () => (line.clientWidth - 1) / line.scrollWidth;
  for (let turn = 0; over() && turn < TURNS && shorten(places, false); turn += 1);
  if (over() && part() < NARROW) {
    line.classList.add("tight");
    if (part() < NARROW) { for (let turn = 0; over() && turn < TURNS && shorten(places, true); turn += 1); }
  }
  if (!over()) return;
  const room = line.clientWidth, wide = room / Math.max(NARROWEST, part());
  Object.assign(line.style, {
    width: `${wide}px`,
    maxWidth: "none",
    marginRight: `${room - wide}px`,
    flexShrink: "0",
    transform: `scaleX(${room / wide})`,
  });
}

/**
 * Let every line of a tile choose the fullest wordings that fit. Where the shortest are too long it is set narrower,
 * then in the smallest type, then with fewer words (an empty wording), and never cut.
 * @param {HTMLElement} body
 */
export function settle(body) {
  // All begin anew together: how much room a line has may hang on its neighbour.
  const lines = every(body, ".fits").map((line) => {
    Object.assign(line.style, { transform: "", width: "", maxWidth: "", marginRight: "", flexShrink: "" });
    line.classList.remove("tight");
    const places = every(line, "[data-fit]").map((element) => {
      /** @type {string[]} */
      const texts = JSON.parse(element.dataset.fit ?? "[]");
      element.textContent = texts[0];
      return { element, texts, at: 0 };
    });
    return { line, places };
  });
  for (const { line, places } of lines) narrow(line, places);
  for (const value of every(body, ".v")) {
    value.classList.remove("bare");
    value.classList.toggle("bare", value.scrollWidth > value.clientWidth);
  }
}
