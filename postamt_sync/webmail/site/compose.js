// Writing: new mails, answers, forwards, and what became of them.

import { ask, session } from "./api.js";
import { $, bytes, make, notice } from "./dom.js";
import { atHand, filesOf, forget, keep, keepFiles, newDraft, place } from "./drafts.js";

const FIELDS = ["from", "name", "to", "cc", "bcc", "subject", "text"];
const LARGEST = 29e6;  // bytes of attachments: SES takes 40 MB, and they grow by a third
const QUOTED = 2e5;  // characters: with a mark before each line it still fits
const WITH_THE_MAIL = 2.5e6;  // bytes of them that go with the mail itself; more goes beforehand

const plain = (all) => all.map(({ name, address }) =>
  (name ? `"${name.replace(/["\\<>]/g, "")}" <${address}>` : address)).join(", ");
const again = (word, subject) =>
  (subject.toLowerCase().startsWith(`${word.toLowerCase()}:`) ? subject : `${word}: ${subject}`);

const start = (text) => (text.length > QUOTED ? `${text.slice(0, QUOTED)}\n[…]` : text);

function quoted(mail) {
  const who = mail.from.map(({ name, address }) => name || address).join(", ");
  const when = mail.received ? new Date(mail.received).toLocaleString() : "";
  return `\n\n${when}, ${who} wrote:\n${start(mail.text).split("\n").map((line) => `> ${line}`.trimEnd()).join("\n")}\n`;
}

// The draft of an answer; `all`: to everybody who got the mail, but us.
export function answer(mail, all) {
  const ours = mail.sent && mail.to.length;  // it goes on where that went
  const named = new Set(session.addresses.map((each) => each.toLowerCase()));
  const others = (list) => list.filter(({ address }) => {
    const isNew = !named.has(address.toLowerCase());
    named.add(address.toLowerCase());
    return isNew;
  });
  const to = ours ? mail.to : mail.reply_to.length ? mail.reply_to : mail.from;
  for (const { address } of to) named.add(address.toLowerCase());
  const reached = (ours ? mail.from : [...mail.to, ...mail.cc]).map(({ address }) => address.toLowerCase());
  const from = session.addresses.find((each) => reached.includes(each.toLowerCase()));
  return newDraft({
    ...(from ? { from } : {}),
    to: plain(all ? [...to, ...others(mail.to)] : to),
    cc: all ? plain(others(mail.cc)) : "",
    subject: again("Re", mail.subject), text: quoted(mail), answers: mail.id, part: mail.part,
  });
}

