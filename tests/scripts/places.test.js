// Proves that a phone knows which grid a point lies in, and that a wall's map knows what it must show.

import { gridAt, planOf } from "../../dashboard/components/field/pin.js";
import { boundsOf } from "../../dashboard/components/wall/map.js";
import { rampOf, signed } from "../../dashboard/components/wall/telling.js";
import { equal } from "./equal.js";

/** @param {string} code @param {number} west @param {number} south @returns {import("../../dashboard/components/shared/messages.d.ts").GridArea} */
const square = (code, west, south) => ({
  code,
  name: code,
  rings: [[[west, south], [west + 0.01, south], [west + 0.01, south + 0.01], [west, south + 0.01], [
    west,
    south,
  ]]],
});

Deno.test("a point lies in the grid whose outline holds it", () => {
  const plan = planOf({ areas: [square("A", 112, 22), square("B", 112.01, 22)] });
  if (!plan) throw new Error("there is no plan");
  /** @param {number} lon @param {number} lat */
  const found = (lon, lat) => gridAt(plan.areas, plan.to(lon, lat))?.code ?? "";
  equal([found(112.005, 22.005), found(112.015, 22.005), found(112.03, 22.005)], ["A", "B", ""]);
});

Deno.test("a spot on the plane is the point that it was made from", () => {
  const plan = planOf({ areas: [square("A", 112, 22)] });
  const { lon, lat } = plan?.from(plan.to(112.0012, 22.0034)) ?? { lon: 0, lat: 0 };
  equal([lon.toFixed(6), lat.toFixed(6)], ["112.001200", "22.003400"]);
});

Deno.test("without an outline there is no plan", () => {
  equal(planOf({ areas: [] }), null);
});

Deno.test("a map shows all of its shapes, however deep their rings lie", () => {
  const shapes = [[[[1, 2], [3, 4]]], [[[[-1, 7], [0, 0]]]]];
  const features = shapes.map((coordinates, n) => ({ id: String(n), geometry: { coordinates } }));
  equal(boundsOf({ features }), { west: -1, east: 3, south: 0, north: 7 });
});

Deno.test("a rate stands on the step of the ramp that it has passed", () => {
  /** @type {[number, number][]} */
  const rates = [[0, 0], [0, 9], [2, 100], [3, 100], [6, 100], [11, 100]];
  equal(rates.map(rampOf), [0, 0, 1, 2, 3, 4]);
});

Deno.test("a difference has its sign", () => {
  equal([signed(1234), signed(-0.52, 1), signed(0)], ["+1,234", "−0.5", "±0"]);
});
