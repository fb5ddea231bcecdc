// Drafts: what is typed and attached is kept in this browser, for the mailbox that it was begun in,
// until it is sent or thrown away.

import { session } from "./api.js";
import { notice } from "./dom.js";

const ofMailbox = (mailbox) => `draft:${mailbox}:`;
export const place = ({ mailbox, draft }) => ofMailbox(mailbox) + draft;
const WRITING = "writing";  // which draft this window is at

// All that was begun, the latest first.
export function draftsKept() {
  const found = [];
  try {
    for (let at = 0; at < localStorage.length; at += 1) {
      const name = localStorage.key(at);
      if (name.startsWith(ofMailbox(session.mailbox)))
        found.push({ ...JSON.parse(localStorage.getItem(name)), mailbox: session.mailbox });
    }
  } catch { /* what cannot be read is none */ }
  return found.sort((one, other) => other.at - one.at);
}

export const newDraft = (given = {}) =>
  ({ draft: crypto.randomUUID(), mailbox: session.mailbox, from: session.addresses[0] || "", ...given });

export function draftAtHand() {
  const id = sessionStorage.getItem(WRITING);
  return draftsKept().find(({ draft }) => draft === id);
}

export function atHand(draft) {
  if (draft) sessionStorage.setItem(WRITING, draft.draft);
  else sessionStorage.removeItem(WRITING);
}

export function keep(draft) {
  try { localStorage.setItem(place(draft), JSON.stringify({ ...draft, at: Date.now() })); } catch {
    notice("This browser cannot keep what you type.");
  }
}

export function forget(draft) {
  try { localStorage.removeItem(place(draft)); } catch { /* there is none then */ }
  files("delete", place(draft)).catch(() => {});
}

// Attachments: files by their draft.

let opened = null;

function database() {
  opened ||= new Promise((resolve, reject) => {
    const asked = indexedDB.open("drafts", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("files");
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  opened.catch(() => { opened = null; });
  return opened;
}

// What has been put is on the disk when this returns.
async function files(how, ...given) {
  const mode = how.startsWith("get") ? "readonly" : "readwrite";
  const work = (await database()).transaction("files", mode, { durability: "strict" });
  const request = work.objectStore("files")[how](...given);
  return new Promise((resolve, reject) => {
    work.oncomplete = () => resolve(request.result);
    work.onabort = () => reject(work.error);
  });
}

export async function filesOf(draft) {
  try { return (await files("get", place(draft))) || []; } catch { return []; }
}

// Returns them as they were kept: those no longer hang on a disk that may be taken away.
export async function keepFiles(draft, all) {
  const name = place(draft);
  try {
    await files("put", all, name);
    return await files("get", name);
  } catch {
    notice("This browser cannot keep attachments: after a reload attach them again.");
    return all;
  }
}

// Files of drafts that are no more, as when the browser ended between the two.
export async function forgetOthers() {
  try {
    const mine = ofMailbox(session.mailbox);
    const names = await files("getAllKeys");  // first: another window may begin one now
    const drafts = new Set(draftsKept().map(place));
    for (const name of names)
      if (name.startsWith(mine) && !drafts.has(name)) await files("delete", name);
  } catch { /* another time */ }
}
