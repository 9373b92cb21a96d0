// The keyboard: j and k walk through a table, / filters it, g and a letter go somewhere, ? tells all that.

import { h } from "./dom.js";
import { tabs } from "./route.js";
import { parse } from "./route.js";
import { runAddress } from "./route.js";
import { runsAddress } from "./route.js";
import { switchTheme } from "./theme.js";

let awaiting = null;
let keysDialog = null;

function typing(target) {
  return target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
}

function rowLinks() {
  return [...document.querySelectorAll("main table.grid tbody tr")].map((tr) => tr.querySelector("a, button")).filter(Boolean);
}

function walk(step) {
  const links = rowLinks();
  if (!links.length) return false;
  const row = document.activeElement?.closest("tr");
  const at = links.findIndex((link) => row?.contains(link));
  const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + step))];
  next.focus();
  next.closest("tr").scrollIntoView({ block: "nearest" });
  return true;
}

function jump(letter) {
  if (letter === "a") location.hash = runsAddress();
  const route = parse(location.hash);
  const tab = tabs().find(({ key }) => key === letter);
  if (tab && route.page === "run") location.hash = runAddress(route.key, tab.name);
}

function upwards() {
  const route = parse(location.hash);
  location.hash = route.page === "run" && route.tab === "member" ? runAddress(route.key) : runsAddress();
}

function explain() {
  if (!keysDialog) {
    const line = (keys, text) => [h("dt", {}, keys.map((key) => h("kbd", {}, key))), h("dd", {}, text)];
    keysDialog = h("dialog", { class: "keys", "aria-label": "Keyboard shortcuts" },
      h("h2", {}, "Keyboard"),
      h("dl", {},
        line(["j", "k"], "next and previous row (arrows do the same inside a table)"), line(["Enter"], "open the row"),
        line(["/"], "filter the table"), line(["Esc"], "leave the filter, close this"), line(["u"], "up: from a member to its run, from a run to the list"),
        line(["t"], "light or dark"), line(["g", "a"], "all runs"),
        tabs().map(({ key, title }) => line(["g", key], title)), line(["?"], "this list")),
      h("form", { method: "dialog" }, h("button", { class: "solid" }, "Close")));
    document.body.append(keysDialog);
  }
  if (keysDialog.open) keysDialog.close();
  else keysDialog.showModal();
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const { key, target } = event;
  if (typing(target)) {
    if (key === "Escape" && target.matches("[data-filter]")) {
      if (target.value) {
        target.value = "";
        target.dispatchEvent(new Event("input"));
      } else target.blur();
    } else if (target.matches("[data-filter]") && (key === "ArrowDown" || key === "Enter")) {
      event.preventDefault();
      walk(0);
    }
    return;
  }
  if (keysDialog?.open && key !== "?") return;
  if (awaiting !== null) {
    clearTimeout(awaiting);
    awaiting = null;
    jump(key);
    return;
  }
  const arrows = { ArrowDown: 1, ArrowUp: -1 };
  if (key === "j" || key === "k") walk(key === "j" ? 1 : -1);
  else if (key in arrows && target.closest?.("table.grid")) walk(arrows[key]) && event.preventDefault();
  else if (key === "/") {
    const filter = document.querySelector("main [data-filter]");
    if (filter) {
      event.preventDefault();
      filter.focus();
      filter.select();
    }
  } else if (key === "t") switchTheme();
  else if (key === "u") upwards();
  else if (key === "g") awaiting = setTimeout(() => (awaiting = null), 1500);
  else if (key === "?") explain();
}

export function startKeys() {
  document.addEventListener("keydown", press);
  document.getElementById("keys-help").addEventListener("click", explain);
}
