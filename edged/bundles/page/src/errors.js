/** The two ways in which reading ends: bytes that are not what they must be, and bytes that cannot be had. */

/** Bytes are not what their format says they must be: a matter for a verdict. */
export class MalformedError extends Error {}

/** The bundle, or a file that the verifier brought along, cannot be read at all: no verdict (exit 66 of `edged verify`). */
export class UnreadableError extends Error {}
