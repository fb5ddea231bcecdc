// What is asked of the server, and how long the session lasts.

export class Refused extends Error {
  constructor(status, said) {
    const busy = status === 429 && "Too many ask at once. Try again in some seconds.";
    super(said.problem || busy || "That did not work. Try again.");
    this.status = status;
    this.code = said.code || "";
    this.wait = said.wait || 0;
  }
}

export const session = { mailbox: "", addresses: [], askedAt: 0, idleAt: 0, endsAt: 0 };
const IDLE = 15 * 60 * 1000;
const AWAY = "The network is away. What you see may be old.";
let signedOut = () => {};
let network = () => {};

export function onSignedOut(call) { signedOut = call; }

// Whom to tell whether the server was reached, each time that it was asked.
export function onNetwork(call) { network = call; }

// `byItself`: no person caused it, so it keeps no session up.
export async function ask(path, { method = "GET", fields, byItself = false } = {}) {
  const headers = {};
  if (!byItself) session.askedAt = Date.now();
  if (fields !== undefined) headers["Content-Type"] = "application/json";
  if (byItself) headers["Postamt-By-Itself"] = "1";
  if (session.mailbox) headers["Postamt-Mailbox"] = encodeURIComponent(session.mailbox);
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, body: fields === undefined ? undefined : JSON.stringify(fields),
      credentials: "same-origin", cache: "no-store",
    });
  } catch {
    network(false, AWAY);
    throw new Refused(0, { problem: AWAY });
  }
  network(true);
  let said = {};
  try { said = await answer.json(); } catch { /* an answer without words */ }
  if (!answer.ok) {
    if (answer.status === 401 && said.code === "signed-out") signedOut();
    throw new Refused(answer.status, said);
  }
  if (!byItself) session.idleAt = Math.min(Date.now() + IDLE, session.endsAt || Infinity);
  return said;
}

function begun(said) {
  session.mailbox = said.mailbox;
  session.addresses = said.addresses;
  session.idleAt = Date.now() + said.idle_in * 1000;
  session.endsAt = Date.now() + said.ends_in * 1000;
  return said;
}

export async function signIn(mailbox, secret) {
  const typed = { method: "POST", fields: { mailbox, secret } };
  session.mailbox = "";
  try {
    await ask("/api/sign-in/known", typed);
  } catch (problem) {  // a device that is not known yet goes where strangers try it too
    if (problem.code === "wrong") throw problem;
    await ask("/api/sign-in", typed);
  }
  try { return await look(false); } catch (problem) {
    if (problem.status !== 401) throw problem;
    throw new Refused(0, { problem: "This browser keeps no cookie of this page, so nobody stays signed in. Try another one." });
  }
}
export const look = async (byItself) => begun(await ask("/api/session", { byItself }));
export const signOut = (everywhere) =>
  ask(everywhere ? "/api/sign-out-everywhere" : "/api/sign-out", { method: "POST", fields: {} });
