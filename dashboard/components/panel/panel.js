// A card of markup that the server wrote and escaped; what carries data-open is pressed and told back.

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".gw-panel");
  if (!host) return;
  if (host.gwHtml !== data.html) {
    // Whoever walks by keyboard stays where they were when figures change below them.
    const had = host.contains(document.activeElement) ? document.activeElement.dataset.open : undefined;
    // What scrolls within itself stays where it was, too.
    const tops = new Map(
      [...host.querySelectorAll("[data-keep]")].map((box) => [box.dataset.keep, box.scrollTop]),
    );
    host.innerHTML = data.html;
    for (const box of host.querySelectorAll("[data-keep]")) box.scrollTop = tops.get(box.dataset.keep) ?? 0;
    host.gwHtml = data.html;
    if (had) host.querySelector(`[data-open="${CSS.escape(had)}"]`)?.focus({ preventScroll: true });
  }
  host.onclick = (event) => {
    const pressed = event.target.closest("[data-open]");
    if (pressed) setTriggerValue("open", pressed.dataset.open);
  };
  // A shape of a map is no button by itself.
  host.onkeydown = (event) => {
    const on = event.target;
    if ((event.key !== "Enter" && event.key !== " ") || on.tagName === "BUTTON" || !on.dataset?.open) return;
    event.preventDefault();
    setTriggerValue("open", on.dataset.open);
  };
}
