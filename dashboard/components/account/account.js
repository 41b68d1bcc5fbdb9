// The account's corner: a menu, a dialog for the password, and forms that our own server alone answers.

import { markup, put } from "../shared/markup.js";
import { hit, one } from "../shared/page.js";

/** @import { Given } from "../shared/page.js" */

/**
 * Who is signed in, if anybody, and the words of the corner.
 * @typedef {object} Account
 * @property {string} lang
 * @property {string} other the other language
 * @property {Record<string, string>} words
 * @property {string} [name]
 * @property {string} [role]
 * @property {string} [area]
 */

const COUNT_EVERY_MS = 10000, COUNTED = ["workbench", "whistles"];

/**
 * How many cases of a page are past their limit, said beside its name in the bar; an unknown number is not said.
 * @param {string} path
 * @param {number} n
 */
function count(path, n) {
  const root = document.documentElement, name = `--gw-n-${path}`;
  if (n > 0) root.style.setProperty(name, JSON.stringify(String(n)));
  else root.style.removeProperty(name);
  root.toggleAttribute(`data-gw-n-${path}`, n > 0);
}

/**
 * Ask for the counts now and then while the page is looked at. What a page counts by itself is left to it.
 * @param {boolean} on
 */
async function ask(on) {
  const root = document.documentElement;
  /** @type {Record<string, number>} */
  let counts = {};
  if (on && !document.hidden) {
    try {
      const answer = await fetch("/counts", { signal: AbortSignal.timeout(COUNT_EVERY_MS) });
      if (answer.ok) counts = await answer.json();
    } catch { /* Not known: nothing is said. */ }
  }
  for (const path of COUNTED) if (root.dataset.gwCounts !== path) count(path, counts[path] ?? 0);
}

/**
 * Open the present page in another language, everything else of its address kept.
 * @param {string} lang
 */
function inLanguage(lang) {
  const url = new URL(location.href);
  url.searchParams.set("lang", lang);
  document.cookie = `gridwhistle_lang=${lang};path=/;max-age=31536000;samesite=lax`;
  location.assign(url);
}

/** @param {string} lang */
function signIn(lang) {
  const next = location.pathname + location.search;
  location.assign(`/login?${new URLSearchParams({ lang, next })}`);
}

/**
 * Leave by a real form, so that the answer's cookie and page are the browser's own business.
 * @param {boolean} everywhere
 * @param {string} lang
 */
function leave(everywhere, lang) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = `/logout?lang=${lang}`;
  if (everywhere) put(form, markup`<input type="hidden" name="everywhere" value="1">`);
  document.body.append(form);
  form.submit();
}

/** @param {Record<string, string>} words */
function menu(words) {
  return markup`
    <button data-do="password">${words.password}</button>
    <button data-do="out">${words.out}</button>
    <button data-do="everywhere">${words.everywhere}</button>`;
}

/** @param {Record<string, string>} words */
function dialog(words) {
  /** @param {string} name @param {string} kind */
  const field = (name, kind) =>
    markup`
      <label>
        ${words[name]}
        <input name="${name}" type="password" autocomplete="${kind}" required maxlength="128">
      </label>`;
  return markup`
    <dialog>
      <form>
        <h2>${words.password}</h2>
        ${field("old", "current-password")}
        ${field("new", "new-password")}
        ${field("again", "new-password")}
        <p class="bad" role="alert"></p>
        <div class="row">
          <button type="button" data-do="cancel">${words.cancel}</button>
          <button class="go">${words.save}</button>
        </div>
      </form>
    </dialog>`;
}

/**
 * @param {HTMLFormElement} form
 * @param {Record<string, string>} words
 * @param {string} lang
 */
async function change(form, words, lang) {
  const said = one(form, ".bad"), given = new FormData(form);
  said.textContent = given.get("new") === given.get("again") ? "" : words.differ;
  if (said.textContent) return;
  try {
    const answer = await fetch(`/password?lang=${lang}`, {
      method: "POST",
      headers: { "x-gridwhistle": "1", "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ old: String(given.get("old")), new: String(given.get("new")) }),
    });
    if (answer.ok) {
      form.closest("dialog")?.close();
      return;
    }
    said.textContent = (await answer.json()).error;
  } catch {
    said.textContent = words.away;
  }
}

/**
 * @param {HTMLElement} host
 * @param {Account} data
 * @returns {(open: boolean) => void} what opens and closes the menu
 */
function draw(host, data) {
  const { words, lang, other } = data;
  const always = markup`
    ${words.demo && markup`<span class="demo">${words.demo}</span>`}
    <button class="plain tongue" data-do="language">${words.language}</button>`;
  if (data.name === undefined) {
    put(host, markup`${always}<button class="plain" data-do="in">${words.in}</button>`);
  } else {
    put(
      host,
      markup`
        ${always}
        <button class="who" aria-haspopup="menu" aria-expanded="false" data-do="menu">
          ${data.name} <small>${data.role} · ${data.area}</small>
        </button>
        <div class="menu" hidden><p><b>${data.name}</b>${data.role} · ${data.area}</p>${menu(words)}</div>
        ${dialog(words)}`,
    );
  }
  const box = host.querySelector("dialog"), form = box?.querySelector("form");
  /** @param {boolean} open */
  const show = (open) => {
    if (data.name === undefined) return;
    one(host, ".menu").hidden = !open;
    one(host, ".who").setAttribute("aria-expanded", String(open));
  };
  /** @type {Record<string, () => void>} */
  const acts = {
    menu: () => {
      show(one(host, ".menu").hidden === true);
      one(host, ".menu button").focus();
    },
    language: () => inLanguage(other),
    in: () => signIn(lang),
    out: () => leave(false, lang),
    everywhere: () => leave(true, lang),
    password: () => {
      show(false);
      form?.reset();
      box?.showModal();
    },
    cancel: () => box?.close(),
  };
  host.onclick = (event) => acts[hit(event, "[data-do]")?.dataset.do ?? ""]?.();
  // Letters typed here belong to nobody's shortcuts.
  host.onkeydown = (event) => {
    event.stopPropagation();
    if (event.key === "Escape") show(false);
  };
  if (form) {
    form.onsubmit = (event) => {
      event.preventDefault();
      change(form, words, lang);
    };
  }
  return show;
}

/** @type {WeakMap<HTMLElement, { said: string, show: (open: boolean) => void }>} */
const drawn = new WeakMap();
const page = /** @type {{ gridwhistleCounting?: number }} */ (globalThis); // pages come and go, their counting is one

/** @param {boolean} on */
function counted(on) {
  clearInterval(page.gridwhistleCounting);
  ask(on);
  if (on) page.gridwhistleCounting = setInterval(() => ask(true), COUNT_EVERY_MS);
}

/** @param {Given<Account>} given */
export default function ({ data, parentElement }) {
  const host = one(parentElement, ".gw-account"), said = JSON.stringify(data);
  // A rerun of the page must not close what is being typed into.
  if (drawn.get(host)?.said !== said) {
    drawn.set(host, { said, show: draw(host, data) });
    counted(Boolean(data.name));
  }
  /** @param {MouseEvent} event */
  const outside = (event) => {
    if (!(event.target instanceof Node && host.contains(event.target))) drawn.get(host)?.show(false);
  };
  document.addEventListener("click", outside);
  return () => document.removeEventListener("click", outside);
}
