// The tabs that are plots: which of the plots that the server offers belong under which tab, and what can be chosen.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { empty } from "./dom.js";
import { isFrozen } from "./ask.js";
import { plotFrame } from "./plot.js";

const UNDER = {
  overview: /envelope/,
  lineage: /lineage/,
  schedules: /schedule/,
  exploits: /exploit|replacement/,
  diversity: /diversity/,
  slots: /slot|timing/,
  parameters: /./,
};

const HEIGHTS = { overview: 290, lineage: 520, schedules: 420, slots: 380 };

export function plotsUnder(tab, plots) {
  return (plots ?? []).filter(({ name }) => Object.keys(UNDER).find((one) => UNDER[one].test(name)) === tab);
}

// What may be asked of a plot: [query name, label, [[value, text], …]]; a report holds each plot as it is first drawn.
function wish(name, info) {
  if (isFrozen()) return null;
  const own = Object.keys(info.mutable ?? {});
  if (name === "lineage") {
    return ["color", "Colour", [["", info.metric ?? "score"], ["founder", "founder"], ["member", "member"],
      ...own.map((one) => [`config/${one}`, one])]];
  }
  if (name === "exploits") return ["color", "Colour", [["", "gain"], ["donor", "donor"]]];
  if (["schedules", "parameters"].includes(name) && own.length > 1) {
    return [name === "schedules" ? "names" : "name", "Show", [["", own.length > 8 ? "the first ones" : "all"], ...own.map((one) => [one, one])]];
  }
  return null;
}

function pictureFrame(key, tab, { name, title }, info) {
  const wished = wish(name, info);
  const choice = wished ? h("select", { class: "plot-choice", on: { change: () => frame.refresh(version) } },
    wished[2].map(([value, text]) => h("option", { value }, text))) : null;
  let version = 0;
  const frame = plotFrame({
    title: title ?? name, height: HEIGHTS[tab] ?? 400, slim: tab === "overview",
    controls: choice ? h("label", { class: "plot-wish dim" }, wished[1], choice) : null,
    path: () => `run/${key}/plot/${encodeURIComponent(name)}${choice?.value ? `?${wished[0]}=${encodeURIComponent(choice.value)}` : ""}`,
  });
  return { ...frame, refresh: (newest) => frame.refresh(version = newest) };
}

export function framesUnder(key, tab, info) {
  return plotsUnder(tab, info.plots).map((plot) => pictureFrame(key, tab, plot, info));
}

export function picturesTab(key, place, info, tab) {
  const frames = framesUnder(key, tab, info);
  if (frames.length) fill(place, h("div", { class: "frames" }, frames.map((frame) => frame.element)));
  else fill(place, empty("No plots here", "There is nothing to draw of this run under this heading."));
  return {
    update: (newest) => frames.forEach((frame) => frame.refresh(newest.version)),
    stop: () => frames.forEach((frame) => frame.stop()),
  };
}
