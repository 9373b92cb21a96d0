// Plots: drawn when they come into view, with Plotly, which is loaded once the tables are there.

import { h } from "./dom.js";
import { fill } from "./dom.js";
import { ask } from "./ask.js";
import { theme } from "./theme.js";
import { shade } from "./theme.js";
import { onTheme } from "./theme.js";

const PAUSE = 2000;

// Okabe and Ito's, for plots that bring none.
const COLORS = {
  light: ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31", "#808080"],
  dark: ["#56B4E9", "#E69F00", "#1FBF92", "#CC79A7", "#F0E442", "#F5935A", "#C9A26B", "#A6A6A6"],
};

let plotly = null;

// In a report the page is still being read while its tables are there already, and Plotly's text is its last part.
async function afterPaint() {
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 30)));
  if (document.readyState === "loading") {
    await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
  }
}

// From the server as a file; in a report from the inert text in the page.
function loadPlotly() {
  plotly ??= afterPaint().then(() => new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const script = document.createElement("script");
    const held = document.getElementById("plotly-source");
    if (held) {
      script.textContent = held.textContent;
      document.head.append(script);
      return window.Plotly ? resolve(window.Plotly) : reject(new Error("this report holds no plots"));
    }
    script.src = "static/plotly.min.js";
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      script.remove();
      plotly = null;
      reject(new Error("plots need the package plotly beside the server: pip install plotly"));
    };
    document.head.append(script);
  }));
  return plotly;
}

// A plot in a frame of its own. `path()` is asked for its spec; refresh(version) draws it again if that has changed.
export function plotFrame({ title, path, height = 340, slim = false, controls = null, pick = (answer) => answer }) {
  const place = h("div", { class: "plot-place", style: `min-height:${height}px` });
  const found = h("span", { class: "plot-found dim" });
  const status = h("p", { class: "plot-note" }, "Drawing …");
  const figure = h("figure", { class: "plot" },
    h("figcaption", {}, h("span", {}, title), found, controls), place, status);
  let version = 0;
  let drawn = null;
  let visible = false;
  let waiting = null;
  let last = 0;
  let gone = false;
  let busy = false;

  const watcher = new IntersectionObserver((entries) => {
    visible = entries.at(-1).isIntersecting;
    later();
  }, { rootMargin: "120px" });
  watcher.observe(figure);
  const offTheme = onTheme(() => { drawn = null; last = 0; later(); });

  function sign() {
    return `${version} ${theme()} ${path()}`;
  }

  function later() {
    if (gone || waiting !== null || busy || !visible || drawn === sign()) return;
    waiting = setTimeout(draw, Math.max(0, last + PAUSE - Date.now()));
  }

  async function draw() {
    waiting = null;
    if (gone || !visible) return;
    busy = true;
    last = Date.now();
    const wish = sign();
    try {
      const join = path().includes("?") ? "&" : "?";
      const [library, answer] = await Promise.all([loadPlotly(), ask(`${path()}${join}theme=${theme()}`)]);
      if (gone) return;
      const spec = recoloured(pick(answer) ?? {});
      found.textContent = finding(spec.layout.title);
      const nothing = spec.data.length ? "" : finding(spec.layout.annotations?.[0]?.text) || "There is nothing to draw yet.";
      place.hidden = nothing !== "";
      fill(status, nothing).hidden = nothing === "";
      if (nothing) return;
      await library.react(place, spec.data ?? [], dressed(spec.layout ?? {}, height, slim), settings(title));
    } catch (error) {
      if (!gone) fill(status, error.message).hidden = false;
    } finally {
      drawn = wish;
      busy = false;
      last = Date.now();
      later();
    }
  }

  return {
    element: figure,
    refresh(newest) { version = newest; later(); },
    stop() {
      gone = true;
      clearTimeout(waiting);
      watcher.disconnect();
      offTheme();
      if (window.Plotly && place.data) window.Plotly.purge(place);
    },
  };
}

// What a plot says of itself in its title, or when it has nothing to draw: marks and entities stand for plain text.
function finding(title) {
  const text = typeof title === "string" ? title : [title?.text, title?.subtitle?.text].filter(Boolean).join(" · ");
  return text.replace(/<br\s*\/?>/g, " ").replace(/<[^>]*>/g, "").replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&amp;/g, "&");
}

function settings(title) {
  return {
    responsive: true,
    displaylogo: false,
    displayModeBar: "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { format: "png", scale: 2, filename: title.replace(/[^\w-]+/g, "-").toLowerCase() },
  };
}

// What is drawn in a theme's ink, or in its paper, is drawn in that of the page: a report holds each plot in one theme only.
function recoloured(spec) {
  const { font, paper_bgcolor: paper } = spec.layout ?? {};
  const colours = new Map([[font?.color, shade("ink")], [paper, shade("raised")]]);
  function repaint(value) {
    if (typeof value === "string") return colours.get(value) ?? value;
    if (Array.isArray(value)) return typeof value[0] === "number" || value[0] === null ? value : value.map(repaint);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, repaint(part)]));
  }
  return { data: repaint(spec.data ?? []), layout: repaint(spec.layout ?? {}) };
}

// The plot wears the page's colours; the heading is above it already.
function dressed(layout, height, slim) {
  const ink = shade("ink");
  const lines = { gridcolor: shade("line"), linecolor: shade("line-strong"), zerolinecolor: shade("line-strong") };
  const dressedUp = {
    ...layout,
    title: undefined,
    width: undefined,
    autosize: true,
    height: slim ? height : Math.max(layout.height ?? 0, height),
    showlegend: slim ? false : layout.showlegend,
    colorway: layout.colorway ?? COLORS[theme()],
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { ...layout.font, color: ink, size: 12, family: getComputedStyle(document.body).fontFamily },
    margin: { l: 56, r: 16, b: 44, ...layout.margin, t: 16, pad: 0 },
    uirevision: "same",
    hoverlabel: { ...layout.hoverlabel, bgcolor: shade("raised"), bordercolor: shade("line-strong"), font: { color: ink } },
  };
  if (slim) dressedUp.margin = { l: 48, r: 12, t: 10, b: 40 };
  dressedUp.legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", ...layout.legend, bgcolor: "rgba(0,0,0,0)",
    font: { ...layout.legend?.font, color: ink } };
  for (const name of Object.keys(layout)) {
    if (/^[xy]axis\d*$/.test(name)) dressedUp[name] = { automargin: true, ...layout[name], ...lines };
    if (slim && /^yaxis/.test(name)) dressedUp[name].title = undefined;
  }
  return dressedUp;
}
