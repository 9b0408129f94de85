import { readFileSync, rmSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath, URL } from 'node:url';
import vue from '@vitejs/plugin-vue';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { browserFloor } from './scripts/floor.ts';

const dist = fileURLToPath(new URL('./dist', import.meta.url));

/** Empties dist but for .gitkeep, which lets the server's embed compile in a clean checkout. */
function emptyDist(): Plugin {
  return {
    name: 'empty-dist',
    apply: 'build',
    buildStart() {
      for (const name of readdirSync(dist)) {
        if (name !== '.gitkeep') rmSync(`${dist}/${name}`, { recursive: true });
      }
    },
    closeBundle() {
      try {
        readFileSync(`${dist}/.gitkeep`);
      } catch {
        writeFileSync(`${dist}/.gitkeep`, '');
      }
    },
  };
}

/** MapLibre's package declares its worker free of side effects, and side effects are all it has: it would be left out. */
function keepWorker(): Plugin {
  return {
    name: 'keep-worker',
    enforce: 'pre',
    async resolveId(id, importer, options) {
      if (!id.includes('maplibre-gl-worker')) return null;
      const found = await this.resolve(id, importer, { ...options, skipSelf: true });
      return found && { ...found, moduleSideEffects: true };
    },
  };
}

// Where `vite dev` finds a running server.
const backend = process.env.ZHIJIAO_BACKEND ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [vue(), emptyDist(), browserFloor()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  define: {
    __VUE_OPTIONS_API__: 'true', // Element Plus uses it in places
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_I18N_LEGACY_API__: 'false',
    __VUE_I18N_FULL_INSTALL__: 'false',
    __INTLIFY_PROD_DEVTOOLS__: 'false',
  },
  build: {
    target: 'chrome86', // held to by browserFloor
    cssTarget: 'chrome86',
    emptyOutDir: false,
    // Nothing inlined: the content security policy allows files of this server and nothing else.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1300,
    rolldownOptions: {
      output: {
        advancedChunks: {
          groups: [
            { name: 'map', test: /node_modules\/maplibre-gl/ },
            { name: 'charts', test: /node_modules\/(echarts|zrender)/ },
            { name: 'vendor', test: /node_modules/ },
          ],
        },
      },
    },
  },
  worker: {
    format: 'es',
    plugins: () => [keepWorker(), browserFloor()],
  },
  test: { include: ['src/**/*.test.ts'] }, // e2e needs a running server: see e2e/README.md
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': { target: backend },
      '/ws': { target: backend, ws: true },
    },
  },
});
