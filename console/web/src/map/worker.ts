// MapLibre's worker, built by us so that old browsers get the syntax and the functions they lack.
import '@/polyfill';
import 'maplibre-gl/dist/maplibre-gl-worker.mjs';
