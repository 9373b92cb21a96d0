// Light or dark: as the system says, until the reader says otherwise; the choice is remembered where that is allowed.

const CHOICES = ["system", "light", "dark"];
const STORED = "ramet-theme";
const themeListeners = new Set();

function remembered() {
  try {
    const choice = localStorage.getItem(STORED);
    return CHOICES.includes(choice) ? choice : "system";
  } catch {
    return "system";
  }
}

function remember(choice) {
  try {
    localStorage.setItem(STORED, choice);
  } catch {
    // A page opened from a file, or a browser that stores nothing: the choice lasts as long as the page.
  }
}

let themeChoice = "system";

export function theme() {
  if (themeChoice !== "system") return themeChoice;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function onTheme(listener) {
  themeListeners.add(listener);
  return () => themeListeners.delete(listener);
}

function applyTheme() {
  if (themeChoice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = themeChoice;
  const button = document.getElementById("theme-switch");
  const now = theme();
  button.textContent = now === "dark" ? "☾" : "☀";
  button.title = `Theme: ${themeChoice === "system" ? `as the system, ${now}` : now} (t)`;
  button.setAttribute("aria-label", `Theme: ${themeChoice === "system" ? `as the system, now ${now}` : now}. Change it`);
  for (const listener of themeListeners) listener(now);
}

// The first press goes to the other theme; one that agrees with the system follows it from then on.
export function switchTheme() {
  const other = theme() === "dark" ? "light" : "dark";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  themeChoice = other === system ? "system" : other;
  remember(themeChoice);
  applyTheme();
}

export function startTheme() {
  themeChoice = remembered();
  applyTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  document.getElementById("theme-switch").addEventListener("click", switchTheme);
}

// What plots need to know of the style sheet.
export function shade(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
