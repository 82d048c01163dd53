/**
 * The kinds of values that bodies of entries are made of, each with exactly the spelling section 2 allows.
 *
 * A shape is a function that gives null for a value of its kind, else what is wrong with it, in a few words.
 */

import { MalformedError } from "../errors.js";
import { parseBase64 } from "./bytes.js";
import { isObject } from "./canonical.js";
import { checkPath, isId, isSegmentId, isSha256, splitOrigin } from "./ids.js";
import { parseVkey } from "./note.js";
import { isDate, parseInstant } from "./times.js";

const when = (holds, wrong) => (value) => (holds(value) ? null : wrong);
const isText = (value) => typeof value === "string";
const textWhere = (holds, wrong) => when((value) => isText(value) && holds(value), wrong);

/** Make a shape of a function that throws MalformedError for a text of the wrong kind. */
function textBy(check) {
  return (value) => {
    if (!isText(value)) return "not a text";
    try {
      check(value);
      return null;
    } catch (error) {
      if (error instanceof MalformedError) return error.message;
      throw error;
    }
  };
}

export const text = when(isText, "not a text");
export const truth = when((value) => typeof value === "boolean", "neither true nor false");
export const anything = () => null;
export const bag = when(isObject, "not an object");
export const id = textWhere(isId, "not an id");
export const segmentId = textWhere(isSegmentId, "not a segment's id");
export const digest = textWhere(isSha256, "not a SHA-256 in lower-case hex");
export const count = when((value) => Number.isSafeInteger(value) && value >= 0, "not a number from 0");
export const positive = when((value) => Number.isSafeInteger(value) && value >= 1, "not a number from 1");
export const whole = when(Number.isSafeInteger, "not a whole number");
export const percent = when((value) => Number.isSafeInteger(value) && value >= 0 && value <= 100, "not 0 to 100");
export const instant = textWhere((value) => parseInstant(value) !== null, "not a time as RFC 3339 with its offset");
export const term = textWhere(
  (value) => value === "permanent" || value === "undetermined" || isDate(value),
  "not a date, `permanent` or `undetermined`",
);
export const path = textBy(checkPath);
export const origin = textBy(splitOrigin);
export const root = textBy((value) => parseBase64(value, "the root", 32));
export const verifierKey = textBy(parseVkey);

export const oneOf = (...values) => when((value) => values.includes(value), `not one of ${values.join(", ")}`);
export const orNull = (shape) => (value) => (value === null ? null : shape(value));
export const either = (one, two) => (value) => (one(value) === null ? null : two(value));

export const many = (shape) => (value) => {
  if (!Array.isArray(value)) return "not an array";
  for (const [at, each] of value.entries()) {
    const wrong = shape(each);
    if (wrong) return `${at}: ${wrong}`;
  }
  return null;
};

/**
 * Make the shape of an object: every key of `required` is there, those of `optional` may be, never as null; further
 * keys are as they like.
 */
export function object(required, optional = {}, holds = () => null) {
  return (value) => {
    if (!isObject(value)) return "not an object";
    for (const [key, shape] of Object.entries(required)) {
      const wrong = key in value ? shape(value[key]) : "missing";
      if (wrong) return `${key}: ${wrong}`;
    }
    for (const [key, shape] of Object.entries(optional)) {
      const wrong = key in value ? (value[key] === null ? "left out when unknown, never null" : shape(value[key])) : null;
      if (wrong) return `${key}: ${wrong}`;
    }
    return holds(value);
  };
}
