/** Proofs in the Merkle tree of RFC 6962 with SHA-256. Sizes and indices are BigInts: C2SP counts in 64 bits. */

import { concat, equal, sha256, utf8 } from "./bytes.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const EMPTY_ROOT = sha256(utf8(""));
const HASH_BYTES = 32;

/** Hash the bytes of an entry into a leaf (RFC 6962, section 2.1). */
export function leafHash(data) {
  return sha256(concat(LEAF, data));
}

/** Hash two subtrees into the one above them (RFC 6962, section 2.1). */
export function nodeHash(left, right) {
  return sha256(concat(NODE, left, right));
}

/** Say whether `proof` leads from the hash `leaf` at `index` to `root` (RFC 9162, section 2.1.3.2). */
export function verifyInclusion(index, size, leaf, proof, root) {
  if (index < 0n || index >= size || !areHashes(leaf, root, ...proof)) return false;
  const sides = sidesOf(index, size - 1n);
  if (proof.length !== sides.length) return false;
  const here = proof.reduce((hash, sibling, at) => (sides[at] ? nodeHash(sibling, hash) : nodeHash(hash, sibling)), leaf);
  return equal(here, root);
}

/**
 * Say whether `proof` shows that the old tree is the beginning of the new (RFC 9162, section 2.1.4.2).
 *
 * An old size of 0 is consistent with everything and proven by nothing, as `tlog-witness` has it.
 */
export function verifyConsistency(old, size, proof, oldRoot, root) {
  if (old < 0n || old > size || !areHashes(oldRoot, root, ...proof)) return false;
  if (old === 0n || old === size) {
    return proof.length === 0 && (old === size ? equal(oldRoot, root) : equal(oldRoot, EMPTY_ROOT));
  }
  // The proof begins at the largest complete subtree that ends the old tree; where that is the whole old tree,
  // its root is known and left out.
  let level = 0n;
  while (((old >> level) & 1n) === 0n) level += 1n;
  const path = old === 1n << level ? [oldRoot, ...proof] : proof;
  if (path.length === 0) return false;
  const sides = sidesOf((old - 1n) >> level, (size - 1n) >> level);
  if (path.length - 1 !== sides.length) return false;
  let [oldHere, here] = [path[0], path[0]];
  path.slice(1).forEach((sibling, at) => {
    if (sides[at]) {
      oldHere = nodeHash(sibling, oldHere);
      here = nodeHash(sibling, here);
    } else {
      here = nodeHash(here, sibling);
    }
  });
  return equal(oldHere, oldRoot) && equal(here, root);
}

/** Say for each step up from `node` whether the hash to join stands on its left, `last` being the last node. */
function sidesOf(node, last) {
  const sides = [];
  while (last > 0n) {
    const isLeft = (node & 1n) === 1n || node === last;
    sides.push(isLeft);
    while (isLeft && node > 0n && (node & 1n) === 0n) {
      node >>= 1n;
      last >>= 1n;
    }
    node >>= 1n;
    last >>= 1n;
  }
  return sides;
}

function areHashes(...hashes) {
  return hashes.every((each) => each.length === HASH_BYTES);
}
