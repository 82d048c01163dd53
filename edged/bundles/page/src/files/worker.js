/** A worker that digests one blob at a time: {path, blob} in; {bytes} while it goes on, {found} or {failed} at the end. */

import { UnreadableError } from "../errors.js";
import { digestBlob } from "./digest.js";

self.onmessage = async ({ data: { path, blob } }) => {
  try {
    self.postMessage({ found: await digestBlob(blob, path, (bytes) => self.postMessage({ bytes })) });
  } catch (error) {
    self.postMessage({ failed: error.message, isUnreadable: error instanceof UnreadableError });
  }
};
