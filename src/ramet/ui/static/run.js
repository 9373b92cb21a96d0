// One run: where it stands at the top, what is asked about it under tabs, all of it kept up to date.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { when } from "./dom.js";
import { note } from "./dom.js";
import { empty } from "./dom.js";
import { clipped } from "./dom.js";
import { ask } from "./ask.js";
import { tabs } from "./route.js";
import { runAddress } from "./route.js";
import { runsAddress } from "./route.js";
import { memberAddress } from "./route.js";
import { announce } from "./announce.js";
import { chip } from "./chips.js";
import { progressBar } from "./chips.js";
import { follow } from "./stream.js";
import { paced } from "./stream.js";
import { overviewTab } from "./overview.js";
import { picturesTab } from "./pictures.js";
import { plotsUnder } from "./pictures.js";
import { eventsTab } from "./events.js";
import { errorsTab } from "./errors.js";
import { checkpointsTab } from "./checkpoints.js";
import { memberTab } from "./member.js";
import { linkState } from "./standing.js";
import { crumbs } from "./standing.js";
import { number } from "./text.js";
import { count } from "./text.js";
import { bytes } from "./text.js";
import { percent } from "./text.js";

const PACE = 700;

export function runPage(route, main) {
  const { key } = route;
  let info = null;
  let view = null;
  let gone = false;
  const parts = { head: h("div", { class: "run-head" }), notes: h("div", { class: "notes" }), tabs: h("nav", { class: "tabs", "aria-label": "About this run" }),
    trouble: h("div"), place: h("div", { class: "tab", id: "tab" }, h("p", { class: "wait", role: "status" }, "Reading the run …")) };
  fill(main, h("div", { class: "page run" }, parts.head, parts.notes, parts.trouble, parts.tabs, parts.place));
  crumbs([["Run"]]);

  const renew = paced(async () => {
    try {
      const newest = await ask(`run/${key}`);
      if (gone) return;
      fill(parts.trouble);
      const first = info === null;
      if (!first && newest.state !== info.state) announce(`The run is ${newest.state}`, true);
      info = newest;
      drawHead(parts, info);
      if (first) open();
      view?.update(info);
      nameIt();
    } catch (error) {
      if (gone) return;
      if (info === null) fill(parts.place);
      if (error.status === 404) leave();
      fill(parts.trouble, refusal(error));
    }
  }, PACE);

  function open() {
    view?.stop();
    const place = h("div", { class: "tab-body" });
    fill(parts.place, place);
    view = tabView(key, place, info, route);
    parts.place.className = `tab tab-${route.tab}`;
    drawTabs(parts.tabs, info, route);
    const steps = [[info.name, route.tab === "overview" ? "" : runAddress(key)]];
    if (route.tab === "member") steps.push([`Member ${route.member}`]);
    else if (route.tab !== "overview") steps.push([tabs().find(({ name }) => name === route.tab).title]);
    crumbs(steps);
  }

  function nameIt() {
    const { share } = info.progress ?? {};
    const what = route.tab === "member" ? `Member ${route.member} · ` : "";
    const far = info.state === "under way" && share !== null && share !== undefined ? `${percent(share)} · ` : "";
    document.title = `${far}${what}${info.name} · Ramet`;
  }

  // "live" means that news come in; of a run that is over none will.
  let link = ["connecting", ""];
  function tellLink(word, text) {
    link = [word, text];
    if (word === "live" && info && info.state !== "under way") linkState("ended", info.state === "ended" ? "run ended" : `run ${info.state}`);
    else linkState(word, text);
  }

  const unfollow = follow(`run=${key}`, async (news) => {
    if (news?.progress?.text) {
      const best = news.best ? `, best ${number(news.best.value)}` : "";
      announce(`${news.progress.text}${best}`);
    }
    await renew();
  }, tellLink);
  renew();
  // Of a run that is not there no news will come.
  function leave() {
    unfollow();
    clearInterval(linked);
    linkState("off", "");
  }

  const linked = setInterval(() => tellLink(...link), 500);
  return {
    go(next) {
      route = next;
      if (info === null) return;
      open();
      view.update(info);
      nameIt();
    },
    stop() {
      gone = true;
      renew.stop();
      leave();
      view?.stop();
    },
  };
}

