// The line at the top: where one is, and whether the page hears from the server.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { clipped } from "./dom.js";
import { runsAddress } from "./route.js";
import { isFrozen } from "./ask.js";

export function linkState(word, text) {
  const place = document.getElementById("link-state");
  if (place.textContent === text && place.dataset.word === word) return;
  place.dataset.word = word;
  fill(place, h("span", { class: "beat", "aria-hidden": "true" }), h("span", {}, text));
  place.title = text;
}

// crumbs([["name", "#/…"], ["here"]]): the list of runs comes first by itself.
export function crumbs(steps) {
  const all = [[isFrozen() ? "Report" : "Runs", runsAddress()], ...steps];
  fill(document.getElementById("crumbs"), h("ol", {}, all.map(([name, to], index) => h("li", {},
    index === all.length - 1 ? h("span", { "aria-current": "page" }, clipped(name)) : h("a", { href: to }, clipped(name))))));
}
