// Elements made from code: whatever a user wrote becomes a text node or an attribute's value, never markup.

import { ago, moment } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

// h("a", {class: "x", href: "#/", on: {click: f}}, "text", child, null) -> element; null and false are left out.
export function h(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, call] of Object.entries(value)) element.addEventListener(event, call);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, children);
  return element;
}

function put(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function fill(element, ...children) {
  element.textContent = "";
  put(element, children);
  return element;
}

// A moment that goes on ageing: `tick` rewrites every one in the page.
export function when(unix) {
  if (unix === null || unix === undefined) return h("span", {}, "–");
  const written = new Date(unix * 1000).toISOString();
  return h("time", { datetime: written, "data-unix": unix, title: moment(unix, true) }, ago(unix));
}

export function tick(root = document) {
  for (const time of root.querySelectorAll("time[data-unix]")) {
    const text = ago(Number(time.dataset.unix));
    if (time.textContent !== text) time.textContent = text;
  }
}

// Long names are cut by the style sheet, and whole in the title.
export function clipped(text, kind = "") {
  return h("span", { class: `clip ${kind}`.trim(), title: text }, text);
}

export function note(kind, ...children) {
  return h("p", { class: `banner ${kind}`, role: kind === "error" ? "alert" : null }, ...children);
}

export function empty(title, ...children) {
  return h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, ...children));
}

export function copyButton(text) {
  const button = h("button", { type: "button", class: "quiet small" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return button;
}
