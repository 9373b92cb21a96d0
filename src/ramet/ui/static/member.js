// The story of one member: how it began, whose clone it became, what changed each time, and what it is now.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { clipped } from "./dom.js";
import { note } from "./dom.js";
import { ask } from "./ask.js";
import { address } from "./ask.js";
import { isFrozen } from "./ask.js";
import { memberAddress } from "./route.js";
import { chip } from "./chips.js";
import { shape } from "./chips.js";
import { table } from "./table.js";
import { stepChart } from "./spark.js";
import { checkpointColumns } from "./checkpoints.js";
import { checkpointName } from "./checkpoints.js";
import { errorEntry } from "./errors.js";
import { parameters } from "./overview.js";
import { number } from "./text.js";
import { anything } from "./text.js";
import { count } from "./text.js";
import { direction } from "./text.js";
import { plural } from "./text.js";

const CHANGES = 8;
const CHARTS = 6;

export function memberTab(key, place, info, member) {
  let drawnStory = null;
  let charts = CHARTS;
  let long = false;
  let now = null;

  async function update(newest) {
    info = newest;
    if (!info.members.some((row) => row.member === member)) {
      fill(place, note("error", `This run has no member ${member}: it has ${plural(info.members.length, "member")}.`));
      return;
    }
    try {
      const answer = await ask(`run/${key}/member/${member}`);
      const sign = JSON.stringify(answer);
      if (sign === drawnStory) return;
      drawnStory = sign;
      draw(answer);
    } catch (error) {
      fill(place, note("error", error.message));
    }
  }

  function draw(row) {
    const open = new Set([...place.querySelectorAll("details[open]")].map((one) => one.dataset.name));
    const held = document.activeElement?.dataset?.stay;
    const kept = row.checkpoints.length ? table({ name: `kept ${key}`, caption: `Checkpoints of member ${member}`, unit: "checkpoint",
      identify: checkpointName, columns: checkpointColumns(key, false), rows: row.checkpoints, sort: ["iteration", "descending"] }) : null;
    fill(place, h("div", { class: "glance member" },
      h("div", { class: "glance-main" }, heading(row), ancestry(row),
        h("section", {}, h("h2", {}, "Its story"), timeline(row)),
        h("section", {}, h("h2", {}, "The schedule that its weights were trained with"), schedule(row)),
        row.errors.length ? h("section", {}, h("h2", {}, "What it failed of"), row.errors.map((error) => errorEntry(key, error))) : null,
        kept ? h("section", {}, h("h2", {}, "Its checkpoints"), kept.element) : null),
      h("aside", { class: "glance-side" }, h("section", { class: "card" }, h("h2", {}, "Now"), facts(row)),
        h("section", { class: "card" }, h("h2", {}, "Hyperparameters"), parameters(row.hparams, 20)))));
    for (const one of place.querySelectorAll("details")) if (open.has(one.dataset.name)) one.open = true;
    if (held) place.querySelector(`[data-stay="${held}"]`)?.focus({ preventScroll: true });
  }

  function heading(row) {
    const all = info.members.map((one) => one.member);
    const at = all.indexOf(member);
    const step = (to, text, name) => (all[to] === undefined ? h("span", { class: "quiet dim", "aria-hidden": "true" }, text)
      : h("a", { class: "quiet", href: memberAddress(key, all[to]), "aria-label": `${name}: member ${all[to]}`, "data-stay": name }, text));
    return h("div", { class: "heading member-heading" }, h("h2", { class: "title" }, `Member ${member}`), chip(row.state, row.error),
      row.rank === null ? null : h("span", { class: "dim" }, `rank ${row.rank} of ${info.members.length}`),
      h("span", { class: "steps-nav" }, step(at - 1, "← previous", "previous"), step(at + 1, "next →", "next")));
  }

  function facts(row) {
    const pair = (name, ...value) => [h("dt", {}, name), h("dd", {}, ...value)];
    return h("dl", { class: "pairs" }, pair(info.metric ?? "score", h("strong", {}, number(row.value))),
      pair("iteration", count(row.iteration)), pair("reports", count(row.reports)), pair("became a clone", plural(row.exploits, "time")),
      pair("failures", count(row.failures)), row.error ? pair("error", clipped(row.error)) : null);
  }

  // Whose weights these are: the members that trained them, in order.
  function ancestry({ lineage }) {
    const stations = [];
    for (const step of lineage) {
      const last = stations.at(-1);
      if (last?.member === step.member && last.elsewhere === step.elsewhere) last.last = step.last;
      else stations.push({ ...step });
    }
    const shown = long || stations.length <= 14 ? stations : [stations[0], null, ...stations.slice(-12)];
    return h("nav", { class: "ancestry", "aria-label": "Who trained these weights" }, h("span", { class: "dim" }, "Weights of"),
      h("ol", {}, shown.map((step) => h("li", {}, step === null
        ? h("button", { type: "button", class: "quiet small", "data-stay": "long", on: { click: () => { long = true; drawnStory = null; update(info); } } },
          `${stations.length - 13} more`)
        : step.elsewhere ? h("span", { class: "elsewhere", title: `Trained in the run that this one was branched from, by its member ${step.member}` },
          h("b", {}, "other run"), h("span", { class: "dim" }, ` ${count(step.first)}–${count(step.last)}`))
        : h("a", { href: memberAddress(key, step.member), "aria-current": step.member === member ? "page" : null,
          title: `Member ${step.member} trained iterations ${step.first} to ${step.last}` },
        h("b", {}, step.member), h("span", { class: "dim" }, ` ${count(step.first)}–${count(step.last)}`))))));
  }

  function timeline({ story, segment }) {
    now = segment;
    const newestFirst = story.map((step, index) => entry(step, story[index - 1])).reverse();
    const shown = newestFirst.slice(0, 60);
    const rest = newestFirst.slice(60);
    return [h("ol", { class: "timeline" }, shown), rest.length ? h("details", { "data-name": "older" },
      h("summary", {}, `${plural(rest.length, "earlier step")}`), h("ol", { class: "timeline" }, rest)) : null];
  }

  function entry(step, before) {
    const clone = step.donor !== null && step.donor !== undefined;
    const look = clone ? "clone" : step.parent === null ? "founder" : "on";
    return h("li", { class: `step step-${look}` }, h("span", { class: "mark" }, shape(clone ? "copy" : look === "founder" ? "stop" : "dot")),
      h("div", { class: "step-body" }, h("p", { class: "step-title" }, opening(step, before, clone)),
        changes(step), h("p", { class: "dim" }, trained(step))));
  }

  function opening(step, before, clone) {
    if (clone) {
      const was = before?.score_last;
      const scores = typeof was === "number" || typeof step.donor_score === "number"
        ? h("span", { class: "dim" }, ` (score ${number(was)} → ${number(step.donor_score)})`) : null;
      return [h("b", {}, `became a clone of `, h("a", { href: memberAddress(key, step.donor) }, `member ${step.donor}`)),
        ` at iteration ${count(step.start)}`, scores];
    }
    if (step.parent === null) return [h("b", {}, step.why === "founder" ? "founder" : "began anew"), ", with its own first hyperparameters"];
    const words = { lost: "went on from its last checkpoint", restarted: "started again from its last checkpoint",
      inherited: "was inherited from another run", explore: "changed its hyperparameters" };
    return [h("b", {}, words[step.why] ?? step.why), ` at iteration ${count(step.start)}`];
  }

  function trained(step) {
    const scores = typeof step.score_last === "number"
      ? `, score ${typeof step.score_start === "number" ? `${number(step.score_start)} → ` : ""}${number(step.score_last)}` : "";
    const lived = typeof step.lived_on === "number" && step.lived_on > step.start && step.segment !== now
      ? ` · of this, ${count(step.start + 1)}–${count(step.lived_on)} lives on in the population` : "";
    if (step.last <= step.start) return `has not trained yet${lived}`;
    return `trained ${count(step.start + 1)}–${count(step.last)}${scores}${lived}`;
  }

  function changes(step) {
    const changed = Object.entries(step.changed ?? {});
    if (step.parent === null) {
      const all = Object.entries(step.hparams ?? {});
      return all.length ? h("ul", { class: "changes" }, all.slice(0, CHANGES).map(([name, value]) => h("li", {}, clipped(name), " ",
        h("b", {}, clipped(anything(value)))))) : null;
    }
    if (!changed.length) return null;
    return h("ul", { class: "changes" }, changed.slice(0, CHANGES).map(([name, [was, is]]) => h("li", { class: direction(was, is) },
      clipped(name), " ", h("span", { class: "dim" }, clipped(anything(was))), " → ", h("b", {}, clipped(anything(is))))),
    changed.length > CHANGES ? h("li", {}, `${changed.length - CHANGES} more`) : null);
  }

  function schedule({ lineage }) {
    const names = Object.keys(info.mutable ?? {}).length ? Object.keys(info.mutable) : Object.keys(lineage.at(-1)?.hparams ?? {});
    const drawn = names.map((name) => [name, stepChart(name, lineage.map((one) => ({ from: one.first, to: one.last, value: one.hparams[name] })))])
      .filter(([, chart]) => chart !== null);
    const list = table({ name: `schedule ${key}`, caption: `Schedule of member ${member}`, unit: "stretch", identify: (one) => one.segment,
      rows: lineage, sort: ["first", "descending"], columns: [
        { name: "first", title: "Iterations", number: true, width: "narrow", value: (one) => one.first, text: (one) => `${count(one.first)}–${count(one.last)}` },
        { name: "member", title: "Member", number: true, low: true, value: (one) => one.member,
          node: (one) => one.elsewhere ? h("span", { class: "dim" }, `${one.member} of the other run`) : h("a", { href: memberAddress(key, one.member) }, one.member) },
        ...names.slice(0, 40).map((name) => ({ name: `h:${name}`, title: name, number: typeof lineage[0]?.hparams[name] === "number",
          width: "hparam", value: (one) => one.hparams[name] ?? null, text: (one) => anything(one.hparams[name]),
          node: (one) => clipped(anything(one.hparams[name])) })) ] });
    return [h("div", { class: "charts" }, drawn.slice(0, charts).map(([name, chart]) => h("figure", { class: "chart" },
      h("figcaption", {}, clipped(name), chart.log ? h("span", { class: "dim" }, "log") : null), chart.svg,
      h("span", { class: "chart-high dim" }, number(chart.high)), h("span", { class: "chart-low dim" }, number(chart.low)),
      h("span", { class: "chart-ends dim" }, h("span", {}, count(chart.first)), h("span", {}, count(chart.last)))))),
    drawn.length > charts ? h("p", {}, h("button", { type: "button", class: "quiet", on: { click: () => { charts = 60; drawnStory = null; update(info); } } },
      `${drawn.length - charts} more charts`)) : null,
    isFrozen() ? null : h("p", {}, h("a", { class: "download", href: address(`run/${key}/schedule/${member}`), download: true },
      "Download the schedule"), h("span", { class: "dim" }, " to train one model with it, or to replay it.")),
    h("details", { "data-name": "table" }, h("summary", {}, `As a table: ${plural(lineage.length, "stretch", "stretches")}`), list.element)];
  }

  return { update, stop() {} };
}
