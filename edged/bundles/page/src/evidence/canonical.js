/**
 * Canonical JSON: RFC 8785 (JCS) out, strict I-JSON (RFC 7493) in, and no floating-point number either way.
 *
 * JSON.parse would let two readers see two documents in the same bytes (duplicate keys, rounded numbers, lone
 * surrogates), so the reader here is its own. Objects have no prototype: no key of a forger reaches one.
 */

import { MalformedError } from "../errors.js";
import { fromUtf8, utf8 } from "./bytes.js";

const MAX_DEPTH = 64;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const WORDS = { true: true, false: false, null: null };
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** Read JSON strictly; canonical form is not asked for. */
export function decode(bytes) {
  const reader = new Reader(fromUtf8(bytes));
  const value = reader.value(MAX_DEPTH);
  reader.end();
  return value;
}

/** Write a value that `decode` may have given in RFC 8785 form. */
export function encode(value) {
  return utf8(write(value, MAX_DEPTH));
}

/** Say whether this is a JSON object. */
export function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function write(value, depth) {
  if (depth === 0) throw new MalformedError("the JSON nests too deep");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new MalformedError("an integer lies beyond 2^53");
    return String(value);
  }
  if (typeof value === "string") return JSON.stringify(whole(value));
  if (Array.isArray(value)) return `[${value.map((each) => write(each, depth - 1)).join(",")}]`;
  const keys = Object.keys(value).sort(); // by UTF-16 code units, as RFC 8785 has it
  return `{${keys.map((key) => `${JSON.stringify(whole(key))}:${write(value[key], depth - 1)}`).join(",")}}`;
}

function whole(text) {
  if (/\p{Surrogate}/u.test(text)) throw new MalformedError("a text holds a lone surrogate");
  return text;
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  value(depth) {
    if (depth === 0) throw new MalformedError("the JSON nests too deep");
    this.match(SPACE);
    const next = this.text[this.at];
    if (next === "{") return this.object(depth);
    if (next === "[") return this.array(depth);
    if (next === '"') return this.string();
    for (const [word, value] of Object.entries(WORDS)) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.integer();
  }

  end() {
    this.match(SPACE);
    if (this.at !== this.text.length) this.refuse();
  }

  object(depth) {
    const found = Object.create(null);
    this.items("}", () => {
      this.match(SPACE);
      if (this.text[this.at] !== '"') this.refuse();
      const key = this.string();
      if (key in found) throw new MalformedError("an object holds a key twice");
      this.match(SPACE);
      if (this.text[this.at++] !== ":") this.refuse();
      found[key] = this.value(depth - 1);
    });
    return found;
  }

  array(depth) {
    const found = [];
    this.items("]", () => found.push(this.value(depth - 1)));
    return found;
  }

  items(end, read) {
    this.at += 1;
    this.match(SPACE);
    if (this.text[this.at] === end) {
      this.at += 1;
      return;
    }
    for (;;) {
      read();
      this.match(SPACE);
      const next = this.text[this.at++];
      if (next === end) return;
      if (next !== ",") this.refuse();
    }
  }

  integer() {
    const [digits, fraction, exponent] = this.match(NUMBER);
    if (!digits) this.refuse();
    if (fraction || exponent) {
      throw new MalformedError(`floating-point numbers have no place in evidence: ${digits.slice(0, 20)}`);
    }
    const number = Number(digits);
    if (!Number.isSafeInteger(number)) throw new MalformedError("an integer lies beyond 2^53");
    return number;
  }

  string() {
    let found = "";
    this.at += 1;
    for (;;) {
      found += this.match(PLAIN)[0];
      const next = this.text[this.at++];
      if (next === '"') return whole(found);
      if (next !== "\\") this.refuse();
      found += this.escape();
    }
  }

  escape() {
    const mark = this.text[this.at++];
    if (mark !== "u") return Object.hasOwn(ESCAPES, mark) ? ESCAPES[mark] : this.refuse();
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9A-Fa-f]{4}$/.test(digits)) this.refuse();
    this.at += 4;
    return String.fromCharCode(parseInt(digits, 16));
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text) ?? [""];
    this.at += found[0].length;
    return found;
  }

  refuse() {
    throw new MalformedError(`the text is no JSON at character ${Math.min(this.at, this.text.length)}`);
  }
}
