// What Chromium 86 lacks of what our libraries call at run time. Loaded first, in the page and in the map's worker.

if (!Object.hasOwn) {
  Object.defineProperty(Object, 'hasOwn', {
    value: (o: object, k: PropertyKey) => Object.prototype.hasOwnProperty.call(o, k),
    configurable: true,
    writable: true,
  });
}

function at<T>(this: ArrayLike<T>, n: number): T | undefined {
  const i = Math.trunc(n) || 0;
  return this[i < 0 ? this.length + i : i];
}

for (const proto of [Array.prototype, String.prototype, Object.getPrototypeOf(Uint8Array.prototype) as object]) {
  if (!('at' in proto)) Object.defineProperty(proto, 'at', { value: at, configurable: true, writable: true });
}

export {};
