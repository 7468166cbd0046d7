"use strict";
// Compares what was received with the models of the SDK's type declarations: it has no others.

const fs = require("fs");

const PLAIN = { string: "string", number: "number", boolean: "boolean" };

/** Members of every model, and the model that each method of an API answers. */
function declarations(path) {
  const models = new Map();
  const answers = new Map();
  let model = null;
  for (const line of fs.readFileSync(path, "utf8").split("\n")) {
    const begins = /^\texport interface (\w+) \{/.exec(line);
    const member = /^\t\t"([^"]+)"(\??): (.*);\s*$/.exec(line);
    const method = /^\s+(\w+)\(.*\): Promise<(.*)>;\s*$/.exec(line);
    if (begins) models.set(begins[1], (model = new Map()));
    else if (member && model) model.set(member[1], { optional: member[2] === "?", kind: member[3] });
    else if (/^\t\}/.test(line)) model = null;
    else if (method) answers.set(method[1], method[2]);
  }
  return { models, answers };
}

class Comparison {
  constructor(path) {
    Object.assign(this, declarations(path));
    this.count = 0;
    this.complaints = [];
    this.unknown = {};
    this.seen = {};
  }

  compare(raw, kind) {
    this.count += 1;
    const name = kind.replace(/^Models\./, "");
    this.seen[name] = (this.seen[name] || 0) + 1;
    this.walk(raw, kind, name);
  }

  walk(raw, kind, path) {
    const list = /^Array<(.*)>$/.exec(kind);
    const map = /^\{ \[key: string\]: (.*); \}$/.exec(kind);
    if (list) {
      if (!Array.isArray(raw)) this.complaints.push(`${path} is no list: ${JSON.stringify(raw)}`);
      else raw.forEach((one) => this.walk(one, list[1], `${path}[]`));
    } else if (kind in PLAIN) {
      if (typeof raw !== PLAIN[kind]) this.complaints.push(`${path} is ${JSON.stringify(raw)}, not ${kind}`);
    } else if (raw === null || typeof raw !== "object" || Array.isArray(raw)) {
      if (kind !== "object") this.complaints.push(`${path} is no ${kind}: ${JSON.stringify(raw)}`);
    } else if (map) {
      Object.values(raw).forEach((one) => this.walk(one, map[1], `${path}{}`));
    } else if (kind !== "object") {
      this.members(raw, kind.replace(/^Models\./, ""), path);
    }
  }

  members(raw, kind, path) {
    const model = this.models.get(kind);
    if (!model) return this.complaints.push(`there is no model ${kind}, of ${path}`);
    for (const [key, { optional }] of model) {
      if (!optional && !(key in raw)) this.complaints.push(`${path}.${key} is missing`);
    }
    for (const [key, one] of Object.entries(raw)) {
      const known = model.get(key);
      const at = `${path}.${key}`;
      if (known) this.walk(one, known.kind, at);
      else this.unknown[at] = (this.unknown[at] || 0) + 1;
    }
  }
}

module.exports = { Comparison };
