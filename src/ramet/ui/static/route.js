// What the address says is shown, and the addresses of what can be shown.

export function tabs() {
  return [
    { name: "overview", title: "Overview", key: "o" },
    { name: "lineage", title: "Lineage", key: "l", drawn: true },
    { name: "schedules", title: "Schedules", key: "s", drawn: true },
    { name: "exploits", title: "Exploits", key: "x", drawn: true },
    { name: "diversity", title: "Diversity", key: "d", drawn: true },
    { name: "parameters", title: "Parameters", key: "p", drawn: true },
    { name: "slots", title: "Slots", key: "w", drawn: true },
    { name: "events", title: "Events", key: "e" },
    { name: "errors", title: "Errors", key: "r" },
    { name: "checkpoints", title: "Checkpoints", key: "c" },
  ];
}

const KEY = /^[A-Za-z0-9_-]{1,64}$/;

// parse("#/run/KEY/member/3") -> {page: "run", key, tab: "member", member: "3"}; what is no address is page "unknown".
export function parse(hash) {
  const parts = hash.replace(/^#\/?/, "").split("/").filter((part) => part !== "");
  const [page, key, tab = "overview", rest] = parts;
  if (page === undefined) return { page: "runs" };
  if (page === "compare" && parts.length <= 2) {
    return { page, keys: (key ?? "").split(",").filter((one) => KEY.test(one)) };
  }
  if (page !== "run" || !KEY.test(key ?? "") || parts.length > 4) return { page: "unknown" };
  if (tab === "member" && /^\d{1,9}$/.test(rest ?? "")) return { page, key, tab, member: Number(rest) };
  if (parts.length <= 3 && tabs().some(({ name }) => name === tab)) return { page, key, tab };
  return { page: "unknown" };
}

export function runsAddress() {
  return "#/";
}

export function runAddress(key, tab = "overview") {
  return `#/run/${key}/${tab}`;
}

export function memberAddress(key, member) {
  return `#/run/${key}/member/${member}`;
}

export function compareAddress(keys) {
  return `#/compare/${keys.join(",")}`;
}
