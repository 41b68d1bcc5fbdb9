// What every component does with its page: find elements, fill in sentences, come and go with Streamlit's reruns.

/**
 * What Streamlit hands to a component.
 * @template Data
 * @typedef {object} Given
 * @property {Data} data
 * @property {HTMLElement} parentElement
 * @property {(name: string, value: unknown) => void} setStateValue
 * @property {(name: string, value: unknown) => void} setTriggerValue
 */

/**
 * What stands in a component's place between its reruns.
 * @template Data
 * @typedef {object} Standing
 * @property {(given: Given<Data>) => void} update
 * @property {() => void} stop
 */

const AWAY_MS = 300; // a rerun may take a component away and bring it back in one breath

/**
 * Return the one element that a selector finds.
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {HTMLElement}
 */
export function one(root, selector) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`there is no ${selector}`);
  return found;
}

/**
 * Return all elements that a selector finds.
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {HTMLElement[]}
 */
export const every = (root, selector) => [...root.querySelectorAll(/** @type {"div"} */ (selector))];

/**
 * Return the element that an event came from, or the nearest around it that a selector names.
 * @param {Event} event
 * @param {string} selector
 * @returns {HTMLElement | null}
 */
export function hit(event, selector) {
  return event.target instanceof Element ? event.target.closest(/** @type {"div"} */ (selector)) : null;
}

/**
 * Return a sentence with its places filled in.
 * @param {string} sentence
 * @param {Record<string, string | number>} values
 */
export function filled(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/**
 * Return the default export of a component: begun once, updated by reruns, and stopped where it stays away.
 * `fits` tells whether what stands there can take what a rerun brings.
 * @template Data
 * @template {Standing<Data>} Kind
 * @param {(host: HTMLElement, given: Given<Data>) => Kind} begin
 * @param {(standing: Kind, data: Data) => boolean} [fits]
 * @returns {(given: Given<Data>) => () => void}
 */
export function mounting(begin, fits = () => true) {
  /** @type {WeakMap<HTMLElement, { standing: Kind, leaving: number }>} */
  const mounted = new WeakMap();
  return (given) => {
    const inner = given.parentElement.querySelector(".gw-host");
    const host = inner instanceof HTMLElement ? inner : given.parentElement;
    const known = mounted.get(host);
    if (known && fits(known.standing, given.data)) {
      clearTimeout(known.leaving);
      known.standing.update(given);
    } else {
      known?.standing.stop();
      mounted.set(host, { standing: begin(host, given), leaving: 0 });
    }
    return () => {
      const entry = mounted.get(host);
      if (!entry) return;
      entry.leaving = setTimeout(() => {
        mounted.delete(host);
        entry.standing.stop();
      }, AWAY_MS);
    };
  };
}
