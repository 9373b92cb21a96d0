// The list of runs: what goes on, what is over, what is best; and which of them to compare.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { when } from "./dom.js";
import { clipped } from "./dom.js";
import { empty } from "./dom.js";
import { note } from "./dom.js";
import { ask } from "./ask.js";
import { isFrozen } from "./ask.js";
import { runAddress } from "./route.js";
import { compareAddress } from "./route.js";
import { announce } from "./announce.js";
import { chip } from "./chips.js";
import { table } from "./table.js";
import { follow } from "./stream.js";
import { paced } from "./stream.js";
import { number } from "./text.js";
import { bytes } from "./text.js";
import { count } from "./text.js";
import { plural } from "./text.js";
import { linkState } from "./standing.js";
import { crumbs } from "./standing.js";

const marked = new Set();

export function runsPage(route, main) {
  document.title = "Runs · Ramet";
  crumbs([]);
  const compare = h("a", { class: "solid button", href: "#/", hidden: true });
  const list = table({
    name: "runs", caption: "Runs", unit: "run", identify: (run) => run.key, columns: runColumns(toggle),
    sort: ["updated", "descending"], states: (run) => run.state, words: (run) => run.path, tools: compare, heading: 1,
    mark: (run) => (run.state === "under way" ? "is-live" : ""),
  });
  const title = h("h1", {}, "Runs");
  const folder = h("p", { class: "dim path" });
  const trouble = h("div");
  const place = h("div", {}, h("p", { class: "wait", role: "status" }, "Reading the runs …"));
  fill(main, h("div", { class: "page" }, h("div", { class: "heading" }, title, folder), trouble, place));
  let states = new Map();
  let gone = false;

  function toggle(run, on) {
    if (on) marked.add(run.key);
    else marked.delete(run.key);
    offer();
  }

  function offer() {
    const keys = list.rows().map((run) => run.key).filter((key) => marked.has(key));
    compare.hidden = keys.length < 2;
    compare.textContent = `Compare ${plural(keys.length, "run")}`;
    compare.href = compareAddress(keys);
  }

  const renew = paced(async () => {
    try {
      const answer = await ask("runs");
      if (gone) return;
      fill(trouble);
      folder.textContent = answer.folder ?? "";
      if (!answer.runs.length) {
        fill(place, empty("No runs here yet",
          "A run shows up as soon as it is started with its storage path in this folder."));
        return;
      }
      list.update(answer.runs);
      offer();
      if (place.firstChild !== list.element) fill(place, list.element);
      tell(answer.runs);
    } catch (error) {
      if (!gone) fill(trouble, note("error", error.message));
    }
  }, 1000);

  function tell(runs) {
    const live = runs.filter((run) => run.state === "under way").length;
    document.title = `${live ? `${live} under way · ` : ""}Runs · Ramet`;
    for (const run of runs) {
      if (states.size && states.get(run.key) !== run.state) announce(`${run.name}: ${run.state}`);
    }
    states = new Map(runs.map((run) => [run.key, run.state]));
  }

  const unfollow = follow("", renew, (word, text) => linkState(word, text));
  renew();
  return {
    stop() {
      gone = true;
      renew.stop();
      unfollow();
    },
  };
}

function runColumns(toggle) {
  const goal = (run) => (run.goal ? `${count(run.iteration)} of ${count(run.goal)}` : count(run.iteration));
  const columns = [
    { name: "name", title: "Run", width: "name", value: (run) => run.name,
      sign: (run) => `${run.name} ${run.key} ${run.path} ${run.error}`,
      node: (run) => [h("a", { href: runAddress(run.key), class: "clip strong", title: run.path || run.name }, run.name),
        run.error ? clipped(run.error, "sub bad") : null] },
    { name: "state", title: "State", value: (run) => run.state, sign: (run) => `${run.state} ${run.error}`,
      node: (run) => chip(run.state, run.error) },
    { name: "best", title: "Best", number: true, value: (run) => run.best?.value ?? null,
      sign: (run) => JSON.stringify([run.best, run.metric]),
      node: (run) => [run.best ? h("span", { class: "strong" }, number(run.best.value)) : "–",
        run.metric ? clipped(`${run.metric} ${run.mode === "min" ? "↓" : "↑"}`, "sub") : null] },
    { name: "iteration", title: "Iteration", number: true, value: (run) => run.iteration ?? null, text: goal,
      node: (run) => [goal(run), run.goal ? h("progress", { max: run.goal, value: Math.min(run.iteration, run.goal),
        "aria-hidden": "true" }) : null] },
    { name: "members", title: "Members", number: true, value: (run) => run.members ?? null,
      sign: (run) => `${run.members} ${run.failed}`,
      node: (run) => [count(run.members), run.failed ? h("span", { class: "sub bad" }, `${run.failed} failed`) : null] },
    { name: "exploits", title: "Exploits", number: true, value: (run) => run.exploits ?? null, text: (run) => count(run.exploits) },
    { name: "reports", title: "Reports", number: true, value: (run) => run.reports ?? null, text: (run) => count(run.reports) },
    { name: "updated", title: "Updated", number: true, still: true, value: (run) => run.updated ?? null, node: (run) => when(run.updated) },
    { name: "size", title: "On disk", number: true, value: (run) => run.size ?? null, text: (run) => bytes(run.size) },
  ];
  if (isFrozen()) return columns;
  const pick = { name: "pick", title: "Compare", plain: true, width: "pick", still: true, value: () => null, text: () => "",
    sign: (run) => `${run.key} ${run.state === "damaged"}`,
    node: (run) => h("input", { type: "checkbox", "aria-label": `Compare ${run.name}`, checked: marked.has(run.key),
      disabled: run.state === "damaged", on: { change: (event) => toggle(run, event.target.checked) } }) };
  return [pick, ...columns];
}
