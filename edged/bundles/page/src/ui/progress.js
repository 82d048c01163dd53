/** How far the verification is: a bar for eyes, and every tenth of it in words for ears. */

import { byId } from "./dom.js";
import { bytes, t } from "./texts.js";

export class Progress {
  #total = 0;
  #done = 0;
  #said = -1;

  begin(name) {
    [this.#total, this.#done, this.#said] = [0, 0, -1];
    byId("progress").hidden = false;
    byId("result").setAttribute("aria-busy", "true");
    byId("progress-bar").removeAttribute("value");
    byId("progress-text").textContent = t("reading", name);
  }

  /** So many bytes will be read. */
  expect(total) {
    this.#total = total;
  }

  /** So many more bytes are digested. */
  add(count) {
    this.#done += count;
    const share = this.#total > 0 ? Math.min(1, this.#done / this.#total) : 0;
    byId("progress-bar").value = Math.round(share * 1000);
    const tenth = Math.floor(share * 10);
    if (tenth === this.#said) return;
    this.#said = tenth;
    byId("progress-text").textContent = t("digesting", bytes(this.#done), bytes(this.#total), tenth * 10);
  }

  step(name) {
    if (name === "entries") byId("progress-text").textContent = t("checking");
  }

  end() {
    byId("progress-text").textContent = t("done");
    byId("progress").hidden = true;
    byId("result").removeAttribute("aria-busy");
  }
}
