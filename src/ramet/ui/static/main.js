// The one door: reads the address, shows what it names, and keeps it up to date.
//
// Order in which these files can be put one after the other (a report does so; each needs only those before it):
// text dom ask theme route announce spark chips table plot stream keys standing runs compare events errors checkpoints
// columns pictures overview member run main

import { tick } from "./dom.js";
import { ask } from "./ask.js";
import { isFrozen } from "./ask.js";
import { startTheme } from "./theme.js";
import { parse } from "./route.js";
import { runAddress } from "./route.js";
import { startKeys } from "./keys.js";
import { runsPage } from "./runs.js";
import { comparePage } from "./compare.js";
import { runPage } from "./run.js";
import { lostPage } from "./run.js";

let current = null;
let shown = null;

const PAGES = { runs: runsPage, compare: comparePage, run: runPage, unknown: lostPage };

function identity(route) {
  return route.page === "run" ? `run/${route.key}` : JSON.stringify(route);
}

// The same run stays: only what is under its tabs changes. Anything else is a new page.
function show() {
  const hash = location.hash;
  if (hash === "#main") return;
  const route = parse(hash);
  const first = current === null;
  if (identity(route) !== shown) {
    current?.stop();
    shown = identity(route);
    current = PAGES[route.page](route, document.getElementById("main"));
  } else {
    current.go?.(route);
  }
  if (!first) {
    document.getElementById("main").focus({ preventScroll: true });
    if (route.page !== "run" || route.tab === "member") scrollTo(0, 0);
  }
}

async function start() {
  startTheme();
  startKeys();
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
  setInterval(tick, 10000);
  addEventListener("hashchange", show);
  if (isFrozen() && location.hash === "") {
    const { runs } = await ask("runs").catch(() => ({ runs: [] }));
    if (runs.length === 1) {
      history.replaceState(null, "", runAddress(runs[0].key));
    }
  }
  show();
}

start();
