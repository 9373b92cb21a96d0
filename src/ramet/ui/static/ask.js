// Where answers come from: the server, or the page itself when it is a frozen report.

let frozenAnswers;

function frozen() {
  if (frozenAnswers === undefined) {
    const held = document.getElementById("frozen");
    frozenAnswers = held ? JSON.parse(held.textContent) : null;
  }
  return frozenAnswers;
}

export function isFrozen() {
  return frozen() !== null;
}

// ask("run/KEY") is the answer of GET api/run/KEY. A refusal is an Error with the server's own words and `status`.
export async function ask(path) {
  if (isFrozen()) return frozenAnswer(path);
  let response;
  try {
    response = await fetch(address(path), { headers: { Accept: "application/json" }, cache: "no-cache" });
  } catch {
    throw failure("the server does not answer: is `ramet ui` still running?", 0);
  }
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    if (response.ok) throw failure("the server's answer was cut short", 0);
  }
  if (!response.ok) throw failure(answer?.error || `the server answered ${response.status}`, response.status);
  return answer;
}

export function address(path) {
  return `api/${path}`;
}

function failure(text, status) {
  const error = new Error(text);
  error.status = status;
  return error;
}

// A report holds each answer once: for one theme, and from the beginning.
function frozenAnswer(path) {
  const held = frozen();
  const [bare, query = ""] = path.split("?");
  const asked = new URLSearchParams(query);
  const names = [path];
  for (const left of ["theme", "limit"]) {
    asked.delete(left);
    names.push(asked.size ? `${bare}?${asked}` : bare);
  }
  if (!asked.has("before") && !asked.has("runs")) names.push(bare);
  for (const name of names) {
    for (const key of [`/api/${name}`, decodeURIComponent(`/api/${name}`)]) {
      if (Object.hasOwn(held, key)) {
        const answer = structuredClone(held[key]);
        if (answer?.error && Object.keys(answer).length === 1) throw failure(answer.error, 404);
        return answer;
      }
    }
  }
  throw failure("this report does not hold that: open the run with `ramet ui`", 404);
}
