// The oldest browser the build is made for is Chromium 86: office machines are old. This fails a build whose files hold
// syntax that Chromium 86 cannot read, or call what it does not have and src/polyfill.ts does not bring.

import type { Plugin } from 'vite';

interface Node {
  type: string;
  [key: string]: unknown;
}

/** Functions that came after Chromium 86, by the name they are called by; those behind a feature test are not called there. */
const LATER = new Set([
  'structuredClone', 'findLast', 'findLastIndex', 'fromAsync', 'withResolvers', 'groupBy', 'randomUUID', 'isWellFormed', 'toWellFormed',
  'checkVisibility', 'showPopover',
]);

function isNode(v: unknown): v is Node {
  return typeof v === 'object' && v !== null && typeof (v as Node).type === 'string';
}

/** What of the node a Chromium 86 cannot run; empty for nothing. */
function tooNew(n: Node, parent: Node | null): string {
  switch (n.type) {
    case 'StaticBlock':
      return 'class static block (94)';
    case 'BinaryExpression':
      return isNode(n.left) && n.left.type === 'PrivateIdentifier' ? '#field in object (91)' : '';
    case 'Literal': {
      const flags = (n.regex as { flags?: string } | undefined)?.flags ?? '';
      return /[dv]/.test(flags) ? `regular expression flag in /${flags} (90, 112)` : '';
    }
    case 'ImportAttribute':
      return 'import attribute (123)';
    case 'CallExpression': {
      const f = n.callee as Node;
      const name = f.type === 'Identifier' ? f.name : f.type === 'MemberExpression' && !f.computed ? (f.property as Node).name : '';
      return LATER.has(name as string) ? `${String(name)}()` : '';
    }
    case 'AwaitExpression':
      return parent?.type === 'top' ? 'top-level await (89)' : '';
    default:
      return '';
  }
}

function walk(n: Node, parent: Node | null, top: boolean, found: Set<string>): void {
  const own = /Function/.test(n.type) ? false : top;
  const problem = tooNew(n, own && n.type === 'AwaitExpression' ? { type: 'top' } : parent);
  if (problem) found.add(problem);
  for (const value of Object.values(n)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child, n, own, found);
  }
}

/** CSS that Chromium 86 drops in silence. Matched in the built text; what has a fallback there is not listed. */
const CSS = /\binset:|aspect-ratio:|color-mix\(|:has\(|@container|@layer|\d[ds]v[hw]\b/g;

export function browserFloor(): Plugin {
  return {
    name: 'browser-floor',
    apply: 'build',
    generateBundle(_, bundle) {
      for (const [name, file] of Object.entries(bundle)) {
        const found = new Set<string>();
        if (file.type === 'chunk') walk(this.parse(file.code) as unknown as Node, null, true, found);
        else if (name.endsWith('.css')) for (const m of String(file.source).match(CSS) ?? []) found.add(`CSS ${m}`);
        if (found.size) this.error(`${name} does not run in Chromium 86: ${[...found].join(', ')}`);
      }
    },
  };
}
