// Writing: what is typed is kept in this browser until it is sent or thrown away.

import { ask, session } from "./api.js";
import { $, bytes, make, notice } from "./dom.js";

const FIELDS = ["from", "name", "to", "cc", "bcc", "subject", "text"];
const LARGEST = 29e6;  // bytes of attachments: SES takes 40 MB, and they grow by a third
const WITH_THE_MAIL = 2.5e6;  // bytes of them that go with the mail itself; more goes beforehand

const place = (id) => `draft:${session.mailbox}:${id}`;
const WRITING = "writing";  // which draft this window is at

// All that was begun, the latest first.
export function draftsKept() {
  const found = [];
  try {
    for (let at = 0; at < localStorage.length; at += 1) {
      const name = localStorage.key(at);
      if (name.startsWith(place(""))) found.push(JSON.parse(localStorage.getItem(name)));
    }
  } catch { /* what cannot be read is none */ }
  return found.sort((one, other) => other.at - one.at);
}

export function draftAtHand() {
  const id = sessionStorage.getItem(WRITING);
  return draftsKept().find(({ draft }) => draft === id);
}

function keep(draft) {
  try { localStorage.setItem(place(draft.draft), JSON.stringify({ ...draft, at: Date.now() })); } catch {
    notice("This browser cannot keep what you type.");
  }
}

function forget(draft) {
  try { localStorage.removeItem(place(draft.draft)); } catch { /* there is none then */ }
}

export const newDraft = (given = {}) =>
  ({ draft: crypto.randomUUID(), from: session.addresses[0] || "", ...given });

const plain = (all) => all.map(({ name, address }) =>
  (name ? `"${name.replace(/["\\]/g, "")}" <${address}>` : address)).join(", ");
const again = (word, subject) =>
  (subject.toLowerCase().startsWith(`${word.toLowerCase()}:`) ? subject : `${word}: ${subject}`);

function quoted(mail) {
  const who = mail.from.map(({ name, address }) => name || address).join(", ");
  const when = mail.received ? new Date(mail.received).toLocaleString() : "";
  return `\n\n${when}, ${who} wrote:\n${mail.text.split("\n").map((line) => `> ${line}`.trimEnd()).join("\n")}\n`;
}

// The draft of an answer; `all`: to everybody who got the mail, but us.
export function answer(mail, all) {
  const own = new Set(session.addresses.map((each) => each.toLowerCase()));
  const others = (list) => list.filter(({ address }) => !own.has(address.toLowerCase()));
  const to = mail.reply_to.length ? mail.reply_to : mail.from;
  const reached = [...mail.to, ...mail.cc].map(({ address }) => address.toLowerCase());
  const from = session.addresses.find((each) => reached.includes(each.toLowerCase()));
  return newDraft({
    ...(from ? { from } : {}),
    to: plain(all ? [...to, ...others(mail.to)] : to),
    cc: all ? plain(others(mail.cc)) : "",
    subject: again("Re", mail.subject), text: quoted(mail), answers: mail.id,
  });
}

export function forward(mail) {
  const head = [["From", plain(mail.from)], ["To", plain(mail.to)], ["Date", mail.date], ["Subject", mail.subject]];
  const parts = mail.attachments;  // with its images: only the text goes on, so nothing shows them in it
  return newDraft({
    subject: again("Fwd", mail.subject),
    text: `\n\n-------- Forwarded --------\n${head.map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n${mail.text}\n`,
    forward: parts.length ? { mail: mail.id, parts: parts.map(({ part }) => part) } : undefined,
    names: parts.map(({ name }) => name),
  });
}

const encoded = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve({
    name: file.name, type: file.type || "application/octet-stream",
    content: String(reader.result).replace(/^[^,]*,?/, ""),
  });
  reader.onerror = () => reject(new Error(`${file.name} cannot be read.`));
  reader.readAsDataURL(file);
});

// Leave a file where the mail finds it when it is sent; what is left lasts for a day.
async function uploaded(file, said) {
  const { url, fields, upload } = await ask("/api/uploads", { method: "POST", fields: { size: file.size } });
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", new Blob([file]));
  const problem = await new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = ({ loaded, total }) => {
      said(`Uploading ${file.name}: ${Math.min(100, Math.floor((100 * loaded) / total))} %`);
    };
    request.onload = () => resolve(request.status < 300 ? "" : `${file.name} was not taken (${request.status}). Try again.`);
    request.onerror = () => resolve(`${file.name} could not be uploaded. Try again.`);
    request.open("POST", url);
    request.send(form);
  });
  if (problem) throw new Error(problem);
  return { name: file.name, type: file.type || "application/octet-stream", upload };
}

const left = new WeakMap();  // files that were uploaded already

async function allOf(files, said) {
  if (files.reduce((sum, file) => sum + file.size, 0) <= WITH_THE_MAIL) return Promise.all(files.map(encoded));
  const found = [];
  try {
    for (const file of files) {
      if (!left.has(file)) left.set(file, await uploaded(file, said));
      found.push(left.get(file));
    }
  } catch (error) {
    if (error.code === "no-uploads") return Promise.all(files.map(encoded));
    throw error;
  }
  return found;
}

