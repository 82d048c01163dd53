/** SM3 (GB/T 32905), which WebCrypto and @noble/hashes do not have: of a file that comes in pieces. */

const START = [0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e];
const BLOCK_BYTES = 64;

const rotate = (word, by) => (word << by) | (word >>> (32 - by)); // by 1 to 31
const p0 = (word) => word ^ rotate(word, 9) ^ rotate(word, 17);
const p1 = (word) => word ^ rotate(word, 15) ^ rotate(word, 23);

/** The constant of each round, turned as the standard says. */
const ROUND = Int32Array.from({ length: 64 }, (_, at) => {
  const constant = at < 16 ? 0x79cc4519 : 0x7a879d8a;
  return at % 32 === 0 ? constant : rotate(constant, at % 32);
});

export class Sm3 {
  #state = Int32Array.from(START);
  #words = new Int32Array(68);
  #rest = new Uint8Array(0);
  #length = 0;

  /** Take in the next bytes. */
  update(data) {
    this.#length += data.length;
    const all = new Uint8Array(this.#rest.length + data.length);
    all.set(this.#rest);
    all.set(data, this.#rest.length);
    const whole = all.length - (all.length % BLOCK_BYTES);
    const view = new DataView(all.buffer);
    for (let at = 0; at < whole; at += BLOCK_BYTES) this.#compress(view, at);
    this.#rest = all.slice(whole);
  }

  /** Give the digest as 32 bytes; nothing may be added afterwards. */
  digest() {
    const length = this.#length;
    const padded = new Uint8Array(length % BLOCK_BYTES < 56 ? 64 - (length % BLOCK_BYTES) : 128 - (length % BLOCK_BYTES));
    padded[0] = 0x80;
    new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(length) * 8n);
    this.update(padded);
    const out = new DataView(new ArrayBuffer(32));
    this.#state.forEach((word, at) => out.setInt32(4 * at, word));
    return new Uint8Array(out.buffer);
  }

  #compress(view, start) {
    const w = this.#words;
    for (let at = 0; at < 16; at++) w[at] = view.getInt32(start + 4 * at);
    for (let at = 16; at < 68; at++) {
      w[at] = p1(w[at - 16] ^ w[at - 9] ^ rotate(w[at - 3], 15)) ^ rotate(w[at - 13], 7) ^ w[at - 6];
    }
    let [a, b, c, d, e, f, g, h] = this.#state;
    for (let at = 0; at < 64; at++) {
      const turned = rotate(a, 12);
      const ss1 = rotate((turned + e + ROUND[at]) | 0, 7);
      const ff = at < 16 ? a ^ b ^ c : (a & b) | (a & c) | (b & c);
      const gg = at < 16 ? e ^ f ^ g : (e & f) | (~e & g);
      const tt1 = (ff + d + (ss1 ^ turned) + (w[at] ^ w[at + 4])) | 0;
      const tt2 = (gg + h + ss1 + w[at]) | 0;
      d = c;
      c = rotate(b, 9);
      b = a;
      a = tt1;
      h = g;
      g = rotate(f, 19);
      f = e;
      e = p0(tt2);
    }
    [a, b, c, d, e, f, g, h].forEach((word, at) => (this.#state[at] ^= word));
  }
}
