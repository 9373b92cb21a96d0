// Several runs side by side: their best so far in one plot, what came out of each, and what they were set to differently.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { empty } from "./dom.js";
import { note } from "./dom.js";
import { ask } from "./ask.js";
import { runAddress } from "./route.js";
import { runsAddress } from "./route.js";
import { table } from "./table.js";
import { plotFrame } from "./plot.js";
import { follow } from "./stream.js";
import { paced } from "./stream.js";
import { anything } from "./text.js";
import { span } from "./text.js";
import { moment } from "./text.js";
import { bytes } from "./text.js";
import { linkState } from "./standing.js";
import { crumbs } from "./standing.js";

export function comparePage(route, main) {
  document.title = "Comparison · Ramet";
  crumbs([["Comparison"]]);
  if (route.keys.length < 2) {
    linkState("off", "");
    fill(main, h("div", { class: "page" }, empty("Nothing to compare",
      "Choose two or more runs in ", h("a", { href: runsAddress() }, "the list of runs"), ".")));
    return { stop() {} };
  }
  const question = `compare?runs=${route.keys.map(encodeURIComponent).join(",")}`;
  const place = h("div", {}, h("p", { class: "wait", role: "status" }, "Comparing …"));
  const trouble = h("div");
  const plot = plotFrame({ title: "Best so far", height: 380, path: () => question, pick: (answer) => answer.plot });
  const differs = h("div");
  let list = null;
  let version = 0;
  let gone = false;
  fill(main, h("div", { class: "page" }, h("div", { class: "heading" }, h("h1", {}, `Comparison of ${route.keys.length} runs`)),
    trouble, place));

  const renew = paced(async () => {
    try {
      const answer = await ask(question);
      if (gone) return;
      fill(trouble, answer.missing?.length ? note("note", `Not compared: ${answer.missing.join(", ")}`) : null);
      if (!list) {
        list = resultTable(answer.rows);
        fill(place, h("div", { class: "stack" }, plot.element, h("section", {}, h("h2", {}, "What came out"), list.element), differs));
      }
      list.update(answer.rows);
      fill(differs, differences(answer));
      version += 1;
      plot.refresh(version);
    } catch (error) {
      if (gone) return;
      fill(trouble, note("error", error.message));
      if (!list) fill(place);
    }
  }, 2000);

  const unfollow = follow("", (news) => {
    if (!news?.changed || news.changed.some((key) => route.keys.includes(key))) renew();
  }, (word, text) => linkState(word, text));
  renew();
  return {
    stop() {
      gone = true;
      renew.stop();
      plot.stop();
      unfollow();
    },
  };
}

const FACTS = {
  name: "Run", state: "State", best: "Best", metric: "Metric", iteration: "Iteration", members: "Members", failed: "Failed",
  exploits: "Exploits", survivors: "Founders left", reports: "Reports", wall_s: "Wall time", strategy: "Strategy", seed: "Seed",
  size: "On disk", begun: "Begun",
};

function cellText(name, value) {
  if (value === null || value === undefined) return "–";
  if (name === "best" && typeof value === "object") return `${anything(value.value)} (member ${value.member})`;
  if (typeof value === "object" && typeof value.name === "string") return value.name;
  if (name === "wall_s") return span(value);
  if (name === "begun") return moment(value);
  if (name === "size") return bytes(value);
  if (name === "seed") return String(value);
  return anything(value);
}

function cellValue(name, value) {
  return name === "best" && value !== null && typeof value === "object" ? value.value : value ?? null;
}

function resultTable(rows) {
  const names = Object.keys(FACTS).filter((name) => rows.some((row) => name in row));
  const columns = names.map((name) => ({
    name, title: FACTS[name],
    number: rows.some((row) => typeof cellValue(name, row[name]) === "number"), width: name === "name" ? "name" : null,
    value: (row) => cellValue(name, row[name]), text: (row) => cellText(name, row[name]),
    ...(name === "name" ? { node: (row) => h("a", { class: "clip strong", href: runAddress(row.key), title: row.path ?? row.name }, row.name) } : {}),
  }));
  return table({ name: `compare ${names.join(" ")}`, caption: "What came out of each run", unit: "run",
    identify: (row) => row.key, columns, sort: null });
}

function differences({ rows, differs }) {
  const facts = Object.entries(differs ?? {});
  if (!facts.length) return [h("h2", {}, "What differs"), h("p", { class: "dim" }, "All of them were set up alike.")];
  const columns = [
    { name: "fact", title: "Setting", width: "name", value: ([fact]) => fact },
    ...rows.map((row, index) => ({ name: row.key, title: row.name, value: ([, values]) => anything(values[index]) })),
  ];
  const list = table({ name: "differs", caption: "What the runs were set to differently", unit: "setting",
    identify: ([fact]) => fact, columns, rows: facts });
  return [h("h2", {}, "What differs"), list.element];
}
