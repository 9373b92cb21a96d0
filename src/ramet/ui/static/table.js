// A table that can be sorted and filtered, and that changes only the cells whose text has changed.
//
// A column: {name, title, value(row), text(row)?, node(row)?, sign(row)?, number?, width?, hint?, plain?, still?}
// value sorts and filters; text is shown (of value, if not given); node draws a cell anew whenever sign(row) changes.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { anything } from "./text.js";
import { count } from "./text.js";

const AT_ONCE = 100;
const remembrance = new Map();

function memory(name, sort) {
  if (!remembrance.has(name)) remembrance.set(name, { sort, text: "", state: "" });
  return remembrance.get(name);
}

// table({name, caption, columns, identify(row), rows, sort: [column, "ascending"], states?(row), tools?, empty?})
export function table(options) {
  const { name, caption, identify, unit = "row" } = options;
  const state = memory(name, options.sort ?? null);
  let columns = options.columns;
  let rows = [];
  const lines = new Map();
  let pattern = null;

  const head = h("tr");
  const body = h("tbody");
  const told = h("span", { class: "dim told", role: "status" });
  const nothing = h("p", { class: "nothing", hidden: true });
  const filter = h("input", {
    type: "search", class: "filter", placeholder: "Filter", "aria-label": `Filter: ${caption}`,
    "data-filter": true, autocomplete: "off", spellcheck: "false", value: state.text,
    on: { input: () => { state.text = filter.value; arrange(); } },
  });
  const choice = h("select", { "aria-label": "State", hidden: true, on: {
    change: () => { state.state = choice.value; arrange(); } } });
  const box = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: "grid" }, h("caption", { class: "unseen" }, caption), h("thead", {}, head), body), nothing);
  const bar = h("div", { class: "tools" }, filter, choice, options.tools ?? null, told);
  const element = h("section", { class: "table" }, bar, box);

  function drawHead() {
    fill(head, columns.map((column) => {
      const sorted = state.sort?.[0] === column.name ? state.sort[1] : "none";
      const button = column.plain ? h("span", {}, column.title) : h("button", { type: "button", title: column.hint,
        on: { click: () => sortBy(column) } }, h("span", { class: "clip" }, column.title), h("i", { "aria-hidden": "true" }));
      return h("th", { scope: "col", class: cellClass(column), title: column.hint ?? column.title,
        "aria-sort": column.plain ? null : sorted }, button);
    }));
  }

  function sortBy(column) {
    const [now, way] = state.sort ?? [];
    const first = column.number && !column.low ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    state.sort = [column.name, now === column.name && way === first ? other : first];
    const index = columns.indexOf(column);
    drawHead();
    head.children[index].querySelector("button")?.focus();
    arrange();
  }

  // Rows without a value come last, whichever way the others go.
  function compare(a, b) {
    const column = columns.find((one) => one.name === state.sort?.[0]);
    if (!column) return 0;
    const [x, y] = [column.value(a), column.value(b)];
    const [none, nor] = [x === null || x === undefined, y === null || y === undefined];
    if (none || nor) return none - nor;
    const order = typeof x === "number" && typeof y === "number" ? x - y
      : String(x).localeCompare(String(y), undefined, { numeric: true });
    return state.sort[1] === "descending" ? -order : order;
  }

  function wanted(row) {
    if (state.state && options.states(row) !== state.state) return false;
    if (!state.text) return true;
    const words = columns.map((column) => (column.text ? column.text(row) : anything(column.value(row)))).join(" ");
    const all = `${words} ${options.words?.(row) ?? ""}`.toLowerCase();
    return state.text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
  }

  // All rows are alike before anything is written in them, and a copy is made faster than the first.
  function makeLine() {
    pattern ??= h("tr", {}, columns.map((column, index) => h(index === (options.heading ?? 0) ? "th" : "td", {
      class: cellClass(column), scope: index === (options.heading ?? 0) ? "row" : null })));
    const tr = pattern.cloneNode(true);
    return { element: tr, cells: [...tr.children], signs: [] };
  }

  function drawLine(line, row, fresh) {
    columns.forEach((column, index) => {
      const sign = column.sign ? column.sign(row) : column.text ? column.text(row) : anything(column.value(row));
      const before = line.signs[index];
      if (before === sign) return;
      const cell = line.cells[index];
      if (column.node) fill(cell, column.node(row));
      else {
        cell.textContent = sign;
        if (sign.length > 14) cell.title = sign;
        else if (!fresh) cell.removeAttribute("title");
      }
      if (!fresh && !column.still && before && before !== "–") flash(cell);
      line.signs[index] = sign;
    });
    const mark = options.mark?.(row) ?? "";
    if (line.element.className !== mark) line.element.className = mark;
  }

  // The order of what is shown; an element that is in its place is not moved, so that it keeps the focus.
  function arrange() {
    const fitting = rows.filter(wanted);
    const chosen = fitting.filter((row) => lines.has(identify(row))).sort(compare);
    const held = document.activeElement;
    let place = body.firstChild;
    for (const row of chosen) {
      const { element: tr } = lines.get(identify(row));
      if (tr === place) place = place.nextSibling;
      else body.insertBefore(tr, place);
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
    if (held && held !== document.activeElement && body.contains(held)) held.focus({ preventScroll: true });
    const part = fitting.length < rows.length;
    told.textContent = part ? `${count(fitting.length)} of ${count(rows.length)} ${unit}s` : "";
    nothing.hidden = chosen.length > 0;
    nothing.textContent = rows.length ? "Nothing here fits the filter." : (options.empty ?? "Nothing yet.");
    bar.classList.toggle("idle", rows.length < 2 && !state.text && !options.tools);
  }

  function offerStates() {
    if (!options.states) return;
    const found = [...new Set(rows.map(options.states))].sort();
    choice.hidden = found.length < 2 && !state.state;
    if (state.state && !found.includes(state.state)) found.push(state.state);
    const sign = found.join("\n");
    if (choice.dataset.sign === sign) return;
    choice.dataset.sign = sign;
    fill(choice, h("option", { value: "" }, "every state"), found.map((one) => h("option", { value: one }, one)));
    choice.value = state.state;
  }

  // Of very many new rows those at the top are drawn at once, and the others when these can be seen.
  function update(newest) {
    rows = newest;
    const many = lines.size === 0 && rows.length > AT_ONCE;
    if (many) requestAnimationFrame(() => setTimeout(() => update(rows)));
    const there = new Set();
    for (const row of many ? [...rows].sort(compare).slice(0, AT_ONCE) : rows) {
      const key = identify(row);
      there.add(key);
      const line = lines.get(key);
      if (line) drawLine(line, row, false);
      else {
        lines.set(key, makeLine());
        drawLine(lines.get(key), row, true);
      }
    }
    for (const key of lines.keys()) {
      if (!there.has(key)) {
        lines.get(key).element.remove();
        lines.delete(key);
      }
    }
    offerStates();
    arrange();
  }

  function recolumn(newest) {
    columns = newest;
    pattern = null;
    for (const { element: tr } of lines.values()) tr.remove();
    lines.clear();
    drawHead();
    update(rows);
  }

  drawHead();
  update(options.rows ?? []);
  return { element, update, recolumn, rows: () => rows };
}

function cellClass(column) {
  return [column.number ? "number" : "", column.width ?? ""].filter(Boolean).join(" ") || null;
}

// A value that has changed lights up once; the style sheet leaves it out for those who want no motion.
function flash(cell) {
  cell.classList.remove("flash");
  requestAnimationFrame(() => cell.classList.add("flash"));
}
