// Says how long the session lasts, and whether the network is there.

import { look, onNetwork, session } from "./api.js";
import { $, notice } from "./dom.js";

const TOLD_EVERY = 60 * 1000;
const WARN_BEFORE = 60 * 1000;
const AGAIN_AFTER = 5 * 1000;
let back = () => {};

// Whom to tell that the network is there again.
export function onBack(call) { back = call; }

let away = false;

// Says that the network is away for as long as it is, whoever found that out.
function network(there, said) {
  if (there !== away) return;
  away = !there;
  notice(there ? "" : said, true);
  if (there) notice("You are online again.");
}

onNetwork(network);
window.addEventListener("offline", () => network(false, "You are offline. What you see may be old."));
window.addEventListener("online", () => { network(true); back(); });

let asking = false;
let warned = false;
let lookedAt = 0;

// Asks how long it lasts: in another window someone may have gone on.
async function lookHowLong() {
  if (asking || Date.now() - lookedAt < AGAIN_AFTER) return;
  asking = true;
  lookedAt = Date.now();
  try { await look(true); } catch { /* it ended, or the network is away */ }
  asking = false;
}

// Who types or points is there, though nothing is asked of the server for that.
let didSomething = 0;
for (const what of ["keydown", "pointerdown", "input"])
  document.addEventListener(what, () => { didSomething = Date.now(); }, { capture: true, passive: true });

setInterval(() => {
  if ($("page").hidden || !session.idleAt) return;
  if (didSomething > session.askedAt && Date.now() - session.askedAt > TOLD_EVERY) look(false).catch(() => {});
  const left = session.idleAt - Date.now();
  const ends = left <= WARN_BEFORE;
  if (left <= 0 || (ends && !warned)) lookHowLong();
  warned = ends;
  $("idle").hidden = !ends || asking;
  $("stay").hidden = session.idleAt >= session.endsAt;  // it ends in any case
}, 1000);

$("stay").addEventListener("click", () => look(false).then(() => { $("idle").hidden = true; }, () => {}));
