// The columns of the members' table: where each stands, whom it copied last, and its hyperparameters.

import { h } from "./dom.js";
import { clipped } from "./dom.js";
import { memberAddress } from "./route.js";
import { chip } from "./chips.js";
import { sparkline } from "./spark.js";
import { number } from "./text.js";
import { count } from "./text.js";
import { anything } from "./text.js";

const SHOWN = 6;
const chosenNames = new Map();

export function parameterNames(info) {
  const names = new Set(Object.keys(info.mutable ?? {}));
  for (const row of info.members) for (const name of Object.keys(row.hparams)) names.add(name);
  // What changes comes first; what is the same for all says little.
  const told = (name) => (name in (info.mutable ?? {}) ? 0 : differing(info.members, name) ? 1 : 2);
  return [...names].map((name) => [told(name), name]).sort((a, b) => a[0] - b[0]).map(([, name]) => name);
}

function differing(rows, name) {
  const first = JSON.stringify(rows[0]?.hparams[name]);
  return rows.some((row) => JSON.stringify(row.hparams[name]) !== first);
}

export function shownNames(key, names) {
  const chosen = chosenNames.get(key);
  return names.filter((name) => (chosen ? chosen.has(name) : names.indexOf(name) < SHOWN));
}

// spread() is the common scale of the trend lines; it is asked for at each drawing.
export function memberColumns(info, spread) {
  const { key } = info;
  const names = shownNames(key, parameterNames(info));
  const many = info.members.length;
  const best = (row) => (row.rank === 1 ? "strong" : "");
  return [
    { name: "member", title: "Member", number: true, low: true, width: "member", value: (row) => row.member,
      sign: (row) => String(row.member),
      node: (row) => h("a", { href: memberAddress(key, row.member), "aria-label": `Member ${row.member}` }, row.member) },
    { name: "state", title: "State", value: (row) => row.state, sign: (row) => `${row.state} ${row.error} ${row.failures}`,
      node: (row) => [chip(row.state, row.error ?? row.reason ?? null),
        row.failures ? h("span", { class: "sub bad" }, `failed ${row.failures}×`) : null] },
    { name: "rank", title: "Rank", number: true, low: true, still: true, value: (row) => row.rank ?? null },
    { name: "value", title: info.metric ?? "score", number: true, low: info.mode === "min",
      hint: `${info.metric ?? "score"}: ${info.mode === "min" ? "less" : "more"} is better`,
      value: (row) => row.value ?? null, text: (row) => number(row.value), sign: (row) => `${row.value} ${best(row)}`,
      node: (row) => h("span", { class: best(row) }, number(row.value)) },
    { name: "trend", title: "Trend", plain: true, still: true, width: "trend", value: () => null, text: () => "",
      hint: "Its scores at the last decisions; all members on one scale",
      sign: (row) => `${row.spark} ${spread()}`,
      node: (row) => sparkline(row.spark ?? [], { scale: spread(), label: `Last scores of member ${row.member}` }) },
    { name: "iteration", title: "Iteration", number: true, still: true, value: (row) => row.iteration, text: (row) => count(row.iteration) },
    { name: "exploits", title: "Copied", number: true, hint: "How often it became a clone of a better member, and of which last",
      value: (row) => row.exploits, text: (row) => `${row.exploits} ${copied(row)}`,
      sign: (row) => `${row.exploits} ${row.donor}`,
      node: (row) => [row.exploits ? h("span", { class: "dim times" }, `${row.exploits}×`) : "–",
        row.donor !== null && row.donor !== undefined ? h("span", { class: "copied", title: `Last became a clone of member ${row.donor}` },
          copied(row)) : null] },
    ...(many > 1 ? [{ name: "founder", title: "Founder", number: true, low: true, hint: "The founding segment that its weights descend from",
      value: (row) => row.founder ?? null }] : []),
    ...names.map((name) => ({ name: `h:${name}`, title: name, hint: name, width: "hparam",
      number: info.members.some((row) => typeof row.hparams[name] === "number"),
      value: (row) => sortable(row.hparams[name]), text: (row) => anything(row.hparams[name]),
      node: (row) => clipped(anything(row.hparams[name])) })),
  ];
}

function sortable(value) {
  return value !== null && typeof value === "object" ? JSON.stringify(value) : value ?? null;
}

function copied(row) {
  return row.donor === null || row.donor === undefined ? "" : `${row.member} ← ${row.donor}`;
}

// A menu of hyperparameters, where there are too many for columns; `changed` draws the table anew.
export function columnMenu(key, names, changed) {
  if (names.length <= SHOWN) return null;
  const list = h("ul", {});
  const filter = names.length > 20 ? h("input", { type: "search", placeholder: "Find a hyperparameter", "aria-label": "Find a hyperparameter",
    on: { input: draw } }) : null;
  function draw() {
    const words = filter?.value.toLowerCase() ?? "";
    const shown = new Set(shownNames(key, names));
    list.replaceChildren(...names.filter((name) => name.toLowerCase().includes(words)).slice(0, 300).map((name) => h("li", {},
      h("label", {}, h("input", { type: "checkbox", checked: shown.has(name), on: { change: (event) => pick(name, event.target.checked) } }),
        " ", clipped(name)))));
  }
  function pick(name, on) {
    const chosen = new Set(shownNames(key, names));
    if (on) chosen.add(name);
    else chosen.delete(name);
    chosenNames.set(key, chosen);
    changed();
  }
  draw();
  return h("details", { class: "menu" }, h("summary", { class: "quiet" }, `Columns: ${names.length} hyperparameters`),
    h("div", { class: "menu-body" }, filter, list));
}
