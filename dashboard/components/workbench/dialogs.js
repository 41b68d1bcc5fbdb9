// What the keyboard does in a dialog of the desk: the focus goes to what is to be written, and Enter sends it.

import { every } from "../shared/page.js";
import { STREAMLIT } from "../shared/streamlit.js";

export const DIALOG_MS = 150; // nothing more has come into a dialog
const LONGEST_MS = 4 * DIALOG_MS; // what moves all the time on the page keeps no focus away for longer
const COMING_MS = 20000; // what comes later takes no focus

/**
 * A field, as far as it is looked at here.
 * @typedef {HTMLElement & { type?: string, value?: string, disabled?: boolean, select?: () => void }} Field
 */

/**
 * Tell whether a key belongs to what has the focus: a box that is ticked takes no letters.
 * @param {EventTarget | null} at
 */
export function typing(at) {
  if (!(at instanceof HTMLElement)) return false;
  if (at.isContentEditable || /^(TEXTAREA|SELECT)$/.test(at.tagName)) return true;
  return at instanceof HTMLInputElement && !/^(checkbox|radio|range|button)$/.test(at.type);
}

/**
 * The fields of a dialog that are written into.
 * @param {Element} dialog
 * @returns {Field[]}
 */
const fieldsOf = (dialog) =>
  every(dialog, "input, textarea").filter((/** @type {Field} */ field) => typing(field) && !field.disabled);

/** The dialog that stands, if one does. */
export const dialogOf = () => every(document, STREAMLIT.dialog)[0] ?? null;

/** Watches the dialogs of a page. */
export class Dialogs {
  constructor() {
    /** @type {HTMLElement | null} */
    this.dialog = null;
    this.begun = false; // whether the person has begun, and takes the focus where they like
    this.came = 0;
    this.meeting = 0;
    this.latest = 0; // when the focus is given though something still moves
    this.watch = new MutationObserver(() => this.met());
    this.watch.observe(document.body, { childList: true, subtree: true });
    // What is pasted, dictated or drawn by hand comes without a key.
    this.written = (/** @type {Event} */ event) => {
      if (event.target instanceof Node && this.dialog?.contains(event.target)) this.begun = true;
    };
    document.addEventListener("input", this.written, true);
  }

  stop() {
    document.removeEventListener("input", this.written, true);
    this.watch.disconnect();
    clearTimeout(this.meeting);
  }

  /**
   * Give the focus of a dialog that has just come to its first empty field, else to its text, else to its button. Its
   * fields come one after the other, and its own wish is its way out: until the person begins, it is looked anew.
   */
  met() {
    const dialog = dialogOf();
    if (dialog !== this.dialog) {
      this.dialog = dialog;
      this.begun = !dialog;
      this.came = Date.now();
    }
    if (this.begun || !dialog) return;
    clearTimeout(this.meeting);
    this.latest ||= Date.now() + LONGEST_MS;
    this.meeting = setTimeout(() => {
      this.latest = 0;
      /** @type {Field | undefined} */
      const send = every(dialog, STREAMLIT.send)[0];
      if (this.begun || !send || Date.now() - this.came > COMING_MS) return;
      const fields = fieldsOf(dialog);
      const first = fields.find((field) => !field.value) ??
        fields.find((field) => field.getAttribute("role") !== "combobox") ?? send;
      if (first === document.activeElement) return;
      first.focus();
      first.select?.();
    }, Math.max(0, Math.min(DIALOG_MS, this.latest - Date.now())));
  }

  /**
   * In a dialog Enter sends it, from any field but an open menu; with Shift it begins a new line in a long text. No
   * letter reaches the page behind it.
   * @param {KeyboardEvent} event
   * @param {HTMLElement} dialog
   */
  answered(event, dialog) {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    this.begun = true;
    if (!(event.target instanceof HTMLElement)) return;
    /** @type {Field} */
    const at = event.target;
    if (event.key !== "Enter") {
      if (plain && event.key.length === 1 && event.key !== " " && !typing(at)) {
        event.stopImmediatePropagation();
      }
      return;
    }
    /** @type {Field | undefined} */
    const send = every(dialog, STREAMLIT.send).at(-1);
    if (!send) return;
    if (at.getAttribute("aria-expanded") === "true") {
      // What was chosen from a menu leads on to what is still empty; nothing was where it still stands open.
      setTimeout(() => {
        if (at.value && at.getAttribute("aria-expanded") !== "true") {
          (fieldsOf(dialog).find((field) => !field.value) ?? at).focus();
        }
      }, DIALOG_MS);
      return;
    }
    const other = at.closest("button, a, summary") && at.closest("button") !== send;
    if (!dialog.contains(at) || event.shiftKey || event.isComposing || other) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat || send.disabled) return;
    // What was written is told first.
    if (typing(at)) at.blur();
    setTimeout(() => send.click(), 0);
  }
}
