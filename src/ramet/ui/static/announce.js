// What is said to those who do not see the page: seldom, and only the latest.

const EVERY = 10000;
let announced = 0;
let announcement = null;
let announcing = null;

export function announce(text, urgent = false) {
  announcement = text;
  if (urgent) {
    clearTimeout(announcing);
    sayIt();
  } else if (announcing === null) {
    announcing = setTimeout(sayIt, Math.max(0, announced + EVERY - Date.now()));
  }
}

function sayIt() {
  announcing = null;
  announced = Date.now();
  document.getElementById("announcer").textContent = announcement;
}
