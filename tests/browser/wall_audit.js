// Every text of a wall with the box of its ink: what touches another, leaves its tile, is cut, or is too small.
(() => {
  const wall = document.querySelector(".gw-wall"), stage = wall.querySelector(".stage"), found = [];
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize),
    pen = document.createElement("canvas").getContext("2d");
  const tall = ({ scrollWidth, clientWidth, scrollHeight, clientHeight }, across = 1) =>
    scrollWidth > clientWidth + across || scrollHeight > clientHeight + 1;
  for (const root of [document.documentElement, document.body]) {
    if (tall(root)) found.push("the page scrolls");
  }
  const walker = document.createTreeWalker(stage, NodeFilter.SHOW_TEXT), inks = [];
  const name = (e) => (e.closest(".tile, header").className || "header").replace(/^tile tile-/, "");
  while (walker.nextNode()) {
    const node = walker.currentNode, text = node.textContent.trim(), element = node.parentElement;
    if (!text || element.closest("[hidden]")) continue;
    const style = getComputedStyle(element), range = document.createRange();
    range.selectNodeContents(node);
    const all = range.getBoundingClientRect();
    if (!all.width || style.visibility === "hidden") continue;
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const size = pen.measureText(text), lines = [...range.getClientRects()];
    const ink = {
      left: all.left,
      right: all.right,
      top: lines[0].top + size.fontBoundingBoxAscent - size.actualBoundingBoxAscent,
      bottom: lines.at(-1).top + size.fontBoundingBoxAscent + size.actualBoundingBoxDescent,
    };
    const where = `${name(element)}: "${text}"`;
    if (parseFloat(style.fontSize) < 1.8 * rem - 0.01) {
      found.push(`${where} is set in ${(parseFloat(style.fontSize) / rem).toFixed(2)} rem`);
    }
    let gone = false;
    for (let box = element; box && box !== wall; box = box.parentElement) {
      if (getComputedStyle(box).overflowX !== "hidden") continue;
      const clip = box.getBoundingClientRect();
      const out = ink.left >= clip.right - 0.5 || ink.right <= clip.left + 0.5 ||
        ink.top >= clip.bottom - 0.5 || ink.bottom <= clip.top + 0.5;
      // Lists that say as much as there is room for let whole entries go.
      if (out && box.matches(".tick ul, .scale, .crumbs")) {
        gone = true;
        break;
      }
      if (
        ink.left < clip.left - 1.5 || ink.right > clip.right + 1.5 || ink.top < clip.top - 1.5 ||
        ink.bottom > clip.bottom + 1.5
      ) {
        found.push(
          `${where} is cut by ${box.className} (${
            [ink.left - clip.left, ink.top - clip.top, clip.right - ink.right, clip.bottom - ink.bottom].map(
              Math.round,
            )
          })`,
        );
        break;
      }
    }
    if (gone) continue;
    const home = element.closest(".tile, header").getBoundingClientRect();
    if (
      ink.left < home.left - 1 || ink.right > home.right + 1 || ink.top < home.top - 1 ||
      ink.bottom > home.bottom + 1
    ) found.push(`${where} leaves its tile`);
    inks.push([ink, where, element.closest(".tile, header")]);
  }
  inks.forEach(([a, one, tile], n) =>
    inks.slice(n + 1).forEach(([b, other, its]) => {
      if (
        tile === its && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1
      ) found.push(`${one} touches ${other}`);
    })
  );
  for (const tile of wall.querySelectorAll(".tile")) {
    if (tile.scrollWidth > tile.clientWidth + 1) found.push(`${tile.className} is wider than its frame`);
  }
  const tiles = [...wall.querySelectorAll(".tile")].map((
    tile,
  ) => [tile.getBoundingClientRect(), tile.className]);
  tiles.forEach(([a, one], n) =>
    tiles.slice(n + 1).forEach(([b, other]) => {
      if (
        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 &&
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5
      ) found.push(`${one} lies on ${other}`);
    })
  );
  return { found, texts: inks.length };
});
