// How values are written: numbers, sizes, spans and moments of time. Nothing here touches the page.

const DASH = "–";
let timeZone = null;

export function minus(text) {
  return text.replace(/-/g, "−");
}

export function number(value) {
  if (value === null || value === undefined) return DASH;
  if (typeof value !== "number") return anything(value);
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return minus(count(value));
  if (size >= 1e6 || size < 1e-3) {
    return minus(value.toExponential(2).replace("e+", "e").replace(/\.?0+e/, "e"));
  }
  const places = Math.max(0, 3 - Math.floor(Math.log10(size)));
  return minus(value.toFixed(Math.min(places, 6)));
}

export function count(value) {
  if (value === null || value === undefined) return DASH;
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}

// Whatever a hyperparameter may be: numbers shortly, words as they are, the rest as JSON.
export function anything(value) {
  if (value === null || value === undefined) return DASH;
  if (typeof value === "number") return number(value);
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "true" : "false";
  return JSON.stringify(value);
}

export function bytes(value) {
  if (value === null || value === undefined) return DASH;
  const units = ["B", "KB", "MB", "GB", "TB"];
  let step = 0;
  while (value >= 1000 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  if (seconds < 1) return "under 1 s";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

export function ago(unix, now = Date.now() / 1000) {
  const passed = now - unix;
  if (passed < -60) return `in ${span(-passed)}`;
  if (passed < 5) return "just now";
  return `${span(passed)} ago`;
}

// In the reader's own time zone, with its name where there is room for it (in titles).
export function moment(unix, long = false) {
  const date = new Date(unix * 1000);
  const two = (part) => String(part).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (!long) return `${day} ${time}`;
  timeZone ??= Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";
  return `${day} ${time}:${two(date.getSeconds())} (${timeZone})`;
}

export function percent(share) {
  if (share === null || share === undefined) return DASH;
  return share < 1 && share > 0.995 ? "99 %" : `${Math.round(share * 100)} %`;
}

export function plural(many, one, more = `${one}s`) {
  return `${count(many)} ${many === 1 ? one : more}`;
}

// Whether a change went up or down, where that can be said of it.
export function direction(before, after) {
  if (typeof before !== "number" || typeof after !== "number" || before === after) return "";
  return after > before ? "up" : "down";
}
