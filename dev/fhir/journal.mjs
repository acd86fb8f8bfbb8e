/**
 * Committed changes as lines of a file, one line per transaction, so that a killed server restarts with whole
 * transactions only. Without a folder nothing is kept.
 */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

export class Journal {
  #file;
  #path;

  constructor(folder) {
    if (folder) {
      mkdirSync(folder, { recursive: true });
      this.#path = join(folder, "changes.ndjson");
    }
  }

  /** Every transaction ever appended, oldest first; then open for appending. */
  open() {
    if (!this.#path) {
      return [];
    }
    const text = existsSync(this.#path) ? readFileSync(this.#path, "utf8") : "";
    // what follows the last line feed was being written when the server was killed
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    this.#file = openSync(this.#path, "a");
    ftruncateSync(this.#file, Buffer.byteLength(whole));
    return whole.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  append(changes) {
    if (this.#file !== undefined) {
      writeSync(this.#file, JSON.stringify(changes) + "\n");
    }
  }

  truncate() {
    if (this.#file !== undefined) {
      ftruncateSync(this.#file, 0);
    }
  }

  close() {
    if (this.#file !== undefined) {
      closeSync(this.#file);
    }
  }
}
