// What has happened, newest first: an exploit a line, failures in colour, older ones when they are asked for.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { when } from "./dom.js";
import { note } from "./dom.js";
import { ask } from "./ask.js";
import { isFrozen } from "./ask.js";
import { memberAddress } from "./route.js";
import { eventShape } from "./chips.js";
import { shape } from "./chips.js";

const PAGE = 200;
const LEVELS = [["", "everything"], ["error", "failures"], ["note", "notes"], ["good", "endings"], ["info", "exploits and beginnings"]];

export function eventLine(key, event) {
  const [told, ...changes] = event.text.split(/ {2,}/);
  const words = [told, changes.map((change) => h("span", { class: "event-change" }, change))];
  const look = eventShape(event);
  return h("li", { class: `event level-${event.level} event-${look}` }, shape(look),
    event.member === null || event.member === undefined ? h("span", { class: "event-text" }, words)
      : h("a", { class: "event-text", href: memberAddress(key, event.member) }, words),
    event.at ? when(event.at) : h("span"));
}

export function eventsTab(key, place) {
  const list = h("ol", { class: "events", "aria-label": "Events, newest first" });
  const older = h("button", { type: "button", class: "quiet", hidden: true, on: { click: () => load(false) } }, "Load older events");
  const trouble = h("div");
  const filter = h("input", { type: "search", class: "filter", placeholder: "Filter", "aria-label": "Filter the events",
    "data-filter": true, on: { input: draw } });
  const level = h("select", { "aria-label": "Kind of event", on: { change: draw } },
    LEVELS.map(([value, text]) => h("option", { value }, text)));
  let events = [];
  let more = false;
  let drawnTop = null;
  fill(place, h("div", { class: "tools" }, filter, level), trouble, list, older);

  function draw() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = events.filter((event) => (!level.value || event.level === level.value)
      && words.every((word) => event.text.toLowerCase().includes(word)));
    fill(list, wanted.map((event) => eventLine(key, event)));
    if (drawnTop !== null) {
      wanted.forEach((event, index) => { if (event.seq > drawnTop) list.children[index].classList.add("flash"); });
    }
    drawnTop = events[0]?.seq ?? null;
    if (!wanted.length) fill(list, h("li", { class: "nothing" }, events.length ? "No event fits the filter." : "Nothing has happened yet."));
    older.hidden = !more || isFrozen();
  }

  async function load(newest) {
    const before = !newest && events.length ? `&before=${events.at(-1).seq}` : "";
    older.disabled = true;
    try {
      const answer = await ask(`run/${key}/events?limit=${PAGE}${before}`);
      fill(trouble);
      if (newest) {
        const known = events[0]?.seq ?? -1;
        const fresh = answer.events.filter((event) => event.seq > known);
        const touches = answer.events.some((event) => event.seq <= known) || !answer.more;
        events = touches && events.length ? [...fresh, ...events] : answer.events;
        if (!touches || events.length === answer.events.length) more = answer.more;
      } else {
        events = [...events, ...answer.events];
        more = answer.more;
      }
      draw();
    } catch (error) {
      fill(trouble, note("error", error.message));
    } finally {
      older.disabled = false;
    }
  }

  return { update: () => load(true), stop() {} };
}
