// A line between browser and server that can be cut, frozen and mended: what a bad network really does.

import net from 'node:net';

export class Line {
  #server;
  #pairs = new Set();
  #cut = false;
  #frozen = false;

  /** Opens a line to the server at base; url is where the browser goes instead. */
  static async to(base) {
    const line = new Line();
    const target = new URL(base);
    if (target.protocol !== 'http:') throw new Error('the line carries http only');
    line.#server = net.createServer((from) => line.#connect(from, target));
    await new Promise((done, failed) => line.#server.once('error', failed).listen(0, '127.0.0.1', done));
    line.url = `http://127.0.0.1:${line.#server.address().port}`;
    return line;
  }

  #connect(from, target) {
    if (this.#cut) return from.destroy();
    const to = net.connect(Number(target.port || 80), target.hostname);
    const pair = { from, to };
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      from.destroy();
      to.destroy();
    };
    for (const s of [from, to]) s.on('error', end).on('close', end);
    from.on('data', (d) => to.write(d));
    to.on('data', (d) => from.write(d));
    if (this.#frozen) this.#halt(pair);
  }

  #halt({ from, to }) {
    from.pause();
    to.pause();
  }

  /** Ends every connection and takes no new one. */
  cut() {
    this.#cut = true;
    for (const { from, to } of this.#pairs) {
      from.destroy();
      to.destroy();
    }
  }

  /** Keeps every connection and lets nothing through. */
  freeze() {
    this.#frozen = true;
    for (const p of this.#pairs) this.#halt(p);
  }

  mend() {
    this.#cut = this.#frozen = false;
    for (const { from, to } of this.#pairs) {
      from.resume();
      to.resume();
    }
  }

  async close() {
    this.cut();
    await new Promise((done) => this.#server.close(done));
  }
}
