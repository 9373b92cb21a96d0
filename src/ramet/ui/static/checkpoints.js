// The checkpoints that a run has kept, and a link to take each away with.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { note } from "./dom.js";
import { ask } from "./ask.js";
import { address } from "./ask.js";
import { isFrozen } from "./ask.js";
import { memberAddress } from "./route.js";
import { table } from "./table.js";
import { number } from "./text.js";
import { count } from "./text.js";
import { bytes } from "./text.js";

export function checkpointColumns(key, withMember = true) {
  const columns = [
    { name: "iteration", title: "Iteration", number: true, width: "narrow", value: (row) => row.iteration, text: (row) => count(row.iteration) },
    { name: "member", title: "Member", number: true, low: true, value: (row) => row.member,
      node: (row) => h("a", { href: memberAddress(key, row.member) }, row.member) },
    { name: "score", title: "Score", number: true, value: (row) => row.score, text: (row) => number(row.score) },
    { name: "size", title: "Size", number: true, value: (row) => row.size, text: (row) => bytes(row.size) },
    { name: "kind", title: "Kind", value: (row) => row.kind ?? null },
    { name: "segment", title: "Segment", number: true, value: (row) => row.segment },
  ];
  if (!isFrozen()) {
    columns.push({ name: "pinned", title: "Kept", value: (row) => (row.there ? (row.pinned ? "pinned" : "there") : "swept") });
    columns.push({ name: "download", title: "Download", plain: true, value: () => null, text: () => "", sign: (row) => String(row.there),
      node: (row) => (row.there ? h("a", { class: "download", href: address(`run/${key}/checkpoint/${row.segment}/${row.iteration}`), download: true,
        "aria-label": `Download the checkpoint of member ${row.member} at iteration ${row.iteration}` }, "Download")
        : h("span", { class: "dim" }, "–")) });
  }
  return withMember ? columns : columns.filter((column) => column.name !== "member");
}

export function checkpointName(row) {
  return `${row.segment}/${row.iteration}`;
}

export function checkpointsTab(key, place) {
  const older = h("button", { type: "button", class: "quiet", hidden: true, on: { click: more } }, "Load older checkpoints");
  const list = table({ name: `checkpoints ${key}`, caption: "Checkpoints", unit: "checkpoint", identify: checkpointName,
    columns: checkpointColumns(key), sort: ["iteration", "descending"], states: isFrozen() ? null : (row) => (row.there ? "there" : "swept"),
    empty: "No checkpoint has been kept yet." });
  const trouble = h("div");
  let earlier = [];
  let newest = [];
  fill(place, trouble, list.element, older);

  function show() {
    const known = new Map([...earlier, ...newest].map((row) => [checkpointName(row), row]));
    list.update([...known.values()]);
  }

  async function more() {
    const last = earlier.at(-1) ?? newest.at(-1);
    older.disabled = true;
    try {
      const answer = await ask(`run/${key}/checkpoints?limit=500&before=${last.seq}`);
      earlier = [...earlier, ...answer.checkpoints];
      older.hidden = !answer.more;
      show();
    } catch (error) {
      fill(trouble, note("error", error.message));
    } finally {
      older.disabled = false;
    }
  }

  async function update() {
    try {
      const answer = await ask(`run/${key}/checkpoints?limit=500`);
      fill(trouble);
      newest = answer.checkpoints;
      if (!earlier.length) older.hidden = !answer.more || isFrozen();
      show();
    } catch (error) {
      fill(trouble, note("error", error.message));
    }
  }

  return { update, stop() {} };
}
