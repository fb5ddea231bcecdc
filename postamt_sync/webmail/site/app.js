// The page: signs in, lists, searches, reads.

import { ask, look, onSignedOut, session, signIn, signOut } from "./api.js";
import { showComposer } from "./compose.js";
import { Rows } from "./conversations.js";
import { $, bytes, day, make, month, notice } from "./dom.js";
import { draftAtHand, draftsKept, forgetOthers, newDraft } from "./drafts.js";
import { forgetMail, onRead, showMail, write } from "./reading.js";
import { onBack } from "./staying.js";

const LOOK_EVERY = 60 * 1000;
const list = { folder: "inbox", query: "", cursor: "", rows: new Rows($("mails"), line), number: 0, shown: false };

// Where we are: #/inbox, #/inbox/ID, with ?q=… behind it for a search.
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [folder, id = ""] = path.split("/");
  return { folder: ["junk", "sent"].includes(folder) ? folder : "inbox", id, query };
}

function address(id) {
  return `#/${list.folder}${id ? `/${id}` : ""}${list.query ? `?${list.query}` : ""}`;
}

// One mail, or a conversation: what the newest of it says, and how many there are.
function line(mails) {
  const [mail] = mails;
  const unread = mails.some((each) => !each.seen);
  const link = make("a", { href: address(mail.id), "data-id": mail.id, class: unread ? "unread" : "" },
    make("span", {}, mail.sent ? `To ${mail.to}` : sender(mail.from) || "(nobody)",
      mails.length > 1 ? make("span", { class: "soft", title: `${mails.length} mails` }, ` (${mails.length})`) : null),
    make("time", { datetime: mail.received }, day(mail.received)),
    make("span", { class: "subject" }, mail.subject || (mail.sealed ? "(sealed)" : "(no subject)")),
    make("span", { class: "soft" },
      mails.some((each) => each.attachment) ? clip() : null,
      bytes(mail.size)));
  if (unread) link.prepend(make("span", { class: "skip" }, "Unread"));
  if (mail.warning) link.append(make("span", { class: "bad" }, mail.warning));
  if (mails.some((each) => each.id === place().id)) link.setAttribute("aria-current", "true");
  return link;
}

function clip() {
  const space = "http://www.w3.org/2000/svg";
  const [mark, path] = ["svg", "path"].map((tag) => document.createElementNS(space, tag));
  for (const [name, value] of Object.entries({ role: "img", "aria-label": "Attachment", viewBox: "0 0 16 16", class: "clip" }))
    mark.setAttribute(name, value);
  path.setAttribute("d", "M12 4v7a4 4 0 0 1-8 0V4a2.5 2.5 0 0 1 5 0v7a1 1 0 0 1-2 0V5");
  mark.append(path);
  return mark;
}

const sender = (text) => text.replace(/\s*<[^<>]*>\s*$/, "").replace(/^"(.*)"$/, "$1") || text;

// What the server is asked for; where a day begins is known here alone.
function wanted() {
  const found = new URLSearchParams(list.query);
  found.set("folder", list.folder);
  for (const [name, later] of [["since", 0], ["until", 1]]) {
    const [year, month, day] = (found.get(name) || "").split("-").map(Number);
    const moment = new Date(year, month - 1, day + later);
    if (!Number.isNaN(moment.getTime())) found.set(name, moment.toISOString());
  }
  return found;
}

async function showList(fresh = true) {
  const mine = fresh ? (list.number += 1) : list.number;
  if (fresh) {
    list.cursor = "";
    list.rows.clear();
    $("more").hidden = true;
  }
  $("list-state").textContent = "Looking …";
  let found = 0;
  try {
    do {  // a page may be empty and still not be the last
      const asked = wanted();
      if (list.cursor) asked.set("cursor", list.cursor);
      const page = await ask(`/api/mails?${asked}`);
      if (mine !== list.number) return;
      list.rows.put(page.mails);
      list.cursor = page.cursor;
      found += page.mails.length;
      if (page.reached) $("list-state").textContent = `Looking … as far back as ${month(page.reached)}`;
    } while (list.cursor && found < 25);
  } catch (error) {
    if (mine === list.number) $("list-state").textContent = error.message;
    return;
  }
  const none = list.query ? "Nothing was found." : "There is no mail here.";
  $("list-state").textContent = list.rows.mails.size ? "" : none;
  $("more").hidden = !list.cursor;
  markOpen();
}

// A look by itself: what is new comes on top, and nothing moves.
async function lookAgain() {
  if (document.hidden || $("page").hidden) return;
  const mine = list.number;
  let page;
  try { page = await ask(`/api/mails?${wanted()}`, { byItself: true }); } catch { return; }
  if (mine !== list.number) return;
  const fresh = list.rows.put(page.mails, true);
  if (!fresh) return;
  $("list-state").textContent = "";
  notice(fresh === 1 ? "A new mail is here." : `${fresh} new mails are here.`);
}

function markOpen() {
  const here = list.rows.node(place().id);
  for (const link of $("mails").querySelectorAll("a"))
    if (link.parentNode === here) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  const others = [];  // where the same can be looked for
  for (const link of document.querySelectorAll("nav a")) {
    const href = link.getAttribute("href");
    if (href === `#/${list.folder}`) link.setAttribute("aria-current", "page");
    else {
      link.removeAttribute("aria-current");
      others.push(" ", make("a", { href: `${href}?${list.query}` }, link.textContent));
    }
  }
  $("elsewhere").replaceChildren("Search in", ...others);
  $("elsewhere").hidden = !list.query;
}

