// The light of a clock between two turns that the server names: nothing is decided here, only looked up.

/** @typedef {"red" | "yellow" | "green"} Light */

/**
 * Return the light as of `now`: red after the limit, yellow from the turn on.
 * @param {number} now
 * @param {number} due the limit
 * @param {number | null} near when the light turns yellow; null where it never does
 * @returns {Light}
 */
export function lightAt(now, due, near) {
  return now > due ? "red" : near !== null && now >= near ? "yellow" : "green";
}
