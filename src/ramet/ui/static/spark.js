// Small drawings in the text: a trend, and a value that stays until it changes.

import { s } from "./dom.js";
import { number } from "./text.js";

function bounds(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (typeof value !== "number" || !Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

// A line through the numbers; where there is none it is broken. All members of a table share one scale, if given.
export function sparkline(values, { width = 96, height = 22, scale = null, label = "" } = {}) {
  const [low, high] = scale ?? bounds(values);
  const svg = s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  if (!(high >= low)) return svg;
  const across = (index) => 2 + (index * (width - 6)) / Math.max(1, values.length - 1);
  const up = (value) => (high === low ? height / 2 : 3 + ((high - value) * (height - 6)) / (high - low));
  let path = "";
  let pen = "M";
  let last = null;
  values.forEach((value, index) => {
    if (typeof value !== "number" || !Number.isFinite(value)) {
      pen = "M";
      return;
    }
    const x = across(index).toFixed(1);
    const y = Math.min(height - 1, Math.max(1, up(value))).toFixed(1);
    path += `${pen}${x} ${y}`;
    pen = "L";
    last = [x, y];
  });
  if (path) svg.append(s("path", { d: path }));
  if (last) svg.append(s("circle", { cx: last[0], cy: last[1], r: 2 }));
  return svg;
}

export function sparkScale(rows) {
  const [low, high] = bounds(rows.flatMap((row) => row.spark ?? []));
  return high >= low ? [low, high] : null;
}

// steps: [{from, to, value}] -> what a hyperparameter was, from when to when, with its least and greatest value.
export function stepChart(name, steps, { width = 320, height = 84 } = {}) {
  const numbers = steps.filter(({ value }) => typeof value === "number" && Number.isFinite(value));
  if (!numbers.length) return null;
  const [low, high] = bounds(numbers.map(({ value }) => value));
  const log = low > 0 && high / low > 30;
  const shape = (value) => (log ? Math.log(value) : value);
  const first = steps[0].from;
  const last = Math.max(...steps.map(({ to }) => to));
  const across = (x) => 4 + ((x - first) * (width - 8)) / Math.max(1, last - first);
  const span = shape(high) - shape(low);
  const up = (value) => (span ? 8 + ((shape(high) - shape(value)) * (height - 16)) / span : height / 2);
  let path = "";
  numbers.forEach(({ from, to, value }, index) => {
    const y = up(value).toFixed(1);
    const x = across(from).toFixed(1);
    path += `${index ? `H${x}V${y}` : `M${x} ${y}`}H${across(to).toFixed(1)}`;
  });
  const words = `${name}: ${numbers.map(({ value }) => number(value)).slice(0, 12).join(", then ")}`;
  const svg = s("svg", { class: "steps", viewBox: `0 0 ${width} ${height}`, role: "img", preserveAspectRatio: "none" });
  svg.append(s("title", {}, words), s("path", { d: path, "vector-effect": "non-scaling-stroke" }));
  return { svg, low, high, log, first, last };
}
