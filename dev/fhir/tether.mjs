/**
 * Preloaded (`node --import`) into every Node part of the local stack: ends the process when its launcher is gone.
 *
 * The launcher holds the other end of stdin and never writes to it. The pipe closes however the launcher ended,
 * `kill -9` included, and no polling is needed. SIGTERM first, so that the part can write down what it holds.
 */
const GRACE_MS = 5000;

process.stdin.on("error", () => {});
process.stdin.on("close", () => {
  process.kill(process.pid, "SIGTERM");
  setTimeout(() => process.exit(1), GRACE_MS).unref();
});
process.stdin.resume();
process.stdin.unref?.();
