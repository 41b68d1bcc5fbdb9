// The one thing that these tests ask: that two values are the same, all the way down.

/**
 * @param {unknown} found
 * @param {unknown} wanted
 */
export function equal(found, wanted) {
  const [one, other] = [found, wanted].map((value) => JSON.stringify(value));
  if (one !== other) throw new Error(`found    ${one}\nexpected ${other}`);
}
