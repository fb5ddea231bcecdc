// The rows of the list: mails that name the same ids are one conversation, and one row.

import { make } from "./dom.js";

export class Rows {
  constructor(list, line) {
    this.list = list;
    this.line = line;
    this.clear();
  }

  clear() {
    this.mails = new Map();
    this.rowOf = new Map();
    this.list.replaceChildren();
  }

  // Which row a mail is in; undefined where it is in none.
  node(id) { return this.mails.get(id)?.row.node; }

  // Puts mails in, newest first; `fresh`: they came while we looked. Returns how many were new.
  put(mails, fresh = false) {
    const news = mails.filter((mail) => !this.mails.has(mail.id));
    for (const mail of fresh ? [...news].reverse() : news) this.one(mail, fresh);
    return news.length;
  }

  one(mail, fresh) {
    this.mails.set(mail.id, mail);
    const known = [...new Set(mail.links.map((link) => this.rowOf.get(link)).filter(Boolean))]
      .sort((a, b) => (a.mails[0].received < b.mails[0].received ? 1 : -1));
    const row = known.shift() || { mails: [], node: make("li") };
    const nodes = [row, ...known].map((each) => each.node);
    const focused = nodes.some((node) => node.contains(document.activeElement));
    for (const other of known) {  // this one shows that they belong together
      row.mails.push(...other.mails);
      other.node.remove();
    }
    row.mails.push(mail);
    row.mails.sort((a, b) => (a.received < b.received ? 1 : -1));
    for (const each of row.mails) for (const link of each.links) this.rowOf.set(link, row);
    if (fresh) this.list.prepend(row.node);
    else if (!row.node.isConnected) this.list.append(row.node);
    for (const each of row.mails) each.row = row;
    this.draw(row, focused);
  }

  draw(row, focused = row.node.contains(document.activeElement)) {
    row.node.replaceChildren(this.line(row.mails));
    if (focused) row.node.firstChild.focus({ preventScroll: true });
  }

  seen(id) {
    const mail = this.mails.get(id);
    if (!mail || mail.seen) return;
    mail.seen = true;
    this.draw(mail.row);
  }
}
