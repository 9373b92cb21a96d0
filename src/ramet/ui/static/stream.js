// News from the server as they happen; a lost connection is taken up again, after growing waits, for as long as it takes.

import { isFrozen } from "./ask.js";
import { address } from "./ask.js";
import { span } from "./text.js";

const FIRST = 1000;
const LONGEST = 15000;
const UNSEEN = 30000;

// follow("run=KEY", onNews, onState): onNews(data) at each event, onNews(null) when something may have been missed.
// onState(word, text): "live", "connecting", "lost", "off".
export function follow(query, onNews, onState) {
  if (isFrozen()) {
    onState("off", "frozen report");
    return () => {};
  }
  let source = null;
  let wait = FIRST;
  let retry = null;
  let lostAt = null;
  let resting = null;
  let stopped = false;
  let again = false;

  function open() {
    clearTimeout(retry);
    retry = null;
    if (stopped || source) return;
    source = new EventSource(address(query ? `stream?${query}` : "stream"));
    source.onopen = () => {
      wait = FIRST;
      lostAt = null;
      onState("live", "live");
      if (again) onNews(null);
      again = true;
    };
    source.onerror = lose;
    for (const name of ["run", "runs"]) source.addEventListener(name, hear);
  }

  function hear(event) {
    let news = null;
    try {
      news = JSON.parse(event.data);
    } catch {
      // Half an event: what is shown is asked for as a whole.
    }
    onNews(news);
  }

  function close() {
    source?.close();
    source = null;
  }

  function lose() {
    close();
    if (stopped) return;
    again = true;
    lostAt ??= Date.now();
    const away = (Date.now() - lostAt) / 1000;
    if (away < 6) onState("connecting", "reconnecting …");
    else onState("lost", `server is gone: start \`ramet ui\` again (next try in ${span(wait / 1000)})`);
    retry = setTimeout(open, wait);
    wait = Math.min(LONGEST, wait * 1.7);
  }

  // A page nobody looks at gives its connection back: a browser has only six for one server.
  function seen() {
    clearTimeout(resting);
    if (document.hidden) resting = setTimeout(() => { close(); clearTimeout(retry); }, UNSEEN);
    else if (!source) {
      wait = FIRST;
      open();
    }
  }

  function stop() {
    stopped = true;
    close();
    clearTimeout(retry);
    clearTimeout(resting);
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("online", seen);
    removeEventListener("pagehide", stop);
  }

  document.addEventListener("visibilitychange", seen);
  addEventListener("online", seen);
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  onState("connecting", "connecting …");
  open();
  return () => {
    removeEventListener("pagehide", close);
    removeEventListener("pageshow", open);
    stop();
  };
}

// At most one call at a time, and a pause after each; news in between become one more call.
export function paced(work, pause) {
  let busy = false;
  let due = false;
  let ended = false;
  async function go() {
    if (ended) return;
    if (busy) {
      due = true;
      return;
    }
    busy = true;
    due = false;
    try {
      await work();
    } finally {
      setTimeout(() => {
        busy = false;
        if (due) go();
      }, pause);
    }
  }
  go.stop = () => (ended = true);
  return go;
}
