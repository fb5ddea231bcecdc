// Elements made by hand: nothing foreign ever becomes markup.

export const $ = (id) => document.getElementById(id);

export function make(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

let hiding = 0;
let lasting = "";

function say(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// Says something for a moment; what `lasts` is said until it is "".
export function notice(text, lasts = false) {
  clearTimeout(hiding);
  if (lasts) lasting = text;
  else hiding = setTimeout(() => say(lasting), 6000);
  say(text);
}

export function day(iso) {
  const when = new Date(iso);
  if (Number.isNaN(when.getTime())) return "";
  const now = new Date();
  if (when.toDateString() === now.toDateString())
    return when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const year = when.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return when.toLocaleDateString([], { day: "numeric", month: "short", year });
}

// Of a month as 2026-11.
export const month = (iso) =>
  new Date(`${iso}-15T12:00`).toLocaleDateString([], { month: "long", year: "numeric" });

export function bytes(count) {
  if (count === null || count === undefined) return "";
  const units = ["B", "KB", "MB", "GB"];
  let at = 0;
  while (count >= 1000 && at < 3) { count /= 1000; at += 1; }
  return `${count >= 10 || at === 0 ? Math.round(count) : count.toFixed(1)} ${units[at]}`;
}
