// States and shares: always a word, a shape and a colour together, so that none of them has to carry it alone.

import { h, s } from "./dom.js";
import { percent, span } from "./text.js";

const SHAPES = {
  go: "M5 3.5v9l7-4.5z",
  done: "M3 8.5l3.2 3.2L13 4.8",
  stop: "M4 4h8v8H4z",
  bad: "M4 4l8 8M12 4l-8 8",
  wait: "M5.5 4v8M10.5 4v8",
  copy: "M13 8H3.5M7.5 4L3.5 8l4 4",
  dot: "M6.5 8a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0 -3 0",
};

const LOOKS = {
  "under way": "go",
  training: "go",
  ended: "done",
  finished: "done",
  "broken off": "stop",
  stopped: "stop",
  damaged: "bad",
  failed: "bad",
  waiting: "wait",
  ready: "wait",
  paused: "wait",
};

export function shape(look) {
  return s("svg", { class: "shape", viewBox: "0 0 16 16", width: 12, height: 12, "aria-hidden": "true" },
    s("path", { d: SHAPES[look] ?? SHAPES.dot }));
}

const madeChips = new Map();

// A table has hundreds of the same few, which are copied from the first.
export function chip(state, title = null) {
  if (!madeChips.has(state)) {
    const look = LOOKS[state] ?? "dot";
    madeChips.set(state, h("span", { class: `chip look-${look}` }, shape(look), h("span", {}, state)));
  }
  const made = madeChips.get(state).cloneNode(true);
  if (title) made.title = title;
  return made;
}

// progress: {share, text, left_s}; a run without a goal has no share, and says what it has done.
export function progressBar(progress, state) {
  const { share = null, text = "", left_s: left = null } = progress ?? {};
  const running = state === "under way";
  const words = [share === null ? null : percent(share), running && left !== null ? `${span(left)} left` : null];
  const bar = share === null
    ? h("div", { class: `bar open ${running ? "running" : ""}` })
    : h("progress", { max: 1, value: share, "aria-label": "Progress" }, percent(share));
  return h("div", { class: "progress" }, bar,
    h("span", { class: "progress-text" }, words.filter(Boolean).join(" · "), text ? h("span", { class: "dim" }, text) : null));
}

// What kind of event it was; a member that became a clone is told by the arrow in its sentence.
export function eventShape({ level, kind, text }) {
  const clone = kind === "Opened" && text.includes("←");
  return clone ? "copy" : { error: "bad", good: "done", note: "wait" }[level] ?? "dot";
}
