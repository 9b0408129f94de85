// How a scenario makes something happen in the world outside the browser. The driver chooses one way:
//   TRIGGER_CMD   a shell command, run with the event as its argument
//   otherwise     a line "@@ need <event>" on standard output, answered with "ok" (or "error <why>") on standard input

import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

let lines = null;

/** Waits for the driver to have done it. Events: alert (one more person leaves the city), alerts:N (N of them). */
export async function need(event) {
  if (process.env.TRIGGER_CMD) {
    await promisify(execFile)('sh', ['-c', `${process.env.TRIGGER_CMD} "$0"`, event]);
    return;
  }
  lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  process.stdout.write(`@@ need ${event}\n`);
  const { value, done } = await lines.next();
  if (done || value.trim() !== 'ok') throw new Error(`the driver could not do "${event}": ${done ? 'it has gone' : value}`);
}

/** Lets go of standard input, so that the process can end. */
export function close() {
  if (lines) process.stdin.destroy();
}
