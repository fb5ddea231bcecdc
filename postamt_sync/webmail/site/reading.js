// One mail: its head, its text, or its HTML in a frame that may do nothing.

import { ask } from "./api.js";
import { answer, forward, showComposer } from "./compose.js";
import { $, bytes, day, make, notice } from "./dom.js";

let showing = 0;
let shown = null;
let read = () => {};

// Whom to tell that a mail of a conversation was opened.
export function onRead(call) { read = call; }

const person = ({ name, address }) => (name ? `${name} <${address}>` : address);
const people = (all) => all.map(person).join(", ");

// What is still under way is shown no more.
export function forgetMail() {
  showing += 1;
  shown = null;
}

// Begins an answer or a forward of the mail that is shown; `how` is r, a or f.
export function write(how) {
  if (!shown) return;
  const { mail, id, back, part } = shown;
  const begin = { r: () => answer(mail, false), a: () => answer(mail, true), f: () => forward(mail) }[how];
  shown = null;
  showComposer(begin(), () => showMail(id, back, part));
}

export async function showMail(id, back, part = "") {
  const mine = (showing += 1);
  shown = null;
  const base = `/api/mails/${id}`;
  const within = part ? `?part=${encodeURIComponent(part)}` : "";
  const pane = $("mail");
  pane.replaceChildren(make("p", { class: "soft" }, "Looking …"));
  let mail;
  try {
    mail = { ...await ask(base + within), part };
  } catch (error) {
    if (mine === showing)
      pane.replaceChildren(make("p", { class: "problem" }, error.message), goBack(back));
    return;
  }
  if (mine !== showing) return;
  shown = { mail, id, back, part };
  document.title = mail.subject || "(no subject)";
  pane.replaceChildren(
    make("div", { class: "bar" }, goBack(back),
      ...[["r", "Answer"], ["a", "Answer all"], ["f", "Forward"]].map(([how, word]) =>
        make("button", { type: "button", onclick: () => write(how) }, word)),
      part ? make("button", { onclick: () => showMail(id, back) }, "To the outer mail") : null,
      make("a", { class: "button", href: `${base}/source`, target: "_blank", rel: "noopener" }, "Source"),
      make("a", { class: "button", href: `${base}/source?download=1` }, "Download")),
    make("h1", {}, mail.subject || "(no subject)"),
    ...content(mail, id, back, part));
  if (!$("page").querySelector("input:focus, textarea:focus, select:focus")) pane.focus();  // who types goes on
  if (!part) await showOthers(id, back, mine);
}

function content(mail, id, back, part) {
  const base = `/api/mails/${id}`;
  return [head(mail),
    ...mail.verdicts.map(({ weight, text }) => make("p", { class: weight }, text)),
    ...(mail.cut ? [make("p", { class: "doubtful" }, "There is more in it than is shown here: Download has all of it.")] : []),
    files(mail, id, base, back),
    ...body(mail, base, part)];
}

// The other mails of the conversation, below the one that was opened; those not yet read are open.
async function showOthers(id, back, mine) {
  let mails;
  try {
    ({ mails } = await ask(`/api/mails/${id}/conversation`, { byItself: true }));
  } catch { return; }
  if (mine !== showing || mails.length < 2) return;
  const others = mails.filter((mail) => mail.id !== id).map((mail) => other(mail, back));
  $("mail").append(make("section", { "aria-label": "Conversation" },
    make("h2", {}, `${mails.length} mails in this conversation`), ...others));
}

function other(mail, back) {
  const shown = make("div", {});
  const node = make("details", { open: !mail.seen },
    make("summary", { class: mail.seen ? "" : "unread" },
      `${mail.sent ? `To ${mail.to}` : mail.from} · ${day(mail.received)} · ${mail.subject || "(no subject)"}`),
    shown);
  const fill = async () => {
    if (!node.open || shown.childNodes.length) return;
    shown.append(make("p", { class: "soft" }, "Looking …"));
    try {
      const whole = await ask(`/api/mails/${mail.id}`);
      shown.replaceChildren(make("a", { class: "button", href: `${back.split("?")[0]}/${mail.id}` }, "Open alone"),
        ...content(whole, mail.id, back, ""));
      if (!mail.sent) read(mail.id);
    } catch (error) { shown.replaceChildren(make("p", { class: "problem" }, error.message)); }
  };
  node.addEventListener("toggle", fill);
  fill();
  return node;
}

const goBack = (back) => make("a", { class: "button back", href: back }, "Back");

function head(mail) {
  const lines = [["From", people(mail.from)], ["To", people(mail.to)], ["Cc", people(mail.cc)],
    [mail.sent ? "Sent" : "Received", mail.received ? new Date(mail.received).toLocaleString() : ""]];
  return make("dl", {}, ...lines.filter(([, text]) => text)
    .flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
}

function body(mail, base, part) {
  if (!mail.html) return [make("div", { class: "text" }, mail.text || "(no text)")];
  const text = make("div", { class: "text", hidden: true }, mail.text);
  const source = (images) => {
    const asked = new URLSearchParams();
    if (part) asked.set("part", part);
    if (images) asked.set("images", "1");
    return `${base}/html${asked.size ? `?${asked}` : ""}`;
  };
  const alone = make("a", { class: "button", href: source(false), target: "_blank", rel: "noopener" }, "Alone, to print");
  const frame = make("iframe", {
    sandbox: "allow-popups allow-popups-to-escape-sandbox", referrerpolicy: "no-referrer",
    title: "The mail's HTML", src: source(false),
  });
  const images = make("button", { type: "button", onclick: () => {
    frame.src = source(true);
    alone.href = source(true);
    images.disabled = true;
  } }, "Show images of others");
  const plain = make("button", { type: "button", "aria-pressed": "false", onclick: () => {
    text.hidden = !text.hidden;
    frame.hidden = !text.hidden;
    plain.setAttribute("aria-pressed", String(!text.hidden));
  } }, "As text");
  return [make("div", { class: "bar" }, plain, images, alone), text, frame];
}

function files(mail, id, base, back) {
  const shown = mail.attachments.filter((each) => !(each.inline && mail.html));
  if (!shown.length) return "";
  return make("ul", { class: "files", "aria-label": "Attachments" }, ...shown.map((each) => make("li", {},
    make("a", { class: "button", href: `${base}/parts/${each.part}`, download: each.name, onclick: () => notice(`Getting ${each.name} …`) },
      `${each.name} `, make("span", { class: "soft" }, bytes(each.size))),
    each.mail ? make("button", { onclick: () => showMail(id, back, each.part) }, "Open") : null)));
}
