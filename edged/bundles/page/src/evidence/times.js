/** Times as evidence writes them. A moment is a BigInt of microseconds since 1970: more than a Date holds exactly. */

const INSTANT = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})$/;

/** Read RFC 3339 with its offset into {moment, offsetMinutes}; null for anything else, a 30 February included. */
export function parseInstant(text) {
  const found = INSTANT.exec(text);
  if (!found) return null;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  const offsetMinutes = found[8] === "Z" ? 0 : offsetOf(found[8]);
  if (!isDay(year, month, day) || hour > 23 || minute > 59 || second > 59 || offsetMinutes === null) return null;
  const fraction = BigInt((found[7] ?? "").padEnd(6, "0").slice(0, 6));
  const local = utc(year, month, day, hour, minute, second);
  return { moment: BigInt(local - offsetMinutes * 60_000) * 1000n + fraction, offsetMinutes };
}

/** Say whether this is a day of the calendar, written YYYY-MM-DD. */
export function isDate(text) {
  return /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text) && isDay(...text.split("-").map(Number));
}

/** Write a moment as entries write it: UTC, milliseconds, `Z`. */
export function rfc3339(moment) {
  return `${at(moment, 0)}Z`;
}

/** Write a moment with an offset, to the millisecond (rest cut off). */
export function withOffset(moment, offsetMinutes) {
  return at(moment, offsetMinutes) + offset(offsetMinutes);
}

/** Write a moment with an offset as Python's isoformat does: a fraction of six digits only if there is one. */
export function isoformat(moment, offsetMinutes) {
  const micros = mod(moment, 1_000_000n);
  const seconds = at(moment, offsetMinutes).slice(0, 19);
  return seconds + (micros ? `.${String(micros).padStart(6, "0")}` : "") + offset(offsetMinutes);
}

/** Cut a moment to whole seconds. */
export function wholeSeconds(moment) {
  return moment - mod(moment, 1_000_000n);
}

/** Give the moment of a Date. */
export function fromDate(date) {
  return BigInt(date.getTime()) * 1000n;
}

function at(moment, offsetMinutes) {
  const milliseconds = Number((moment - mod(moment, 1000n)) / 1000n) + offsetMinutes * 60_000;
  const text = new Date(milliseconds).toISOString();
  return text.slice(0, -1); // evidence knows only years of four digits
}

function offset(minutes) {
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${minutes < 0 ? "-" : "+"}${String(hours).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
}

function offsetOf(text) {
  const [hours, minutes] = [Number(text.slice(1, 3)), Number(text.slice(4))];
  if (hours > 23 || minutes > 59) return null;
  return (text[0] === "-" ? -1 : 1) * (hours * 60 + minutes);
}

function isDay(year, month, day) {
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  return day <= new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
}

function utc(year, month, day, hour, minute, second) {
  // Date.UTC takes years below 100 for those of the twentieth century; 400 years later the calendar is the same.
  return Date.UTC(year + 400, month - 1, day, hour, minute, second) - 146_097 * 86_400_000;
}

function mod(number, by) {
  return ((number % by) + by) % by;
}