async function arrive() {
  if ($("page").hidden) return;
  const { folder, id, query } = place();
  if (folder !== list.folder || query !== list.query || !list.shown) {
    Object.assign(list, { folder, query, shown: true });
    $("search").reset();
    for (const [name, value] of new URLSearchParams(query))
      if ($("search").elements[name]) $("search").elements[name].value = value;
    showList();
  }
  document.body.classList.toggle("reading", Boolean(id));
  markOpen();
  if (!id) {
    $("mail").replaceChildren();
    document.title = "Mail";
    return;
  }
  await showMail(id, address(""));
  seen(id);
}

// Begins a mail; where some were begun already, asks which one.
function compose() {
  const drafts = draftsKept();
  if (!drafts.length) { writeOn(newDraft()); return; }
  document.body.classList.add("reading");
  forgetMail();
  $("mail").replaceChildren(make("h1", {}, "Begun already"),
    make("ul", { class: "files" }, ...[...drafts, null].map((draft) => make("li", {},
      make("button", { type: "button", onclick: () => writeOn(draft || newDraft()) },
        draft ? draft.subject || draft.to || "(nothing yet)" : "A new mail")))));
  $("mail").querySelector("li:last-child button").focus();
}

function writeOn(draft) {
  document.body.classList.add("reading");
  forgetMail();
  showComposer(draft, () => { $("mail").replaceChildren(); location.hash = address(""); arrive(); });
}

async function seen(id) {
  const mail = list.rows.mails.get(id);
  if (mail && mail.seen) return;
  try {
    await ask(`/api/mails/${id}/seen`, { method: "POST", fields: { seen: true }, byItself: true });
  } catch { return; }
  list.rows.seen(id);
}

onRead(seen);

// Keys

function step(by) {
  const links = [...$("mails").querySelectorAll("a")];
  let at = links.indexOf(document.activeElement);
  if (at < 0) at = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))];
  if (!next) return;
  next.focus();
  if (document.body.classList.contains("reading")) next.click();
  if (links.indexOf(next) === links.length - 1 && !$("more").hidden) showList(false);
}

// To the next mail of the conversation that is open.
function turn(by) {
  const all = [...$("mail").querySelectorAll("summary")];
  all[Math.min(all.length - 1, Math.max(0, all.indexOf(document.activeElement) + by))]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("page").hidden) return;
  const { target } = event;
  if (target.matches("input, textarea, select, [contenteditable]")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const calls = {
    j: () => step(1),
    k: () => step(-1),
    n: () => turn(1),
    p: () => turn(-1),
    u: () => { location.hash = address(""); $("main").focus(); },
    Escape: () => { location.hash = address(""); $("main").focus(); },
    c: compose,
    r: () => write("r"),
    a: () => write("a"),
    f: () => write("f"),
    "/": () => $("search").elements.q.focus(),
    "?": () => $("help").showModal(),
  };
  if (!$("help").open && Object.hasOwn(calls, event.key)) {
    event.preventDefault();
    calls[event.key]();
  }
});

// Coming and going

function open() {
  $("sign-in").hidden = true;
  $("page").hidden = false;
  $("who").textContent = session.mailbox;
  arrive();
  const begun = draftAtHand();
  if (begun) writeOn(begun);
  forgetOthers();
}

function close() {
  forgetMail();
  list.number += 1;  // what is still under way was asked for another session
  list.shown = false;
  list.rows.clear();
  $("idle").hidden = true;
  $("page").hidden = true;
  $("sign-in").hidden = false;
  $("mail").replaceChildren();
  $("search").reset();
  document.title = "Mail";
  session.idleAt = 0;
  const { mailbox, secret } = $("sign-in").elements;
  (mailbox.value ? secret : mailbox).focus();
}

onSignedOut(() => {
  if ($("page").hidden) return;
  notice("You were signed out.");
  close();
});

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { mailbox, secret } = event.target.elements;
  const problem = event.target.querySelector(".problem");
  problem.textContent = "Looking …";
  try {
    await signIn(mailbox.value, secret.value);
    problem.textContent = "";
    secret.value = "";
    open();
  } catch (error) {
    problem.textContent = error.message + (error.wait ? ` (${error.wait} s)` : "");
    secret.focus();
  }
});

async function leave(everywhere) {
  try { await signOut(everywhere); } catch (error) {
    if (error.status !== 401) { notice(error.message); return; }
  }
  if (draftsKept().length) notice("What you began to write is kept in this browser.");
  close();
}

$("sign-out").addEventListener("click", () => leave(false));
$("sign-out-all").addEventListener("click", () => leave(true));
$("write").addEventListener("click", compose);
$("keys").addEventListener("click", () => $("help").showModal());
$("more").addEventListener("click", () => showList(false));
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(event.target)) if (value.trim()) asked.set(name, value.trim());
  location.hash = `#/${list.folder}${asked.size ? `?${asked}` : ""}`;
  $("main").focus();
});

window.addEventListener("hashchange", arrive);

onBack(lookAgain);
setInterval(lookAgain, LOOK_EVERY);

look(false).then(open, (error) => {
  close();
  if (error.status && error.status !== 401) notice(error.message);
});