function refusal(error) {
  if (error.status === 404) return empty("No such run", `${error.message}. `, h("a", { href: runsAddress() }, "All runs"));
  if (error.status === 409) return note("error", h("strong", {}, "This run is damaged. "), error.message);
  return note("error", error.message);
}

function tabView(key, place, info, route) {
  const views = { overview: overviewTab, events: eventsTab, errors: errorsTab, checkpoints: checkpointsTab };
  if (route.tab === "member") return memberTab(key, place, info, route.member);
  return (views[route.tab] ?? picturesTab)(key, place, info, route.tab);
}

function drawTabs(nav, info, route) {
  const failures = info.members.reduce((sum, row) => sum + (row.failures ?? 0), 0);
  const there = tabs().filter(({ name, drawn }) => !drawn || plotsUnder(name, info.plots).length || name === route.tab);
  fill(nav, h("ul", {}, there.map(({ name, title, key: letter }) => h("li", {},
    h("a", { href: runAddress(info.key, name), "aria-current": route.tab === name ? "page" : null, title: `${title} (g ${letter})` }, title,
      name === "errors" && failures ? h("span", { class: "badge" }, count(failures)) : null)))));
  // Where the tab is, is known once the page is laid out, which is done only once in this way.
  requestAnimationFrame(() => {
    const chosen = nav.querySelector("[aria-current]");
    if (chosen) nav.scrollLeft = chosen.offsetLeft + chosen.offsetWidth / 2 - nav.clientWidth / 2;
  });
}

function drawHead({ head, notes }, info) {
  const { counts, best } = info;
  const fact = (name, value, more = null) => h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}, value, more ? h("span", { class: "sub" }, more) : null));
  fill(head, h("div", { class: "heading" }, h("h1", {}, clipped(info.name)), chip(info.state, info.ended), progressBar(info.progress, info.state)),
    h("dl", { class: "facts" },
      fact(`Best ${info.metric ?? "score"}`, best ? number(best.value) : "–",
        best ? h("a", { href: memberAddress(info.key, best.member) }, `member ${best.member}`) : null),
      fact("Members", count(counts.members), [counts.training ? `${count(counts.training)} training` : null,
        counts.stopped ? `${count(counts.stopped)} stopped` : null,
        counts.finished ? `${count(counts.finished)} finished` : null, counts.failed ? h("span", { class: "bad" }, `${count(counts.failed)} failed`) : null]
        .filter(Boolean).flatMap((part, index) => (index ? [", ", part] : [part]))),
      fact("Exploits", count(counts.exploits), `in ${count(counts.decisions)} decisions`),
      fact("Reports", count(counts.reports)),
      fact("Checkpoints", count(counts.checkpoints), bytes(counts.disk)),
      fact("Updated", when(info.updated), ["begun ", when(info.begun)])));
  const told = [...(info.notes ?? [])];
  const from = info.branched;
  if (from) told.unshift(`Branched from the run ${from.run} at iteration ${from.iteration} of its segment ${from.segment}, which lay in ${from.path}`);
  const sign = told.join("\n");
  if (notes.dataset.sign === sign) return;
  notes.dataset.sign = sign;
  const lines = told.map((text) => note("note", text));
  fill(notes, lines.length > 3 ? h("details", {}, h("summary", {}, `${lines.length} notes`), lines) : lines);
}

export function lostPage(route, main) {
  document.title = "Nothing here · Ramet";
  linkState("off", "");
  crumbs([["Nothing here"]]);
  fill(main, h("div", { class: "page" }, empty("Nothing here", "No page has this address. ", h("a", { href: runsAddress() }, "All runs"))));
  return { stop() {} };
}