export function showComposer(draft, done) {
  const files = [];
  const field = (name, label, more = {}) => make("label", {}, `${label} `,
    make("input", { name, value: draft[name] || "", autocomplete: "off", ...more }));
  const said = make("p", { class: "problem", role: "alert" });
  const list = make("ul", { class: "files", "aria-label": "Attachments" });
  const picker = make("input", { type: "file", multiple: true, "aria-label": "Attach files", onchange: () => {
    files.push(...picker.files);
    picker.value = "";
    showFiles();
  } });
  const text = make("textarea", { name: "text", rows: 16, "aria-label": "Text" });
  text.value = draft.text || "";
  const send = make("button", { type: "submit" }, "Send");
  const form = make("form", { id: "compose", onsubmit: submit, oninput: read },
    make("h1", {}, draft.answers ? "Answer" : draft.forward ? "Forward" : "New mail"),
    make("label", {}, "From ", make("select", { name: "from" }, ...session.addresses.map((each) =>
      make("option", { value: each, selected: each === draft.from }, each)))),
    field("name", "Your name"), field("to", "To"), field("cc", "Cc"), field("bcc", "Bcc"),
    field("subject", "Subject"), text, list, picker,
    make("div", { class: "bar" }, send,
      make("button", { type: "button", onclick: () => { read(); leave(); } }, "Later"),
      make("button", { type: "button", onclick: discard }, "Throw away")), said);

  function showFiles() {
    list.replaceChildren(
      ...(draft.names || []).map((name) => make("li", {}, name)),
      ...files.map((file, at) => make("li", {}, `${file.name} `, make("span", { class: "soft" }, bytes(file.size)), " ",
        make("button", { type: "button", onclick: () => { files.splice(at, 1); showFiles(); } }, "Remove"))));
  }

  function read() {
    for (const name of FIELDS) draft[name] = form.elements[name].value;
    keep(draft);
  }

  function discard() {
    forget(draft);
    leave();
  }

  function leave() {
    sessionStorage.removeItem(WRITING);
    done();
  }

  async function submit(event) {
    event.preventDefault();
    read();
    if (files.reduce((sum, file) => sum + file.size, 0) > LARGEST) {
      said.textContent = "The attachments are too large: SES takes 40 MB, and they grow by a third.";
      return;
    }
    send.disabled = true;
    said.textContent = "Sending …";
    try {
      const { names, at, ...fields } = draft;
      const attached = await allOf(files, (words) => { said.textContent = words; });
      said.textContent = "Sending …";
      became(await ask("/api/send", { method: "POST", fields: { ...fields, files: attached } }));
    } catch (error) {
      if (error.code === "upload") files.forEach((file) => left.delete(file));
      await failed(error);
    }
    send.disabled = false;
  }

  function became({ state, problem }) {
    if (state === "refused") {
      said.textContent = problem;
      form.querySelector(".perhaps")?.remove();
      return;
    }
    if (state === "sent") {
      forget(draft);
      notice("It is sent.");
      leave();
      return;
    }
    said.textContent = "Perhaps it is sent: the answer was lost. It is not sent again by itself. Look again in a "
      + "minute; an answer or a returned mail shows it too. If it did not arrive, send it as a new mail.";
    if (form.querySelector(".perhaps")) return;
    const since = new Date().toISOString().slice(0, 10);
    said.after(make("div", { class: "bar perhaps" },
      make("button", { type: "button", onclick: lookAgain }, "Look again"),
      make("a", { class: "button", href: `#/inbox?since=${since}`, target: "_blank", rel: "noopener" }, "What came since"),
      make("button", { class: "anew", type: "button", onclick: anew }, "Make it a new mail")));
  }

  // A request that was cut off may have gone on to its end meanwhile.
  async function lookAgain() {
    said.textContent = "Looking …";
    try { became(await ask(`/api/drafts/${draft.draft}`)); } catch (error) { said.textContent = error.message; }
  }

  function anew() {
    forget(draft);
    draft.draft = crypto.randomUUID();
    sessionStorage.setItem(WRITING, draft.draft);
    form.querySelector(".perhaps").remove();
    said.textContent = "This is a new mail now.";
    keep(draft);
  }

  async function failed(error) {
    said.textContent = error.message;
    if (error.status !== 0 && error.status < 500) return;
    try {  // what became of it, since the answer was lost
      const found = await ask(`/api/drafts/${draft.draft}`);
      if (found.state === "sent" || found.state === "perhaps") became(found);
    } catch { /* the words above stay */ }
  }

  sessionStorage.setItem(WRITING, draft.draft);
  showFiles();
  $("mail").replaceChildren(form);
  document.title = "New mail";
  (draft.to ? text : form.elements.to).focus();
  if (draft.to) text.setSelectionRange(0, 0);
}
