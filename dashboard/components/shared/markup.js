// Markup: what may stand on a page as it is. Whatever else is put into it is escaped; nothing else is put on a page.

/** @type {Record<string, string>} */
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
/** @type {WeakMap<TemplateStringsArray, string[]>} */
const folded = new WeakMap();

/** Text that is markup already. Made by `markup`, by `joined` and by `fromServer` alone. */
export class Markup {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }

  toString() {
    return this.text;
  }
}

/**
 * What can be put into markup. Lists stand one after the other; what is not there, or is false, is nothing. A truth
 * that is to be read stands as String(truth).
 * @typedef {Markup | string | number | false | null | undefined} Piece
 */

/** @param {string} text */
const escaped = (text) => text.replace(/[&<>"']/g, (found) => ENTITIES[found]);

/**
 * @param {Piece | readonly Piece[]} value
 * @returns {string}
 */
function written(value) {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(written).join("");
  return value === false ? "" : escaped(String(value ?? ""));
}

/**
 * Take out what only lets a template be read: a line's end beside a tag or between two values is nothing, elsewhere it
 * is one space.
 * @param {TemplateStringsArray} strings
 */
function fold(strings) {
  let known = folded.get(strings);
  if (!known) {
    const last = strings.length - 1;
    known = strings.map((text, n) => {
      if (n > 0 && n < last && /^[ \t]*\n[ \t]*$/.test(text)) return "";
      let line = text;
      if (n === 0) line = line.replace(/^[ \t]*\n[ \t]*/, "");
      if (n === last) line = line.replace(/[ \t]*\n[ \t]*$/, "");
      return line.replace(/(?<=>)[ \t]*\n[ \t]*|[ \t]*\n[ \t]*(?=<)/g, "").replace(/[ \t]*\n[ \t]*/g, " ");
    });
    folded.set(strings, known);
  }
  return known;
}

/**
 * Return a template of markup with its values filled in, each escaped unless it is Markup.
 * @param {TemplateStringsArray} strings
 * @param {...(Piece | readonly Piece[])} values
 */
export function markup(strings, ...values) {
  const parts = fold(strings);
  let text = parts[0];
  for (const [n, value] of values.entries()) text += written(value) + parts[n + 1];
  return new Markup(text);
}

/**
 * Return pieces one after the other, with something between them.
 * @param {readonly Piece[]} pieces
 * @param {Piece} between
 */
export function joined(pieces, between = "") {
  return new Markup(pieces.map(written).join(written(between)));
}

/**
 * Let an element hold markup, or nothing.
 * @param {Element} element
 * @param {Markup | ""} content
 */
export function put(element, content) {
  element.innerHTML = content === "" ? "" : content.text;
}

/**
 * Take markup that the server wrote and escaped. For the panel alone.
 * @param {string} text
 */
export function fromServer(text) {
  return new Markup(text);
}
