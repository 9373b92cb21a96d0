// What members failed of: the cause in a line, the traceback on demand, with a button that copies it.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { empty } from "./dom.js";
import { note } from "./dom.js";
import { copyButton } from "./dom.js";
import { ask } from "./ask.js";
import { memberAddress } from "./route.js";
import { chip } from "./chips.js";
import { shape } from "./chips.js";

export function errorEntry(key, error, open = false) {
  return h("details", { class: "failure", open }, h("summary", {},
    error.final ? chip("failed", "The member has ended") : h("span", { class: "chip look-wait" }, shape("wait"), h("span", {}, "retried")),
    h("b", {}, `member ${error.member}`), h("span", { class: "failure-cause" }, error.cause)),
  h("div", { class: "failure-body" }, h("p", {}, h("a", { href: memberAddress(key, error.member) }, `Member ${error.member}`),
    " ", copyButton(error.traceback ?? error.cause)), h("pre", { tabindex: "0" }, error.traceback ?? error.cause)));
}

export function errorsTab(key, place) {
  let drawnErrors = "";
  async function update() {
    try {
      const { errors } = await ask(`run/${key}/errors`);
      const sign = errors.map((error) => error.seq).join();
      if (drawnErrors === `of ${sign}`) return;
      drawnErrors = `of ${sign}`;
      if (!errors.length) fill(place, empty("No errors", "No member of this run has failed."));
      else fill(place, h("div", { class: "failures" }, errors.map((error, index) => errorEntry(key, error, index === 0))));
    } catch (error) {
      fill(place, note("error", error.message));
    }
  }
  return { update, stop() {} };
}
