// The account's corner: a menu, a dialog for the password, and forms that our own server alone answers.

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const esc = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => ENTITIES[c]);

const COUNT_EVERY_MS = 10000, COUNTED = ["workbench", "whistles"];

/** How many cases of a page are past their limit, said beside its name in the bar; an unknown number is not said. */
function count(path, n) {
  const root = document.documentElement, name = `--gw-n-${path}`;
  if (n > 0) root.style.setProperty(name, JSON.stringify(String(n)));
  else root.style.removeProperty(name);
  root.toggleAttribute(`data-gw-n-${path}`, n > 0);
}

/** Ask for the counts now and then while the page is looked at. What a page counts by itself is left to it. */
async function ask(on) {
  const root = document.documentElement;
  let counts = {};
  if (on && !document.hidden) {
    try {
      const answer = await fetch("/counts", { signal: AbortSignal.timeout(COUNT_EVERY_MS) });
      if (answer.ok) counts = await answer.json();
    } catch { /* Not known: nothing is said. */ }
  }
  for (const path of COUNTED) if (root.dataset.gwCounts !== path) count(path, counts[path] ?? 0);
}

/** The present page in another language, everything else of its address kept. */
function inLanguage(lang) {
  const url = new URL(location.href);
  url.searchParams.set("lang", lang);
  document.cookie = `gridwhistle_lang=${lang};path=/;max-age=31536000;samesite=lax`;
  location.assign(url);
}

function signIn(lang) {
  const next = location.pathname + location.search;
  location.assign(`/login?${new URLSearchParams({ lang, next })}`);
}

/** Leave by a real form, so that the answer's cookie and page are the browser's own business. */
function leave(everywhere, lang) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = `/logout?lang=${lang}`;
  if (everywhere) form.innerHTML = '<input type="hidden" name="everywhere" value="1">';
  document.body.append(form);
  form.submit();
}

function menu(words) {
  return `<button data-do="password">${esc(words.password)}</button>
    <button data-do="out">${esc(words.out)}</button>
    <button data-do="everywhere">${esc(words.everywhere)}</button>`;
}

function dialog(words) {
  const field = (name, kind) =>
    `<label>${
      esc(words[name])
    }<input name="${name}" type="password" autocomplete="${kind}" required maxlength="128"></label>`;
  return `<dialog><form><h2>${esc(words.password)}</h2>${field("old", "current-password")}${
    field("new", "new-password")
  }
    ${field("again", "new-password")}<p class="bad" role="alert"></p><div class="row">
    <button type="button" data-do="cancel">${esc(words.cancel)}</button><button class="go">${
    esc(words.save)
  }</button></div>
    </form></dialog>`;
}

async function change(form, words, lang) {
  const said = form.querySelector(".bad"), given = new FormData(form);
  said.textContent = given.get("new") === given.get("again") ? "" : words.differ;
  if (said.textContent) return;
  try {
    const answer = await fetch(`/password?lang=${lang}`, {
      method: "POST",
      headers: { "x-gridwhistle": "1", "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ old: given.get("old"), new: given.get("new") }),
    });
    if (answer.ok) return form.closest("dialog").close();
    said.textContent = (await answer.json()).error;
  } catch {
    said.textContent = words.away;
  }
}

function draw(host, data) {
  const { words, lang, other } = data;
  const always = `${words.demo ? `<span class="demo">${esc(words.demo)}</span>` : ""}
      <button class="plain tongue" data-do="language">${esc(words.language)}</button>`;
  if (!data.name) {
    host.innerHTML = `${always}<button class="plain" data-do="in">${esc(words.in)}</button>`;
  } else {
    host.innerHTML =
      `${always}<button class="who" aria-haspopup="menu" aria-expanded="false" data-do="menu">${
        esc(data.name)
      }
      <small>${esc(data.role)} · ${esc(data.area)}</small></button><div class="menu" hidden>
      <p><b>${esc(data.name)}</b>${esc(data.role)} · ${esc(data.area)}</p>${menu(words)}</div>${
        dialog(words)
      }`;
  }
  const list = host.querySelector(".menu"),
    box = host.querySelector("dialog"),
    who = host.querySelector(".who");
  const show = (open) => {
    if (!list) return;
    list.hidden = !open;
    who.setAttribute("aria-expanded", String(open));
  };
  const acts = {
    menu: () => {
      show(list.hidden);
      list.querySelector("button").focus();
    },
    language: () => inLanguage(other),
    in: () => signIn(lang),
    out: () => leave(false, lang),
    everywhere: () => leave(true, lang),
    password: () => {
      show(false);
      box.querySelector("form").reset();
      box.showModal();
    },
    cancel: () => box.close(),
  };
  host.onclick = (event) => acts[event.target.closest("[data-do]")?.dataset.do]?.();
  // Letters typed here belong to nobody's shortcuts.
  host.onkeydown = (event) => {
    event.stopPropagation();
    if (event.key === "Escape") show(false);
  };
  if (box) {
    box.querySelector("form").onsubmit = (event) => {
      event.preventDefault();
      change(event.target, words, lang);
    };
  }
  return show;
}

const drawn = new WeakMap();

function counted(on) {
  clearInterval(window.gridwhistleCounting);
  ask(on);
  if (on) window.gridwhistleCounting = setInterval(() => ask(true), COUNT_EVERY_MS);
}

export default function (component) {
  const host = component.parentElement.querySelector(".gw-account") ?? component.parentElement;
  const said = JSON.stringify(component.data);
  // A rerun of the page must not close what is being typed into.
  if (drawn.get(host)?.said !== said) {
    drawn.set(host, { said, show: draw(host, component.data) });
    counted(Boolean(component.data.name));
  }
  const outside = (event) => {
    if (!host.contains(event.target)) drawn.get(host)?.show(false);
  };
  document.addEventListener("click", outside);
  return () => document.removeEventListener("click", outside);
}
