/**
 * What verification says to people, in English and Chinese at once.
 *
 * A sentence quotes names that a forger chose. Control characters, direction marks and line breaks in it are shown as
 * codes, and an overlong one is cut. The page shows words as text nodes only, never as HTML.
 */

const LONGEST = 1_000;
const UNPRINTABLE = /(?! )[\p{C}\p{Z}]/gu;

export class Words {
  constructor(en, zh) {
    this.en = printable(en);
    this.zh = printable(zh);
  }

  plus(other) {
    return new Words(`${this.en} ${other.en}`.trim(), `${this.zh}${other.zh}`);
  }
}

/** Show what cannot be printed by its code point, and cut what is too long to be read. */
export function printable(text) {
  if (text.length > LONGEST) {
    const characters = [...text];
    if (characters.length > LONGEST) text = `${characters.slice(0, LONGEST).join("")}…`;
  }
  return text.replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

/** Write milliseconds as seconds with their sign, exactly. */
export function signedSeconds(ms) {
  const whole = BigInt(ms);
  const all = whole < 0n ? -whole : whole;
  return `${whole < 0n ? "-" : "+"}${all / 1000n}.${String(all % 1000n).padStart(3, "0")}`;
}

/** List a few names and say how many more there are. */
export function some(names, most = 3) {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} (+${names.length - most})` : shown;
}

/** Sort texts by code points, as every program that is not JavaScript does. */
export function sorted(texts) {
  return [...texts].sort(byCodePoints);
}

export function byCodePoints(one, two) {
  const length = Math.min(one.length, two.length);
  for (let at = 0; at < length; at += 1) {
    const [a, b] = [one.charCodeAt(at), two.charCodeAt(at)];
    if (a !== b) return order(a) - order(b);
  }
  return one.length - two.length;
}

/** Surrogates stand for what lies beyond all other code units, the last 8 192 of which come after them in UTF-16. */
function order(unit) {
  return unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