export function forward(mail) {
  const head = [["From", plain(mail.from)], ["To", plain(mail.to)], ["Date", mail.date], ["Subject", mail.subject]];
  const parts = mail.attachments;  // with its images: only the text goes on, so nothing shows them in it
  return newDraft({
    subject: again("Fwd", mail.subject),
    text: `\n\n-------- Forwarded --------\n${head.map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n${start(mail.text)}\n`,
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
  const chosen = [];  // each with its `file`
  let over = false;  // sent or thrown away
  const add = (files) => chosen.push(...files.map((file) => ({ file })));
  let ready = filesOf(draft).then((kept) => { add(kept); showFiles(); });
  const field = (name, label, more = {}) => make("label", {}, `${label} `,
    make("input", { name, value: draft[name] || "", autocomplete: "off", ...more }));
  const said = make("p", { class: "problem", role: "alert" });
  const list = make("ul", { class: "files", "aria-label": "Attachments" });
  const picker = make("input", { type: "file", multiple: true, "aria-label": "Attach files", onchange: () => {
    const files = [...picker.files];
    picker.value = "";
    change(() => add(files));
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
      ...chosen.map((each) => make("li", {}, `${each.file.name} `, make("span", { class: "soft" }, bytes(each.file.size)), " ",
        make("button", { type: "button", onclick: () => remove(each) }, "Remove"))));
  }

  function remove(one) {
    picker.focus();
    change(() => chosen.splice(0, Infinity, ...chosen.filter((each) => each !== one)));
  }

  // One change after the other: each is kept, and seen at once.
  function change(call) {
    ready = ready.then(async () => {
      if (over) return;
      call();
      showFiles();
      read();
      const kept = await keepFiles(draft, chosen.map(({ file }) => file));
      kept.forEach((file, at) => { if (!left.has(chosen[at].file)) chosen[at].file = file; });
      draft.chosenAt = Date.now();
      if (!over) keep(draft);
    });
  }

  function read() {
    if (over) return;
    for (const name of FIELDS) draft[name] = form.elements[name].value;
    keep(draft);
  }

  // What another window does to the same mail is seen in this one.
  function elsewhere({ key, newValue }) {
    if (over || !form.isConnected) { removeEventListener("storage", elsewhere); return; }
    if (key !== place(draft)) return;
    if (!newValue) { said.textContent = "It was sent or thrown away in another window."; return; }
    const news = JSON.parse(newValue);
    if (news.chosenAt !== draft.chosenAt) ready = ready.then(() => filesOf(draft)).then((kept) => {
      chosen.length = 0;
      add(kept);
      showFiles();
    });
    Object.assign(draft, news);
    for (const name of FIELDS) form.elements[name].value = draft[name];
  }

  function end() {
    over = true;
    forget(draft);
    ready.then(() => forget(draft));  // what was on its way there
  }

  function discard() {
    end();
    leave();
  }

  function leave() {
    atHand(null);
    done();
  }

  async function submit(event) {
    event.preventDefault();
    if (send.disabled) return;
    read();
    send.disabled = true;
    await ready;
    const files = chosen.map(({ file }) => file);
    if (files.reduce((sum, file) => sum + file.size, 0) > LARGEST) {
      said.textContent = "The attachments are too large: SES takes 40 MB, and they grow by a third.";
      send.disabled = false;
      return;
    }
    said.textContent = "Sending …";
    let away = false;  // whether it was on its way to the server
    try {
      const { names, at, tried, mailbox, chosenAt, ...fields } = draft;
      const attached = await allOf(files, (words) => { said.textContent = words; });
      if (!form.isConnected) {  // somebody went away from it, or was signed out
        notice("It was not sent: you left it before its attachments were ready. It is kept.");
        return;
      }
      said.textContent = "Sending …";
      draft.tried = true;
      keep(draft);
      away = navigator.onLine;
      became(await ask("/api/send", { method: "POST", fields: { ...fields, files: attached } }));
    } catch (error) {
      if (error.code === "upload") files.forEach((file) => left.delete(file));
      await failed(error, away);
    }
    send.disabled = false;
  }

  function became({ state, problem }) {
    if (state === "refused" || state === "unsent") {
      said.textContent = problem || "It was not sent.";
      form.querySelector(".perhaps")?.remove();
      return;
    }
    if (state === "sent") {
      end();
      notice("It is sent.");
      if (form.isConnected) leave();
      return;
    }
    said.textContent = "Perhaps it is sent: the answer was lost. It is not sent again by itself. Look again in a "
      + "minute; an answer or a returned mail shows it too. If it did not arrive, send it as a new mail.";
    if (form.querySelector(".perhaps")) return;
    const since = new Date().toLocaleDateString("sv");  // as 2026-11-30
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
    const before = { ...draft };
    Object.assign(draft, { draft: crypto.randomUUID(), tried: false });
    atHand(draft);
    form.querySelector(".perhaps").remove();
    said.textContent = "This is a new mail now.";
    change(() => {});
    ready.then(() => forget(before));
  }

  async function failed(error, away) {
    said.textContent = error.message;
    if (error.status !== 0 && error.status < 500) return;
    if (!await ended() && away) became({ state: "perhaps" });
  }

  // What became of it, where the answer was lost or the page was left meanwhile; false: who knows.
  async function ended() {
    try {
      const found = await ask(`/api/drafts/${draft.draft}`);
      if (found.state !== "unsent") became(found);
      return true;
    } catch (error) { return error.status === 401; }
  }

  addEventListener("storage", elsewhere);
  atHand(draft);
  showFiles();
  if (draft.tried) ended();
  $("mail").replaceChildren(form);
  document.title = "New mail";
  (draft.to ? text : form.elements.to).focus();
  if (draft.to) text.setSelectionRange(0, 0);
}
