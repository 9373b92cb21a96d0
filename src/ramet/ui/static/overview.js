// A run at a glance: every member in a table, the curve of all of them, the best one, and what happened last.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { clipped } from "./dom.js";
import { ask } from "./ask.js";
import { memberAddress } from "./route.js";
import { runAddress } from "./route.js";
import { table } from "./table.js";
import { sparkScale } from "./spark.js";
import { memberColumns } from "./columns.js";
import { parameterNames } from "./columns.js";
import { columnMenu } from "./columns.js";
import { framesUnder } from "./pictures.js";
import { eventLine } from "./events.js";
import { number } from "./text.js";
import { anything } from "./text.js";
import { count } from "./text.js";

const LATEST = 12;

export function overviewTab(key, place, info) {
  const began = performance.now();
  let scale = sparkScale(info.members);
  let names = parameterNames(info);
  let now = info;
  const spread = () => scale;
  const menu = h("span", { class: "menu-place" });
  const members = table({
    name: `members ${key}`, caption: "Members", unit: "member", identify: (row) => row.member, columns: memberColumns(info, spread),
    rows: info.members, sort: ["rank", "ascending"], states: (row) => row.state, words: (row) => row.error ?? "",
    tools: menu, mark: (row) => (row.rank === 1 ? "is-best" : row.state === "failed" ? "is-failed" : ""),
    empty: "No member has begun yet.",
  });
  const frames = framesUnder(key, "overview", info);
  const best = h("section", { class: "card" });
  const latest = h("ol", { class: "events compact", "aria-label": "Latest events" });
  const setup = h("section", { class: "card" });
  offerMenu();
  fill(place, h("div", { class: "glance" },
    h("div", { class: "glance-main" }, frames.map((frame) => frame.element), members.element),
    h("aside", { class: "glance-side" }, best,
      h("section", { class: "card" }, h("h2", {}, "Latest"), latest, h("p", {}, h("a", { href: runAddress(key, "events") }, "All events"))),
      setup)));
  fill(setup, setupLines(info));
  drawBest(info);
  performance.measure("ramet members table", { start: began });

  function offerMenu() {
    const made = columnMenu(key, names, () => members.recolumn(memberColumns(now, spread)));
    fill(menu, made);
  }

  function drawBest({ best: leader, metric }) {
    fill(best, h("h2", {}, "Best member"), leader
      ? [h("p", { class: "big" }, h("a", { href: memberAddress(key, leader.member) }, `Member ${leader.member}`),
        h("span", { class: "big-value" }, number(leader.value))),
      h("p", { class: "dim" }, clipped(metric ?? "score"), ` at iteration ${count(leader.iteration)}`), parameters(leader.hparams)]
      : h("p", { class: "dim" }, "No member has a score yet."));
  }

  async function drawLatest() {
    try {
      const { events } = await ask(`run/${key}/events?limit=${LATEST}`);
      fill(latest, events.slice(0, LATEST).map((event) => eventLine(key, event)));
      if (!events.length) fill(latest, h("li", { class: "nothing" }, "Nothing has happened yet."));
    } catch (error) {
      fill(latest, h("li", { class: "nothing" }, error.message));
    }
  }

  function update(newest) {
    now = newest;
    scale = sparkScale(newest.members);
    const found = parameterNames(newest);
    if (found.join("\n") !== names.join("\n") || (newest.members.length > 1) !== (info.members.length > 1)) {
      names = found;
      info = newest;
      offerMenu();
      members.recolumn(memberColumns(newest, spread));
    }
    members.update(newest.members);
    drawBest(newest);
    frames.forEach((frame) => frame.refresh(newest.version));
    drawLatest();
  }

  return { update, stop: () => frames.forEach((frame) => frame.stop()) };
}

export function parameters(values, limit = 12) {
  const all = Object.entries(values ?? {});
  const line = ([name, value]) => [h("dt", {}, clipped(name)), h("dd", {}, clipped(anything(value)))];
  const rest = all.slice(limit);
  return [h("dl", { class: "pairs" }, all.slice(0, limit).map(line)),
    rest.length ? h("details", {}, h("summary", {}, `${rest.length} more`), h("dl", { class: "pairs" }, rest.map(line))) : null];
}

function setupLines(info) {
  const { name, ...rest } = info.strategy ?? {};
  const domains = Object.fromEntries(Object.entries(info.mutable ?? {}).map(([one, domain]) => [one, domainText(domain)]));
  const stop = info.stop && Object.keys(info.stop).length ? info.stop : null;
  return [h("h2", {}, "Setup"),
    h("dl", { class: "pairs" }, h("dt", {}, "Strategy"), h("dd", {}, clipped(anything(name ?? null))),
      h("dt", {}, "Seed"), h("dd", {}, clipped(info.seed === null ? "–" : String(info.seed))),
      h("dt", {}, "Time"), h("dd", {}, clipped(anything(info.time_attr))),
      stop ? [h("dt", {}, "Stops at"), h("dd", {}, clipped(anything(stop)))] : null),
    Object.keys(domains).length ? [h("h3", {}, "Mutable"), parameters(domains, 8)] : null,
    Object.keys(rest).length ? h("details", {}, h("summary", {}, "How it decides"), parameters(rest, 60)) : null,
    h("details", {}, h("summary", {}, "Where it is"), h("p", { class: "path" }, info.path))];
}

// {"domain": "loguniform", "low": 0.1, "high": 1} reads as loguniform(0.1, 1).
function domainText(domain) {
  if (domain === null || typeof domain !== "object" || Array.isArray(domain)) return anything(domain);
  const { domain: kind, kind: other, type, ...rest } = domain;
  const values = Object.values(rest).filter((value) => value !== null);
  const written = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : anything(value));
  return `${kind ?? other ?? type ?? ""}(${values.flat().map(written).join(", ")})`;
}
